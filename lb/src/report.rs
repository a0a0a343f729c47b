//! What the workers say, as log lines. Owns a thread of its own, so that a log that does
//! not keep up delays neither checks nor traffic; ends when the last worker has gone.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use daemon::limit::{Limiter, Verdict};
use tokio::sync::{mpsc, watch};

use crate::pool::{ListenerId, ServerId};
use crate::roster::View;
use crate::worker::{End, Event, Record};

/// Dials and accepts can fail thousands of times a second; the counters have them all.
const BURST: u32 = 5;
const WINDOW: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Dial(ServerId),
    Accept(ListenerId),
}

/// Begins to log events.
///
/// # Errors
/// When the system gives no thread.
pub fn begin(
    mut events: mpsc::Receiver<Event>,
    view: watch::Receiver<Arc<View>>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("report".to_owned())
        .spawn(move || {
            let mut limiter = Limiter::new(BURST, WINDOW);
            while let Some(event) = events.blocking_recv() {
                report(&event, &view, &mut limiter);
            }
        })
}

fn report(
    event: &Event,
    view: &watch::Receiver<Arc<View>>,
    limiter: &mut Limiter<Class>,
) {
    match event {
        Event::Ended(record) => ended(record),
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

macro_rules! line {
    ($level:ident, $record:expr) => {
        tracing::$level!(
            id = $record.id.0,
            client = %$record.client,
            bind = %$record.bind,
            frontend = &*$record.frontend,
            backend = &*$record.backend,
            server = $record.server.as_deref(),
            source = $record.source.map(tracing::field::display),
            dials = $record.attempts,
            connected = $record.connected_after.map(|time| time.as_secs_f64()),
            firstByte = $record.first_byte_after.map(|time| time.as_secs_f64()),
            lasted = $record.lasted.as_secs_f64(),
            sent = $record.sent,
            received = $record.received,
            end = $record.end.name(),
            "connection"
        )
    };
}

/// One line per connection; those whose client got nothing stand out.
fn ended(record: &Record) {
    match record.end {
        End::NoServer
        | End::DialFailed
        | End::DialBudget
        | End::QueueFull
        | End::QueueTimeout
        | End::NoResources => line!(warn, record),
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
        | End::Shutdown => line!(info, record),
    }
}
