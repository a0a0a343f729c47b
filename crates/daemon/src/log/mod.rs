//! Logs to stderr, stdout, the journal or syslog: text or JSON, with levels where those read.
//!
//! ```text
//! tracing ──filter──▶ line (text, JSON; level for journald) ──▶ queue ──thread──▶ target
//! by the thousand ──▶ lines (the same look, many at once) ────────┘
//!                                                        full: dropped, counted
//! ```
//!
//! Whoever logs never waits: a full pipe or a stopped journald must not hold back an
//! advert. [`init`] is called once, by `main`.

mod line;
mod lines;
mod queue;
mod target;

pub use lines::{Line, Lines};
pub use target::{Target, TargetError};

use crate::metrics::Text;
use queue::Queue;
use serde::Deserialize;
use std::env;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// How a line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// For people: `2026-01-01T00:00:00.000000Z  INFO listening address=…`.
    #[default]
    Text,
    /// For machines: one object per line.
    Json,
}

/// The `log` section of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Settings {
    /// How a line looks.
    pub format: Format,
    /// What is logged: a level (`info`) or levels by part (`info,vrrp=debug`).
    pub level: String,
    /// Where lines go; standard error unless a daemon says otherwise.
    #[serde(skip)]
    pub target: Target,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            format: Format::Text,
            level: "info".to_owned(),
            target: Target::Stderr,
        }
    }
}

/// The running log. Dropped, it writes what is queued (for at most a second) and ends.
#[must_use = "dropped at once, nothing is logged"]
#[derive(Debug)]
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    queue: Arc<Queue>,
    format: Format,
    journal: bool,
}

/// Why logging could not begin or change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The level is no filter; printed after the text in quotes.
    #[error(
        "is not a log level; allowed: error, warn, info, debug, trace, or by part: \"info,vrrp=debug\""
    )]
    Level,
    /// Something logs already, or no longer.
    #[error("logging was begun before")]
    Twice,
    /// The thread that writes could not be started.
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(io::ErrorKind),
}

/// Whether `level` is one: for checking a file before it runs.
///
/// # Errors
/// [`LogError::Level`].
pub fn check_level(level: &str) -> Result<(), LogError> {
    filter(level).map(|_| ())
}

/// Begins to log for the whole process.
///
/// # Errors
/// See [`LogError`].
pub fn init(settings: &Settings) -> Result<Log, LogError> {
    let (filter, handle) = reload::Layer::new(filter(&settings.level)?);
    let target = &settings.target;
    let journal = target.is_marked() || (*target == Target::Stderr && journal_reads());
    let queue = Queue::with(|dropped| target.open(dropped));
    let queue = queue.map_err(|error| LogError::Thread(error.kind()))?;
    let lines = fmt::layer()
        .fmt_fields(line::Fields::new(settings.format))
        .event_format(line::Line::new(settings.format, journal))
        .with_ansi(false)
        .with_writer(queue::Writer::new(&queue));
    let subscriber = Registry::default().with(filter).with(lines);
    subscriber.try_init().map_err(|_| LogError::Twice)?;
    Ok(Log {
        filter: handle,
        queue,
        format: settings.format,
        journal,
    })
}

impl Log {
    /// Changes what is logged, as on reload.
    ///
    /// # Errors
    /// The level is no filter; what was logged before still is.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        self.filter
            .reload(filter(level)?)
            .map_err(|_| LogError::Twice)
    }

    /// For lines of one kind that come by the thousand.
    pub fn lines(&self) -> Lines {
        Lines::new(&self.queue, self.format, self.journal)
    }

    /// Writes what is queued, for at most a second, and nothing more after that: another
    /// program is about to take this one's place.
    pub fn finish(&self) {
        self.queue.finish();
    }

    /// Lines thrown away because whoever reads the log did not take them.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// Adds the log's metrics, whose names begin with `prefix` (`api_lb`).
    pub fn metrics(&self, prefix: &str, out: &mut Text) {
        let name = format!("{prefix}_log_lines_dropped_total");
        let help =
            "Log lines thrown away because whoever reads the log did not take them.";
        out.counter(&name, help).sample(&[], self.dropped());
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.finish();
    }
}

/// `RUST_LOG`'s language, without its lenience: `EnvFilter` takes any word for the
/// name of a part, so a mistyped level would silence everything.
fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let level: String = level.split_whitespace().collect();
    let known =
        |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word);
    let mut directives = level.split(',');
    let sound = directives.all(|directive| match directive.rsplit_once('=') {
        Some((part, level)) => !part.is_empty() && known(level),
        None => known(directive),
    });
    if !sound {
        return Err(LogError::Level);
    }
    EnvFilter::builder()
        .parse(level)
        .map_err(|_| LogError::Level)
}

/// Whether stderr is the journal: `JOURNAL_STREAM` names its device and inode, which
/// a child with another stderr inherits too.
fn journal_reads() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    std::fs::metadata("/proc/self/fd/2")
        .is_ok_and(|file| stream == format!("{}:{}", file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for level in [
            "info",
            "off",
            "info,vrrp=debug",
            "warn, vrrp=trace",
            "vip_daemon::claim=debug",
        ] {
            assert_eq!(check_level(level), Ok(()), "{level}");
        }
        for level in [
            "",
            "inof",
            "INFO!",
            "info,",
            "vrrp=",
            "=debug",
            "vrrp=loud",
            "info,vrrp",
        ] {
            assert_eq!(check_level(level), Err(LogError::Level), "{level}");
        }
    }
}
