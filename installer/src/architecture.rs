//! What a machine's processor understands, by the names that Kubernetes gives it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// An architecture that programs are laid down for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    /// x86-64
    Amd64,
    /// 64-bit Arm
    Arm64,
}

/// Why a text is no architecture.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no architecture that programs are laid down for; allowed: amd64, arm64"
)]
pub struct ArchitectureError(String);

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// As Kubernetes and its mirrors write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// As a kernel writes it (`uname -m`).
    #[must_use]
    pub fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// That of a machine, by what its kernel says.
    ///
    /// # Errors
    /// When nothing is laid down for it.
    pub fn of_machine(machine: &str) -> Result<Self, ArchitectureError> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|one| one.machine() == machine);
        found.ok_or_else(|| ArchitectureError(machine.to_owned()))
    }

    /// That of this program.
    ///
    /// # Errors
    /// When it was built for another one than it lays down.
    pub fn own() -> Result<Self, ArchitectureError> {
        Self::of_machine(std::env::consts::ARCH)
    }
}

impl FromStr for Architecture {
    type Err = ArchitectureError;

    fn from_str(text: &str) -> Result<Self, ArchitectureError> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|one| one.name() == text);
        found.ok_or_else(|| ArchitectureError(text.to_owned()))
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_known_by_both_of_its_names() {
        for one in Architecture::ALL {
            assert_eq!(one.name().parse(), Ok(one));
            assert_eq!(Architecture::of_machine(one.machine()), Ok(one));
        }
        assert!("x86_64".parse::<Architecture>().is_err());
        let error = Architecture::of_machine("riscv64").unwrap_err().to_string();
        assert!(
            error.starts_with("\"riscv64\" is no architecture"),
            "{error}"
        );
    }
}
