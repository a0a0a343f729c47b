//! Peers of the same VRID that are configured otherwise: each way has a name, and whoever sees it
//! does not take the address. And that what such a peer may send is asked for at all.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab::process::Process;
use lab::wait;
use libtest_mimic::Failed;
use serde_json::Value;

use crate::Test;
use crate::hosts::{A, Lab, PATIENCE, VIRTUAL, assert_is};
use crate::ipv6;

/// The tests of this file.
pub(crate) const TESTS: [(&str, Test); 5] = [
    ("every_way_to_be_configured_otherwise_has_a_name", named),
    ("an_owner_that_is_not_listed_yet_is_obeyed", unlisted),
    ("an_owner_that_does_not_hear_us_keeps_the_address", deaf),
    ("a_stranger_that_stops_is_waited_for_no_longer", stopped),
    ("the_groups_of_both_families_are_joined", joined),
];

const V2: &str = "version: 2";
const V3: &str = "advertInterval: 100ms";
const SLOWER: &str = "version: 2, advertInterval: 2s";
const PASSWORD: &str = "version: 2, auth: {passFile: ONE}";
const ANOTHER: &str = "version: 2, auth: {passFile: ANOTHER}";
const UNICAST: &str = "advertInterval: 100ms, unicast: {peers: [10.55.0.12]}";
const TO_OWNER: &str = "advertInterval: 100ms, unicast: {peers: [10.55.0.11]}";
const OTHER_PEERS: &str =
    "advertInterval: 100ms, unicast: {peers: [10.55.0.13], unlisted: refuse}";
const LATE_LIST: &str = "advertInterval: 100ms, unicast: {peers: [10.55.0.13]}";

const SLOWEST: &str = "version: 2, advertInterval: 5s";

/// What the owner has, what the other one has, and how that names the owner's adverts. In two
/// the owner's next advert comes long after the other one would take a follower's silence for
/// its end.
const WAYS: [(&str, &str, &str); 9] = [
    (V2, V3, "peer speaks VRRPv2"),
    (SLOWEST, V2, "peer advertises every 5s"),
    (V3, V2, "peer speaks VRRPv3"),
    (V2, SLOWER, "peer advertises every 1s"),
    (PASSWORD, ANOTHER, "peer has another password"),
    (PASSWORD, V2, "peer authenticates in another way"),
    (UNICAST, V3, "unicast advert, multicast is configured"),
    (V3, TO_OWNER, "multicast advert, unicast is configured"),
    (UNICAST, OTHER_PEERS, "10.55.0.11 is not a configured peer"),
];

fn config(lab: &Lab, host: &str, priority: u8, more: &str) -> Result<PathBuf, Failed> {
    let host = lab.segment.host(host)?;
    let mut more = more.to_owned();
    for name in ["ONE", "ANOTHER"] {
        let file = host.file(name);
        fs::write(&file, name)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        more = more.replace(name, &file.display().to_string());
    }
    let (path, socket) = (host.file("vip.yaml"), host.file("vip.sock"));
    let text = format!(
        "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n\
         - {{name: api, interface: eth0, vrid: 51, priority: {priority}, \
         addresses: [\"{VIRTUAL}/24\"], {more}}}\nsocket: {}\n",
        socket.display()
    );
    fs::write(&path, text)?;
    Ok(path)
}

/// Longer than two intervals of the slowest owner.
const LONG: Duration = Duration::from_secs(11);
const SHORT: Duration = Duration::from_secs(4);

fn named() -> Result<(), Failed> {
    for (number, (owner, other, alarm)) in WAYS.into_iter().enumerate() {
        let lab = Lab::new(&format!("misfit_{number}"))?;
        let _a = lab.start("a", &config(&lab, "a", 255, owner)?)?;
        lab.held_by(&["a"])?;
        let _b = lab.start("b", &config(&lab, "b", 150, other)?)?;
        let wanted = format!("{A}: {alarm}");
        wait::until(&format!("b says: {wanted}"), PATIENCE, || {
            let router = lab.router("b").ok()?;
            (router.pointer("/alarm")? == wanted.as_str()).then_some(())
        })?;
        // Started between two adverts of a slower owner it may have taken the addresses.
        lab.state("b", "backup")?;
        lab.held_by(&["a"])?;
        let told = lab.command("b", &["explain"])?;
        if !told.contains(&format!("It holds back: {A} advertises its addresses")) {
            return Err(format!("{owner}, {other}: explain says: {told}").into());
        }
        let before = lab.timeline.events().len();
        let long = if owner == SLOWEST { LONG } else { SHORT };
        let since = || lab.timeline.events().split_off(before);
        let took = || since().iter().any(|event| event.host == "b");
        wait::pass(long, took);
        if took() {
            let since = since();
            return Err(
                format!("{owner}, {other}: b did not hold back: {since:?}").into()
            );
        }
        assert_is("state", lab.router("b")?.pointer("/state"), "backup")?;
    }
    Ok(())
}

/// It was added to the others' lists late. Whoever was Active before it came would stay so beside
/// it, for ever, and so does keepalived not. When it stops, its release is believed.
fn unlisted() -> Result<(), Failed> {
    let lab = Lab::new("misfit_unlisted")?;
    let _b = lab.start("b", &config(&lab, "b", 150, &slow(LATE_LIST))?)?;
    lab.held_by(&["b"])?;
    // It does not come second to anybody.
    wait::pass(SHORT, || false);
    let mut owner = lab.start("a", &config(&lab, "a", 255, &slow(UNICAST))?)?;
    lab.held_by(&["a"])?;
    lab.state("b", "backup")?;
    let wanted = format!("{A}: the sender is not a configured peer");
    assert_is("alarm", lab.router("b")?.pointer("/alarm"), wanted)?;
    believed(&lab, &mut owner)
}

/// Every second: then three of its adverts are told from a release.
fn slow(more: &str) -> String {
    more.replace("100ms", "1s")
}

/// The owner stops, and the other one has the address before it would for its silence.
fn believed(lab: &Lab, owner: &mut Process) -> Result<(), Failed> {
    const RELEASED: Duration = Duration::from_millis(1_500);
    let began = Instant::now();
    owner.stop(PATIENCE)?;
    lab.held_by(&["b"])?;
    let took = began.elapsed();
    if took > RELEASED {
        return Err(format!("b has the address after {took:?}").into());
    }
    Ok(())
}

/// It lists us and we do not list it yet: it hears nothing of us, and nothing would make it
/// yield to a higher priority.
fn deaf() -> Result<(), Failed> {
    let lab = Lab::new("misfit_deaf")?;
    let mut owner = lab.start("a", &config(&lab, "a", 100, UNICAST)?)?;
    lab.held_by(&["a"])?;
    let _b = lab.start("b", &config(&lab, "b", 150, LATE_LIST)?)?;
    let held_back = || lab.router("b").ok()?.get("heldBackBy").cloned();
    wait::until("b holds back", PATIENCE, || {
        held_back().filter(Value::is_string)
    })?;
    wait::pass(SHORT, || false);
    lab.held_by(&["a"])?;
    lab.state("b", "backup")?;
    owner.stop(PATIENCE)?;
    lab.held_by(&["b"])
}

/// The last step from one version to the other: its release says that the addresses are free, and
/// after the second that its own backups would need they are here, not after three more adverts.
fn stopped() -> Result<(), Failed> {
    let lab = Lab::new("misfit_stops")?;
    let mut owner = lab.start("a", &config(&lab, "a", 255, V2)?)?;
    lab.held_by(&["a"])?;
    let _b = lab.start("b", &config(&lab, "b", 150, V3)?)?;
    let held_back = || lab.router("b").ok()?.get("heldBackBy").cloned();
    wait::until("b holds back", PATIENCE, || {
        held_back().filter(Value::is_string)
    })?;
    believed(&lab, &mut owner)
}

/// Switches that look (IGMP and MLD snooping) send a group only where somebody has joined it, and
/// a kernel gives it to nobody who has not. A router among peers joins, too: who was left behind
/// in the group would be heard by no other way. What was joined is left again.
fn joined() -> Result<(), Failed> {
    let lab = ipv6::with_ipv6("joined")?;
    for travel in [V3, UNICAST] {
        joins(&lab, &config(&lab, "a", 200, travel)?, "224.0.0.18")?;
    }
    joins(&lab, &ipv6::config(&lab)?, "ff02::12")
}

fn joins(lab: &Lab, config: &Path, group: &str) -> Result<(), Failed> {
    let shown = || lab.ip("a", "maddress show dev eth0");
    let is_in = |shown: &str| shown.split_whitespace().any(|word| word == group);
    if is_in(&shown()?) {
        return Err(format!("{group} is joined before the start").into());
    }
    let mut daemon = lab.start("a", config)?;
    let now = shown()?;
    if !is_in(&now) {
        return Err(format!("{group} is not joined:\n{now}").into());
    }
    daemon.stop(PATIENCE)?;
    Ok(())
}
