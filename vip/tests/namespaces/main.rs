//! The real binary on hosts that are network namespaces: what the kernel, the sockets and
//! the command line make of the daemon. Elections and failover times on the wire are the
//! scenarios of the lab.

mod guard;
mod handover;
mod hosts;
mod ipv6;
mod truth;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lab::holders::{Event, What};
use lab::host::{Host, NamespaceHost};
use lab::process::Program;
use lab::requirement::{Requirement, trial};
use lab::{netns, schedule, signals, wait};
use libtest_mimic::{Arguments, Failed};
use nix::sys::signal::Signal;
use serde_json::Value;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// An address that somebody deleted is back.
const PUT_BACK: Duration = Duration::from_millis(50);

use hosts::{A, BINARY, Lab, PATIENCE, assert_is, assert_within};

/// One test.
pub(crate) type Test = fn() -> Result<(), Failed>;

fn main() {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let mut arguments = Arguments::from_args();
    // Two labs at once would disturb each other's clocks.
    arguments.test_threads.get_or_insert(1);
    let tests: [(&str, Test); 17] = [
        ("m10_a_deleted_address_is_back_at_once", put_back),
        ("a_foreign_address_is_neither_renewed_nor_removed", foreign),
        ("m11_link_down_is_fault_and_up_is_backup", link_down),
        ("m11_an_interface_made_anew_is_used_again", made_anew),
        ("m11_without_its_source_address_it_steps_out", source_gone),
        ("m11_a_renamed_interface_is_left", renamed),
        ("a_new_hardware_address_is_announced", new_mac),
        (
            "release_moves_the_address_and_resume_brings_it_back",
            released,
        ),
        (
            "release_of_a_lone_node_does_not_leave_it_nowhere",
            released_alone,
        ),
        ("reload_keeps_what_did_not_change", reload),
        ("a_broken_file_changes_nothing_and_is_named", reload_broken),
        ("a_router_that_cannot_start_changes_nothing", reload_unable),
        ("k3_a_tracked_endpoint_that_dies_moves_the_address", tracked),
        ("garbage_is_counted_and_changes_nothing", garbage),
        ("rights_are_given_up", rights),
        ("a_user_of_its_own_with_the_unit_s_rights_will_do", own_user),
        ("what_is_missing_is_one_sentence_and_exit_1", missing),
    ];
    let trials = tests
        .into_iter()
        .chain(guard::TESTS)
        .chain(handover::TESTS)
        .chain(ipv6::TESTS)
        .chain(truth::TESTS)
        .map(|(name, test)| {
            trial(format!("namespaces::{name}"), &[Requirement::Root], test)
        });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn put_back() -> Result<(), Failed> {
    let lab = Lab::new("put_back")?;
    let _daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    for _ in 0..3 {
        let before = lab.timeline.events().len();
        lab.ip("a", "address del 10.55.0.100/24 dev eth0")?;
        wait::until("the address is gone and back", PATIENCE, || {
            let events = lab.timeline.events();
            let new = events.get(before..).unwrap_or_default();
            let gone = new.iter().find(|event| event.what == What::LetsGo)?.at;
            let back = |event: &&Event| event.what == What::Holds && event.at > gone;
            let back = new.iter().find(back)?.at;
            Some(back.saturating_duration_since(gone))
        })
        .map_err(Failed::from)
        .and_then(|took| assert_within("the address was away", took, PUT_BACK))?;
    }
    let router = lab.router("a")?;
    assert_is("addressesLost", router.pointer("/counts/addressesLost"), 3)?;
    assert_is("state", router.pointer("/state"), "active")
}

fn foreign() -> Result<(), Failed> {
    let lab = Lab::new("foreign")?;
    lab.ip("a", "address add 10.55.0.100/24 dev eth0")?;
    let mut daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.state("a", "active")?;
    // Longer than a renewal and than a lifetime.
    wait::pass(Duration::from_millis(1500), || false);
    let during = lab.ip("a", "address show dev eth0")?;
    let named = lab.router("a")?.pointer("/foreign/0").cloned();
    assert_is("foreign", named.as_ref(), "10.55.0.100/24")?;
    daemon.stop(PATIENCE)?;
    let after = lab.ip("a", "address show dev eth0")?;
    for (when, shown) in [("while active", during), ("after the end", after)] {
        let line = shown.lines().find(|line| line.contains("10.55.0.100/24"));
        let line = line.ok_or_else(|| format!("{when} it is gone:\n{shown}"))?;
        if line.contains("dynamic") {
            return Err(format!("{when} it has our lifetime: {line}").into());
        }
    }
    Ok(())
}

fn link_down() -> Result<(), Failed> {
    let lab = Lab::new("link_down")?;
    let _daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    lab.segment.cut("a")?;
    lab.state("a", "fault")?;
    lab.held_by(&[])?;
    lab.segment.heal("a")?;
    lab.held_by(&["a"])?;
    lab.state("a", "active")
}

fn made_anew() -> Result<(), Failed> {
    let lab = Lab::new("made_anew")?;
    let _daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    let bridge = lab.segment.bridge().name();
    let host = lab.segment.host("a")?;
    lab.ip("a", "link del eth0")?;
    lab.state("a", "fault")?;
    let peer = host.netns().name();
    let link = [
        "-n", bridge, "link", "add", "name", "a", "type", "veth", "peer",
    ];
    let to = ["name", "eth0", "netns", peer];
    lab::command::run("ip", &[&link[..], &to[..]].concat())?;
    let up = [
        "-n", bridge, "link", "set", "dev", "a", "master", "br0", "up",
    ];
    lab::command::run("ip", &up)?;
    lab.ip("a", "address add 10.55.0.11/24 dev eth0")?;
    lab.ip("a", "link set eth0 up")?;
    lab.held_by(&["a"])?;
    lab.state("a", "active")
}

/// Without `promote_secondaries` the kernel takes the virtual address away with the first
/// of its network; put back before the first, it would be that itself, and its end the end
/// of the host's own address.
fn source_gone() -> Result<(), Failed> {
    let lab = Lab::new("source_gone")?;
    let _a = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    let _b = lab.start("b", &lab.config("b", 100, "")?)?;
    lab.state("b", "backup")?;
    let own = "10.55.0.11/24 broadcast + dev eth0";
    lab.ip("a", "address del 10.55.0.11/24 dev eth0")?;
    lab.held_by(&["b"])?;
    lab.state("a", "fault")?;
    lab.ip("a", &format!("address add {own}"))?;
    lab.held_by(&["a"])?;
    // The same happens to a Backup: deaf to its peer, it must not take the address.
    lab.ip("b", "address del 10.55.0.12/24 dev eth0")?;
    lab.state("b", "fault")?;
    wait::pass(Duration::from_millis(800), || false);
    lab.held_by(&["a"])?;
    lab.command("a", &["release"])?;
    let shown = lab.ip("a", "-oneline address show dev eth0")?;
    if !shown.contains("10.55.0.11/24") {
        return Err(format!("its own address went too: {shown}").into());
    }
    Ok(())
}

fn renamed() -> Result<(), Failed> {
    let lab = Lab::new("renamed")?;
    let _a = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    lab.ip("a", "link set eth0 down")?;
    lab.ip("a", "link set eth0 name eth9")?;
    lab.ip("a", "link set eth9 up")?;
    wait::pass(Duration::from_millis(800), || false);
    lab.held_by(&[])?;
    lab.state("a", "fault")?;
    lab.ip("a", "link set eth9 down")?;
    lab.ip("a", "link set eth9 name eth0")?;
    lab.ip("a", "link set eth0 up")?;
    lab.held_by(&["a"])
}

fn new_mac() -> Result<(), Failed> {
    let lab = Lab::new("new_mac")?;
    let _a = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    lab.ip(
        "b",
        "neighbour replace 10.55.0.100 lladdr 02:00:00:00:00:0b dev eth0 nud stale",
    )?;
    lab.ip("a", "link set eth0 address 02:00:00:00:00:99")?;
    wait::until("b has learnt it", PATIENCE, || {
        let known = lab.ip("b", "neighbour show 10.55.0.100 dev eth0").ok()?;
        known.contains("02:00:00:00:00:99").then_some(())
    })?;
    Ok(())
}

fn released() -> Result<(), Failed> {
    let lab = Lab::new("released")?;
    let _a = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    let _b = lab.start("b", &lab.config("b", 100, "")?)?;
    lab.state("b", "backup")?;
    lab.command("a", &["release"])?;
    lab.held_by(&["b"])?;
    assert_is("out", lab.router("a")?.pointer("/out"), "released")?;
    // Nothing brings it back but the command: three down intervals pass.
    wait::pass(Duration::from_millis(1200), || false);
    lab.held_by(&["b"])?;
    lab.command("a", &["release", "--resume"])?;
    lab.held_by(&["a"])
}

fn released_alone() -> Result<(), Failed> {
    let lab = Lab::new("released_alone")?;
    let _a = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    lab.command("a", &["release"])?;
    lab.held_by(&["a"])?;
    assert_is("priority", lab.router("a")?.pointer("/priority"), 1)
}

fn reload() -> Result<(), Failed> {
    let lab = Lab::new("reload")?;
    let config = lab.config("a", 200, "")?;
    let daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    let since = lab.router("a")?.pointer("/since").cloned();
    let before = lab.timeline.events();
    fs::write(
        &config,
        fs::read_to_string(&config)?.replace("priority: 200", "priority: 190"),
    )?;
    daemon.signal(Signal::SIGHUP);
    wait::until("priority 190", PATIENCE, || {
        let router = lab.router("a").ok()?;
        (router.pointer("/priority")? == 190).then_some(())
    })?;
    let events = lab.timeline.events();
    let new = events.get(before.len()..).unwrap_or_default();
    if new.iter().any(|event| event.what == What::LetsGo) {
        return Err("the address went away".into());
    }
    let moved = |since: &Option<Value>| {
        since
            .as_ref()
            .and_then(Value::as_str)
            .map(|text| text.chars().take(22).collect::<String>())
    };
    let now = lab.router("a")?.pointer("/since").cloned();
    if moved(&since) != moved(&now) {
        return Err(format!("active since {since:?}, then since {now:?}").into());
    }
    Ok(())
}

fn reload_broken() -> Result<(), Failed> {
    let lab = Lab::new("reload_broken")?;
    let config = lab.config("a", 200, "")?;
    let daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    fs::write(
        &config,
        fs::read_to_string(&config)?.replace("vrid: 51", "vrid: 300"),
    )?;
    daemon.signal(Signal::SIGHUP);
    let error = wait::until("the refusal in status", PATIENCE, || {
        let status = lab.status("a").ok()?;
        let refused = status
            .pointer("/config/refused/error")?
            .as_str()?
            .to_owned();
        Some(refused)
    })?;
    if !error.contains("vrid: \"300\" is out of range; allowed: 1 to 255") {
        return Err(format!("status says {error}").into());
    }
    lab.held_by(&["a"])?;
    lab.state("a", "active")
}

fn reload_unable() -> Result<(), Failed> {
    let lab = Lab::new("reload_unable")?;
    let config = lab.config("a", 200, "")?;
    let daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    let before = lab.timeline.events().len();
    fs::write(
        &config,
        fs::read_to_string(&config)?.replace("interface: eth0", "interface: eth7"),
    )?;
    daemon.signal(Signal::SIGHUP);
    let error = wait::until("the refusal in status", PATIENCE, || {
        let status = lab.status("a").ok()?;
        Some(
            status
                .pointer("/config/refused/error")?
                .as_str()?
                .to_owned(),
        )
    })?;
    if !error.contains("there is no interface eth7") {
        return Err(format!("status says {error}").into());
    }
    wait::pass(Duration::from_millis(500), || false);
    let events = lab.timeline.events();
    let new = events.get(before..).unwrap_or_default();
    if new.iter().any(|event| event.what == What::LetsGo) {
        return Err("the address went away".into());
    }
    lab.state("a", "active")
}

fn tracked() -> Result<(), Failed> {
    let interval = Duration::from_millis(100);
    for weight in ["-150", "0"] {
        let lab = Lab::new("tracked")?;
        let track = format!(
            "  track:\n  - {{http: {{url: \"http://127.0.0.1:9000/readyz\"}}, \
             weight: {weight}, interval: 100ms, fall: 2, rise: 2}}\n"
        );
        let endpoint = Endpoint::start(lab.segment.host("a")?)?;
        let _a = lab.start("a", &lab.config("a", 200, &track)?)?;
        lab.held_by(&["a"])?;
        let _b = lab.start("b", &lab.config("b", 100, "")?)?;
        lab.state("b", "backup")?;
        let died = Instant::now();
        drop(endpoint);
        lab.held_by(&["b"])?;
        let moved = lab.last(What::Holds).ok_or("no event")?;
        let took = moved.saturating_duration_since(died);
        // interval x fall, a down interval, and a look.
        assert_within(
            "the move took",
            took,
            interval * 2 + Duration::from_millis(400),
        )?;
    }
    Ok(())
}

fn garbage() -> Result<(), Failed> {
    let lab = Lab::new("garbage")?;
    let _daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    lab.segment.host("b")?.run(|| {
        let vrrp = Some(Protocol::from(112));
        let socket = Socket::new(Domain::IPV4, Type::RAW, vrrp)?;
        let to = SockAddr::from(SocketAddrV4::new(A, 0));
        for length in 0..200_u8 {
            let bytes: Vec<_> = (0..length).map(|byte| byte ^ 0x31).collect();
            socket.send_to(&bytes, &to)?;
        }
        std::io::Result::Ok(())
    })??;
    wait::until("200 refusals", PATIENCE, || {
        let router = lab.router("a").ok()?;
        let refused = router
            .pointer("/counts/advertsRefused")?
            .as_object()?
            .clone();
        let sum: u64 = refused.values().filter_map(Value::as_u64).sum();
        (sum == 200).then_some(())
    })?;
    let log = fs::read_to_string(lab.segment.logs().join("a-vip-daemon.log"))?;
    let lines = log
        .lines()
        .filter(|line| line.contains("advert refused"))
        .count();
    if !(1..=40).contains(&lines) {
        return Err(format!("{lines} lines about 200 datagrams").into());
    }
    lab.state("a", "active")
}

fn rights() -> Result<(), Failed> {
    let lab = Lab::new("rights")?;
    let daemon = lab.start("a", &lab.config("a", 200, "")?)?;
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1))
            .unwrap_or_default()
            .to_owned()
    };
    let held = u64::from_str_radix(&field("CapEff:"), 16)?;
    // CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_SYS_NICE of linux/capability.h.
    let allowed = 1 << 12 | 1 << 13 | 1 << 14 | 1 << 23;
    if held & !allowed != 0 {
        return Err(format!("holds {held:#x}").into());
    }
    assert_is("NoNewPrivs", Some(&Value::from(field("NoNewPrivs:"))), "1")
}

fn own_user() -> Result<(), Failed> {
    const NOBODY: &str = "65534";
    let rights = "+net_admin,+net_raw,+sys_nice,+ipc_lock";
    let lab = Lab::new("own_user")?;
    let config = lab.config("a", 200, "")?;
    // The folder of sockets belongs to the group of the daemons; here to everybody.
    fs::set_permissions(lab.segment.files(), fs::Permissions::from_mode(0o777))?;
    // The place the binary was built in may be root's alone.
    let binary = lab.segment.files().join("vip-daemon");
    fs::copy(BINARY, &binary)?;
    let config = config.display().to_string();
    let program = Program::new(
        "vip-daemon",
        "/usr/bin/setpriv".as_ref(),
        lab.segment.logs(),
    );
    let user = [
        "--reuid",
        NOBODY,
        "--regid",
        NOBODY,
        "--clear-groups",
        "--no-new-privs",
    ];
    let caps = ["--inh-caps", rights, "--ambient-caps", rights];
    let binary = binary.display().to_string();
    let run = [binary.as_str(), "run", "--config", &config];
    let args = [&user[..], &caps[..], &run[..]].concat();
    let mut daemon = lab.segment.host("a")?.start(&program.args(args))?;
    daemon.ready(PATIENCE)?;
    lab.held_by(&["a"])?;
    let status = lab.status("a")?;
    assert_is("memoryLocked", status.pointer("/memoryLocked"), true)?;
    daemon.stop(PATIENCE)?;
    lab.held_by(&[])
}

fn missing() -> Result<(), Failed> {
    let lab = Lab::new("missing")?;
    let config = lab.config("a", 200, "")?;
    let good = fs::read_to_string(&config)?;
    let host = lab.segment.host("a")?;
    let run = |program: &[&str]| -> Result<Output, Failed> {
        let command: Vec<_> = program.iter().map(|part| (*part).to_owned()).collect();
        let (first, rest) = command.split_first().ok_or("no program")?;
        let (first, rest) = (first.clone(), rest.to_vec());
        Ok(host.run(move || Command::new(first).args(rest).output())??)
    };
    let path = config.display().to_string();
    let started = [BINARY, "run", "--config", &path];
    let without = ["setpriv", "--bounding-set", "-net_raw"];

    fs::write(&config, good.replace("interface: eth0", "interface: eth7"))?;
    refused(&run(&started)?, 1, "there is no interface eth7")?;
    fs::write(&config, good.replace("priority: 200", "priority: 0"))?;
    refused(
        &run(&started)?,
        2,
        "vip.yaml:7: routers[0].priority: \"0\" is out of range",
    )?;
    fs::write(&config, &good)?;
    refused(
        &run(&[&without[..], &started[..]].concat())?,
        1,
        "CAP_NET_RAW",
    )?;
    let listener = host.run(|| TcpListener::bind("127.0.0.1:9010"))??;
    refused(&run(&started)?, 1, "127.0.0.1:9010")?;
    drop(listener);
    refused(
        &run(&[BINARY, "status", "--socket", "/nonexistent"])?,
        1,
        "/nonexistent",
    )
}

fn refused(output: &Output, code: i32, words: &str) -> Result<(), Failed> {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(code) || !said.contains(words) {
        let status = output.status;
        return Err(
            format!("{status}, wanted {code} and {words:?}; said: {said}").into(),
        );
    }
    Ok(())
}

/// A server that answers every request on 127.0.0.1:9000 of one host, until dropped.
struct Endpoint {
    ending: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Endpoint {
    fn start(host: &NamespaceHost) -> Result<Self, Failed> {
        let listener = host.run(|| TcpListener::bind("127.0.0.1:9000"))??;
        listener.set_nonblocking(true)?;
        let ending = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ending);
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => drop(answer(stream)),
                    Err(_nobody_yet) => {
                        std::thread::park_timeout(Duration::from_millis(1))
                    }
                }
            }
        });
        Ok(Self {
            ending,
            thread: Some(thread),
        })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn answer(mut stream: std::net::TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut request = [0; 1024];
    let _length = stream.read(&mut request)?;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
}
