//! Ways to hosts: by a user who becomes root with `sudo -n`, through another host, and to one that
//! lets nobody become root without a password, which is named with the way out.
//!
//! Leaves to the others: what is done once a host is reached.

use std::fs;

use libtest_mimic::Failed;

use super::{BARE, checks};
use lab::rig::{MASTERS, Rig};

/// Has the user `op`, with the operator's key; and who may become root how. A host that boots lets
/// in nobody but root until that unit has started (pam_nologin(8)).
const USER: &str = "systemctl start systemd-user-sessions.service && \
                    useradd --create-home --shell /bin/sh op && \
                    install -d -m 700 -o op -g op /home/op/.ssh && \
                    install -m 600 -o op -g op /root/.ssh/authorized_keys /home/op/.ssh/ && \
                    echo 'PermitRootLogin no' >/etc/ssh/sshd_config.d/root.conf && \
                    systemctl reload ssh && ";
const FREELY: &str = "echo 'op ALL=(root) NOPASSWD: ALL' >/etc/sudoers.d/op";
const AT_A_TERMINAL: &str = "printf 'Defaults:op requiretty\\nop ALL=(root) NOPASSWD: ALL\\n' \
                             >/etc/sudoers.d/op";
const BY_PASSWORD: &str = "echo 'op ALL=(root) ALL' >/etc/sudoers.d/op";
/// The operator's own machine cannot reach it.
const HIDDEN: &str = "nft add table inet hidden && \
                      nft 'add chain inet hidden input { type filter hook input priority 0; }' && \
                      nft add rule inet hidden input ip saddr 10.79.0.50 tcp dport 22 reject";

pub(crate) fn taken() -> Result<(), Failed> {
    let rig = Rig::boot("installer-ways", &MASTERS)?;
    rig.programs()?;
    rig.describe(&MASTERS, BARE)?;
    let spec = rig.folder.join("cluster.yaml");
    let text = fs::read_to_string(&spec)?.replace("user: root", "user: op");
    fs::write(&spec, text)?;
    rig.on("m1", &format!("{USER}{FREELY}"))?;
    rig.on("m2", &format!("{USER}{FREELY} && {HIDDEN}"))?;
    rig.on("m3", &format!("{USER}{AT_A_TERMINAL}"))?;
    let config = rig.folder.join("ssh_config");
    let direct = fs::read_to_string(&config)?.replace("User root\n", "");
    fs::write(&config, &direct)?;
    let run = rig.apply(&["--dry-run", "--host", "m1"])?.ended(1)?;
    checks::holds(&run.printed, "m2 does not answer")?;
    let jump = format!("{direct}Host 10.79.0.12\n  ProxyJump op@10.79.0.11\n");
    fs::write(&config, jump)?;
    let run = rig.apply(&["--dry-run"])?.ended(1)?;
    checks::holds(
        &run.printed,
        "lets nobody become root without a terminal (sudo: sorry, you must have a tty to run \
         sudo); write \"Defaults:USER !requiretty\" into a file of /etc/sudoers.d there",
    )?;
    rig.on("m3", BY_PASSWORD)?;
    let run = rig.apply(&["--dry-run"])?.ended(1)?;
    checks::holds(
        &run.printed,
        "m3 does not answer (the host does not answer: 10.79.0.13 lets this user become root not \
         at all, or with a password only (sudo: a password is required); write \
         \"USER ALL=(root) NOPASSWD: ALL\" into a file of /etc/sudoers.d there",
    )?;
    rig.on("m3", FREELY)?;
    let run = rig.apply(&["--dry-run"])?.ended(3)?;
    for host in ["m1", "m2", "m3"] {
        checks::holds(&run.printed, &format!("{host}: "))?;
    }
    rig.apply(&[])?.ended(0)?;
    checks::serving(&rig)?;
    checks::one_cluster(&rig)?;
    let again = rig.apply(&[])?.ended(0)?;
    checks::nothing_done(&again, &rig)?;
    checks::nothing_left(&rig)
}
