//! The daemon under its unit, on a booted machine: every feature that hardening could take
//! away is used, not only scored.

mod disturbed;
mod told;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use lab::host::Host;
use lab::machine::Machine;
use lab::requirement::{Requirement, trial};
use lab::segment::Segment;
use lab::{binaries, harness, wait};
use libtest_mimic::Failed;

pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 11);
pub(crate) const CLIENT: (&str, Ipv4Addr) = ("client", Ipv4Addr::new(10, 78, 0, 50));
const PATIENCE: Duration = Duration::from_secs(60);
/// In tenths, as systemd scores it.
const EXPOSURE: u32 = 25;

const CONFIG: &str = r#"apiVersion: sternpost/v1
kind: VipDaemon
scripts: {}
notify: {fifo: /run/sternpost/vip.fifo}
channel: {name: m1, keyFile: /etc/sternpost/key, peers: [{name: m2, address: 10.78.0.12}]}
routers:
- name: api
  interface: host0
  vrid: 51
  priority: 200
  advertInterval: 100ms
  addresses: ["10.78.0.100/24"]
  notify: {any: [/usr/bin/logger, -t, told], user: nobody}
  track:
  - {script: {command: [/usr/bin/test, -e, /etc/hostname], user: nobody}, weight: -10}
  - {process: {name: systemd-journald}, weight: -10}
  - {file: {path: /etc/hostname}, weight: -10}
  - {interface: {name: lo}, weight: 10, reverse: true}
- name: web
  interface: host0
  vrid: 52
  priority: 200
  advertInterval: 100ms
  addresses: ["10.78.0.101/24", {address: 10.78.0.102, label: "vrrp.52:web", scope: link}]
  virtualMac: {}
  notify: {any: [/usr/local/bin/state], user: root}
"#;

fn main() {
    harness::run(vec![trial(
        "unit::every_feature_works_under_the_hardened_unit",
        &[Requirement::Machine],
        works,
    )]);
}

fn packaging(file: &str) -> String {
    format!("../packaging/{file}")
}

/// Puts what a package would into the machine's own files, before it boots.
fn install(root: &Path) -> Result<(), Failed> {
    let put = |from: &str, to: &str, mode: u32| -> Result<(), Failed> {
        let to = root.join(to);
        fs::create_dir_all(to.parent().ok_or("no folder")?)?;
        fs::copy(from, &to)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(mode))?;
        Ok(())
    };
    put(
        env!("CARGO_BIN_EXE_vip-daemon"),
        "usr/bin/vip-daemon",
        0o755,
    )?;
    for unit in ["vip-daemon.service", "vip-daemon-scripts.service"] {
        let from = packaging(&format!("systemd/{unit}"));
        put(&from, &format!("etc/systemd/system/{unit}"), 0o644)?;
    }
    let (users, folders) = ("sysusers.d/vip-daemon.conf", "tmpfiles.d/sternpost.conf");
    put(&packaging(users), &format!("usr/lib/{users}"), 0o644)?;
    put(&packaging(folders), &format!("usr/lib/{folders}"), 0o644)?;
    let etc = root.join("etc/sternpost");
    fs::create_dir_all(&etc)?;
    fs::write(etc.join("vip-daemon.yaml"), CONFIG)?;
    fs::write(etc.join("key"), "0123456789abcdef0123456789abcdef\n")?;
    let state = root.join("usr/local/bin/state");
    fs::create_dir_all(state.parent().ok_or("no folder")?)?;
    fs::write(&state, told::STATE)?;
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A machine, with the journal beside what does not come.
pub(crate) struct Booted(pub(crate) Machine);

impl Booted {
    pub(crate) fn run(&self, command: &str) -> Result<String, Failed> {
        Ok(self.0.output("/bin/sh", &["-c", command])?)
    }

    /// Waits until the output of `command` holds `wanted`.
    pub(crate) fn until(&self, command: &str, wanted: &str) -> Result<String, Failed> {
        let mut last = String::new();
        let found = wait::until(&format!("{command}: {wanted}"), PATIENCE, || {
            last = match self.run(command) {
                Ok(text) => text,
                Err(error) => format!("{error:?}"),
            };
            last.contains(wanted).then(|| last.clone())
        });
        found.map_err(|error| {
            let journal =
                self.run("journalctl -b --no-pager -u 'vip-daemon*' | tail -40");
            format!("{error}; last: {last}\n{}", journal.unwrap_or_default()).into()
        })
    }
}

fn works() -> Result<(), Failed> {
    let logs = binaries::logs("vip-unit");
    let segment = Segment::new(&logs, &[CLIENT])?;
    install(&segment.files().join("machine-m1/upper"))?;
    let machine = Booted(Machine::boot(&segment, "m1", ADDRESS)?);
    machine.run("chown vip-daemon /etc/sternpost/key && chmod 600 /etc/sternpost/key")?;
    // What does not start is told by what follows, with the journal.
    drop(machine.run("systemctl start vip-daemon-scripts vip-daemon"));
    machine.until(
        "systemctl is-active vip-daemon-scripts vip-daemon",
        "active\nactive",
    )?;
    let exposure = machine.0.exposure("vip-daemon")?;
    if exposure > EXPOSURE {
        return Err(format!("exposure: {exposure} tenths, at most {EXPOSURE}").into());
    }
    machine.until("ip address show dev host0", "10.78.0.100/24")?;
    // An interface made, and how others deal with ARP changed: not by way of /proc/sys.
    machine.until("ip address show dev vrrp.52", "10.78.0.101/24")?;
    machine.until("ip address show dev vrrp.52", "vrrp.52:web")?;
    machine.until("sysctl net.ipv4.conf.host0.arp_announce", "= 2")?;
    // Every check passes, of which one is reversed, as the user it names.
    machine.until("vip-daemon status", "200/200")?;
    machine.until("vip-daemon explain", "It holds the addresses")?;
    machine.until("journalctl -t told --no-pager", "INSTANCE api MASTER 200")?;
    machine.until("ls -p /run/sternpost/vip-daemon.flight", "-active.jsonl")?;
    machine.until("ls -l /run/sternpost/vip.fifo", "prw")?;
    told::elsewhere(&machine)?;
    told::with_more_rights(&machine)?;
    let status = machine.run("vip-daemon status --json")?;
    println_of(&status);
    let user = machine.run(
        "ps -o user= -p $(systemctl show -P MainPID vip-daemon); \
         grep CapEff /proc/$(systemctl show -P MainPID vip-daemon)/status",
    )?;
    if !user.contains("vip-dae") {
        return Err(format!("it does not run as its user: {user}").into());
    }
    disturbed::memory_is_kept(&machine)?;
    disturbed::managers_restart(&machine, &segment)?;
    upgrade_and_reload(&machine)?;
    machine.until("vip-daemon yield", "nobody")?;
    machine.run("systemctl stop vip-daemon")?;
    let gone = machine.run("ip address show dev host0")?;
    if gone.contains("10.78.0.100") {
        return Err(format!("the address stayed:\n{gone}").into());
    }
    let links = machine.run("ip link show; sysctl net.ipv4.conf.host0.arp_announce")?;
    if links.contains("vrrp.52") || !links.contains("= 0") {
        return Err(format!("the virtual MAC left something:\n{links}").into());
    }
    machine.until("journalctl -t told --no-pager", "INSTANCE api STOP")?;
    machine.0.shut_down()?;
    Ok(())
}

fn upgrade_and_reload(machine: &Booted) -> Result<(), Failed> {
    let pid = "systemctl show -P MainPID vip-daemon";
    let before = machine.run(pid)?;
    machine.until("vip-daemon upgrade", "upgraded")?;
    machine.until("systemctl is-active vip-daemon", "active")?;
    let after = machine.run(pid)?;
    if before != after {
        return Err(format!("another process: {before}, {after}").into());
    }
    machine.until("vip-daemon status", "handedOver")?;
    let slow =
        "journalctl -u vip-daemon | grep 'the upgrade waits for its sockets'; true";
    let slow = machine.run(slow)?;
    if !slow.is_empty() {
        return Err(format!("under the unit nobody closes its sockets: {slow}").into());
    }
    let edit = "sed -i 's/priority: 200/priority: 190/' /etc/sternpost/vip-daemon.yaml";
    machine.run(&format!("{edit} && systemctl reload vip-daemon"))?;
    machine.until("vip-daemon status", "190/190")?;
    reloads_put_no_watchdog_off(machine)?;
    // The watchdog ends and starts one that hangs.
    machine.run(&format!("kill -STOP $({pid})"))?;
    machine.until("systemctl show -P NRestarts vip-daemon", "1")?;
    machine.until("vip-daemon status", "active")?;
    Ok(())
}

/// Reloads that follow each other faster than the watchdog is told, for twice as long as it
/// waits.
fn reloads_put_no_watchdog_off(machine: &Booted) -> Result<(), Failed> {
    const SHORT: &str = "/run/systemd/system/vip-daemon.service.d";
    machine.run(&format!(
        "mkdir {SHORT} && printf '[Service]\\nWatchdogSec=2s\\n' >{SHORT}/short.conf && \
         systemctl daemon-reload && systemctl restart vip-daemon"
    ))?;
    machine
        .run("for _ in $(seq 12); do systemctl reload vip-daemon && sleep 0.3; done")?;
    let restarts = machine.run("systemctl show -P NRestarts vip-daemon")?;
    if restarts.trim() != "0" {
        return Err(format!("the watchdog ended it {} times", restarts.trim()).into());
    }
    machine.run(&format!(
        "rm -r {SHORT} && systemctl daemon-reload && systemctl restart vip-daemon"
    ))?;
    machine.until("vip-daemon status", "active").map(drop)
}

/// Whether real-time scheduling and locked memory were allowed, which is reported and no
/// fault.
#[expect(clippy::print_stdout, reason = "what this machine allowed")]
fn println_of(status: &str) {
    let facts = [
        "realtime",
        "memoryLocked",
        "memoryLockRefused",
        "realtimeRefused",
    ];
    let lines = status.lines();
    let told = lines.filter(|line| facts.iter().any(|fact| line.contains(fact)));
    told.for_each(|line| println!("{}", line.trim()));
}
