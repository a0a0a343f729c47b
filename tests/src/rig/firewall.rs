//! A machine that filters by ufw.

use libtest_mimic::Failed;

use super::Rig;
use crate::command::run;
use crate::requirement;

/// Where libraries are the system's own, folders are links to others.
const UNPACK: &str = "tar -C \"$1\" -c . | tar -C \"$2\" -x --keep-directory-symlink";
/// As its package is set up when it is installed, which is iptables' as well.
const SET_UP: &str = "set -e\n\
    for name in iptables iptables-restore iptables-save ip6tables ip6tables-restore \
    ip6tables-save; do ln -sf xtables-nft-multi /usr/sbin/$name; done\n\
    cp /usr/share/ufw/*.rules /usr/share/ufw/ufw.conf /etc/ufw/\n\
    ufw allow 22/tcp\n\
    ufw --force enable";

impl Rig {
    /// Has a machine filter what comes in and what is handed on: all of it but ssh, and what is
    /// an answer.
    ///
    /// # Errors
    /// When there is no ufw, or it does not filter there.
    pub fn filtered(&self, name: &str) -> Result<(), Failed> {
        let [_, leader] = self.machine(name)?.processes();
        let from = requirement::firewall().join("root").display().to_string();
        let to = format!("/proc/{leader}/root");
        run("sh", &["-c", UNPACK, "sh", &from, &to])?;
        let said = self.on(name, SET_UP)?;
        match said.contains("Firewall is active") {
            true => Ok(()),
            false => Err(format!("{name} does not filter: {said}").into()),
        }
    }
}
