//! How one event becomes one line.

use crate::log::Format;
use std::fmt;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{
    self, DefaultFields, FormatEvent, FormatFields, Full, Json, JsonFields, Writer,
};
use tracing_subscriber::fmt::{FmtContext, time::SystemTime};
use tracing_subscriber::registry::LookupSpan;

/// The fields of an event in one of the formats.
pub(super) enum Fields {
    Text(DefaultFields),
    Json(JsonFields),
}

impl Fields {
    pub(super) fn new(format: Format) -> Self {
        match format {
            Format::Text => Self::Text(DefaultFields::new()),
            Format::Json => Self::Json(JsonFields::new()),
        }
    }
}

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(
        &self,
        writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        match self {
            Self::Text(text) => text.format_fields(writer, fields),
            Self::Json(json) => json.format_fields(writer, fields),
        }
    }
}

/// One line in one of the formats, after journald's mark of its level.
pub(super) struct Line {
    journal: bool,
    shape: Shape,
}

enum Shape {
    Text(format::Format<Full, SystemTime>),
    /// The journal has the time and the level.
    Bare(format::Format<Full, ()>),
    Json(format::Format<Json, SystemTime>),
}

impl Line {
    pub(super) fn new(format: Format, journal: bool) -> Self {
        let shape = match format {
            Format::Text if journal => Shape::Bare(
                format::format()
                    .without_time()
                    .with_level(false)
                    .with_target(false),
            ),
            Format::Text => Shape::Text(format::format().with_target(false)),
            Format::Json => Shape::Json(format::format().json().flatten_event(true)),
        };
        Self { journal, shape }
    }
}

impl<S> FormatEvent<S, Fields> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Fields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.journal {
            write!(writer, "<{}>", priority(*event.metadata().level()))?;
        }
        match &self.shape {
            Shape::Text(text) => text.format_event(context, writer, event),
            Shape::Bare(bare) => bare.format_event(context, writer, event),
            Shape::Json(json) => json.format_event(context, writer, event),
        }
    }
}

/// syslog's number for a level, as `sd-daemon(3)` has it.
pub(super) fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::queue::{Queue, Writer as Lines};
    use std::io::Read;
    use tracing_subscriber::layer::SubscriberExt;

    fn written(format: Format, journal: bool) -> String {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let queue = Queue::to(writer).unwrap();
        let lines = tracing_subscriber::fmt::layer()
            .fmt_fields(Fields::new(format))
            .event_format(Line::new(format, journal))
            .with_ansi(false)
            .with_writer(Lines::new(&queue));
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(address = "10.0.0.1:6443", "listening");
            tracing::error!(error = %"a\nb", "broken");
        });
        queue.finish();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn journal_lines_have_a_level_and_no_time() {
        assert_eq!(
            written(Format::Text, true),
            "<6>listening address=\"10.0.0.1:6443\"\n<3>broken error=a\\nb\n"
        );
    }

    #[test]
    fn text_lines_have_time_and_level() {
        let text = written(Format::Text, false);
        let first = text.lines().next().unwrap();
        assert!(
            first.ends_with("Z  INFO listening address=\"10.0.0.1:6443\""),
            "{first}"
        );
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn json_lines_are_objects() {
        let text = written(Format::Json, false);
        let value: serde_json::Value =
            serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(value["message"], "listening");
        assert_eq!(value["address"], "10.0.0.1:6443");
        assert_eq!(value["level"], "INFO");
        assert!(written(Format::Json, true).starts_with("<6>{"));
    }
}
