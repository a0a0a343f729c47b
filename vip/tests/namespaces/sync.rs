//! A sync group on two hosts: its addresses are on one of them, all the time.

use std::time::Duration;

use lab::host::Host;
use lab::wait;
use libtest_mimic::Failed;
use serde_json::Value;

use crate::Test;
use crate::hosts::{A, Lab, PATIENCE, assert_is};

/// The tests of this file.
pub(crate) const TESTS: [(&str, Test); 2] = [
    ("what_one_router_of_a_group_gives_away_the_others_do", moves),
    ("one_router_of_a_group_is_not_active_alone", not_alone),
];

/// The other router of the group; its address is not that of the timeline.
const WEB: &str = "10.55.0.200";

fn config(
    lab: &Lab,
    host: &str,
    priority: u8,
    vrid: u8,
) -> Result<std::path::PathBuf, Failed> {
    let address = lab.segment.host(host)?.address();
    let peer = if address == A { crate::hosts::B } else { A };
    let more = format!(
        "- {{name: web, interface: eth0, vrid: {vrid}, priority: {priority}, \
           advertInterval: 100ms, addresses: [\"{WEB}/24\"], \
           unicast: {{source: {address}, peers: [{peer}]}}}}\n\
         syncGroups:\n- {{name: both, routers: [api, web]}}\n"
    );
    lab.config(host, priority, &more)
}

/// Waits until the host has the other address, or has not.
fn web(lab: &Lab, host: &str, there: bool) -> Result<(), Failed> {
    let what = format!("{WEB} on {host}: {there}");
    wait::until(&what, PATIENCE, || {
        let shown = lab.ip(host, "-o address show dev eth0").ok()?;
        (shown.contains(&format!("{WEB}/")) == there).then_some(())
    })?;
    Ok(())
}

fn moves() -> Result<(), Failed> {
    let lab = Lab::new("sync_moves")?;
    let _a = lab.start("a", &config(&lab, "a", 200, 52)?)?;
    lab.held_by(&["a"])?;
    web(&lab, "a", true)?;
    let _b = lab.start("b", &config(&lab, "b", 100, 52)?)?;
    lab.state("b", "backup")?;
    lab.command("a", &["release", "--router", "web"])?;
    lab.held_by(&["b"])?;
    web(&lab, "b", true)?;
    web(&lab, "a", false)?;
    assert_is("out", lab.router("a")?.pointer("/out"), "together")?;
    lab.command("a", &["release", "--router", "web", "--resume"])?;
    lab.held_by(&["a"])?;
    web(&lab, "a", true)?;
    web(&lab, "b", false)?;
    let group = lab.status("a")?.pointer("/syncGroups/0/state").cloned();
    assert_is("the group", group.as_ref(), "active")
}

/// The other host is Active for one of the two addresses only: the second router of the
/// group hears it not, and takes nothing.
fn not_alone() -> Result<(), Failed> {
    let lab = Lab::new("sync_not_alone")?;
    let _b = lab.start("b", &lab.config("b", 200, "")?)?;
    lab.held_by(&["b"])?;
    let _a = lab.start("a", &config(&lab, "a", 100, 52)?)?;
    wait::until("web waits for api", PATIENCE, || {
        let status = lab.status("a").ok()?;
        let waits = status.pointer("/routers/1/waitsFor")?;
        (*waits == Value::from(vec!["api"])).then_some(())
    })?;
    // Three down intervals.
    wait::pass(Duration::from_millis(1200), || false);
    web(&lab, "a", false)?;
    let told = lab.command("a", &["explain", "--router", "web"])?;
    if !told.contains("waits for the others of sync group both: api") {
        return Err(told.into());
    }
    lab.held_by(&["b"])
}
