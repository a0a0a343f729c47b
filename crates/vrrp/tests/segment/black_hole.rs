//! M13: two Backups that time out together. Both announce; if the one that yields is the
//! last to do so, clients send into nothing until the winner's second burst, 5 s later.
//! keepalived 2.2.7 ends there in 8 to 20 % of its failovers with adjacent priorities at
//! 100 ms and less.

use std::time::{Duration, Instant};

use vrrp::fsm::Event;
use vrrp::{AdvertInterval, Version};

use crate::network::{Fault, Network, Weather, settings};

/// Failovers per cell.
const CYCLES: u64 = 1_000;
/// Once a Backup has taken over, the client sends to a host without the address no longer
/// than this.
const CONVERGED: Duration = Duration::from_millis(50);
/// Longer than the second burst's delay, which would end a hole and so hide it.
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

/// How the Active ends: without a word, or with priority 0.
#[derive(Debug, Clone, Copy)]
enum End {
    Dies,
    Stops,
}

/// One failover. Were both Backups Active for a while?
fn failover(seed: u64, interval: AdvertInterval, priorities: [u8; 3], end: End) -> bool {
    let hosts = priorities.iter().enumerate();
    let hosts = hosts.map(|(host, priority)| settings(host, *priority, interval));
    let mut network = Network::new(seed, WEATHER, hosts.collect());
    let case = format!("seed {seed}, {interval}, {priorities:?}, {end:?}");
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
    match end {
        End::Dies => network.strike(0, Fault::Dead),
        End::Stops => network.tell(0, Event::Stop),
    }
    let mut hole = Hole::default();
    network.pass(network.down_interval() + WATCHED, |network| {
        hole.look(network)
    });

    assert!(!network.promotions.is_empty(), "{case}: nobody");
    let winner = network.actives();
    assert_eq!(winner.len(), 1, "{case}: {winner:?}");
    assert_eq!(network.holders(), winner, "{case}");
    assert_eq!(network.client, winner.first().copied(), "{case}");
    assert!(hole.longest <= CONVERGED, "{case}: {:?}", hole.longest);
    network.promotions.len() > 1
}

/// All cycles of a cell; how many were races.
fn cell(millis: u64, priorities: [u8; 3], end: End) -> usize {
    let every = Duration::from_millis(millis);
    let interval = AdvertInterval::new(Version::V3, every).unwrap();
    (0..CYCLES)
        .filter(|seed| failover(*seed, interval, priorities, end))
        .count()
}

#[test]
fn m13_every_10_ms() {
    for end in [End::Dies, End::Stops] {
        assert!(cell(10, EQUAL, end) > 100, "too few races to say anything");
        assert!(
            cell(10, ADJACENT, end) > 100,
            "too few races to say anything"
        );
        cell(10, SPREAD, end);
    }
}

#[test]
fn m13_every_100_ms() {
    for end in [End::Dies, End::Stops] {
        assert!(cell(100, EQUAL, end) > 100, "too few races to say anything");
        assert!(
            cell(100, ADJACENT, end) > 100,
            "too few races to say anything"
        );
        assert_eq!(
            cell(100, SPREAD, end),
            0,
            "a skew of 20 ms keeps them apart"
        );
    }
}

#[test]
fn m13_every_1000_ms() {
    for end in [End::Dies, End::Stops] {
        assert!(
            cell(1000, EQUAL, end) > 100,
            "too few races to say anything"
        );
        cell(1000, ADJACENT, end);
        assert_eq!(
            cell(1000, SPREAD, end),
            0,
            "a skew of 200 ms keeps them apart"
        );
    }
}

/// The longest time that the client sends to a host without the address, from the first
/// promotion on.
#[derive(Default)]
struct Hole {
    since: Option<Instant>,
    longest: Duration,
}

impl Hole {
    fn look(&mut self, network: &Network) {
        if let Some(since) = self.since {
            self.longest = self.longest.max(network.now - since);
        }
        let holds = network
            .client
            .is_some_and(|host| network.holders().contains(&host));
        let wrong = !holds && !network.promotions.is_empty();
        self.since = wrong.then(|| self.since.unwrap_or(network.now));
    }
}
