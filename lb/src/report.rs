//! What the workers say, as log lines. Owns a thread of its own, so that a log that does
//! not keep up delays neither checks nor traffic; ends when the last worker has gone.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use daemon::limit::{Limiter, Verdict};
use daemon::log::Lines;
use tokio::sync::{mpsc, watch};
use tracing::Level;

use crate::admit::Bucket;
use crate::config::Switch;
use crate::pool::{ListenerId, ServerId};
use crate::recorder::Recorder;
use crate::roster::View;
use crate::trail::Trail;
use crate::worker::{End, Event, Record};

/// Dials and accepts can fail thousands of times a second; the counters have them all.
const BURST: u32 = 5;
const WINDOW: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Dial(ServerId),
    Accept(ListenerId),
    /// Clients that were not let in; a flood of them is one kind of news.
    Refused(End),
}

/// Of each end, how many lines may be written.
#[derive(Debug)]
struct Pace {
    rate: Option<NonZeroU32>,
    epoch: Instant,
    /// By the ends' places: the bucket, and how many lines were left out since the last.
    ends: [(Bucket, u64); End::ALL.len()],
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rate: None,
            epoch: Instant::now(),
            ends: [(Bucket::default(), 0); End::ALL.len()],
        }
    }
}

impl Pace {
    fn admit(&mut self, end: End) -> Verdict {
        let now = self.epoch.elapsed();
        self.at(end, now)
    }

    fn at(&mut self, end: End, now: Duration) -> Verdict {
        let (Some(rate), Some((bucket, suppressed))) =
            (self.rate, self.ends.get_mut(end.index()))
        else {
            return Verdict::Say { suppressed: 0 };
        };
        match bucket.take(rate, now) {
            Ok(taken) => {
                *bucket = taken;
                let suppressed = std::mem::take(suppressed);
                Verdict::Say { suppressed }
            }
            Err(_) => {
                *suppressed += 1;
                Verdict::Hush
            }
        }
    }
}

/// Begins to log events.
///
/// # Errors
/// When the system gives no thread.
pub fn begin(
    mut events: mpsc::Receiver<Event>,
    view: watch::Receiver<Arc<View>>,
    mut lines: Lines,
    (trail, recorder): (Arc<Mutex<Trail>>, Arc<Recorder>),
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("report".to_owned())
        .spawn(move || {
            let mut limiter = Limiter::new(BURST, WINDOW);
            let mut pace = Pace::default();
            while let Some(event) = events.blocking_recv() {
                if let Event::Ended(records) = &event {
                    remember(records, &view, &trail);
                }
                let is_end = matches!(event, Event::Ended(_));
                if !is_end || view.borrow().log_connections == Switch::On {
                    report(&event, &view, &mut limiter, &mut pace, &mut lines);
                }
                record(event, view.borrow().flight_connections, &recorder);
            }
        })
}

fn remember(records: &[Record], view: &watch::Receiver<Arc<View>>, trail: &Mutex<Trail>) {
    if let Some(memory) = view.borrow().who {
        let mut trail = trail.lock().unwrap_or_else(PoisonError::into_inner);
        records
            .iter()
            .for_each(|record| trail.note(record, &memory));
    }
}

/// What is told is kept for a while.
fn record(event: Event, connections: Switch, recorder: &Recorder) {
    match event {
        Event::Ended(records) => match connections {
            Switch::On => recorder.ended(records),
            Switch::Off => {}
        },
        Event::DialFailed { server, kind } => {
            recorder.dial(server, kind, SystemTime::now());
        }
        Event::AcceptFailed { .. } => {}
    }
}

fn report(
    event: &Event,
    view: &watch::Receiver<Arc<View>>,
    limiter: &mut Limiter<Class>,
    pace: &mut Pace,
    lines: &mut Lines,
) {
    match event {
        Event::Ended(records) => {
            pace.rate = view.borrow().log_rate;
            ended(records, limiter, pace, lines);
        }
        Event::DialFailed { server, kind } => {
            if let Verdict::Say { suppressed } =
                limiter.admit(Class::Dial(*server), Instant::now())
            {
                let view = view.borrow().clone();
                let (backend, server) = view.server(*server).unwrap_or(("", "removed"));
                tracing::warn!(backend, server, error = %kind, suppressed, "dial failed");
            }
        }
        Event::AcceptFailed { listener, error } => {
            if let Verdict::Say { suppressed } =
                limiter.admit(Class::Accept(*listener), Instant::now())
            {
                let view = view.borrow().clone();
                let listeners = view.frontends.iter().flat_map(|front| &front.listeners);
                let bind = listeners
                    .filter(|l| l.id == *listener)
                    .map(|l| l.address)
                    .next();
                let bind = bind.map(tracing::field::display);
                tracing::warn!(bind, %error, suppressed, "accept failed; trying on");
            }
        }
    }
}

/// One line per connection; those whose client got nothing stand out. Of those that were not
/// let in, a few of each kind: a client that runs wild must not fill the log.
fn ended(
    records: &[Record],
    limiter: &mut Limiter<Class>,
    pace: &mut Pace,
    lines: &mut Lines,
) {
    let (informs, warns) = (
        tracing::enabled!(Level::INFO),
        tracing::enabled!(Level::WARN),
    );
    let now = SystemTime::now();
    for record in records {
        match weight_of(record.end) {
            Weight::Refused if warns => {
                let class = Class::Refused(record.end);
                if let Verdict::Say { suppressed } = limiter.admit(class, Instant::now())
                {
                    line(record, Level::WARN, now, some(suppressed), lines);
                }
            }
            Weight::Failed if warns => {
                if let Verdict::Say { suppressed } = pace.admit(record.end) {
                    line(record, Level::WARN, now, some(suppressed), lines);
                }
            }
            Weight::Served if informs => {
                if let Verdict::Say { suppressed } = pace.admit(record.end) {
                    line(record, Level::INFO, now, some(suppressed), lines);
                }
            }
            Weight::Refused | Weight::Failed | Weight::Served => {}
        }
    }
    lines.send();
}

fn some(suppressed: u64) -> Option<u64> {
    (suppressed > 0).then_some(suppressed)
}

fn line(
    record: &Record,
    level: Level,
    now: SystemTime,
    suppressed: Option<u64>,
    lines: &mut Lines,
) {
    let mut line = lines.begin(now, level, module_path!(), "connection");
    line.number("id", record.id.0)
        .plain("client", record.client)
        .plain("bind", record.bind)
        .word("frontend", &record.frontend)
        .word("backend", &record.backend);
    if let Some(server) = &record.server {
        line.word("server", server);
    }
    if let Some(source) = record.source {
        line.plain("source", source);
    }
    line.number("dials", record.attempts);
    if let Some(connected) = record.connected_after {
        line.seconds("connected", connected);
    }
    if let Some(first_byte) = record.first_byte_after {
        line.seconds("firstByte", first_byte);
    }
    line.seconds("lasted", record.lasted)
        .number("sent", record.sent)
        .number("received", record.received)
        .word("flags", record.end.flags(record.stood))
        .word("end", record.end.name());
    if let Some(suppressed) = suppressed {
        line.number("suppressed", suppressed);
    }
}

/// What a connection's end says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// The client was not let in.
    Refused,
    /// The client got nothing.
    Failed,
    /// The client had a server.
    Served,
}

fn weight_of(end: End) -> Weight {
    match end {
        End::Denied
        | End::SourceConnections
        | End::SourceRate
        | End::FrontendConnections
        | End::FrontendRate
        | End::ProcessConnections
        | End::BadProxyHeader
        | End::NoProxyHeader
        | End::NoHello
        | End::NotTls => Weight::Refused,
        End::NoServer
        | End::DialFailed
        | End::DialBudget
        | End::QueueFull
        | End::QueueTimeout
        | End::NoResources => Weight::Failed,
        End::ClientClosed
        | End::ServerClosed
        | End::ClientReset
        | End::ServerReset
        | End::ClientGone
        | End::ServerGone
        | End::ClientAborted
        | End::ServerUnreachable
        | End::ServerHung
        | End::Idle
        | End::Rebalanced
        | End::Killed
        | End::Shutdown => Weight::Served,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::Stood;

    #[test]
    fn each_end_has_a_pace_of_its_own() {
        let mut pace = Pace {
            rate: NonZeroU32::new(2),
            ..Pace::default()
        };
        let say = |suppressed| Verdict::Say { suppressed };
        for (end, millis, expected) in [
            (End::ClientClosed, 0, say(0)),
            (End::ClientClosed, 0, say(0)),
            (End::ClientClosed, 0, Verdict::Hush),
            (End::ClientClosed, 499, Verdict::Hush),
            (End::ServerReset, 499, say(0)),
            (End::ClientClosed, 500, say(2)),
            (End::ClientClosed, 500, Verdict::Hush),
        ] {
            let verdict = pace.at(end, Duration::from_millis(millis));
            assert_eq!(verdict, expected, "{end:?} {millis}");
        }
        pace.rate = None;
        assert_eq!(pace.admit(End::ClientClosed), say(0));
    }

    #[test]
    fn every_end_has_two_letters() {
        use Stood::{Connect, Data, Queue, Request};
        for end in End::ALL {
            for stood in [Request, Queue, Connect, Data] {
                let flags = end.flags(stood);
                assert_eq!(flags.len(), 2);
                assert_eq!(flags == "--", end.is_orderly(), "{end:?}");
            }
        }
        for (end, stood, expected) in [
            (End::ClientAborted, Request, "CR"),
            (End::ClientAborted, Queue, "CQ"),
            (End::ClientAborted, Connect, "CC"),
            (End::Killed, Queue, "KQ"),
            (End::Killed, Data, "KD"),
            (End::Shutdown, Data, "PD"),
            (End::QueueTimeout, Queue, "sQ"),
        ] {
            assert_eq!(end.flags(stood), expected);
        }
    }
}
