//! How the cluster is, and that it leaves nothing: what stood on each host before `apply` is
//! what stands there after `reset`.

use std::collections::BTreeMap;

use lab::host::Host;
use lab::rig::{Rig, Run};
use lab::wait;
use libtest_mimic::Failed;

use crate::checks::{PATIENCE, holds};

/// Files with their checksums, links, and folders, wherever something of ours may lie; and
/// interfaces with their addresses, packet filters, routes, mounts. Of packet filters what iptables makes for itself
/// whenever it runs, also to look, is left out: its tables and chains without a rule. What users
/// are written to is named without its content: users stay.
const LISTING: &str = "cd / && find etc opt usr/local usr/libexec var/lib var/log/kubernetes \
    -not -path 'var/lib/systemd/*' -not -name '.pwd.lock' \
    -not -name '*-' -not -path etc/resolv.conf \\( -type d -o -type l \\) -print 2>/dev/null | sort; \
    find etc opt usr/local var/lib -type f -not -path 'var/lib/systemd/*' -not -name '.pwd.lock' \
    -not -name '*-' -not -path 'etc/*passwd' -not -path 'etc/*shadow' -not -path 'etc/*group' \
    -exec sha256sum '{}' + | sort -k 2; \
    ls /sys/class/net; ls -A /run/netns 2>/dev/null; \
    nft --stateless list ruleset 2>/dev/null | grep -v -x -E '[[:space:]]*(table ip6? (filter|nat|mangle|raw) [{]|\
    chain (INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING) [{]|type .* hook .* policy accept;|[}])?'; \
    ip route; ip -6 route | grep -v ^fe80; ip -o address show scope global | tr -s ' ' | cut -d ' ' -f 2,4; \
    cut -d ' ' -f 5 /proc/self/mountinfo | grep -v -e ^/run/systemd -e ^/run/credentials | sort";
/// Programs of a cluster, by the 15 octets of their names that are kept.
const PROGRAMS: &str = "etcd|kube-apiserver|kube-controller|kube-scheduler|api-lb|vip-daemon|\
    bootstrap-signe|kubelet|kube-proxy|flanneld|containerd|containerd-shim|coredns|pause";

/// What stands on each host.
pub(crate) type Standing = BTreeMap<String, String>;

pub(crate) fn standing(rig: &Rig) -> Result<Standing, Failed> {
    let each = rig.machines.iter().map(|machine| {
        let name = machine.name();
        let listing = rig.on(name, LISTING);
        let listing = listing.map_err(|error| format!("{name}: {error:?}"))?;
        Ok((name.to_owned(), listing))
    });
    each.collect()
}

/// `status` is without troubles.
pub(crate) fn well(rig: &Rig) -> Result<String, Failed> {
    let mut last = String::new();
    let well = wait::until("a status without troubles", PATIENCE, || {
        let run = rig.asked("status", &[]).ok()?;
        last = format!("{}{}", run.printed, run.said);
        (run.code == Some(0)).then_some(())
    });
    well.map_err(|error| format!("{error}: {last}"))?;
    Ok(last)
}

/// `status` and `verify` say that all is well, and name what somebody stops.
pub(crate) fn seen(rig: &Rig) -> Result<(), Failed> {
    let said = well(rig)?;
    for wanted in ["k8s-api: held by m", "3/3", "leader", "follower", " days"] {
        holds(&said, wanted)?;
    }
    let whole = rig.asked("verify", &[])?.ended(0)?;
    for wanted in [
        "good: 3/3 take a write",
        "API through",
        "leader of kube-scheduler",
    ] {
        holds(&whole.printed, wanted)?;
    }
    holds(&whole.printed, "skipped: no host is to be a node")?;
    rig.on("m2", "systemctl stop kube-scheduler.service")?;
    let run = rig.asked("status", &[])?.ended(1)?;
    rig.on("m2", "systemctl start kube-scheduler.service")?;
    holds(&run.printed, "m2: kube-scheduler.service: inactive/dead")
}

/// `reset` leaves what stood there before, and nothing that runs.
pub(crate) fn gone(rig: &Rig, before: &Standing) -> Result<(), Failed> {
    gone_by(rig, before, |words| rig.asked("reset", words))
}

/// The same, by whoever gives the command with these words.
pub(crate) fn gone_by(
    rig: &Rig,
    before: &Standing,
    reset: impl Fn(&[&str]) -> Result<Run, Failed>,
) -> Result<(), Failed> {
    let dry = reset(&["--data", "--dry-run"])?.ended(3)?;
    holds(&dry.printed, "stop etcd.service")?;
    emptied(rig, before, reset).map(drop)
}

/// The same on the hosts of `before`, whatever ran there; what `reset` has said.
#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn emptied(
    rig: &Rig,
    before: &Standing,
    reset: impl Fn(&[&str]) -> Result<Run, Failed>,
) -> Result<Run, Failed> {
    let run = reset(&["--data", "--confirm", "lab"])?.ended(0)?;
    println!("reset: {:.1?}", run.took);
    let after = standing(rig)?;
    for (host, before) in before {
        let after = after.get(host).map_or("", String::as_str);
        differ(before, after).map_err(|odd| format!("{host}: {odd}"))?;
        let running = rig.on(host, &format!("pgrep -l -x '{PROGRAMS}'; true"))?;
        if !running.trim().is_empty() {
            return Err(format!("{host}: {running} still run").into());
        }
    }
    let again = reset(&["--data", "--dry-run"])?.ended(0)?;
    holds(&again.printed, "m1: nothing to remove")?;
    Ok(run)
}

/// What lines of one are not in the other, if any.
pub(crate) fn differ(wanted: &str, here: &str) -> Result<(), String> {
    let odd = |one: &str, other: &str| -> Vec<String> {
        let lines = one
            .lines()
            .filter(|line| !other.lines().any(|known| known == *line));
        lines.map(str::to_owned).collect()
    };
    let (more, less) = (odd(here, wanted), odd(wanted, here));
    match more.is_empty() && less.is_empty() {
        true => Ok(()),
        false => Err(format!("more {more:#?}, less {less:#?}")),
    }
}
