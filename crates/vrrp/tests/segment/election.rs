//! Whatever has happened before: when the segment has been whole for one down interval,
//! one router is Active, it alone holds the address, and the client knows it.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use vrrp::fsm::{Announcing, Event, Leftover, Preempt, Settings};
use vrrp::{AdvertInterval, Priority, State, Version};

use crate::network::{Fault, Host, Network, Weather, settings};

/// Beyond the down interval: loops that wake late, and adverts under way.
const SLACK: Duration = Duration::from_millis(5);
/// Announcements that were held back for the rate's sake, or are repeated, come within a
/// second.
const ANNOUNCED: Duration = Duration::from_millis(1_100);

/// Some seconds' worth, or as many as `PROPTEST_CASES` says.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000)
}

/// One of the things that happen while the segment is not whole.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Strike(Fault),
    Heal,
    /// The process ends without a word, and starts at once.
    Restart,
    Stop,
    Start,
    Priority(u8),
    Fault,
    Recover,
    Foreign,
    AddressLost,
    Yield,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let fault = prop_oneof![
        Just(Fault::Dead),
        Just(Fault::Crashed),
        Just(Fault::Paused),
        Just(Fault::Deaf),
        Just(Fault::Mute),
    ];
    prop_oneof![
        6 => fault.prop_map(Trouble::Strike),
        3 => Just(Trouble::Heal),
        1 => Just(Trouble::Restart),
        1 => Just(Trouble::Stop),
        1 => Just(Trouble::Start),
        2 => (1..=254_u8).prop_map(Trouble::Priority),
        1 => Just(Trouble::Fault),
        1 => Just(Trouble::Recover),
        1 => Just(Trouble::Foreign),
        1 => Just(Trouble::AddressLost),
        1 => Just(Trouble::Yield),
    ]
}

fn befall(network: &mut Network, host: Host, trouble: Trouble) {
    match trouble {
        Trouble::Strike(fault) => network.strike(host, fault),
        Trouble::Heal => network.heal(host),
        Trouble::Restart => {
            network.strike(host, Fault::Crashed);
            network.heal(host);
        }
        Trouble::Stop => network.tell(host, Event::Stop),
        Trouble::Start => network.tell(
            host,
            Event::Start {
                leftover: Leftover::None,
            },
        ),
        Trouble::Priority(to) => network.tell(host, Event::Priority(Priority::new(to))),
        Trouble::Fault => network.tell(host, Event::Fault),
        Trouble::Recover => network.tell(host, Event::Recover),
        Trouble::Foreign => network.tell(host, Event::Foreign),
        Trouble::AddressLost => network.lose_address(host),
        Trouble::Yield => network.tell(
            host,
            Event::Yield {
                hold: Duration::ZERO,
            },
        ),
    }
}

/// Three to five routers, some with equal priorities, some that do not preempt, in one of
/// twenty cases an owner.
fn routers() -> impl Strategy<Value = Vec<Settings>> {
    let millis = prop_oneof![Just(10_u64), Just(100), Just(1000), 1..=20_u64];
    let millis = millis.prop_map(|n| if n < 10 { n * 10 } else { n / 10 * 10 });
    let priority = prop_oneof![4 => 1..=254_u8, 4 => 99..=101_u8, 1 => Just(255)];
    let each = (priority, any::<bool>());
    (millis, prop::collection::vec(each, 3..=5)).prop_map(|(millis, routers)| {
        let interval = Duration::from_millis(millis);
        let interval = AdvertInterval::new(Version::V3, interval).unwrap();
        let routers = routers.into_iter().enumerate();
        // What was announced while nobody heard it is announced again.
        let second = Some(Duration::from_secs(1));
        let announcing = Announcing {
            second,
            refresh: second,
        };
        let router = |(host, (priority, preempts))| {
            let preempt = if preempts {
                Preempt::AtOnce
            } else {
                Preempt::Never
            };
            Settings {
                preempt,
                announcing,
                ..settings(host, priority, interval)
            }
        };
        routers.map(router).collect()
    })
}

/// Two owners are a mistake, and fight for an interval.
fn with_one_owner(mut routers: Vec<Settings>) -> Vec<Settings> {
    let owners = routers
        .iter_mut()
        .filter(|router| router.priority.is_owner());
    owners
        .skip(1)
        .for_each(|router| router.priority = Priority::MAX);
    routers
}

/// Trouble at some host after some tenths of an interval.
fn course() -> impl Strategy<Value = Vec<(u32, Host, Trouble)>> {
    prop::collection::vec((0..60_u32, 0..5_usize, trouble()), 0..16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn one_is_active_once_the_segment_is_whole(
        seed in any::<u64>(),
        routers in routers(),
        course in course(),
        lost in 0..60_u64,
        doubled in 0..30_u64,
        slow in 0..25_u32,
    ) {
        let interval = routers[0].interval.duration();
        let storm = Weather { delay: interval * slow / 10, lost, doubled, ..Weather::FAIR };
        let mut network = Network::new(seed, storm, routers);
        for host in 0..network.hosts() {
            network.start(host);
        }
        for (tenths, host, trouble) in course {
            network.pass(interval * tenths / 10, |_| {});
            let host = host % network.hosts();
            befall(&mut network, host, trouble);
        }

        network.weather = Weather::FAIR;
        network.pass(storm.delay, |_| {});
        for host in 0..network.hosts() {
            network.heal(host);
            make_able(&mut network, host);
        }
        network.pass(network.down_interval() + SLACK, |_| {});
        let active = network.actives();
        prop_assert_eq!(active.len(), 1, "Active: {:?}", active);
        prop_assert_eq!(&network.holders(), &active);

        // And so it stays.
        let mut others = 0;
        network.pass(interval * 10 + ANNOUNCED, |network| {
            others += usize::from(network.actives() != active);
            others += usize::from(network.holders() != active);
        });
        prop_assert_eq!(others, 0, "another Active or holder than {:?}", active);
        prop_assert_eq!(network.client, active.first().copied());
    }

    #[test]
    fn two_never_hold_for_long_on_a_whole_segment(
        seed in any::<u64>(),
        routers in routers().prop_map(with_one_owner),
        course in prop::collection::vec((0..60_u32, 0..5_usize, any::<bool>()), 0..16),
    ) {
        let interval = routers[0].interval.duration();
        let mut network = Network::new(seed, Weather::FAIR, routers);
        for host in 0..network.hosts() {
            network.start(host);
        }
        let mut two = Overlap::default();
        for (tenths, host, dies) in course {
            network.pass(interval * tenths / 10, |network| two.look(network));
            let host = host % network.hosts();
            if dies { network.strike(host, Fault::Dead) } else { network.heal(host) }
        }
        network.pass(interval * 10, |network| two.look(network));
        prop_assert!(two.longest <= Duration::from_millis(3), "{:?}", two.longest);
    }
}

/// Ends what keeps a host from taking part; a fault that it found itself, too.
fn make_able(network: &mut Network, host: Host) {
    match network.state(host) {
        State::Initialize => {
            network.tell(
                host,
                Event::Start {
                    leftover: Leftover::None,
                },
            );
        }
        State::Fault => {
            network.tell(host, Event::Fault);
            network.tell(host, Event::Recover);
        }
        State::Backup | State::Active => {}
    }
}

/// The longest time with more than one holder.
#[derive(Default)]
struct Overlap {
    since: Option<Instant>,
    longest: Duration,
}

impl Overlap {
    fn look(&mut self, network: &Network) {
        let since = self.since.unwrap_or(network.now);
        self.longest = self.longest.max(network.now - since);
        self.since = (network.holders().len() > 1).then_some(since);
    }
}
