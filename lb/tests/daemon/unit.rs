//! What the unit says, against what the daemon does.

use std::process::Command;
use std::time::Duration;

use api_lb::config::parse;

use crate::rig::{CHECK_ONCE, Fallible, Lb, loopback, simple};

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

/// Does what the unit does at a reload, until something fails: whether all was done.
fn reload(lb: &Lb) -> Fallible<bool> {
    for line in values("ExecReload") {
        let line = line
            .replace("$MAINPID", &lb.id().to_string())
            .replace("/usr/bin/api-lb", env!("CARGO_BIN_EXE_api-lb"))
            .replace("/etc/sternpost/api-lb.yaml", &lb.file().to_string_lossy());
        let mut words = line.split(' ');
        let program = words.next().ok_or("empty")?;
        if !Command::new(program).args(words).output()?.status.success() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_of_the_unit_fails_with_a_broken_file_which_the_daemon_records() {
    let good = simple(loopback(6443), &[loopback(1)], CHECK_ONCE);
    let mut lb = Lb::start(&good).unwrap();
    assert!(reload(&lb).unwrap());
    lb.line(|line| line["message"] == "reloaded").unwrap();
    lb.write(&good.replace("backend: b", "backend: x")).unwrap();
    assert!(!reload(&lb).unwrap());
    lb.line(|line| line["level"] == "ERROR").unwrap();
    let status = lb.get("/status").await.unwrap();
    assert!(!status["config"]["refused"].is_null(), "{status}");
}
