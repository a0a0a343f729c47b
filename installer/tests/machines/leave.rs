//! How the cluster is, and that it leaves nothing: what stood on each host before `apply` is
//! what stands there after `reset`.

use std::collections::BTreeMap;

use lab::wait;
use libtest_mimic::Failed;

use crate::checks::{PATIENCE, holds};
use crate::rig::{MASTERS, Rig, Run};

/// Files with their checksums, links, and folders, wherever something of ours may lie. What
/// users are written to is named without its content: users stay.
const LISTING: &str = "cd / && find etc opt usr/local var/lib var/log/kubernetes \
    -not -path 'var/lib/systemd/*' -not -name '.pwd.lock' \
    -not -name '*-' -not -path etc/resolv.conf \\( -type d -o -type l \\) -print 2>/dev/null | sort; \
    find etc opt usr/local var/lib -type f -not -path 'var/lib/systemd/*' -not -name '.pwd.lock' \
    -not -name '*-' -not -path 'etc/*passwd' -not -path 'etc/*shadow' -not -path 'etc/*group' \
    -exec sha256sum '{}' + | sort -k 2";

/// What stands on each host.
pub(crate) type Standing = BTreeMap<&'static str, String>;

pub(crate) fn standing(rig: &Rig) -> Result<Standing, Failed> {
    let each = MASTERS
        .iter()
        .map(|one| Ok((one.name, rig.on(one.name, LISTING)?)));
    each.collect()
}

fn sternpost(rig: &Rig, command: &str, more: &[&str]) -> Result<Run, Failed> {
    let first = [
        command,
        "--spec",
        "cluster.yaml",
        "--ssh-config",
        "ssh_config",
    ];
    let all: Vec<_> = first.iter().chain(more).copied().collect();
    rig.sternpost(&all)
}

/// `status` is without troubles, and names what somebody stops.
pub(crate) fn seen(rig: &Rig) -> Result<(), Failed> {
    let mut last = String::new();
    let well = wait::until("a status without troubles", PATIENCE, || {
        let run = sternpost(rig, "status", &[]).ok()?;
        last = format!("{}{}", run.printed, run.said);
        (run.code == Some(0)).then_some(())
    });
    well.map_err(|error| format!("{error}: {last}"))?;
    for wanted in ["k8s-api: held by m", "3/3", "leader", "follower", " days"] {
        holds(&last, wanted)?;
    }
    let whole = sternpost(rig, "verify", &[])?.ended(0)?;
    for wanted in [
        "good: 3/3 take a write",
        "API through",
        "leader of kube-scheduler",
    ] {
        holds(&whole.printed, wanted)?;
    }
    holds(&whole.printed, "skipped: no host is to be a node")?;
    rig.on("m2", "systemctl stop kube-scheduler.service")?;
    let run = sternpost(rig, "status", &[])?.ended(1)?;
    rig.on("m2", "systemctl start kube-scheduler.service")?;
    holds(&run.printed, "m2: kube-scheduler.service: inactive/dead")
}

/// `reset` leaves what stood there before, and nothing that runs.
pub(crate) fn gone(rig: &Rig, before: &Standing) -> Result<(), Failed> {
    let dry = sternpost(rig, "reset", &["--data", "--dry-run"])?.ended(3)?;
    holds(&dry.printed, "stop etcd.service")?;
    sternpost(rig, "reset", &["--data", "--confirm", "lab"])?.ended(0)?;
    let after = standing(rig)?;
    for (host, before) in before {
        let after = after.get(host).map_or("", String::as_str);
        let odd = |one: &str, other: &str| -> Vec<String> {
            let lines = one
                .lines()
                .filter(|line| !other.lines().any(|known| known == *line));
            lines.map(str::to_owned).collect()
        };
        let (more, less) = (odd(after, before), odd(before, after));
        if !more.is_empty() || !less.is_empty() {
            return Err(format!("{host}: left {more:#?}, taken {less:#?}").into());
        }
        let running =
            "pgrep -x 'etcd|kube-apiserver|kube-scheduler|api-lb|vip-daemon' ; true";
        let running = rig.on(host, running)?;
        if !running.trim().is_empty() {
            return Err(format!("{host}: {running} still run").into());
        }
    }
    let again = sternpost(rig, "reset", &["--data", "--dry-run"])?.ended(0)?;
    holds(&again.printed, "m1: nothing to remove")
}
