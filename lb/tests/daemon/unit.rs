//! What the unit says, against what the daemon does.

use std::time::Duration;

use api_lb::config::parse;

const UNIT: &str = "../packaging/systemd/api-lb.service";

/// What systemd takes, at the most, beyond what the daemon waits for.
const RESERVE: Duration = Duration::from_secs(5);

/// The values of a key, in their order.
fn values(key: &str) -> Vec<String> {
    let unit = std::fs::read_to_string(UNIT).unwrap_or_default();
    unit.lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_stop_fits_into_the_time_the_unit_gives_it() {
    let text = std::fs::read_to_string("tests/configs/smallest.yaml").unwrap();
    let config = parse("smallest", &text).unwrap();
    let given = values("TimeoutStopSec");
    let given: u64 = given[0].strip_suffix('s').unwrap().parse().unwrap();
    let taken = config.drain_delay + config.drain_timeout;
    assert!(taken + RESERVE <= Duration::from_secs(given), "{taken:?}");
}
