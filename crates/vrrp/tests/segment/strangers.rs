//! Routers that understand none of each other: two passwords in one group.

use std::time::Duration;

use vrrp::{AdvertInterval, Version};

use crate::network::{Host, Network, Weather, settings};

/// Starts per case.
const SEEDS: u64 = 1_000;

/// Loops that wake on time: nothing but the wire tells two routers apart.
const PUNCTUAL: Weather = Weather {
    wake: Duration::ZERO,
    ..Weather::FAIR
};

/// Nobody can be asked to go, so whoever was there first stays; of some that come at once one is
/// left, and the address is nowhere for a round or two, not for ever.
#[test]
fn w7_of_strangers_that_start_at_once_one_is_left_active() {
    for (seed, millis, weather, priorities) in cases() {
        let every = Duration::from_millis(millis);
        let interval = AdvertInterval::new(Version::V3, every).unwrap();
        let hosts = priorities.iter().enumerate();
        let hosts = hosts.map(|(host, priority)| settings(host, *priority, interval));
        let mut network = Network::new(seed, weather, hosts.collect());
        network.strangers = true;
        for host in 0..network.hosts() {
            network.start(host);
        }
        let rounds = u32::try_from(priorities.len()).unwrap();
        network.pass(network.down_interval() * 2 * rounds, |_| {});
        let case = format!("seed {seed}, {interval}, {priorities:?}, {weather:?}");
        let active: Vec<Host> = network.actives();
        assert_eq!(active.len(), 1, "{case}: {active:?}");
        assert_eq!(network.holders(), active, "{case}");
        network.promotions.clear();
        network.pass(network.down_interval() * 4, |_| {});
        assert_eq!(network.promotions, [], "{case}: it stays");
    }
}

fn cases() -> impl Iterator<Item = (u64, u64, Weather, &'static [u8])> {
    let groups: [&[u8]; 4] = [&[100, 100], &[100, 99], &[99, 100], &[100, 100, 100]];
    let seeds = (0..SEEDS).flat_map(|seed| [10, 100].map(|millis| (seed, millis)));
    let weathers = seeds.flat_map(|(seed, millis)| {
        [PUNCTUAL, Weather::FAIR].map(|weather| (seed, millis, weather))
    });
    weathers.flat_map(move |(seed, millis, weather)| {
        groups.map(|group| (seed, millis, weather, group))
    })
}
