//! The program that is put on hosts: one for each architecture.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use crate::architecture::{Architecture, ArchitectureError};

/// A program for hosts of an architecture, as an operator names it: `ARCH=PATH`, or the path
/// alone for this machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    architecture: Option<Architecture>,
    path: PathBuf,
}

/// The programs that hosts can get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agents {
    first: Architecture,
    all: BTreeMap<Architecture, PathBuf>,
}

/// Why nothing can be put on hosts.
#[derive(Debug, Error)]
pub enum AgentsError {
    /// This program does not know where it is.
    #[error("this program does not know where it is; name it with --agent")]
    Own(#[source] io::Error),
    /// This program is for an architecture that is not laid down.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
}

impl FromStr for Named {
    type Err = ArchitectureError;

    fn from_str(text: &str) -> Result<Self, ArchitectureError> {
        // A path with a folder in it is one, whatever stands there.
        let split = text.split_once('=').filter(|(name, _)| !name.contains('/'));
        Ok(match split {
            None => Self {
                architecture: None,
                path: text.into(),
            },
            Some((name, path)) => Self {
                architecture: Some(name.parse()?),
                path: path.into(),
            },
        })
    }
}

impl Agents {
    /// This program, and those that were named.
    ///
    /// # Errors
    /// When this program has no place, or no known architecture.
    pub fn of(named: &[Named]) -> Result<Self, AgentsError> {
        let first = Architecture::own()?;
        let mut all = BTreeMap::new();
        all.insert(first, std::env::current_exe().map_err(AgentsError::Own)?);
        for one in named {
            let architecture = one.architecture.unwrap_or(first);
            all.insert(architecture, one.path.clone());
        }
        Ok(Self { first, all })
    }

    /// The architecture that is tried first: this machine's.
    pub(super) fn first(&self) -> Architecture {
        self.first
    }

    /// The program for an architecture.
    pub(super) fn get(&self, architecture: Architecture) -> Option<&Path> {
        self.all.get(&architecture).map(PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_named_with_its_architecture_or_without() {
        let agents = |named: &[&str]| {
            let named: Vec<Named> =
                named.iter().map(|text| text.parse().unwrap()).collect();
            Agents::of(&named).unwrap()
        };
        let own = Architecture::own().unwrap();
        let place = std::env::current_exe().unwrap();
        assert_eq!(agents(&[]).get(own), Some(place.as_path()));
        let both = agents(&["arm64=/a", "amd64=/b"]);
        assert_eq!(both.get(Architecture::Arm64), Some(Path::new("/a")));
        assert_eq!(both.get(Architecture::Amd64), Some(Path::new("/b")));
        assert_eq!(agents(&["./x=y"]).get(own), Some(Path::new("./x=y")));
        let error = "mips=/a".parse::<Named>().unwrap_err().to_string();
        assert!(error.contains("allowed: amd64, arm64"), "{error}");
    }
}
