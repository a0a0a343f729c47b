//! Who is worked on when, and what is said of those that are not.

use std::fs;

use serde_json::Value;

use super::hosts::Hosts;
use super::{Tried, holds};

/// The masters' addresses, in the order of the description.
const MASTERS: [&str; 3] = ["192.0.2.11", "192.0.2.12", "192.0.2.13"];
/// A flag that every API server takes.
const FLAG: &str =
    "flags: {kube-apiserver: {profiling: \"false\"}, etcd: {log-level: warn}}";
/// One that none takes; the description cannot know.
const TYPO: &str = "flags: {kube-apiserver: {no-such-flag: \"1\"}}";

/// Where something stands in the log, by its host and words.
fn places(log: &[String], host: &str, words: &str) -> Vec<usize> {
    let wanted = format!("{host} {words}");
    let lines = log.iter().enumerate();
    let found = lines.filter(|(_, line)| line.starts_with(&wanted));
    found.map(|(place, _)| place).collect()
}

fn before(log: &[String], first: Option<&usize>, then: Option<&usize>) -> Tried {
    match (first, then) {
        (Some(first), Some(then)) if first < then => Ok(()),
        other => Err(format!("{other:?} in\n{}", log.join("\n")).into()),
    }
}

/// A first run is at once; a change of what serves is one master after the other, and each is
/// asked whether it is well before the next is touched.
pub(super) fn in_turn() -> Tried {
    let hosts = Hosts::new()?;
    let first = hosts.run(&["apply"])?.ended(0)?;
    if first.contains("its turn comes after") {
        return Err(format!("the first run was not at once:\n{first}").into());
    }
    let log = hosts.log()?;
    // Somebody began before everybody had ended: no turns.
    let starts: Vec<_> = MASTERS
        .map(|host| places(&log, host, "start"))
        .into_iter()
        .collect();
    if starts.iter().any(Vec::is_empty) || !places(&log, MASTERS[0], "restart").is_empty()
    {
        return Err(log.join("\n").into());
    }
    hosts.run(&["apply"])?.ended(0)?;
    hosts.log()?;
    hosts.describe(FLAG)?;
    hosts.run(&["apply"])?.ended(0)?;
    let log = hosts.log()?;
    for (host, next) in MASTERS.iter().zip(&MASTERS[1..]) {
        let began = places(&log, next, "restart");
        let (etcd, api) = (
            places(&log, host, "up etcd.service"),
            places(&log, host, "up kube-apiserver.service"),
        );
        before(&log, etcd.first(), began.first())?;
        before(&log, api.first(), began.first())?;
        for program in ["etcdctl", "kubectl", "api-lb"] {
            // Before it began, too, the others were asked whether they can do without it.
            let mut asked = places(&log, host, &format!("asks {program}"));
            asked.retain(|place| api.first().is_some_and(|api| place > api));
            before(&log, asked.first(), began.first())?;
        }
    }
    hosts.run(&["plan"])?.ended(0).map(drop)
}

/// A member that takes no write yet holds the others up, and is named meanwhile.
pub(super) fn well() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    hosts.describe(FLAG)?;
    hosts.log()?;
    fs::write(
        hosts.root(MASTERS[0]).join("run/ill"),
        "once\ntwice\nthrice\n",
    )?;
    let said = hosts.run(&["apply"])?.ended(0)?;
    holds(
        &said,
        "m1: waits: its member of etcd takes no write: no leader",
    )?;
    let log = hosts.log()?;
    let asked = places(&log, MASTERS[0], "asks etcdctl");
    let began = places(&log, MASTERS[1], "restart");
    before(&log, asked.get(3), began.first())
}

/// One API server that does not come up is enough to know.
pub(super) fn not_begun() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    hosts.describe(TYPO)?;
    for run in 0..2 {
        hosts.log()?;
        let said = hosts.run(&["apply"])?.ended(1)?;
        holds(&said, "m1: FAILED: ")?;
        holds(&said, "unknown flag: --no-such-flag")?;
        holds(
            &said,
            "/etc/systemd/system/kube-apiserver.service: put back as before, and it runs by that",
        )?;
        for name in ["m2", "m3"] {
            holds(
                &said,
                &format!("{name}: FAILED: not begun: m1 failed, and "),
            )?;
        }
        // A node waits for nobody.
        holds(&said, "n1: ")?;
        let log = hosts.log()?;
        let root = hosts.root(MASTERS[0]);
        let unit = root.join("etc/systemd/system/kube-apiserver.service");
        let up = root
            .join("run/units/kube-apiserver.service.active")
            .exists();
        if fs::read_to_string(unit)?.contains("no-such-flag") || !up {
            return Err(format!("run {run} left m1 without its own:\n{said}").into());
        }
        for host in &MASTERS[1..] {
            let touched = places(&log, host, "restart");
            let unit = hosts
                .root(host)
                .join("etc/systemd/system/kube-apiserver.service");
            let unit = fs::read_to_string(unit)?;
            if !touched.is_empty() || unit.contains("no-such-flag") {
                return Err(
                    format!("run {run} touched {host}:\n{}", log.join("\n")).into()
                );
            }
        }
    }
    Ok(())
}

/// A file that is written and a unit that has not read it: the next run knows.
pub(super) fn broken_off() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    hosts.describe(FLAG)?;
    // The first run ends behind the files, at the restart of etcd, whose own is put back.
    let held = hosts.root(MASTERS[0]).join("run/units/etcd.service.active");
    let unit = hosts
        .root(MASTERS[0])
        .join("etc/systemd/system/etcd.service");
    fs::remove_file(&held)?;
    fs::create_dir(&held)?;
    hosts.run(&["apply", "--host", "m1"])?.ended(1)?;
    if fs::read_to_string(unit)?.contains("warn") {
        return Err("etcd's file is the new one".into());
    }
    hosts.log()?;
    hosts.run(&["apply", "--host", "m1"])?.ended(1)?;
    fs::remove_dir(&held)?;
    fs::write(&held, "")?;
    hosts.log()?;
    hosts.run(&["apply", "--host", "m1"])?.ended(0)?;
    let log = hosts.log()?;
    for unit in ["etcd.service", "kube-apiserver.service"] {
        if places(&log, MASTERS[0], &format!("restart {unit}")).is_empty() {
            return Err(format!("{unit} runs as before:\n{}", log.join("\n")).into());
        }
    }
    hosts.run(&["plan", "--host", "m1"])?.ended(0).map(drop)
}

fn events(text: &str) -> Tried<Vec<Value>> {
    let lines = text.lines().map(serde_json::from_str::<Value>);
    let events: Result<_, _> = lines.collect();
    events.map_err(|error| format!("{error} in\n{text}").into())
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let of = |event: &&Value| event.get("event").is_some_and(|one| one == kind);
    events.iter().filter(of).collect()
}

fn events_are_json(hosts: &Hosts, code: i32) -> Tried<Vec<Value>> {
    let run = hosts.run(&["apply", "-o", "json"])?;
    run.ended(code)?;
    events(&run.answer())
}

/// A host that is down, and a run that ends before the first host.
pub(super) fn every_event() -> Tried {
    let hosts = Hosts::new()?;
    // Nobody knows whether the silent master holds the authorities: nothing is begun.
    let away = hosts.root("away");
    fs::rename(hosts.root(MASTERS[2]), &away)?;
    let early = events_are_json(&hosts, 1)?;
    let (lost, refused) = (of_kind(&early, "failed"), of_kind(&early, "refused"));
    let [lost] = lost.as_slice() else {
        return Err(format!("{early:?}").into());
    };
    holds(&lost.to_string(), "No route to host")?;
    let [refused] = refused.as_slice() else {
        return Err(format!("{early:?}").into());
    };
    holds(&refused.to_string(), "m3 does not answer")?;
    let noted = hosts.record()?;
    let noted = events(&noted)?;
    if of_kind(&noted, "refused").len() != 1 || of_kind(&noted, "failed").len() != 1 {
        return Err(format!("{noted:?}").into());
    }
    let plan = hosts.run(&["plan", "-o", "json"])?;
    plan.ended(1)?;
    let plan: Value = serde_json::from_str(&plan.answer())?;
    holds(&plan.to_string(), "m3 does not answer")?;
    fs::rename(&away, hosts.root(MASTERS[2]))?;
    let all = events_are_json(&hosts, 0)?;
    if of_kind(&all, "done").len() != 4 || of_kind(&all, "step").len() < 100 {
        return Err(format!("{all:?}").into());
    }
    // A node that is down later is an event among the others'.
    fs::rename(hosts.root("192.0.2.21"), &away)?;
    let later = events_are_json(&hosts, 1)?;
    match (
        of_kind(&later, "failed").len(),
        of_kind(&later, "done").len(),
    ) {
        (1, 3) => Ok(()),
        _ => Err(format!("{later:?}").into()),
    }
}

/// The others serve without it, and it is as it was.
pub(super) fn stale() -> Tried {
    let hosts = Hosts::new()?;
    let member = hosts.root(MASTERS[1]).join("var/lib/etcd/member");
    fs::create_dir_all(member.join("snap"))?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(&said, "m2: FAILED: /var/lib/etcd/member is there, which")?;
    holds(&said, "mv /var/lib/etcd/member /var/lib/etcd/member.before")?;
    for name in ["m1", "m3", "n1"] {
        let line = |line: &str| line.starts_with(name) && line.ends_with("step(s) done");
        if !said.lines().any(line) {
            return Err(format!("{name} did not go on:\n{said}").into());
        }
    }
    let log = hosts.log()?;
    if !places(&log, MASTERS[1], "start").is_empty() {
        return Err(log.join("\n").into());
    }
    // The way out.
    let way_out =
        "ssh -- 192.0.2.12 'mv /var/lib/etcd/member /var/lib/etcd/member.before'";
    hosts.shell(way_out)?.ended(0)?;
    hosts.run(&["apply"])?.ended(0)?;
    // Data of ours is no stranger's, also after a reset that was told to leave it.
    fs::create_dir_all(&member)?;
    hosts.run(&["apply"])?.ended(0)?;
    hosts
        .run(&["reset", "--host", "m2", "--confirm", "prod"])?
        .ended(0)?;
    hosts.run(&["apply"])?.ended(0).map(drop)
}
