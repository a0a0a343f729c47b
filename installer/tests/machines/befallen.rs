//! What befalls a host while it is worked on, or before: a full disk, a flag that its program
//! does not know, a reboot, another processor, a clock that is off. Each is named with the way
//! out, the other hosts are finished, and the next run does the rest.
//!
//! Leaves to `broken`: operators who stop or die, and hosts that die. Machines of a lab have one
//! clock; that of one is shifted on its way to the operator.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lab::rig::{MASTERS, Rig, Run};
use libtest_mimic::Failed;

use super::{BARE, checks};

const LAST: &str = "m3";
/// A disk for which a program is too large, or etcd's first segment of 64 MB.
const FULL: &str = "mount -t tmpfs -o size=1m tmpfs";
/// Another processor, as far as anybody can ask for it.
const ARM: &str = "printf '#!/bin/sh\\necho aarch64\\n' >/usr/local/bin/uname && \
                   chmod 755 /usr/local/bin/uname";
/// An ssh by which the clock of m2 is ten minutes ahead.
const SSH: &str = r#"#!/bin/sh
case "$*" in
*10.79.0.12*) /usr/bin/ssh "$@" | perl -pe 'BEGIN { $| = 1 } s/("clock":\{"secs":)(\d+)/$1 . ($2 + 600)/e' ;;
*) exec /usr/bin/ssh "$@" ;;
esac
"#;

pub(crate) fn hosts() -> Result<(), Failed> {
    let mut rig = Rig::boot("installer-befallen", &MASTERS)?;
    rig.programs()?;
    rig.describe(&MASTERS, BARE)?;
    full(&rig)?;
    rebooted(&mut rig)?;
    rig.apply(&[])?.ended(0)?;
    checks::serving(&rig)?;
    flagged(&rig)?;
    of_another_kind(&rig)?;
    ahead(&rig)?;
    let again = rig.apply(&[])?.ended(0)?;
    checks::nothing_done(&again, &rig)?;
    checks::one_cluster(&rig)?;
    checks::one_holder(&rig)?;
    checks::nothing_left(&rig)
}

/// One host failed, for a reason; the others are finished.
fn failed(run: Run, host: &str, why: &str) -> Result<Run, Failed> {
    let run = run.ended(1)?;
    checks::no_secret(&run)?;
    checks::holds(&run.printed, &format!("{host}: FAILED: {why}"))?;
    let others = MASTERS.iter().filter(|one| one.name != host);
    for other in others {
        let done =
            |line: &str| line.starts_with(other.name) && line.ends_with("step(s) done");
        if !run.printed.lines().any(done) {
            let name = other.name;
            return Err(format!("{name} was held up:\n{}", run.printed).into());
        }
    }
    Ok(run)
}

/// First there is no room for programs, then none for etcd.
fn full(rig: &Rig) -> Result<(), Failed> {
    rig.on(LAST, &format!("mkdir -p /opt && {FULL} /opt"))?;
    let blocked = rig.apply(&["--host", LAST])?.ended(1)?;
    checks::holds(
        &blocked.printed,
        "m3: FAILED: not begun: there are 1 MiB of room in /opt; make room",
    )?;
    let run = failed(rig.apply(&["--no-preflight"])?, LAST, "install ")?;
    checks::holds(&run.printed, "No space left on device")?;
    checks::holds(&run.printed, "likely cause: the disk is full; make room")?;
    let half = "find /opt /usr/local /var/lib -name '.*.sternpost'";
    let half = rig.on(LAST, half)?;
    if !half.trim().is_empty() {
        return Err(format!("half-written: {half}").into());
    }
    checks::answers(rig, "m1")?;
    rig.on(LAST, "umount /opt && mkdir -p /var/lib/etcd")?;
    rig.on(LAST, &format!("{FULL} /var/lib/etcd"))?;
    let run = failed(
        rig.apply(&["--no-preflight"])?,
        LAST,
        "start etcd.service: ",
    )?;
    checks::holds(&run.printed, "likely cause: the disk is full; make room")?;
    let state = rig.on(LAST, "systemctl is-active etcd.service; true")?;
    if state.trim() != "inactive" {
        return Err(format!("etcd was left {state}").into());
    }
    rig.on(LAST, "umount /var/lib/etcd").map(drop)
}

/// It goes when its etcd is to start, and is back by itself.
fn rebooted(rig: &mut Rig) -> Result<(), Failed> {
    let machine = rig.machine(LAST)?;
    let mut told = None;
    let run = rig.watched(|line, _| {
        if told.is_none() && line.starts_with("m3: start etcd") {
            told = Some(machine.reboot());
        }
    })?;
    let Some(told) = told else {
        return Err(format!("m3 was never told to start etcd:\n{}", run.said).into());
    };
    told?;
    // Its systemd ends what is starting, which may be told before the host is gone.
    failed(run, LAST, "")?;
    rig.rebooted(MASTERS.last().ok_or("no m3")?)
}

/// A flag that nobody knows: the program starts and dies, as often as systemd tries, and says why.
/// The masters whose turn is later are not begun, the API is there all the while, and the one that
/// was begun has its scheduler again, as it ran before.
fn flagged(rig: &Rig) -> Result<(), Failed> {
    let flags = "flags: {kube-scheduler: {no-such-flag: \"1\"}}\n";
    rig.describe(&MASTERS, &format!("{BARE}{flags}"))?;
    let run = rig.apply(&[])?.ended(1)?;
    for wanted in [
        "m1: FAILED: restart kube-scheduler.service, since ",
        "kube-scheduler.service starts and dies again and again (",
        "unknown flag: --no-such-flag",
        "; /etc/systemd/system/kube-scheduler.service: put back as before, and it runs by that",
        "likely cause: a flag in the description is none of this version's",
        "m2: FAILED: not begun: m1 failed, and ",
        "m3: FAILED: not begun: m1 failed, and ",
    ] {
        checks::holds(&run.printed, wanted)?;
    }
    checks::serving(rig)?;
    let running = "systemctl is-active kube-scheduler.service && \
                   ! tr '\\0' ' ' </proc/$(systemctl show --value --property=MainPID \
                   kube-scheduler.service)/cmdline | grep no-such-flag && \
                   ! test -e /var/lib/sternpost/previous";
    checks::holds(&rig.on("m1", running)?, "active")?;
    // It is not taken for well while it is up for a moment.
    let again = rig.apply(&[])?.ended(1)?;
    checks::holds(&again.printed, "unknown flag: --no-such-flag")?;
    rig.describe(&MASTERS, BARE)?;
    let again = rig.apply(&[])?.ended(0)?;
    checks::nothing_done(&again, rig)
}

/// A processor that the operator has no program for.
fn of_another_kind(rig: &Rig) -> Result<(), Failed> {
    rig.on("m2", ARM)?;
    let why = "the host does not answer: 10.79.0.12 is arm64; name the sternpost for it with \
               --agent arm64=PATH";
    let run = rig.apply(&[])?;
    rig.on("m2", "rm /usr/local/bin/uname")?;
    failed(run, "m2", why).map(drop)
}

/// A clock ten minutes ahead of the others'.
fn ahead(rig: &Rig) -> Result<(), Failed> {
    let folder = rig.folder.join("shifted");
    fs::create_dir_all(&folder)?;
    let ssh = folder.join("ssh");
    fs::write(&ssh, SSH)?;
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let words = ["preflight", "--ssh-config", "ssh_config"];
    let mut command = rig.command(&words);
    command.env("PATH", format!("{}:{path}", folder.display()));
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    checks::holds(&said, "m2: blocks: its clock is ")?;
    checks::holds(
        &said,
        "ahead of the other hosts'; have it set by a time server: timedatectl set-ntp true",
    )?;
    match (output.status.code(), said.matches("its clock is").count()) {
        (Some(1), 1) => Ok(()),
        odd => Err(format!("{odd:?}: {said}").into()),
    }
}
