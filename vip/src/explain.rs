//! Why this node holds its addresses, or does not, in sentences. Pure: what is known goes
//! in, words come out.

use std::cmp::Ordering;
use std::time::Duration;

use probe::Verdict;
use tokio::time::Instant;
use vrrp::State;
use vrrp::fsm::Reason;

use crate::config::{Effect, Preempt, Router};
use crate::driver::Record;
use crate::track::{Out, Seen};

/// Explains `router` as it is at `now`.
#[must_use]
pub fn explain(
    router: &Router,
    record: &Record,
    tracks: &[Seen],
    now: Instant,
) -> Vec<String> {
    let since = ago(record.since, now);
    let why = reason(record.reason);
    let mut words = vec![match record.state {
        State::Active => format!("It holds the addresses since {since}: {why}."),
        State::Backup => format!("It does not hold the addresses since {since}: {why}."),
        State::Fault => format!("It cannot take part since {since}: {why}."),
        State::Initialize => "It has not started.".to_owned(),
    }];
    words.extend(standing(router, record));
    words.extend(checks(router, tracks));
    words.extend(others(router, record, now));
    if !record.waits_for.is_empty() {
        let (group, names) = (router.sync_group.as_deref(), record.waits_for.join(", "));
        words.push(format!(
            "It would take the addresses, and waits for the others of sync group {}: \
             {names}.",
            group.unwrap_or_default()
        ));
    }
    if let Some(lacks) = &record.lacks {
        words.push(format!("It waits until that is there: {lacks}."));
    } else if !record.running {
        words.push(format!("Interface {} is down or gone.", router.interface));
    }
    for address in &record.unanswered {
        words.push(format!(
            "Another router advertises {address}, and nobody answers for it: look at the \
             network between, and at that router's interface."
        ));
    }
    for address in &record.foreign {
        words.push(format!(
            "Another's hand has put {address} on this host: it is answered for whatever \
             the router does."
        ));
    }
    for (deed, error) in &record.failing {
        words.push(format!("The kernel refuses to {deed}: {error}."));
    }
    if let Some(alarm) = record.alarm(now) {
        let (what, when) = (&alarm.what, ago(alarm.at, now));
        words.push(format!(
            "A peer is configured otherwise: {what}, last {when} ago."
        ));
    }
    words
}

/// What an interval as short as this router's would need, and was `refused`.
#[must_use]
pub fn hasty(router: &Router, refused: &str) -> Option<String> {
    router.needs_realtime().then(|| {
        format!(
            "Adverts every {} are not safe here: the kernel gives no real-time scheduling \
             ({refused}), and a busy machine then moves the addresses. Give CAP_SYS_NICE \
             (the unit does), or write 30ms or more.",
            router.interval
        )
    })
}

/// The priority, and what makes it so.
fn standing(router: &Router, record: &Record) -> Option<String> {
    let (priority, base) = (record.priority, router.priority);
    match record.out {
        Some(Out::Released) => Some(
            "It was released: it takes the addresses only if nobody else does, until \
             `vip-daemon release --resume`."
                .to_owned(),
        ),
        Some(Out::Together) => Some(
            "Another router of its sync group stays out: it takes the addresses only if \
             nobody else does."
                .to_owned(),
        ),
        Some(Out::Fault) => Some(
            "A check without a weight fails: it takes the addresses only if nobody else \
             does."
                .to_owned(),
        ),
        Some(Out::Undecided) => Some(
            "A check without a weight has no answer yet: it takes the addresses only if \
             nobody else does."
                .to_owned(),
        ),
        None if priority == base => Some(format!("Its priority is {base}.")),
        None => Some(format!(
            "Its priority is {priority}: {base} as configured, changed by its checks."
        )),
    }
}

fn checks(router: &Router, tracks: &[Seen]) -> Vec<String> {
    let all = router.tracks.iter().zip(tracks);
    let failing = all.filter(|(_, seen)| seen.verdict != Some(Verdict::Up));
    failing
        .map(|(track, seen)| {
            let name = track.target.name();
            let outcome = seen
                .last
                .as_ref()
                .map_or("no answer yet", |last| last.outcome);
            match seen.effect {
                Effect::Fault => format!("Check {name} fails ({outcome})."),
                Effect::Weight(weight) if weight < 0 => {
                    format!("Check {name} fails ({outcome}), which takes {}.", -weight)
                }
                Effect::Weight(weight) => {
                    format!("Check {name} fails ({outcome}); passed, it adds {weight}.")
                }
            }
        })
        .collect()
}

/// What is heard of others, and what that means.
fn others(router: &Router, record: &Record, now: Instant) -> Option<String> {
    if let Some(rival) = record.held_back_by(now) {
        let (from, when) = (rival.from, ago(rival.at, now));
        return Some(format!(
            "It holds back: {from} advertises its addresses, last heard {when} ago, and is \
             configured otherwise, so that nobody could decide between the two."
        ));
    }
    let heard = record.heard.as_ref();
    let Some(heard) = heard.filter(|heard| heard.is_fresh(now)) else {
        return match record.state {
            // Who it is stands there.
            State::Active if record.alarm(now).is_some() => None,
            State::Active => Some("No other router advertises.".to_owned()),
            State::Backup => {
                Some("No other router advertises: it is about to take over.".to_owned())
            }
            State::Fault | State::Initialize => None,
        };
    };
    let (from, theirs) = (heard.from, heard.priority);
    let when = ago(heard.at, now);
    let heard = format!("{from} advertises priority {theirs}, last heard {when} ago");
    Some(match (record.state, theirs.cmp(&record.priority)) {
        (State::Backup, Ordering::Greater) => format!("{heard}: that is higher."),
        (State::Backup, Ordering::Equal) => {
            format!("{heard}: as high as ours, and who holds the addresses keeps them.")
        }
        (State::Backup, Ordering::Less) => {
            let left = match (record.reason, router.preempt) {
                (_, Preempt::Never) => "preempt is false, so it is left alone",
                (Reason::Yielded, Preempt::After(_)) => {
                    "it was given the addresses on purpose, and is left alone for a while"
                }
                (_, Preempt::After(delay)) if !delay.is_zero() => {
                    "preemptDelay has to pass first"
                }
                (_, Preempt::After(_)) => "it is about to be displaced",
            };
            format!("{heard}: that is lower, but {left}.")
        }
        (State::Active, _) => format!("{heard}: one of the two has to yield."),
        (State::Fault | State::Initialize, _) => format!("{heard}."),
    })
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Started => "it started",
        Reason::Stopped => "it is stopped",
        Reason::ActiveDown => "the router that held them fell silent for a down interval",
        Reason::ActiveReleased => "the router that held them let go of them",
        Reason::Preempted => "the router that held them has a lower priority",
        Reason::NobodyElse => "nobody else was heard when it had listened again",
        Reason::HigherPriority => "another router advertised a higher priority",
        Reason::HigherAddress => {
            "another router advertised the same priority from a higher address"
        }
        Reason::Late => "it woke so late that another may have taken over",
        Reason::Fault => "its link or its source address was lost",
        Reason::Recovered => "the fault is over",
        Reason::AddressLost => "somebody took the addresses away again and again",
        Reason::Yielded => "it gave them away, as it was told to or as a check failed",
        Reason::HandedOver => "the router that held them handed them over",
        Reason::Together => "it moved with the other routers of its sync group",
        Reason::StrangerFirst => {
            "a router that is configured otherwise had them before, and is not displaced"
        }
    }
}

fn ago(at: Instant, now: Instant) -> String {
    let past = now.saturating_duration_since(at);
    match past.as_secs() {
        0 => format!("{} ms", past.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds if past < Duration::from_secs(7200) => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::driver::{Complaint, Heard};
    use crate::track::Last;
    use vrrp::{AdvertInterval, Priority};

    fn router(more: &str) -> Router {
        let text = format!(
            "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n- {{name: api, \
             interface: eth0, vrid: 51, priority: 200, addresses: [10.55.0.100], \
             track: [{{tcp: {{address: '127.0.0.1:1'}}, weight: -120}}]{more}}}\n"
        );
        Config::parse("test", &text).unwrap().routers.remove(0)
    }

    fn seen(verdict: Verdict) -> Vec<Seen> {
        let (outcome, took) = ("refused", Duration::ZERO);
        vec![Seen {
            effect: Effect::Weight(-120),
            verdict: Some(verdict),
            last: Some(Last { outcome, took }),
        }]
    }

    fn record(state: State, priority: u8, theirs: Option<u8>, now: Instant) -> Record {
        let mut record = Record::new(Priority::new(priority), now);
        record.state = state;
        record.running = true;
        record.reason = Reason::ActiveDown;
        record.heard = theirs.map(|theirs| Heard {
            from: [10, 55, 0, 12].into(),
            priority: Priority::new(theirs),
            interval: AdvertInterval::DEFAULT,
            at: now,
        });
        record
    }

    type Situation = (State, u8, Option<u8>, Verdict, &'static str, &'static str);

    /// State, priority, what is heard, the check, more configuration, and the words.
    #[rustfmt::skip]
    const SITUATIONS: [Situation; 13] = [
        (State::Active, 200, None, Verdict::Up, "", "holds the addresses since 3 s"),
        (State::Active, 200, None, Verdict::Up, "", "No other router advertises."),
        (State::Active, 200, Some(100), Verdict::Up, "", "one of the two has to yield"),
        (State::Backup, 200, None, Verdict::Up, "", "about to take over"),
        (State::Backup, 200, Some(250), Verdict::Up, "", "that is higher"),
        (State::Backup, 200, Some(200), Verdict::Up, "", "as high as ours"),
        (State::Backup, 200, Some(100), Verdict::Up, "", "about to be displaced"),
        (State::Backup, 200, Some(100), Verdict::Up, ", preempt: false", "preempt is false"),
        (State::Backup, 200, Some(100), Verdict::Up, ", preemptDelay: 5s", "has to pass"),
        (State::Backup, 80, Some(100), Verdict::Down, "", "priority is 80: 200 as configured"),
        (State::Backup, 80, Some(100), Verdict::Down, "", "1 fails (refused), which takes 120"),
        (State::Fault, 200, None, Verdict::Up, "", "cannot take part since 3 s"),
        (State::Initialize, 200, None, Verdict::Up, "", "has not started"),
    ];

    #[test]
    fn each_situation_has_its_words() {
        let start = Instant::now();
        let now = start + Duration::from_secs(3);
        for row in SITUATIONS {
            let (state, priority, theirs, verdict, more, words) = row;
            let record = record(state, priority, theirs, start);
            let told = explain(&router(more), &record, &seen(verdict), now);
            let told = told.join("\n");
            assert!(
                told.contains(words),
                "{state}: wanted {words}, told:\n{told}"
            );
            assert_eq!(told.contains("fails"), verdict == Verdict::Down, "{told}");
        }
    }

    #[test]
    fn an_interval_that_is_not_safe_is_said_with_the_way_out() {
        for (interval, needs) in [("20ms", true), ("30ms", false)] {
            let router = router(&format!(", advertInterval: {interval}"));
            let told = hasty(&router, "no right");
            assert_eq!(told.is_some(), needs, "{interval}");
            let words = told.unwrap_or_default();
            assert_eq!(words.contains("(no right)"), needs, "{words}");
        }
    }

    #[test]
    fn who_is_held_back_from_is_said_until_it_is_silent() {
        let now = Instant::now();
        let mut record = record(State::Backup, 200, Some(100), now);
        record.rival = record.heard.take();
        for (later, words) in [(3999, "It holds back: 10.55.0.12"), (4000, "take over")] {
            let at = now + Duration::from_millis(later);
            let told = explain(&router(""), &record, &seen(Verdict::Up), at).join("\n");
            assert!(
                told.contains(words),
                "{later}: wanted {words}, told:\n{told}"
            );
            assert_eq!(told.contains("about to take over"), later == 4000);
        }
    }

    #[test]
    fn what_is_waited_for_is_said_instead_of_a_link_that_is_down() {
        let mut record = record(State::Fault, 200, None, Instant::now());
        (record.running, record.lacks) = (false, Some("no interface eth7".to_owned()));
        let told = explain(&router(""), &record, &seen(Verdict::Up), Instant::now());
        let told = told.join("\n");
        assert!(
            told.contains("until that is there: no interface eth7."),
            "{told}"
        );
        assert!(!told.contains("is down or gone"), "{told}");
    }

    #[test]
    fn what_needs_a_person_is_said() {
        let now = Instant::now();
        let mut record = record(State::Backup, 1, Some(100), now);
        record.out = Some(Out::Released);
        record.unanswered = vec![[10, 55, 0, 101].into()];
        record.waits_for = vec!["inside".to_owned()];
        record.running = false;
        let what = "10.55.0.13: another password".to_owned();
        record.complaint = Some(Complaint::now(what, AdvertInterval::DEFAULT));
        record.foreign = vec!["10.55.0.100/24".parse().unwrap()];
        record.failing.insert("renew", "no".to_owned());
        let told = explain(&router(""), &record, &seen(Verdict::Up), now).join("\n");
        for words in [
            "release --resume",
            "sync group : inside",
            "advertises 10.55.0.101, and nobody answers",
            "Interface eth0 is down",
            "10.55.0.13: another password",
            "has put 10.55.0.100/24",
            "refuses to renew: no",
        ] {
            assert!(told.contains(words), "wanted {words}, told:\n{told}");
        }
    }
}
