//! Whom a transition is told to, and what is told of it: scripts, the flight recorder, words.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lab::host::Host;
use lab::process::Program;
use lab::wait;
use libtest_mimic::Failed;

use crate::Test;
use crate::hosts::{BINARY, Lab, PATIENCE};
use crate::scene::{INTERVALS, KEY, Scene};

pub(crate) const TESTS: [(&str, Test); 2] = [
    ("n1_n3_notify_scripts_run_in_keepalived_s_order", notified),
    ("a_transition_is_explained_recorded_and_dumped", recorded),
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

fn notified() -> Result<(), Failed> {
    let lab = Lab::new("notify")?;
    let host = lab.segment.host("a")?;
    let (script, told) = (host.file("told.sh"), host.file("told.txt"));
    let file = told.display();
    fs::write(&script, format!("#!/bin/sh\necho \"$@\" >> {file}\n"))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let (script, socket) = (script.display(), host.file("scripts.sock"));
    let notify = format!(
        "  notify: {{any: [{script}], master: [{script}, m], backup: [{script}, b], \
         stop: [{script}, s]}}\n\
         scripts: {{socket: {}}}\n",
        socket.display()
    );
    let config = lab.config("a", 101, &notify)?;
    let path = config.display().to_string();
    let unit = Program::new("vip-scripts", BINARY.as_ref(), lab.segment.logs());
    let mut unit = host.start(&unit.args(["scripts", "--config", &path]))?;
    unit.ready(PATIENCE)?;
    let mut daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    daemon.stop(PATIENCE)?;
    let expected = "b\nINSTANCE api BACKUP 101\nm\nINSTANCE api MASTER 101\n\
                    s\nINSTANCE api STOP 101\n";
    wait::until("every script has run, in order", PATIENCE, || {
        (fs::read_to_string(&told).ok()? == expected).then_some(())
    })
    .map_err(|error| format!("{error}: {:?}", fs::read_to_string(&told)))?;
    unit.stop(PATIENCE)?;
    Ok(())
}
