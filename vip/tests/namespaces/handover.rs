//! Addresses that move on purpose: the successor is told first, and a client that asks
//! every millisecond hardly sees it, whatever the advert interval.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lab::endpoint::Endpoint;
use lab::wait;
use libtest_mimic::Failed;
use serde_json::Value;

use crate::Test;
use crate::hosts::{Lab, PATIENCE};
use crate::scene::{INTERVALS, KEY, Scene, Seen, WORST, gather, judge, say, sound};

pub(crate) const TESTS: [(&str, Test); 6] = [
    ("yield_is_hardly_seen_at_any_interval", yielded),
    ("a_graceful_stop_is_hardly_seen_at_any_interval", stopped),
    (
        "k3_a_dead_endpoint_moves_the_address_within_400_ms",
        endpoint,
    ),
    ("yield_to_a_node_that_cannot_take_keeps_the_address", kept),
    ("yield_without_a_channel_sends_priority_0", alone),
    ("another_key_is_refused_and_priority_0_remains", other_key),
];

/// Moves per interval.
const CYCLES: usize = 10;
/// From the death of the endpoint to the first answer elsewhere.
const ELSEWHERE: Duration = Duration::from_millis(400);

fn yielded() -> Result<(), Failed> {
    for (name, interval) in INTERVALS {
        let scene = Scene::new(&format!("yield-{name}"))?;
        let _a = scene.start("a", 200, interval, KEY, "")?;
        scene.settled("a")?;
        let _b = scene.start("b", 100, interval, KEY, "")?;
        let (mut given, mut unclear) = (0, 0);
        sound(&format!("yield {name}"), CYCLES, || {
            let [from, to] = scene.owner()?;
            scene.acquainted(from)?;
            let begun = Instant::now();
            let asked = scene.lab.command(from, &["yield", "--to", to]);
            if asked.is_err() && scene.seen(begun).is_none() {
                // A successor that the machine kept from answering in time: nothing is moved,
                // or all the same.
                unclear += u64::from(from == "a");
                return Ok(None);
            }
            asked?;
            scene.settled(to)?;
            given += u64::from(from == "a");
            Ok(scene.seen(begun))
        })?;
        let router = scene.lab.router("a")?;
        let handed = router.pointer("/counts/handovers/accepted");
        let handed = handed.and_then(Value::as_u64).unwrap_or_default();
        if !(given..=given + unclear).contains(&handed) {
            let said = format!("{handed} handovers, not {given} ({unclear} unclear)");
            return Err(said.into());
        }
    }
    Ok(())
}

fn stopped() -> Result<(), Failed> {
    for (name, interval) in INTERVALS {
        let scene = Scene::new(&format!("stop-{name}"))?;
        let mut running = BTreeMap::new();
        running.insert("a", scene.start("a", 200, interval, KEY, "")?);
        scene.settled("a")?;
        running.insert("b", scene.start("b", 200, interval, KEY, "")?);
        sound(&format!("graceful stop {name}"), CYCLES / 2, || {
            let [from, to] = scene.owner()?;
            scene.acquainted(from)?;
            let begun = Instant::now();
            let mut ending = running.remove(from).ok_or("not running")?;
            ending.stop(PATIENCE)?;
            drop(ending);
            scene.settled(to)?;
            let seen = scene.seen(begun);
            // Lower than the one that holds it: it does not come back by itself.
            running.insert(from, scene.start(from, 100, interval, KEY, "")?);
            Ok(seen)
        })?;
    }
    Ok(())
}

fn endpoint() -> Result<(), Failed> {
    let mut seen = Vec::new();
    for (weight, every) in [("-150", "100ms"), ("0", "100ms"), ("-150", "10ms")] {
        for (name, interval) in INTERVALS {
            let what = format!("endpoint {name} weight {weight} every {every}");
            let died = || dies(&what, weight, every, interval);
            seen.extend(gather(&what, 1, died)?);
        }
    }
    judge("endpoint", &seen)
}

/// One death of an endpoint, after which the address has to be elsewhere in time.
fn dies(what: &str, weight: &str, every: &str, interval: &str) -> Result<Seen, Failed> {
    let scene = Scene::new(&what.replace(' ', "-"))?;
    let track = format!(
        "  track:\n  - {{http: {{url: \"http://127.0.0.1:9000/readyz\"}}, \
         weight: {weight}, interval: {every}, fall: 2, rise: 2}}\n"
    );
    let service = Endpoint::start(scene.lab.segment.host("a")?)?;
    let _a = scene.start("a", 200, interval, KEY, &track)?;
    scene.settled("a")?;
    let _b = scene.start("b", 100, interval, KEY, "")?;
    scene.acquainted("a")?;
    let died = Instant::now();
    drop(service);
    scene.settled("b")?;
    let elsewhere = scene
        .prober
        .probes(died, Instant::now())
        .iter()
        .find_map(|probe| probe.answered.filter(|(_, host)| *host == 1))
        .ok_or("b never answered")?;
    let took = elsewhere.0.saturating_duration_since(died);
    say(&format!("{what}: answers elsewhere after {took:?}"));
    let seen = scene.seen(died);
    if seen.is_some() && took > ELSEWHERE {
        return Err(format!("{what}: {took:?}").into());
    }
    Ok(seen)
}

fn kept() -> Result<(), Failed> {
    let (_, interval) = INTERVALS[0];
    let scene = Scene::new("yield-kept")?;
    let _a = scene.start("a", 200, interval, KEY, "")?;
    scene.settled("a")?;
    let _b = scene.start("b", 100, interval, KEY, "")?;
    scene.acquainted("a")?;
    scene.lab.command("b", &["release"])?;
    wait::until("a knows that b is out", PATIENCE, || {
        let status = scene.lab.status("a").ok()?;
        (status.pointer("/channel/peers/0/ready")? == 0).then_some(())
    })?;
    let seen = gather("kept", 1, || {
        let begun = Instant::now();
        for (to, said) in [("b", "the addresses stay"), ("c", "no peer c was heard")] {
            let refused = scene.lab.command("a", &["yield", "--to", to]);
            let said_so = format!("{:?}", refused.err()).contains(said);
            if !said_so {
                return Err(format!("yield --to {to} did not say: {said}").into());
            }
        }
        scene.settled("a")?;
        Ok(scene.seen(begun))
    })?;
    let gap = seen.into_iter().flatten().map(|(gap, _)| gap).max();
    if let Some(gap) = gap
        && gap > WORST
    {
        return Err(format!("the address was away for {gap:?}").into());
    }
    Ok(())
}

fn alone() -> Result<(), Failed> {
    let lab = Lab::new("yield-alone")?;
    let _a = lab.start("a", &lab.config("a", 200, "")?)?;
    lab.held_by(&["a"])?;
    let _b = lab.start("b", &lab.config("b", 100, "")?)?;
    lab.state("b", "backup")?;
    let said = lab.command("a", &["yield"])?;
    if !said.contains("noChannel") {
        return Err(said.into());
    }
    lab.held_by(&["b"])?;
    // Three down intervals: the higher one leaves it alone.
    wait::pass(Duration::from_millis(1200), || false);
    lab.held_by(&["b"])
}

fn other_key() -> Result<(), Failed> {
    let (_, interval) = INTERVALS[0];
    let scene = Scene::new("yield-key")?;
    let _a = scene.start("a", 200, interval, KEY, "")?;
    scene.settled("a")?;
    let other = KEY.replace('0', "1");
    let _b = scene.start("b", 100, interval, &other, "")?;
    wait::until("a refuses b's messages", PATIENCE, || {
        let status = scene.lab.status("a").ok()?;
        let refused = status.pointer("/channel/refused/mac")?.as_u64()?;
        (refused > 0).then_some(())
    })?;
    let said = scene.lab.command("a", &["yield"])?;
    if !said.contains("nobody") {
        return Err(said.into());
    }
    scene.settled("b")
}
