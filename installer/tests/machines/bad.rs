//! Hosts with something against them: each is named with the way out, and the others are not
//! held up. What opens a firewall is what is printed, word by word.
//!
//! Leaves to `src/preflight/tests`: clocks, which the machines of a lab share with each
//! other, and swap, which would be the lab's own.

use lab::host::Host;
use libtest_mimic::Failed;
use serde_json::Value;

use super::{BARE, checks};
use lab::rig::{Box, MASTERS, Rig, Run, VIP};

/// One of them is a node too, for what only a node is looked at for.
const ODD: [Box; 3] = [
    Box::new("m1", 11, "etcd, controlPlane"),
    Box::new("m2", 12, "etcd, controlPlane"),
    Box::new("m3", 13, "etcd, controlPlane, node"),
];
/// What a package may bring beside a unit of ours.
const DROP_INS: &str = "/usr/lib/systemd/system/etcd.service.d";
const OTHER: &str = "mkdir -p /usr/lib/systemd/system/etcd.service.d && \
    printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/etcd\\n' \
    >/usr/lib/systemd/system/etcd.service.d/10-other.conf";
const WALL: &str = "add table inet wall; \
    add chain inet wall in { type filter hook input priority 0; policy accept; }; \
    add rule inet wall in tcp dport 2380 drop; \
    add rule inet wall in meta l4proto 112 drop";

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn hosts() -> Result<(), Failed> {
    let rig = Rig::boot("installer-bad", &MASTERS)?;
    rig.programs()?;
    rig.describe(&MASTERS, BARE)?;
    let sound = preflight(&rig, &[])?.ended(0)?;
    println!("preflight of three sound hosts: {:.1?}", sound.took);
    all_pass(&sound)?;
    mended(&rig)?;
    rig.describe(
        &ODD,
        "networks: {betweenPods: flannel-host-gw, proxy: none}\n",
    )?;
    named(&rig)?;
    opened(&rig)?;
    down(&rig)
}

fn preflight(rig: &Rig, more: &[&str]) -> Result<Run, Failed> {
    let first = ["preflight", "--ssh-config", "ssh_config"];
    let all: Vec<_> = first.iter().chain(more).copied().collect();
    rig.sternpost(&all)
}

/// Every flow was tried, and passes: the ones of TCP and UDP, and VRRP's protocol.
fn all_pass(run: &Run) -> Result<(), Failed> {
    for (name, way) in [
        ("etcd members", "tcp/2380"),
        ("etcd clients", "tcp/2379"),
        ("API servers", "tcp/6443"),
        ("VRRP adverts", "protocol 112"),
        ("vip-daemons", "udp/8112"),
    ] {
        let row = |line: &&str| line.starts_with(name) && line.contains(way);
        let row = run.printed.lines().find(row);
        let cells = row.map(|row| row.matches("ok 2").count());
        if cells != Some(3) {
            return Err(format!("{name}: {cells:?} in\n{}", run.printed).into());
        }
    }
    Ok(())
}

/// What `apply` would set is set alone, a second time nothing is, and `apply` finds it done.
fn mended(rig: &Rig) -> Result<(), Failed> {
    let names = "m2: fix: add to /etc/hosts: 10.79.0.11 m1";
    let shown = preflight(rig, &["--fix", "--dry-run"])?.ended(3)?;
    checks::holds(&shown.printed, names)?;
    checks::holds(
        &shown.printed,
        "m2: fix: write /etc/sysctl.d/zz-sternpost.conf: ",
    )?;
    let before = rig.on("m2", "cat /etc/hosts 2>/dev/null; true")?;
    if before.contains("sternpost") {
        return Err(format!("a dry run wrote\n{before}").into());
    }
    let done = preflight(rig, &["--fix"])?.ended(0)?;
    checks::holds(&done.printed, names)?;
    let set = rig.on(
        "m2",
        "cat /proc/sys/net/core/somaxconn; grep -c sternpost /etc/hosts",
    )?;
    checks::holds(&set, "16384")?;
    let again = preflight(rig, &["--fix"])?.ended(0)?;
    if again.printed.contains("fix:") || again.printed.contains("notes:") {
        return Err(format!("something is left:\n{}", again.printed).into());
    }
    let plan = rig.apply(&["--dry-run"])?.ended(3)?;
    for done in ["/etc/hosts", "zz-sternpost.conf"] {
        if plan.printed.contains(done) {
            return Err(format!("{done} is written again:\n{}", plan.printed).into());
        }
    }
    Ok(())
}

/// Each odd thing is named on its host, at once.
fn named(rig: &Rig) -> Result<(), Failed> {
    rig.on("m2", &format!("nft '{WALL}'"))?;
    rig.on("m2", OTHER)?;
    rig.on(
        "m3",
        "mkdir -p /var/lib/etcd/member /etc/cni/net.d && \
         echo '{}' >/etc/cni/net.d/10-calico.conflist && \
         mkdir -p /opt && mount -t tmpfs -o size=1m tmpfs /opt",
    )?;
    let vip = format!("{VIP}/24");
    rig.operator
        .output("ip", &["address", "add", &vip, "dev", "eth0"])?;
    let run = preflight(rig, &[])?.ended(1)?;
    let link = ["-json", "link", "show", "eth0"];
    let link: Value = serde_json::from_str(&rig.operator.output("ip", &link)?)?;
    let mac = link.pointer("/0/address").and_then(Value::as_str);
    let mac = mac.ok_or("no hardware address")?;
    for wanted in [
        format!("m1: blocks: {VIP} is taken: {mac} answers for it"),
        "m2: blocks: tcp/2380 (etcd members) does not come through from m1, m3: nothing comes \
         back (nftables filters there); open it there: nft 'insert rule inet wall in ip saddr \
         { 10.79.0.11, 10.79.0.13 } tcp dport 2380 accept'"
            .to_owned(),
        "m2: blocks: protocol 112 (VRRP adverts) does not come through from m1, m3".to_owned(),
        "m3: blocks: there are 1 MiB of room in /opt; make room for 2048 MiB".to_owned(),
        "m3: blocks: /var/lib/etcd/member is there, which belongs to an earlier cluster"
            .to_owned(),
        "m3: blocks: /etc/cni/net.d/10-calico.conflist configures another network".to_owned(),
        "m2: blocks: /usr/lib/systemd/system/etcd.service.d/10-other.conf sets ExecStart of \
         etcd.service"
            .to_owned(),
    ] {
        checks::holds(&run.printed, &wanted)?;
    }
    without_iptables(rig, &run)?;
    not_begun(rig)?;
    checks::holds(&run.printed, "CLOSED from m1,m3")?;
    checks::no_secret(&run)
}

/// flannel runs iptables beside no kube-proxy: it is missed where the machine as it is has nft
/// alone, and there alone.
fn without_iptables(rig: &Rig, run: &Run) -> Result<(), Failed> {
    let missed = "m3: blocks: iptables is not there, which components of this host run; install \
                  iptables";
    match rig.on("m3", "command -v iptables").is_ok() {
        true if run.printed.contains("m3: blocks: iptables is not there") => {
            Err(format!("it is there:\n{}", run.printed).into())
        }
        true => Ok(()),
        false => checks::holds(&run.printed, missed),
    }
}

/// Each is refused by name, and nothing is laid down anywhere.
fn not_begun(rig: &Rig) -> Result<(), Failed> {
    let run = rig.apply(&[])?.ended(1)?;
    for wanted in [
        format!("m1: FAILED: not begun: {VIP} is taken: "),
        "m2: FAILED: not begun: /usr/lib/systemd/system/etcd.service.d/10-other.conf sets"
            .to_owned(),
        // No other master takes it either.
        format!("systemctl daemon-reload. {VIP} is taken: "),
        "m3: FAILED: /var/lib/etcd/member is there, which".to_owned(),
    ] {
        checks::holds(&run.printed, &wanted)?;
    }
    for host in ["m1", "m2", "m3"] {
        rig.on(
            host,
            "test ! -e /etc/kubernetes && test ! -e /opt/sternpost",
        )?;
    }
    rig.on("m2", &format!("rm -r {DROP_INS}")).map(drop)
}

/// The commands that are printed open what was closed.
fn opened(rig: &Rig) -> Result<(), Failed> {
    let closed = |rig: &Rig| -> Result<Vec<Value>, Failed> {
        let run = preflight(rig, &["-o", "json"])?.ended(1)?;
        let all: Value = serde_json::from_str(&run.printed)?;
        let findings = all.get("findings").and_then(Value::as_array);
        let findings = findings.ok_or("no findings")?.iter();
        let closed = |one: &&Value| one.get("finding") == Some(&Value::from("closed"));
        Ok(findings.filter(closed).cloned().collect())
    };
    let found = closed(rig)?;
    let mut commands = Vec::new();
    for one in &found {
        let open = one.pointer("/found/open").and_then(Value::as_array);
        let open = open.ok_or("nothing opens it")?.iter();
        commands.extend(open.filter_map(Value::as_str));
    }
    if commands.len() != 2 {
        return Err(format!("{commands:?}").into());
    }
    for command in commands {
        rig.on("m2", command)?;
    }
    match closed(rig)?.as_slice() {
        [] => Ok(()),
        left => Err(format!("still closed: {left:?}").into()),
    }
}

/// A host that is down is named, and the others are looked at.
fn down(rig: &Rig) -> Result<(), Failed> {
    rig.machine("m3")?.kill_all();
    let run = preflight(rig, &[])?.ended(1)?;
    checks::holds(&run.printed, "m3: blocks: the host does not answer")?;
    let row = |line: &&str| line.starts_with("etcd members");
    let row = run.printed.lines().find(row).unwrap_or_default();
    match row.matches("ok 1").count() {
        2 => Ok(()),
        _ => Err(format!("the others were not looked at:\n{}", run.printed).into()),
    }
}
