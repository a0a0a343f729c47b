//! What the daemon takes of a machine while nothing happens: memory of its own. Its program's
//! text comes with the profile of the build, and its share of a core with the machine: both are
//! the bench's, which measures the program that ships.

use std::fs;

use libtest_mimic::Failed;

use crate::Test;
use crate::hosts::Lab;
use crate::scene::say;

/// The tests of this file.
pub(crate) const TESTS: [(&str, Test); 1] = [(
    "daemon_and_guard_have_2_mb_of_their_own_at_adverts_every_10_ms",
    resident,
)];

/// Octets of the daemon and its guard that no file has.
const AT_MOST: u64 = 2_000_000;

fn resident() -> Result<(), Failed> {
    let lab = Lab::new("footprint")?;
    let config = lab.config("a", 200, "")?;
    let text = fs::read_to_string(&config)?;
    let often = text.replace("advertInterval: 100ms", "advertInterval: 10ms");
    fs::write(&config, often)?;
    let _daemon = lab.start("a", &config)?;
    lab.held_by(&["a"])?;
    // Asked for its state, it has answered a client as well.
    lab.state("a", "active")?;
    let pids = lab.segment.host("a")?.netns().processes();
    if pids.len() != 2 {
        return Err(format!("not the daemon and its guard: {pids:?}").into());
    }
    let mut all = 0;
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        all += kib.ok_or("no RssAnon")?.trim().parse::<u64>()? * 1024;
    }
    say(&format!("daemon and guard: {all} octets of their own"));
    match all <= AT_MOST {
        true => Ok(()),
        false => Err(format!("{all} octets of their own, at most {AT_MOST}").into()),
    }
}
