//! Whom a transition is told to, and what is told of it: scripts, the flight recorder, words.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use lab::host::Host;
use lab::process::{Process, Program};
use lab::wait;
use libtest_mimic::Failed;
use nix::sys::signal::Signal;

use crate::Test;
use crate::hosts::{BINARY, Lab, PATIENCE, assert_is};
use crate::scene::{INTERVALS, KEY, Scene};

pub(crate) const TESTS: [(&str, Test); 4] = [
    ("n1_n3_notify_scripts_run_in_keepalived_s_order", notified),
    ("k3_n3_a_failed_check_is_told_as_a_fault", failed),
    ("a_transition_is_explained_recorded_and_dumped", recorded),
    (
        "a_reload_takes_another_fifo_and_names_what_waits_for_a_restart",
        another_fifo,
    ),
];

fn recorded() -> Result<(), Failed> {
    let (_, interval) = INTERVALS[0];
    let scene = Scene::new("flight")?;
    let _a = scene.start("a", 200, interval, KEY, "")?;
    scene.settled("a")?;
    let _b = scene.start("b", 100, interval, KEY, "")?;
    scene.acquainted("a")?;
    scene.lab.command("a", &["yield", "--to", "b"])?;
    scene.settled("b")?;
    for (host, words) in [
        ("a", "It does not hold the addresses"),
        ("a", "it was given the addresses on purpose"),
        ("b", "the router that held them handed them over"),
    ] {
        let told = scene.lab.command(host, &["explain"])?;
        if !told.contains(words) {
            return Err(format!("{host} does not say: {words}\n{told}").into());
        }
    }
    let host = scene.lab.segment.host("b")?;
    let socket = host.file("vip.sock");
    let watch = format!(
        "timeout 30 {BINARY} status --watch --socket {} | grep --max-count=2 ROUTER",
        socket.display()
    );
    let shown = host.output("sh", &["-c", &watch])?;
    if shown.matches("ROUTER").count() < 2 {
        return Err(format!("status --watch showed:\n{shown}").into());
    }
    let flight = scene.lab.command("b", &["flight", "--router", "api"])?;
    let taken = flight
        .lines()
        .find(|line| line.contains("\"event\":\"take\""));
    if !taken.is_some_and(|line| line.contains("\"after\":\"active\"")) {
        return Err(format!("the take is not recorded:\n{flight}").into());
    }
    let folder = scene.lab.segment.host("b")?.file("vip.flight");
    wait::until("a dump of it", PATIENCE, || {
        let dumps = fs::read_dir(&folder).ok()?.filter_map(Result::ok);
        let mut names = dumps.filter_map(|entry| entry.file_name().into_string().ok());
        names
            .any(|name| name.ends_with("-active.jsonl"))
            .then_some(())
    })?;
    Ok(())
}

/// A host with a scripts' unit, and a program that writes down what it is told.
struct Told {
    lab: Lab,
    file: PathBuf,
    more: String,
}

impl Told {
    fn new(label: &str) -> Result<Self, Failed> {
        let lab = Lab::new(label)?;
        let host = lab.segment.host("a")?;
        let (script, file) = (host.file("told.sh"), host.file("told.txt"));
        let text = format!("#!/bin/sh\necho \"$@\" >> {}\n", file.display());
        fs::write(&script, text)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let (script, socket) = (script.display(), host.file("scripts.sock"));
        let more = format!(
            "  notify: {{any: [{script}], master: [{script}, m], backup: [{script}, b], \
             fault: [{script}, f], stop: [{script}, s]}}\n\
             scripts: {{socket: {}}}\n",
            socket.display()
        );
        Ok(Self { lab, file, more })
    }

    /// Its unit, and the daemon.
    fn start(&self, track: &str) -> Result<[Process; 2], Failed> {
        let config = self
            .lab
            .config("a", 101, &format!("{track}{}", self.more))?;
        let path = config.display().to_string();
        let unit = Program::new("vip-scripts", BINARY.as_ref(), self.lab.segment.logs());
        let host = self.lab.segment.host("a")?;
        let mut unit = host.start(&unit.args(["scripts", "--config", &path]))?;
        unit.ready(PATIENCE)?;
        Ok([self.lab.start("a", &config)?, unit])
    }

    /// Waits until every script has run, in order.
    fn ran(&self, expected: &str) -> Result<(), Failed> {
        wait::until("every script has run, in order", PATIENCE, || {
            (fs::read_to_string(&self.file).ok()? == expected).then_some(())
        })
        .map_err(|error| format!("{error}: {:?}", fs::read_to_string(&self.file)))?;
        Ok(())
    }
}

fn notified() -> Result<(), Failed> {
    let told = Told::new("notify")?;
    let [mut daemon, mut unit] = told.start("")?;
    told.lab.held_by(&["a"])?;
    daemon.stop(PATIENCE)?;
    told.ran(
        "b\nINSTANCE api BACKUP 101\nm\nINSTANCE api MASTER 101\n\
         s\nINSTANCE api STOP 101\n",
    )?;
    unit.stop(PATIENCE)?;
    Ok(())
}

/// An Active, then a Backup, whose check without a weight fails: its scripts, `status` and
/// the metrics say fault until it passes.
fn failed() -> Result<(), Failed> {
    let told = Told::new("notify-fault")?;
    let lab = &told.lab;
    let good = lab.segment.host("a")?.file("good");
    fs::write(&good, "")?;
    let track = format!(
        "  track: [{{file: {{path: {}}}, interval: 50ms, fall: 1, rise: 1, \
         init: passed}}]\n",
        good.display()
    );
    let other = lab.config("b", 200, "")?;
    let [mut daemon, mut unit] = told.start(&track)?;
    lab.held_by(&["a"])?;
    fs::remove_file(&good)?;
    // Alone, it takes the addresses again.
    let alone = "b\nINSTANCE api BACKUP 101\n\
                 m\nINSTANCE api MASTER 101\nf\nINSTANCE api FAULT 101\n\
                 m\nINSTANCE api MASTER 1\n";
    told.ran(alone)?;
    let mut above = lab.start("b", &other)?;
    lab.held_by(&["b"])?;
    let at_fault = format!("{alone}f\nINSTANCE api FAULT 101\n");
    told.ran(&at_fault)?;
    let router = lab.router("a")?;
    for (key, wanted) in [("state", "fault"), ("reason", "fault"), ("out", "fault")] {
        assert_is(key, router.get(key), wanted)?;
    }
    let ask = "exec 3<>/dev/tcp/127.0.0.1/9010; \
               printf 'GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' >&3; \
               cat <&3";
    let metrics = lab.segment.host("a")?.output("bash", &["-c", ask])?;
    let line = "vip_daemon_router_state{router=\"api\",state=\"fault\"} 1";
    if !metrics.contains(line) {
        return Err(format!("the metrics do not say fault:\n{metrics}").into());
    }
    fs::write(&good, "")?;
    told.ran(&format!("{at_fault}b\nINSTANCE api BACKUP 101\n"))?;
    lab.state("a", "backup")?;
    for process in [&mut daemon, &mut unit, &mut above] {
        process.stop(PATIENCE)?;
    }
    Ok(())
}

fn another_fifo() -> Result<(), Failed> {
    let lab = Lab::new("fifo")?;
    let host = lab.segment.host("a")?;
    let config = lab.config("a", 200, "")?;
    let daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    let fifo = host.file("notify.fifo");
    let more = format!(
        "notify: {{fifo: {}}}\nadmin: {{address: \"127.0.0.1:9011\"}}\n",
        fifo.display()
    );
    fs::write(&config, fs::read_to_string(&config)? + &more)?;
    daemon.signal(Signal::SIGHUP);
    let log = lab.segment.logs().join("a-vip-daemon.log");
    wait::until("what waits for a restart is named", PATIENCE, || {
        let log = fs::read_to_string(&log).ok()?;
        (log.contains("waits for a restart: admin.address") && log.contains("reloaded"))
            .then_some(())
    })?;
    // It is made by the first line, which has no reader.
    lab.command("a", &["release"])?;
    let read = format!("timeout 30 head -n 1 {}", fifo.display());
    let made = || fifo.exists().then_some(());
    wait::until("the FIFO", PATIENCE, made)?;
    let reader = std::thread::spawn({
        let host = std::sync::Arc::clone(host);
        move || host.output("sh", &["-c", &read])
    });
    wait::until("a line of it", PATIENCE, || {
        // Alone, it takes the addresses again each time.
        lab.command("a", &["release", "--resume"]).ok()?;
        lab.command("a", &["release"]).ok()?;
        reader.is_finished().then_some(())
    })?;
    let line = reader.join().map_err(|_| "the reader panicked")??;
    match line.starts_with("INSTANCE \"api\" ") {
        true => Ok(()),
        false => Err(format!("the FIFO says {line}").into()),
    }
}
