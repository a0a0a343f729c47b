//! Where the agent lies on a host, and that nothing of it stays.

use std::fs;

use super::hosts::Hosts;
use super::{Tried, holds};

/// m2.
const ODD: &str = "192.0.2.12";
/// What is below a host's folders of these names, but what stands for systemd, and what mount notes.
const LISTING: &str =
    "find hosts/*/run hosts/*/var -not -path '*/run/units*' -not -path '*/run/mount*'";

/// What lies there.
fn standing(hosts: &Hosts) -> Tried<String> {
    hosts.shell(&format!("cd .. && {LISTING} | sort"))?.ended(0)
}

/// A host whose /run is mounted as Debian's and Ubuntu's initramfs does is reached like any
/// other; one where nothing can be executed is named, with the way out.
pub(super) fn anywhere() -> Tried {
    let hosts = Hosts::new()?;
    let before = standing(&hosts)?;
    let noexec = |folders: &str| fs::write(hosts.root(ODD).join("etc/noexec"), folders);
    noexec("/run")?;
    hosts.run(&["preflight"])?;
    let after = standing(&hosts)?;
    if before != after {
        return Err(format!("before\n{before}\nafter\n{after}").into());
    }
    let said = hosts.run(&["apply"])?.ended(0)?;
    holds(&said, "m2: ")?;
    noexec("/run /var")?;
    let said = hosts.run(&["plan"])?.ended(1)?;
    holds(&said, "no program can be executed from /var/lib/sternpost")?;
    holds(&said, "mount -o remount,exec /var/lib")?;
    noexec("")?;
    let words = ["reset", "--data", "--confirm", "prod"];
    hosts.run(&words)?.ended(0)?;
    let after = standing(&hosts)?;
    let left = |line: &&str| line.contains("sternpost");
    match after.lines().find(left) {
        None => Ok(()),
        Some(left) => Err(format!("{left} is left").into()),
    }
}
