//! `/metrics` against a strict reader of the text format: whatever names, labels and
//! values go in, what comes out can be read, and means the same.

use daemon::metrics::{Histogram, Text};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: String,
}

/// Reads a page as the format's description has it, and refuses all else.
fn read(page: &str) -> Result<(BTreeMap<String, String>, Vec<Sample>), String> {
    let mut types = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut samples: Vec<Sample> = Vec::new();
    let mut family = String::new();
    if !page.is_empty() && !page.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    for line in page.split_terminator('\n') {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, _) = rest.split_once(' ').ok_or(line)?;
            if !helped.insert(name.to_owned()) {
                return Err(format!("HELP twice: {line}"));
            }
            family = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or(line)?;
            if name != family || types.insert(name.to_owned(), kind.to_owned()).is_some()
            {
                return Err(format!("TYPE out of place: {line}"));
            }
        } else {
            let sample = read_sample(line)?;
            let base = ["_bucket", "_sum", "_count", ""]
                .iter()
                .filter_map(|suffix| sample.name.strip_suffix(suffix))
                .find(|base| *base == family);
            base.ok_or_else(|| format!("not of {family}: {line}"))?;
            if samples
                .iter()
                .any(|s| s.name == sample.name && s.labels == sample.labels)
            {
                return Err(format!("twice: {line}"));
            }
            samples.push(sample);
        }
    }
    Ok((types, samples))
}

fn read_sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or(line)?;
    let (name, rest) = line.split_at(end);
    check_name(name, true)?;
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => read_labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = value.strip_prefix(' ').ok_or(line)?;
    let special = matches!(value, "NaN" | "+Inf" | "-Inf");
    if !special
        && (value.parse::<f64>().is_err()
            || value.to_ascii_lowercase().contains(['i', 'n']))
    {
        return Err(format!("no value: {line}"));
    }
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value: value.to_owned(),
    })
}

type Labels<'a> = (Vec<(String, String)>, &'a str);

fn read_labels(mut rest: &str) -> Result<Labels<'_>, String> {
    let mut labels: Vec<(String, String)> = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or(rest)?;
        check_name(name, false)?;
        if labels.iter().any(|(known, _)| known == name) {
            return Err(format!("label twice: {name}"));
        }
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().ok_or(after)? {
                (end, '"') => break end,
                (_, '\\') => match characters.next().ok_or(after)?.1 {
                    'n' => value.push('\n'),
                    escaped @ ('\\' | '"') => value.push(escaped),
                    other => return Err(format!("escape {other}")),
                },
                (_, character) => value.push(character),
            }
        };
        labels.push((name.to_owned(), value));
        rest = after.get(end + 1..).ok_or(after)?;
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok((labels, rest.strip_prefix('}').ok_or(rest)?)),
        }
    }
}

fn check_name(name: &str, colon: bool) -> Result<(), String> {
    let first = name.starts_with(|c: char| {
        c.is_ascii_alphabetic() || c == '_' || (colon && c == ':')
    });
    let rest = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':'));
    if first && rest {
        Ok(())
    } else {
        Err(format!("name {name:?}"))
    }
}

#[test]
fn a_page_as_it_is_written() {
    let mut text = Text::new();
    text.counter("a_total", "Line one\nand \\two.")
        .sample(&[("x", "1")], 1_u64);
    text.gauge("b", "B.")
        .sample(&[], -1_i64)
        .sample(&[("y", "a\"b\\c\nd")], 0.5);
    text.counter("a_total", "Not said again.")
        .sample(&[("x", "2")], true);
    text.gauge("c_seconds", "C.")
        .sample(&[], Duration::from_millis(1_500));
    assert_eq!(
        text.finish(),
        "# HELP a_total Line one\\nand \\\\two.\n# TYPE a_total counter\n\
         a_total{x=\"1\"} 1\na_total{x=\"2\"} 1\n\
         # HELP b B.\n# TYPE b gauge\nb -1\nb{y=\"a\\\"b\\\\c\\nd\"} 0.5\n\
         # HELP c_seconds C.\n# TYPE c_seconds gauge\nc_seconds 1.5\n"
    );
}

#[test]
fn a_histogram_counts_up_to_each_bound() {
    static BOUNDS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];
    let histogram = Histogram::new(&BOUNDS);
    for micros in [0, 1_000, 1_001, 10_000, 10_001] {
        histogram.observe(Duration::from_micros(micros));
    }
    let mut text = Text::new();
    text.histogram("h_seconds", "H.")
        .sample(&[("s", "m1")], &histogram);
    let page = text.finish();
    let (types, samples) = read(&page).unwrap();
    assert_eq!(types["h_seconds"], "histogram");
    let shown: Vec<(&str, &str, &str)> = samples
        .iter()
        .map(|s| {
            (
                s.name.as_str(),
                s.labels.last().unwrap().1.as_str(),
                s.value.as_str(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("h_seconds_bucket", "0.001", "2"),
            ("h_seconds_bucket", "0.01", "4"),
            ("h_seconds_bucket", "+Inf", "5"),
            ("h_seconds_sum", "m1", "0.022002"),
            ("h_seconds_count", "m1", "5"),
        ]
    );
}

#[test]
fn the_reader_is_strict() {
    for page in [
        "a",
        "a 1",
        "# TYPE a counter\na 1\n",
        "# HELP a A\n# TYPE a gauge\nb 1\n",
        "# HELP a A\n# TYPE a gauge\na{x=\"1} 1\n",
        "# HELP a A\n# TYPE a gauge\na inf\n",
        "# HELP a A\n# TYPE a gauge\na 1\na 1\n",
    ] {
        assert!(read(page).is_err(), "{page}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_can_be_read(
        name in any::<String>(),
        help in any::<String>(),
        label in any::<String>(),
        values in prop::collection::btree_set(any::<String>(), 1..4),
        number in any::<f64>(),
    ) {
        let mut text = Text::new();
        let mut series = text.gauge(&name, &help);
        for value in &values {
            series = series.sample(&[(&label, value)], number);
        }
        let page = text.finish();
        let (_, samples) = read(&page).map_err(TestCaseError::fail)?;
        let back: BTreeSet<String> = samples.iter().map(|s| s.labels[0].1.clone()).collect();
        prop_assert_eq!(back, values);
        for sample in samples {
            let back: f64 = sample.value.parse().unwrap();
            prop_assert!(back.to_bits() == number.to_bits() || back.is_nan() && number.is_nan());
        }
    }
}
