//! Whatever the text, reading ends, does not panic, and every error names the file
//! and stands on one line.

use config::{Address, Period, Size, parse};
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only whether it can be read matters")]
struct Sample {
    name: Option<String>,
    period: Option<Period>,
    size: Option<Size>,
    list: Option<Vec<Item>>,
    map: Option<BTreeMap<u8, Item>>,
    any: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only whether it can be read matters")]
enum Item {
    Plain,
    Address(Address),
    Pair(u8, i64),
    Whole {
        name: String,
        truth: bool,
        share: f64,
    },
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let Err(errors) = parse::<Sample>("f.yaml", text, "Sample") else {
        return Ok(());
    };
    prop_assert!(!errors.is_empty());
    for error in &errors {
        let shown = error.to_string();
        prop_assert!(shown.starts_with("f.yaml:"), "{shown}");
        prop_assert!(!shown.contains(char::is_control), "{shown:?}");
        if let Some(line) = error.line() {
            // A lone carriage return ends a line in YAML.
            let ends = text.matches(['\n', '\r']).count();
            prop_assert!((1..=ends + 1).contains(&line), "{shown}");
        }
    }
    Ok(())
}

/// Pieces that files are made of, so that most texts get past the scanner.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "name",
        "list",
        "map",
        "any",
        "period",
        "size",
        "address",
        "pair",
        "whole",
        "plain",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n- ",
        "\n  - ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "\"",
        "'",
        "&a ",
        "*a",
        "!!str ",
        "!x ",
        "|\n",
        ">-\n",
        "? ",
        "<<: ",
        "~",
        "null",
        "true",
        "7",
        "-1",
        "0x",
        "1.5",
        "2s",
        "64KiB",
        "10.0.0.1:1",
        "# c\n",
        "\t",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\u{feff}",
        "é",
        "\0",
        "\\x1b",
        "apiVersion: sternpost/v1\n",
        "kind: Sample\n",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn any_text(text in any::<String>()) {
        check(&text)?;
        check(&format!("apiVersion: sternpost/v1\nkind: Sample\n{text}"))?;
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn likely_text(pieces in prop::collection::vec(piece(), 0..60)) {
        let body: String = pieces.concat();
        check(&body)?;
        check(&format!("apiVersion: sternpost/v1\nkind: Sample\n{body}"))?;
    }

    #[test]
    fn periods_and_sizes_print_what_they_read(number in any::<u64>()) {
        let period = Period(Duration::from_millis(number));
        prop_assert_eq!(period.to_string().parse(), Ok(period));
        prop_assert_eq!(Size(number).to_string().parse(), Ok(Size(number)));
    }

    #[test]
    fn no_text_breaks_a_value(text in any::<String>()) {
        let _ = (text.parse::<Period>(), text.parse::<Size>(), text.parse::<Address>());
    }
}
