//! Hundreds of servers.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::rig::{Lb, loopback};
use crate::waited::waited;

const SERVERS: usize = 500;

/// All become known at once, and each weight is another: the longest cycle there is. A
/// daemon that is busy with itself for longer than the unit's watchdog would be killed. What
/// its control thread, or this one, waits for a core is the machine's doing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_servers_that_change_together_hold_up_nothing() {
    let mut body = format!(
        "frontends:\n- {{name: f, bind: [\"{}\"], backend: b}}\nbackends:\n- name: b\n  check: {{tcp: {{}}, interval: 1h}}\n  servers:\n",
        loopback(6443)
    );
    for n in 0..SERVERS {
        // Nobody listens on this port of any of them.
        let (third, fourth) = (n / 250, n % 250 + 1);
        let weight = n * 97 % 256 + 1;
        writeln!(
            body,
            "  - {{name: s{n}, address: \"127.127.{third}.{fourth}:1\", weight: {weight}}}"
        )
        .unwrap();
    }
    let mut lb = Lb::start(&body).unwrap();
    let control = Pid::from_raw(i32::try_from(lb.id()).unwrap());
    let both = || waited(control).unwrap() + waited(nix::unistd::gettid()).unwrap();
    let (started, before) = (Instant::now(), both());
    lb.get("/livez").await.unwrap();
    for n in 0..SERVERS {
        lb.enters(&format!("s{n}"), "unreachable").unwrap();
    }
    let (took, stalled) = (started.elapsed(), both() - before);
    let own = took.saturating_sub(stalled);
    assert!(
        own < Duration::from_secs(10),
        "{took:?}, stalled {stalled:?}"
    );
}
