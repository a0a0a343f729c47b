//! One-way loss between two hosts; the other faults are methods of the segment and of the
//! process they strike.
//!
//! The receiving host redirects what it is not to hear into a device that is down: `tc` with
//! u32 and mirred, which the kernel offers without further tools. Captures at the bridge still
//! see the frames.

use std::net::Ipv4Addr;

use crate::error::LabError;
use crate::host::{Host, NamespaceHost};

/// What is lost on a one-way path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Everything with that source.
    All,
    /// VRRP (IP protocol 112) only: clients still reach both.
    Vrrp,
}

/// A device that never comes up: what is sent there is gone.
const SINK: &str = "sink";

/// From now on `to` hears nothing (of that kind) from `from`; the other way is whole.
///
/// # Errors
/// When the filter cannot be set.
pub fn deafen(to: &NamespaceHost, from: Ipv4Addr, lost: Lost) -> Result<(), LabError> {
    if to.output("ip", &["link", "show", SINK]).is_err() {
        to.output("ip", &["link", "add", SINK, "type", "bridge"])?;
        to.output("tc", &["qdisc", "add", "dev", "eth0", "ingress"])?;
    }
    let source = format!("{from}/32");
    let mut args = vec!["filter", "add", "dev", "eth0", "parent", "ffff:"];
    args.extend(["protocol", "ip", "u32", "match", "ip", "src", &source]);
    if lost == Lost::Vrrp {
        args.extend(["match", "ip", "protocol", "112", "0xff"]);
    }
    args.extend(["action", "mirred", "egress", "redirect", "dev", SINK]);
    to.output("tc", &args).map(drop)
}

/// `host` hears everybody again. The device stays: taking it away would have the kernel hold up
/// whoever changes an address just then.
///
/// # Errors
/// When the filter cannot be removed.
pub fn undeafen(host: &NamespaceHost) -> Result<(), LabError> {
    let args = ["filter", "del", "dev", "eth0", "parent", "ffff:"];
    host.output("tc", &args).map(drop)
}
