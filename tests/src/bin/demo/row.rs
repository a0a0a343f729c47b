//! One line of the demo's table: what was done, what was measured, whether it was in bounds.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lab::client::{Sum, sum};
use lab::group::Struck;
use lab::holders::{self, Event};
use lab::{prober, wait};

use crate::kubectl::Seen;
use crate::stage::Stage;

/// Two holders for longer than this are too many, at any time.
const OVERLAP: Duration = Duration::from_millis(10);

/// What a stretch of the programme must keep to. What is `None` is shown, not judged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// Requests opened after the fault and not answered.
    pub(crate) failed: Option<usize>,
    /// Long-lived connections that were cut.
    pub(crate) cuts: Option<usize>,
    /// The slowest answer.
    pub(crate) slowest: Option<Duration>,
    /// The longest time without an answered probe.
    pub(crate) outage: Option<Duration>,
    /// The time until the address is on another host.
    pub(crate) elsewhere: Option<Duration>,
}

/// One bound and how it fared.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) text: String,
    pub(crate) met: bool,
}

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) title: String,
    pub(crate) at: Instant,
    pub(crate) outage: Option<Duration>,
    pub(crate) sum: Sum,
    pub(crate) cuts: usize,
    pub(crate) holders: String,
    pub(crate) verdicts: Vec<Verdict>,
    /// How late the prober was, where that was too late to judge by it.
    pub(crate) disturbed: Option<Duration>,
}

impl Row {
    /// Whether every bound was kept.
    pub(crate) fn met(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.met)
    }

    /// Measures the stretch from the fault until now, `before` being the holder at its begin.
    pub(crate) fn measure(
        title: &str,
        stage: &Stage,
        struck: Struck,
        before: &str,
        limits: Limits,
    ) -> Self {
        let (at, to) = (struck.begun, Instant::now());
        let instruments = &stage.instruments;
        let ended = || {
            let asked = instruments.requests.requests(at, to);
            asked.iter().all(|r| r.ended.is_some()).then_some(asked)
        };
        // Requests that never end show as not answered below.
        let asked = wait::until("the end of the requests", Duration::from_secs(6), ended)
            .unwrap_or_else(|_| instruments.requests.requests(at, to));
        let events = stage.masters.timeline().events();
        // In flight at the fault: those open before it count too.
        let early = instruments
            .requests
            .requests(at - Duration::from_secs(2), at);
        let open = early
            .into_iter()
            .filter(|r| r.ended.is_none_or(|end| end >= at));
        let mut losses = vec![at..=struck.done];
        losses.extend(holders::moves(&events, at, to));
        let all: Vec<_> = open.chain(asked).collect();
        let sum = sum(&all, &losses);
        let probes = instruments.prober.probes(at, to);
        let outage = prober::outage(&probes);
        let late = prober::lateness(&probes);
        let cuts = instruments.watchers.cuts(at, to).len();
        let overlap = holders::overlap(&events, at, to);
        let elsewhere = elsewhere(&events, at, before);
        Self {
            title: title.to_owned(),
            at,
            outage: Some(outage),
            cuts,
            holders: path(&events, at, to),
            verdicts: limits.judge(&sum, cuts, outage, (overlap, elsewhere)),
            disturbed: (late > prober::GAP).then_some(late),
            sum,
        }
    }

    /// The line about kubectl: every ConfigMap that was created must have been seen.
    pub(crate) fn events(seen: &Seen, at: Instant) -> Self {
        let Seen {
            created,
            refused,
            watched,
            missing,
            resumed,
        } = seen;
        let text = format!(
            "{created} ConfigMaps created with kubectl ({refused} refused), {watched} seen by a \
             watch resumed {resumed} times, {} lost",
            missing.len()
        );
        Self {
            title: "kubectl through the address".into(),
            at,
            outage: None,
            sum: Sum::default(),
            cuts: *resumed,
            holders: String::new(),
            verdicts: vec![Verdict {
                text,
                met: missing.is_empty() && *created > 0,
            }],
            disturbed: None,
        }
    }
}

impl Limits {
    fn judge(
        self,
        sum: &Sum,
        cuts: usize,
        outage: Duration,
        (overlap, elsewhere): (Duration, Option<Duration>),
    ) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        if let Some(most) = self.failed {
            let failed = sum.failed;
            verdicts.push(verdict(format!("{failed} failed ≤ {most}"), failed <= most));
        }
        if let Some(most) = self.cuts {
            verdicts.push(verdict(format!("{cuts} cut ≤ {most}"), cuts <= most));
        }
        let mut time = |name: &str, took: Duration, most: Duration| {
            let text = format!("{name} {} ≤ {}", ms(took), ms(most));
            verdicts.push(verdict(text, took <= most));
        };
        if let Some(most) = self.slowest {
            time("slowest", sum.slowest, most);
        }
        if let Some(most) = self.outage {
            time("outage", outage, most);
        }
        if let Some(most) = self.elsewhere {
            time("elsewhere", elsewhere.unwrap_or(Duration::MAX), most);
        }
        time("overlap", overlap, OVERLAP);
        verdicts
    }
}

fn verdict(text: String, met: bool) -> Verdict {
    Verdict { text, met }
}

/// A time in milliseconds, with a digit where it matters.
pub(crate) fn ms(time: Duration) -> String {
    match time.as_micros() {
        _ if time == Duration::MAX => "never".into(),
        us if us < 100_000 => format!("{}.{} ms", us / 1000, us / 100 % 10),
        us => format!("{} ms", us / 1000),
    }
}

fn elsewhere(events: &[Event], at: Instant, before: &str) -> Option<Duration> {
    let spans = holders::spans(events);
    let moved = spans.iter().find(|span| {
        span.from >= at && span.holders.len() == 1 && !span.holders.contains(before)
    });
    moved.map(|span| span.from - at)
}

/// Who held it, in the order in which they took it.
fn path(events: &[Event], at: Instant, to: Instant) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut before = BTreeSet::new();
    for span in holders::spans(events) {
        if span.from < to && span.to.is_none_or(|end| end > at) {
            names.extend(span.holders.difference(&before).cloned());
            before = span.holders;
        }
    }
    names.dedup();
    names.join(" → ")
}
