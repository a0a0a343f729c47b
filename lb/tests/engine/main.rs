//! The data path on real sockets: what is relayed, how it ends, who gets what.
//!
//! Leaves to the lab: real networks, hosts that vanish, the whole daemon.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test"
)]
#![expect(clippy::cast_possible_truncation, reason = "lengths of test data")]
#![expect(unreachable_pub, reason = "modules of one test")]

mod ends;
mod failover;
mod line;
mod rig;
mod scarce;
mod transfer;

use std::time::Duration;

use rig::{Options, Rig};

#[tokio::test]
async fn ten_thousand_random_transfers_arrive_as_they_were_sent() {
    let mut servers = Vec::new();
    let mut receivers = Vec::new();
    for _ in 0..3 {
        let (address, failures) = transfer::server().await.unwrap();
        servers.push(address);
        receivers.push(failures);
    }
    let rig = Rig::start(
        &servers,
        &Options {
            workers: 2,
            ..Options::default()
        },
    )
    .unwrap();
    let failures = transfer::all(rig.address, 0..10_000).await;
    assert!(
        failures.is_empty(),
        "{} failed, first: {:?}",
        failures.len(),
        failures.first()
    );
    let drained = rig.until(Duration::from_secs(5), |rig| {
        rig.open().iter().sum::<u64>() == 0
    });
    assert!(drained.await, "open: {:?}", rig.open());
    for mut failures in receivers {
        let failure = failures.try_recv().ok().map(|error| error.to_string());
        assert_eq!(failure, None, "a server got something else");
    }
}
