//! A switch and the hosts plugged into it.
//!
//! The bridge has a namespace of its own (STP off, no forward delay, no multicast snooping);
//! each host hangs on a port named after it. Nothing appears in the machine's own namespace.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::command::{ip_batch, run};
use crate::error::LabError;
use crate::host::{Host, NamespaceHost, mac};
use crate::netns::{Netns, files, stem};
use crate::wait;

/// BR_STATE_DISABLED and BR_STATE_FORWARDING of `linux/if_bridge.h`.
const DISABLED: &str = "0";
const FORWARDING: &str = "3";

/// All segments of this process, for their names.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// A segment; dropping it removes hosts, bridge and files.
#[derive(Debug)]
pub struct Segment {
    hosts: Vec<Arc<NamespaceHost>>,
    bridge: Netns,
    files: PathBuf,
    logs: PathBuf,
}

impl Segment {
    /// A segment with these hosts, each `(name, address)` in one /24. `logs` is the folder
    /// its processes log into.
    ///
    /// # Errors
    /// Without the right to make namespaces.
    pub fn new(logs: &Path, hosts: &[(&str, Ipv4Addr)]) -> Result<Self, LabError> {
        let stem = stem(MADE.fetch_add(1, Ordering::Relaxed));
        let files = files(&stem)?;
        let bridge = Netns::new(format!("{stem}-br"))?;
        let hosts = hosts
            .iter()
            .map(|(name, at)| NamespaceHost::new(&stem, &files, name, *at).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let made = Self {
            hosts,
            bridge,
            files,
            logs: logs.to_owned(),
        };
        made.wire()?;
        Ok(made)
    }

    /// The hosts, in the order they were named.
    #[must_use]
    pub fn hosts(&self) -> &[Arc<NamespaceHost>] {
        &self.hosts
    }

    /// The host called `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn host(&self, name: &str) -> Result<&Arc<NamespaceHost>, LabError> {
        let found = self.hosts.iter().find(|h| h.name() == name);
        found.ok_or_else(|| LabError::Missing(format!("no host is called {name:?}")))
    }

    /// The namespace of the bridge.
    #[must_use]
    pub fn bridge(&self) -> &Netns {
        &self.bridge
    }

    /// The folder of the segment's sockets, configurations and data; goes with it.
    #[must_use]
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// Where logs of this segment's processes go.
    #[must_use]
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Takes the carrier from a host: the cable is pulled.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn cut(&self, host: &str) -> Result<(), LabError> {
        run(
            "ip",
            &["-n", self.bridge.name(), "link", "set", "dev", host, "down"],
        )
        .map(drop)
    }

    /// Plugs the cable back in, or opens a port that was closed.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn heal(&self, host: &str) -> Result<(), LabError> {
        // A port that is down refuses this; it forwards by itself when it comes up.
        drop(self.port(host, FORWARDING));
        ip_batch_in(&self.bridge, &format!("link set dev {host} up\n"))
    }

    /// Closes the host's port at the bridge: it hears nothing, yet keeps its carrier.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn isolate(&self, host: &str) -> Result<(), LabError> {
        self.port(host, DISABLED)
    }

    /// Deletes the host's interface, and makes it anew, with its address, after a time.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn recreate(&self, host: &str, away: Duration) -> Result<(), LabError> {
        let host = self.host(host)?;
        host.output("ip", &["link", "del", "eth0"])?;
        wait::pass(away, || false);
        self.plug(host)
    }

    fn port(&self, host: &str, state: &str) -> Result<(), LabError> {
        let br = self.bridge.name();
        let args = ["-n", br, "link", "set", "dev", host, "state", state];
        run("bridge", &args).map(drop)
    }

    fn wire(&self) -> Result<(), LabError> {
        ip_batch_in(
            &self.bridge,
            "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             link set br0 up\n",
        )?;
        self.hosts.iter().try_for_each(|host| self.plug(host))
    }

    /// An interface, and the cable from it to the bridge.
    fn plug(&self, host: &NamespaceHost) -> Result<(), LabError> {
        let (name, at, br) = (host.name(), host.address(), self.bridge.name());
        let mut lines = String::new();
        let _ = write!(
            lines,
            "link add eth0 address {mac} type veth peer name {name} netns {br}\n\
             addr add {at}/24 broadcast + dev eth0\nlink set lo up\nlink set eth0 up\n",
            mac = written(mac(at)),
        );
        ip_batch_in(host.netns(), &lines)?;
        let up = format!("link set dev {name} master br0 up\n");
        ip_batch_in(&self.bridge, &up)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.hosts.clear();
        drop(fs::remove_dir_all(&self.files));
    }
}

/// A hardware address as people write it.
#[must_use]
pub fn written(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn ip_batch_in(netns: &Netns, lines: &str) -> Result<(), LabError> {
    let lines = lines.to_owned();
    netns.run(move || ip_batch(&lines))?
}
