//! Times as the peers write them, within what ours may be.

use std::ops::RangeInclusive;
use std::time::Duration;

use config::Period;

/// The unit of a number that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    /// haproxy's.
    Milliseconds,
    /// nginx's.
    Seconds,
}

/// `30s`, `1h 30m` without the space, or a bare number.
pub(super) fn time(text: &str, bare: Bare) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        total = total.checked_add(part(number.parse().ok()?, unit, bare)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

fn part(number: u64, unit: &str, bare: Bare) -> Option<Duration> {
    let seconds = |factor: u64| Some(Duration::from_secs(number.checked_mul(factor)?));
    match (unit, bare) {
        ("us", Bare::Milliseconds) => Some(Duration::from_micros(number)),
        ("", Bare::Milliseconds) | ("ms", _) => Some(Duration::from_millis(number)),
        ("", Bare::Seconds) | ("s", _) => seconds(1),
        ("m", _) => seconds(60),
        ("h", _) => seconds(60 * 60),
        ("d", _) => seconds(24 * 60 * 60),
        ("w", Bare::Seconds) => seconds(7 * 24 * 60 * 60),
        _ => None,
    }
}

/// The nearest time that may be written, and what was done to it, for the report.
pub(super) fn fit(
    time: Duration,
    allowed: &RangeInclusive<Duration>,
) -> (Duration, String) {
    let fits = time.clamp(*allowed.start(), *allowed.end());
    let shown = Period(fits).to_string();
    if fits == time {
        (fits, shown)
    } else {
        (fits, format!("{shown}, the nearest that may be written"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_both() {
        for (text, bare, expected) in [
            ("20s", Bare::Milliseconds, Some(20_000)),
            ("5000", Bare::Milliseconds, Some(5_000)),
            ("5", Bare::Seconds, Some(5_000)),
            ("1h30m", Bare::Seconds, Some(5_400_000)),
            ("10m", Bare::Milliseconds, Some(600_000)),
            ("", Bare::Seconds, None),
            ("s", Bare::Seconds, None),
            ("5x", Bare::Seconds, None),
            ("99999999999999999999s", Bare::Seconds, None),
            ("99999999999999999d", Bare::Seconds, None),
        ] {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(time(text, bare), expected, "{text}");
        }
    }
}
