//! `/metrics`: the Prometheus text format, version 0.0.4.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the content type of `/metrics` says.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Families of metrics in the making. Asked for the same name again it goes on with
/// the same family, so `HELP` and `TYPE` stand once and samples stand together.
#[derive(Debug, Default)]
pub struct Text {
    families: Vec<Family>,
}

#[derive(Debug)]
struct Family {
    name: String,
    help: String,
    kind: Kind,
    samples: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A value of a sample. Durations are printed in seconds, truths as 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A count.
    Whole(u64),
    /// A whole number that may be below zero.
    Signed(i64),
    /// Anything else.
    Real(f64),
}

/// One counter or gauge, to which samples are added.
#[derive(Debug)]
pub struct Series<'a>(&'a mut Family);

/// One histogram, to which samples are added.
#[derive(Debug)]
pub struct HistogramSeries<'a>(&'a mut Family);

impl Text {
    /// An empty page.
    pub fn new() -> Self {
        Self::default()
    }

    /// A number that only grows; `name` ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str) -> Series<'_> {
        Series(self.family(name, help, Kind::Counter))
    }

    /// A number that goes up and down, in base units (seconds, bytes).
    pub fn gauge(&mut self, name: &str, help: &str) -> Series<'_> {
        Series(self.family(name, help, Kind::Gauge))
    }

    /// A distribution of durations; `name` ends in `_seconds`.
    pub fn histogram(&mut self, name: &str, help: &str) -> HistogramSeries<'_> {
        HistogramSeries(self.family(name, help, Kind::Histogram))
    }

    /// The page.
    pub fn finish(self) -> String {
        let mut page = String::new();
        for Family {
            name,
            help,
            kind,
            samples,
        } in self.families
        {
            let help = escape(&help, &[('\\', "\\\\"), ('\n', "\\n")]);
            let kind = kind.name();
            page.push_str(&format!(
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}"
            ));
        }
        page
    }

    fn family(&mut self, name: &str, help: &str, kind: Kind) -> &mut Family {
        let name = identifier(name);
        let known = self.families.iter().position(|family| family.name == name);
        let place = known.unwrap_or(self.families.len());
        if known.is_none() {
            let help = help.to_owned();
            self.families.push(Family {
                name,
                help,
                kind,
                samples: String::new(),
            });
        }
        #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
        &mut self.families[place]
    }
}

impl Series<'_> {
    /// Adds the value for one set of labels.
    pub fn sample(self, labels: &[(&str, &str)], value: impl Into<Number>) -> Self {
        self.0.line("", labels, None, value.into());
        self
    }
}

impl HistogramSeries<'_> {
    /// Adds a distribution for one set of labels (without `le`).
    pub fn sample(self, labels: &[(&str, &str)], histogram: &Histogram) -> Self {
        let mut below = 0;
        for (bound, count) in histogram.bounds.iter().zip(&histogram.counts) {
            below += count.load(Ordering::Relaxed);
            let bound = Number::from(*bound).to_string();
            self.0.line("_bucket", labels, Some(&bound), below.into());
        }
        below += histogram.above.load(Ordering::Relaxed);
        self.0.line("_bucket", labels, Some("+Inf"), below.into());
        let sum = Duration::from_nanos(histogram.nanos.load(Ordering::Relaxed));
        self.0.line("_sum", labels, None, sum.into());
        self.0.line("_count", labels, None, below.into());
        self
    }
}

/// A distribution of durations that any thread may add to.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [Duration],
    counts: Box<[AtomicU64]>,
    above: AtomicU64,
    nanos: AtomicU64,
}

/// Bounds for what happens between hosts of one network: 0.1 ms to 10 s.
pub const NETWORK: &[Duration] = &[
    Duration::from_micros(100),
    Duration::from_micros(300),
    Duration::from_millis(1),
    Duration::from_millis(3),
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
];

impl Histogram {
    /// An empty distribution; `bounds` rise.
    pub fn new(bounds: &'static [Duration]) -> Self {
        Self {
            bounds,
            counts: bounds.iter().map(|_| AtomicU64::new(0)).collect(),
            above: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
        }
    }

    /// Counts one duration. The sum holds 584 years.
    pub fn observe(&self, took: Duration) {
        let bucket = self
            .bounds
            .iter()
            .zip(&self.counts)
            .find(|(bound, _)| took <= **bound);
        bucket
            .map_or(&self.above, |(_, count)| count)
            .fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Family {
    fn line(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        le: Option<&str>,
        value: Number,
    ) {
        self.samples.push_str(&self.name);
        self.samples.push_str(suffix);
        let mut open = '{';
        for (name, value) in labels.iter().copied().chain(le.map(|le| ("le", le))) {
            self.samples.push(open);
            open = ',';
            self.samples.push_str(&identifier(name).replace(':', "_"));
            self.samples.push_str("=\"");
            let value = escape(value, &[('\\', "\\\\"), ('\n', "\\n"), ('"', "\\\"")]);
            self.samples.push_str(&value);
            self.samples.push('"');
        }
        let close = if open == ',' { "} " } else { " " };
        // Writing to a String cannot fail.
        let _ = writeln!(self.samples, "{close}{value}");
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::Real(number) if number.is_nan() => f.write_str("NaN"),
            Self::Real(number) if *number == f64::INFINITY => f.write_str("+Inf"),
            Self::Real(number) if *number == f64::NEG_INFINITY => f.write_str("-Inf"),
            Self::Real(number) => number.fmt(f),
        }
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<usize> for Number {
    fn from(number: usize) -> Self {
        Self::Whole(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self::Signed(number)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<bool> for Number {
    fn from(truth: bool) -> Self {
        Self::Whole(truth.into())
    }
}

impl From<Duration> for Number {
    fn from(duration: Duration) -> Self {
        Self::Real(duration.as_secs_f64())
    }
}

/// `name` with what a metric's name cannot hold replaced by `_`.
fn identifier(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut out: String = name
        .chars()
        .map(|c| if fits(c) { c } else { '_' })
        .collect();
    if out.is_empty() || out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

fn escape(text: &str, rules: &[(char, &str)]) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match rules.iter().find(|(from, _)| *from == character) {
            Some((_, to)) => out.push_str(to),
            None => out.push(character),
        }
    }
    out
}
