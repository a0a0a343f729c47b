//! A host of the lab: something with a name, an address and processes of its own.
//!
//! Two kinds stand behind one trait: a network namespace (made in milliseconds, shares the
//! machine's files and pids) and a booted machine (systemd as PID 1, takes seconds).

use std::net::Ipv4Addr;
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

/// The hardware address that belongs to an address of the lab.
#[must_use]
pub fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [.., last] = address.octets();
    [2, 0, 0, 0, 0, last]
}
