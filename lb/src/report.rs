//! What the workers say, as log lines. Owns a thread of its own, so that a log that does
//! not keep up delays neither checks nor traffic; ends when the last worker has gone.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use daemon::limit::{Limiter, Verdict};
use daemon::log::Lines;
use tokio::sync::{mpsc, watch};
use tracing::Level;

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
            while let Some(event) = events.blocking_recv() {
                if let Event::Ended(records) = &event {
                    remember(records, &view, &trail);
                }
                let is_end = matches!(event, Event::Ended(_));
                if !is_end || view.borrow().log_connections == Switch::On {
                    report(&event, &view, &mut limiter, &mut lines);
                }
                record(event, &recorder);
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
fn record(event: Event, recorder: &Recorder) {
    match event {
        Event::Ended(records) => recorder.ended(records),
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
    lines: &mut Lines,
) {
    match event {
        Event::Ended(records) => ended(records, limiter, lines),
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
fn ended(records: &[Record], limiter: &mut Limiter<Class>, lines: &mut Lines) {
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
                    line(record, Level::WARN, now, Some(suppressed), lines);
                }
            }
            Weight::Failed if warns => line(record, Level::WARN, now, None, lines),
            Weight::Served if informs => line(record, Level::INFO, now, None, lines),
            Weight::Refused | Weight::Failed | Weight::Served => {}
        }
    }
    lines.send();
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
        | End::Killed
        | End::Shutdown => Weight::Served,
    }
}
