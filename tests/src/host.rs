//! A host of the lab: something with a name, an address and processes of its own.
//!
//! Two kinds stand behind one trait: a network namespace (made in milliseconds, shares the
//! machine's files and pids) and a booted machine (systemd as PID 1, takes seconds).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use crate::command;
use crate::error::LabError;
use crate::netns::Netns;
use crate::process::{Process, Program};

/// What every kind of host can do.
pub trait Host: Send + Sync {
    /// Its short name, unique in the segment.
    fn name(&self) -> &str;
    /// Its own address on the segment.
    fn address(&self) -> Ipv4Addr;
    /// Starts a program on it.
    ///
    /// # Errors
    /// When the program is not there.
    fn start(&self, program: &Program) -> Result<Process, LabError>;
    /// Runs a command on it to its end and returns what it printed.
    ///
    /// # Errors
    /// When the command fails.
    fn output(&self, program: &str, args: &[&str]) -> Result<String, LabError>;
    /// Kills everything that runs on it, at once.
    fn kill_all(&self);
}

/// A host that is a network namespace with one interface, `eth0` where the lab made it.
#[derive(Debug)]
pub struct NamespaceHost {
    name: String,
    stem: String,
    address: Ipv4Addr,
    netns: Netns,
    files: PathBuf,
}

impl NamespaceHost {
    /// A host in a namespace of its own; the segment plugs it in.
    ///
    /// # Errors
    /// Without the right to make namespaces.
    pub fn new(
        stem: &str,
        files: &Path,
        name: &str,
        address: Ipv4Addr,
    ) -> Result<Self, LabError> {
        let netns = Netns::new(format!("{stem}-{name}"))?;
        // No duplicate address detection: an address must serve the moment it is added.
        netns.sysctl("ipv6/conf/default/accept_dad", "0")?;
        netns.sysctl("ipv6/conf/all/accept_dad", "0")?;
        Ok(Self {
            name: name.to_owned(),
            stem: stem.to_owned(),
            address,
            netns,
            files: files.to_owned(),
        })
    }

    /// The network of a booted machine, with `process` as its process 1, as a host of this
    /// machine's files and programs: where instruments sit.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of_machine(
        name: &str,
        address: Ipv4Addr,
        files: &Path,
        process: Pid,
    ) -> Result<Self, LabError> {
        let stem = format!("machine-{process}");
        Ok(Self {
            name: name.to_owned(),
            address,
            netns: Netns::of_machine(format!("{stem}-{name}"), process)?,
            stem,
            files: files.to_owned(),
        })
    }

    /// The namespace itself.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The hardware address that the lab gives: `02:00:00:00:00:` and the last octet of its own
    /// address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        mac(self.address)
    }

    /// A path for a socket or a config of this host.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.files.join(format!("{}-{name}", self.name))
    }

    /// Runs `job` on the thread that sits in the namespace.
    ///
    /// # Errors
    /// When that thread has died.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LabError> {
        self.netns.run(job)
    }
}

impl Host for NamespaceHost {
    fn name(&self) -> &str {
        &self.name
    }

    fn address(&self) -> Ipv4Addr {
        self.address
    }

    fn start(&self, program: &Program) -> Result<Process, LabError> {
        let (program, host) = (program.clone(), self.name.clone());
        let stem = self.stem.clone();
        self.netns.run(move || program.spawn(&host, &stem))?
    }

    fn output(&self, program: &str, args: &[&str]) -> Result<String, LabError> {
        let program = program.to_owned();
        let args: Vec<String> = args.iter().map(|&a| a.to_owned()).collect();
        self.netns.run(move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            command::run(&program, &args)
        })?
    }

    fn kill_all(&self) {
        self.netns.kill_all();
    }
}

/// The IPv6 address that a machine has besides, and whoever asks for it: that of 10.79.0.11 is
/// fd00:79::11, in the same digits (fd00::/8 is for whoever takes it, RFC 4193).
#[must_use]
pub fn six(address: Ipv4Addr) -> Ipv6Addr {
    let [_, network, _, last] = address.octets().map(digits);
    Ipv6Addr::new(0xfd00, network, 0, 0, 0, 0, 0, last)
}

/// Decimal digits as hexadecimal ones.
fn digits(octet: u8) -> u16 {
    let octet = u16::from(octet);
    octet / 100 * 0x100 + octet / 10 % 10 * 0x10 + octet % 10
}

/// The hardware address that belongs to an address of the lab.
#[must_use]
pub fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [.., last] = address.octets();
    [2, 0, 0, 0, 0, last]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_addresses_have_the_same_digits() {
        for (four, wanted) in [
            ([10, 79, 0, 11], "fd00:79::11"),
            ([10, 79, 0, 100], "fd00:79::100"),
            ([10, 7, 0, 254], "fd00:7::254"),
        ] {
            assert_eq!(six(four.into()).to_string(), wanted);
        }
    }
}
