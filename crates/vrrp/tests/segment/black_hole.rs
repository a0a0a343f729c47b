//! M13: two Backups that time out together. Both announce; if the one that yields is the
//! last to do so, clients send into nothing until the winner's second burst, 5 s later.
//! keepalived 2.2.7 ends there in 8 to 20 % of its failovers with adjacent priorities at
//! 100 ms and less.

use std::time::Duration;

use vrrp::{AdvertInterval, Version};

use crate::network::{Fault, Network, Weather, settings};

/// Failovers per cell.
const CYCLES: u64 = 1_000;
/// The client is with the winner so long after the first promotion.
const CONVERGED: Duration = Duration::from_millis(50);
/// What is expected to be seen in a run longer than the second burst's delay.
const WATCHED: Duration = Duration::from_millis(6_500);
/// The two loops wake up to 2 ms apart.
const WEATHER: Weather = Weather {
    wake: Duration::from_millis(2),
    ..Weather::FAIR
};

/// The Active, then the two Backups.
const EQUAL: [u8; 3] = [101, 100, 100];
const ADJACENT: [u8; 3] = [101, 100, 99];
const SPREAD: [u8; 3] = [200, 150, 100];

/// One failover. Were both Backups Active for a while?
fn failover(seed: u64, interval: AdvertInterval, priorities: [u8; 3]) -> bool {
    let hosts = priorities.iter().enumerate();
    let hosts = hosts.map(|(host, priority)| settings(host, *priority, interval));
    let mut network = Network::new(seed, WEATHER, hosts.collect());
    let case = format!("seed {seed}, {interval}, {priorities:?}");
    for host in 0..network.hosts() {
        network.start(host);
    }
    let phase = interval
        .duration()
        .mul_f64(f64::from(u16::try_from(seed % 97).unwrap()) / 97.0);
    network.pass(
        network.down_interval() + interval.duration() * 2 + phase,
        |_| {},
    );
    assert_eq!(network.actives(), [0], "{case}");
    network.promotions.clear();
    network.strike(0, Fault::Dead);
    network.pass(network.down_interval() + CONVERGED + WATCHED, |_| {});

    let [(elected, _), ..] = network.promotions[..] else {
        panic!("{case}: nobody")
    };
    let winner = network.actives();
    assert_eq!(winner.len(), 1, "{case}: {winner:?}");
    assert_eq!(network.holders(), winner, "{case}");
    let (settled, last) = *network.turns.last().unwrap();
    assert_eq!(vec![last], winner, "{case}: the client ends at {last}");
    assert!(
        settled <= elected + CONVERGED,
        "{case}: {:?}",
        settled - elected
    );
    network.promotions.len() > 1
}

/// All cycles of a cell; how many were races.
fn cell(millis: u64, priorities: [u8; 3]) -> usize {
    let every = Duration::from_millis(millis);
    let interval = AdvertInterval::new(Version::V3, every).unwrap();
    (0..CYCLES)
        .filter(|seed| failover(*seed, interval, priorities))
        .count()
}

#[test]
fn m13_every_10_ms() {
    assert!(cell(10, EQUAL) > 100, "too few races to say anything");
    assert!(cell(10, ADJACENT) > 100, "too few races to say anything");
    cell(10, SPREAD);
}

#[test]
fn m13_every_100_ms() {
    assert!(cell(100, EQUAL) > 100, "too few races to say anything");
    assert!(cell(100, ADJACENT) > 100, "too few races to say anything");
    assert_eq!(cell(100, SPREAD), 0, "a skew of 20 ms keeps them apart");
}

#[test]
fn m13_every_1000_ms() {
    assert!(cell(1000, EQUAL) > 100, "too few races to say anything");
    cell(1000, ADJACENT);
    assert_eq!(cell(1000, SPREAD), 0, "a skew of 200 ms keeps them apart");
}
