//! Lines of one kind that come by the thousand, such as one per connection.
//!
//! They look like tracing's (a test compares them) and take the same queue, without its
//! machinery: no event, no visitor, one chunk of the queue for many lines.

use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use time::UtcDateTime;
use tracing::Level;

use super::Format;
use super::line::priority;
use super::queue::Queue;

/// Collects lines and queues them together.
#[derive(Debug)]
pub struct Lines {
    queue: Arc<Queue>,
    format: Format,
    journal: bool,
    text: Vec<u8>,
    count: usize,
    stamp: Stamp,
}

/// One line that is being written; it ends when this is dropped.
#[derive(Debug)]
pub struct Line<'a> {
    lines: &'a mut Lines,
    target: &'static str,
}

/// A second, as it was last written.
#[derive(Debug, Default)]
struct Stamp {
    second: u64,
    text: Vec<u8>,
}

impl Lines {
    pub(super) fn new(queue: &Arc<Queue>, format: Format, journal: bool) -> Self {
        Self {
            queue: Arc::clone(queue),
            format,
            journal,
            text: Vec::new(),
            count: 0,
            stamp: Stamp::default(),
        }
    }

    /// Begins a line. Whether its level is logged is for the caller to ask tracing.
    pub fn begin(
        &mut self,
        at: SystemTime,
        level: Level,
        target: &'static str,
        message: &'static str,
    ) -> Line<'_> {
        self.count += 1;
        if self.journal {
            put(&mut self.text, format_args!("<{}>", priority(level)));
        }
        match (self.format, self.journal) {
            (Format::Text, true) => {}
            (Format::Text, false) => {
                self.stamp.write(at, &mut self.text);
                put(&mut self.text, format_args!(" {level:>5} "));
            }
            (Format::Json, _) => {
                self.text.extend_from_slice(b"{\"timestamp\":\"");
                self.stamp.write(at, &mut self.text);
                put(
                    &mut self.text,
                    format_args!("\",\"level\":\"{level}\",\"message\":\""),
                );
            }
        }
        self.text.extend_from_slice(message.as_bytes());
        if self.format == Format::Json {
            self.text.push(b'"');
        }
        Line {
            lines: self,
            target,
        }
    }

    /// Hands what was collected to the thread that writes.
    pub fn send(&mut self) {
        if self.count > 0 {
            let next = Vec::with_capacity(self.text.len());
            let text = std::mem::replace(&mut self.text, next);
            self.queue.push_many(text, std::mem::take(&mut self.count));
        }
    }
}

impl Line<'_> {
    /// A number, or what reads like one.
    pub fn number(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.name(name);
        put(&mut self.lines.text, format_args!("{value}"));
        self
    }

    /// Seconds.
    pub fn seconds(&mut self, name: &str, value: std::time::Duration) -> &mut Self {
        self.name(name);
        put(
            &mut self.lines.text,
            format_args!("{:?}", value.as_secs_f64()),
        );
        self
    }

    /// A word: in quotes.
    pub fn word(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        match self.lines.format {
            Format::Text => put(&mut self.lines.text, format_args!("{value:?}")),
            // Cannot fail: the sink is memory, and text is always JSON.
            Format::Json => drop(serde_json::to_writer(&mut self.lines.text, value)),
        }
        self
    }

    /// Something that holds neither quotes nor control characters: an address.
    pub fn plain(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.name(name);
        match self.lines.format {
            Format::Text => put(&mut self.lines.text, format_args!("{value}")),
            Format::Json => put(&mut self.lines.text, format_args!("\"{value}\"")),
        }
        self
    }

    fn name(&mut self, name: &str) {
        match self.lines.format {
            Format::Text => put(&mut self.lines.text, format_args!(" {name}=")),
            Format::Json => put(&mut self.lines.text, format_args!(",\"{name}\":")),
        }
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        match self.lines.format {
            Format::Text => self.lines.text.push(b'\n'),
            Format::Json => put(
                &mut self.lines.text,
                format_args!(",\"target\":\"{}\"}}\n", self.target),
            ),
        }
    }
}

impl Stamp {
    /// As tracing does: RFC 3339, in microseconds.
    fn write(&mut self, at: SystemTime, into: &mut Vec<u8>) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.text.is_empty() || self.second != since.as_secs() {
            self.second = since.as_secs();
            self.text.clear();
            let date = UtcDateTime::from(at);
            put(
                &mut self.text,
                format_args!(
                    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
                    date.year(),
                    u8::from(date.month()),
                    date.day(),
                    date.hour(),
                    date.minute(),
                    date.second()
                ),
            );
        }
        into.extend_from_slice(&self.text);
        put(into, format_args!(".{:06}Z", since.subsec_micros()));
    }
}

/// Cannot fail: the sink is memory.
fn put(into: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    let _ = into.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{line, queue};
    use std::io::Read;
    use std::net::SocketAddr;
    use std::time::Duration;
    use tracing_subscriber::layer::SubscriberExt;

    const ADDRESS: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 6443);

    /// What is logged with tracing, and the same with [`Lines`].
    fn both(format: Format, journal: bool) -> (String, String) {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let queue = Queue::to(writer).unwrap();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(line::Fields::new(format))
            .event_format(line::Line::new(format, journal))
            .with_ansi(false)
            .with_writer(queue::Writer::new(&queue));
        let subscriber = tracing_subscriber::registry().with(layer);
        let took = Duration::from_micros(1_050);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(
                id = 7u64,
                client = %ADDRESS,
                name = "a\"b",
                lasted = took.as_secs_f64(),
                none = Option::<u64>::None,
                "connection"
            );
        });
        let mut lines = Lines::new(&queue, format, journal);
        lines
            .begin(SystemTime::now(), Level::INFO, module_path!(), "connection")
            .number("id", 7)
            .plain("client", ADDRESS)
            .word("name", "a\"b")
            .seconds("lasted", took);
        lines.send();
        drop(lines);
        queue.finish();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let (one, other) = text.split_once('\n').unwrap();
        (one.to_owned(), other.trim_end_matches('\n').to_owned())
    }

    /// The two were not logged at the same microsecond.
    fn without_time(line: &str) -> String {
        let Some(end) = line.find('Z') else {
            return line.to_owned();
        };
        let begin = end - "2026-01-01T00:00:00.000000".len();
        let (head, tail) = (&line[..begin], &line[end..]);
        format!("{head}{tail}")
    }

    #[test]
    fn they_look_like_those_of_tracing() {
        for (format, journal) in [
            (Format::Text, false),
            (Format::Text, true),
            (Format::Json, false),
            (Format::Json, true),
        ] {
            let (one, other) = both(format, journal);
            assert_eq!(without_time(&one), without_time(&other));
        }
    }

    #[test]
    fn a_stamp_is_the_time() {
        let mut stamp = Stamp::default();
        for (at, expected) in [
            (Duration::ZERO, "1970-01-01T00:00:00.000000Z"),
            (
                Duration::from_micros(999_999),
                "1970-01-01T00:00:00.999999Z",
            ),
            (
                Duration::from_secs(951_782_400),
                "2000-02-29T00:00:00.000000Z",
            ),
            (
                Duration::from_millis(1_767_225_599_001),
                "2025-12-31T23:59:59.001000Z",
            ),
        ] {
            let mut text = Vec::new();
            stamp.write(UNIX_EPOCH + at, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }
}
