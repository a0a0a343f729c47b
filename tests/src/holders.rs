//! What a list of events says about who held the address: pure functions over a record.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// One thing that happened to the address or to the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When the lab saw it, on the monotonic clock.
    pub at: Instant,
    /// On which host.
    pub host: String,
    /// What it was.
    pub what: What,
}

/// The kinds of [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The kernel has the address (told again at every renewal of its lifetime).
    Holds,
    /// The kernel no longer has it.
    LetsGo,
    /// The client cannot reach the host.
    Cut,
    /// The client can reach it again.
    Healed,
}

/// A stretch of time with the same holders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its first instant.
    pub from: Instant,
    /// Its end; `None` for the stretch that lasts.
    pub to: Option<Instant>,
    /// Who the client could have been answered by.
    pub holders: BTreeSet<String>,
}

/// The record as stretches, in order, without gaps, starting at its first event.
#[must_use]
pub fn spans(events: &[Event]) -> Vec<Span> {
    let mut hosts: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    let mut spans: Vec<Span> = Vec::new();
    for event in events {
        let (holds, cut) = hosts.entry(&event.host).or_default();
        match event.what {
            What::Holds => *holds = true,
            What::LetsGo => *holds = false,
            What::Cut => *cut = true,
            What::Healed => *cut = false,
        }
        let holders: BTreeSet<String> = hosts
            .iter()
            .filter(|(_, (holds, cut))| *holds && !*cut)
            .map(|(host, _)| (*host).to_owned())
            .collect();
        if spans.last().is_some_and(|last| last.holders == holders) {
            continue;
        }
        if let Some(last) = spans.last_mut() {
            last.to = Some(event.at);
        }
        spans.push(Span {
            from: event.at,
            to: None,
            holders,
        });
    }
    spans
}

/// Who holds it at the end of the record.
#[must_use]
pub fn current(events: &[Event]) -> BTreeSet<String> {
    spans(events)
        .pop()
        .map(|span| span.holders)
        .unwrap_or_default()
}

/// The longest time in `from..to` during which more than one host held it.
#[must_use]
pub fn overlap(events: &[Event], from: Instant, to: Instant) -> Duration {
    spans(events)
        .iter()
        .filter(|span| span.holders.len() > 1)
        .map(|span| {
            let end = span.to.unwrap_or(to).min(to);
            end.saturating_duration_since(span.from.max(from))
        })
        .max()
        .unwrap_or_default()
}

/// When `host` became the only holder for the last time, if it is that at the end.
#[must_use]
pub fn sole_since(events: &[Event], host: &str) -> Option<Instant> {
    let last = spans(events).pop()?;
    (last.holders.len() == 1 && last.holders.contains(host)).then_some(last.from)
}

/// When another than `lost` took the address, whose cable was cut between these two: who had
/// it before and let it go by then has nothing to do with that.
#[must_use]
pub fn taken_over(
    events: &[Event],
    lost: &str,
    (struck, cut): (Instant, Instant),
) -> Option<Instant> {
    let others = events.iter().filter(|event| event.host != lost);
    let others: Vec<Event> = others.cloned().collect();
    let after = |span: &&Span| span.to.is_none_or(|to| to > cut);
    spans(&others)
        .iter()
        .filter(after)
        .find(|span| !span.holders.is_empty())
        .map(|span| span.from.max(struck))
}

/// When, in `from..to`, the address left a host: what was open on that host then is lost.
#[must_use]
pub fn moves(
    events: &[Event],
    from: Instant,
    to: Instant,
) -> Vec<RangeInclusive<Instant>> {
    let spans = spans(events);
    spans
        .windows(2)
        .filter_map(|pair| match pair {
            [before, after] => before
                .holders
                .difference(&after.holders)
                .next()
                .map(|_| after.from)
                .filter(|at| (from..=to).contains(at))
                .map(|at| at..=at),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(rows: &[(u64, &str, What)]) -> (Instant, Vec<Event>) {
        let zero = Instant::now();
        let events = rows
            .iter()
            .map(|(ms, host, what)| Event {
                at: zero + Duration::from_millis(*ms),
                host: (*host).to_owned(),
                what: *what,
            })
            .collect();
        (zero, events)
    }

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn two_holders_overlap_until_one_lets_go() {
        let (zero, events) = record(&[
            (0, "a", What::Holds),
            (100, "b", What::Holds),
            (107, "a", What::LetsGo),
        ]);
        assert_eq!(overlap(&events, zero, zero + ms(500)), ms(7));
        assert_eq!(overlap(&events, zero + ms(105), zero + ms(500)), ms(2));
        assert_eq!(sole_since(&events, "b"), Some(zero + ms(107)));
        assert_eq!(sole_since(&events, "a"), None);
        let at = zero + ms(107);
        assert_eq!(moves(&events, zero, zero + ms(500)), [at..=at]);
    }

    #[test]
    fn a_cut_host_is_no_holder() {
        let (zero, events) = record(&[
            (0, "a", What::Holds),
            (50, "a", What::Cut),
            (300, "b", What::Holds),
            (400, "a", What::LetsGo),
            (500, "a", What::Healed),
        ]);
        assert_eq!(overlap(&events, zero, zero + ms(900)), ms(0));
        assert_eq!(sole_since(&events, "b"), Some(zero + ms(300)));
    }

    #[test]
    fn a_cut_holder_that_returns_overlaps_at_once() {
        let (zero, events) = record(&[
            (0, "a", What::Holds),
            (50, "a", What::Cut),
            (300, "b", What::Holds),
            (500, "a", What::Healed),
        ]);
        assert_eq!(overlap(&events, zero, zero + ms(530)), ms(30));
        assert_eq!(current(&events).len(), 2);
    }

    #[test]
    fn who_takes_over_has_it_when_the_cable_is_gone_or_later() {
        for (rows, expected) in [
            (vec![(0, "a", What::Holds)], None),
            (
                vec![(0, "a", What::Holds), (130, "b", What::Holds)],
                Some(130),
            ),
            // The lab noted the cut after it had begun to count.
            (
                vec![(105, "b", What::Holds), (130, "c", What::Holds)],
                Some(105),
            ),
            // One that had been late to hear the owner.
            (vec![(90, "b", What::Holds), (95, "b", What::LetsGo)], None),
            (
                vec![
                    (90, "b", What::Holds),
                    (105, "b", What::LetsGo),
                    (140, "b", What::Holds),
                ],
                Some(140),
            ),
            // It had not let go, and is told again that it has it.
            (
                vec![(90, "b", What::Holds), (400, "b", What::Holds)],
                Some(100),
            ),
        ] {
            let (zero, mut events) = record(&rows);
            let struck = zero + ms(100);
            let took = taken_over(&events, "a", (struck, zero + ms(110)));
            assert_eq!(took, expected.map(|at| zero + ms(at)), "{rows:?}");
            events.retain(|event| event.host == "a");
            assert_eq!(taken_over(&events, "a", (struck, zero + ms(110))), None);
        }
    }

    #[test]
    fn a_renewal_changes_nothing() {
        let (_, events) = record(&[(0, "a", What::Holds), (400, "a", What::Holds)]);
        assert_eq!(spans(&events).len(), 1);
    }
}
