//! Runs a table of events against a router and compares what it does, where it stands and
//! when it wants to be asked again, row by row.
//!
//! ```text
//! at | event | actions | state | deadline
//! ```
//! Times are milliseconds since the start, exact to the nanosecond; `-` is nothing, and
//! `@` in the first column is the deadline of the row above, to which a signed distance
//! may be added (`@-0.000001`).

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use vrrp::fsm::{
    Action, Actions, Announcing, Event, Leftover, Note, Preempt, Router, Settings,
};
use vrrp::packet::{Addresses, Advert, Auth};
use vrrp::{AdvertInterval, Dialects, Priority, Version, Vrid};

/// VRRPv3 every 100 ms at 10.0.0.12 with priority 100: skew 60.9375 ms, down interval
/// 360.9375 ms, overtaken after as long a silence of its own, listens for 160.9375 ms.
pub(crate) fn settings() -> Settings {
    Settings {
        version: Version::V3,
        priority: Priority::DEFAULT,
        interval: interval(Version::V3, 100),
        patience: Duration::ZERO,
        source: host(12),
        preempt: Preempt::AtOnce,
        announcing: Announcing::default(),
        dialects: Dialects::KEEPALIVED,
    }
}

/// As before in VRRPv2 every second: skew 609.375 ms, down interval 3609.375 ms,
/// overtaken after as long, listens for 1609.375 ms.
pub(crate) fn settings_v2() -> Settings {
    Settings {
        version: Version::V2,
        interval: interval(Version::V2, 1000),
        ..settings()
    }
}

pub(crate) fn interval(version: Version, millis: u64) -> AdvertInterval {
    let every = Duration::from_millis(millis);
    AdvertInterval::new(version, every).unwrap_or(AdvertInterval::DEFAULT)
}

fn host(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

/// Panics at the first row that differs, naming it.
pub(crate) fn check(settings: Settings, table: &str) {
    let version = settings.version;
    let mut router = Router::new(settings);
    let zero = an_instant();
    let rows = table.lines().map(str::trim).filter(|row| !row.is_empty());
    for row in rows.filter(|row| !row.starts_with('#')) {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [at, event, actions, state, deadline] = columns[..] else {
            panic!("five columns: {row}");
        };
        let at = when(at, zero, &router);
        let done = render(&happen(&mut router, version, event, at));
        let due = router.deadline().map(|deadline| deadline - zero);
        assert_eq!(done, actions, "actions of: {row}");
        assert_eq!(router.state().name(), state, "state after: {row}");
        assert_eq!(due, millis(deadline), "deadline after: {row}");
    }
}

/// Some instant: the machine has no other idea of time than differences.
#[expect(
    clippy::disallowed_methods,
    reason = "std has no other instant to count from"
)]
pub(crate) fn an_instant() -> Instant {
    Instant::now()
}

fn when(text: &str, zero: Instant, router: &Router) -> Instant {
    let Some(distance) = text.strip_prefix('@') else {
        return zero + millis(text).unwrap();
    };
    let deadline = router.deadline().expect("a deadline to refer to");
    match distance.strip_prefix('-') {
        Some(before) => deadline - millis(before).unwrap(),
        None => deadline + millis(distance.trim_start_matches('+')).unwrap_or_default(),
    }
}

/// `60.9375` → 60.9375 ms, without going through a float.
fn millis(text: &str) -> Option<Duration> {
    if text.is_empty() || text == "-" {
        return None;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos: u64 = format!("{fraction:0<6}").parse().expect(text);
    let whole: u64 = whole.parse().expect(text);
    Some(Duration::from_nanos(whole * 1_000_000 + nanos))
}

fn happen(router: &mut Router, version: Version, event: &str, at: Instant) -> Actions {
    let words: Vec<&str> = event.split_whitespace().collect();
    let event = match words[..] {
        ["start"] => Event::Start {
            leftover: Leftover::None,
        },
        ["start", "leftover"] => Event::Start {
            leftover: Leftover::Ours,
        },
        ["stop"] => Event::Stop,
        ["deadline"] => Event::Deadline,
        ["fault"] => Event::Fault,
        ["recover"] => Event::Recover,
        ["foreign"] => Event::Foreign,
        ["take"] => Event::Take,
        ["rise"] => Event::Rise,
        ["fall"] => Event::Fall,
        ["lost"] => Event::AddressLost,
        ["priority", to] => Event::Priority(Priority::new(to.parse().unwrap())),
        ["yield", hold] => Event::Yield {
            hold: millis(hold).unwrap(),
        },
        [what, from, priority, every] => {
            let version = match what {
                "stranger" => Version::V3,
                "v2-stranger" => Version::V2,
                _ => version,
            };
            let advert =
                advert(version, priority.parse().unwrap(), every.parse().unwrap());
            let advert = &advert;
            let from = host(from.trim_start_matches('.').parse().unwrap());
            let event = match what {
                "heard" => Event::Advert { from, advert },
                "stranger" | "v2-stranger" => Event::Stranger { from, advert },
                _ => panic!("unknown event {event}"),
            };
            return router.handle(event, at);
        }
        _ => panic!("unknown event {event}"),
    };
    router.handle(event, at)
}

fn advert(version: Version, priority: u8, every: u64) -> Advert {
    Advert {
        version,
        vrid: Vrid::new(51).unwrap(),
        priority: Priority::new(priority),
        interval: interval(version, every),
        auth: Auth::None,
        addresses: Addresses::new(vec![host(100)]).unwrap(),
    }
}

fn render(actions: &Actions) -> String {
    let mut text = String::new();
    for action in actions {
        let _ = match action {
            Action::Advertise(priority) => write!(text, " advert {priority},"),
            Action::Acquire => write!(text, " acquire,"),
            Action::Announce => write!(text, " announce,"),
            Action::Release => write!(text, " release,"),
            Action::Moved { from, to, reason } => {
                write!(text, " {from}>{to} {},", reason.name())
            }
            Action::Note(Note::Late(by)) => {
                write!(text, " (late {}),", by.as_nanos() / 1_000_000)
            }
            Action::Note(Note::IntervalAdopted(every)) => {
                write!(text, " (follow {every}),")
            }
            Action::Note(note) => write!(text, " ({note:?}),"),
        };
    }
    match text.trim_matches([' ', ',']) {
        "" => "-".to_owned(),
        text => text.to_owned(),
    }
}
