//! The operator sits on a master: that one is worked on as it is, without ssh, and the others over
//! it; whoever comes from elsewhere goes on.

use super::hosts::Hosts;
use super::{Tried, holds};

/// On the machine m1, and what it is called there.
fn on(hosts: &Hosts, name: &str, line: &str, code: i32) -> Tried<String> {
    hosts
        .shell(&format!("on 192.0.2.11 {name} '{line}'"))?
        .ended(code)
}

pub(super) fn is_known() -> Tried {
    let hosts = Hosts::new()?;
    let said = on(&hosts, "m1", "sternpost apply", 0)?;
    for name in ["m1", "m2", "m3", "n1"] {
        let line = |line: &str| line.starts_with(name) && line.ends_with("step(s) done");
        if !said.lines().any(line) {
            return Err(format!("{name} was not worked on:\n{said}").into());
        }
    }
    hosts.run(&["plan"])?.ended(0)?;
    let said = on(&hosts, "desk", "sternpost plan", 1)?;
    holds(
        &said,
        "this machine has 192.0.2.11 itself: when it is m1, write --local m1",
    )?;
    on(&hosts, "desk", "sternpost plan --local m1", 0)?;
    // The name that is given counts, not the one that is found.
    on(&hosts, "m1", "sternpost plan --local m2 --host m1", 1).map(drop)
}
