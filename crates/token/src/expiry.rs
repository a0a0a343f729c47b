//! Until when a token lives, as its Secret says it.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Until when a token lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// For ever.
    Never,
    /// It is dead from then on.
    At(SystemTime),
    /// The text is no time: as upstream, it is dead, and is deleted.
    Unreadable,
}

impl Expiry {
    /// What the field `expiration` says; empty is as not there.
    #[must_use]
    pub fn read(text: Option<&str>) -> Self {
        match text {
            None | Some("") => Self::Never,
            Some(text) => parse(text).map_or(Self::Unreadable, Self::At),
        }
    }

    /// Whether it is dead at `now`.
    #[must_use]
    pub fn is_over(self, now: SystemTime) -> bool {
        match self {
            Self::Never => false,
            Self::At(end) => end <= now,
            Self::Unreadable => true,
        }
    }

    /// When it will be over, if it is not yet.
    #[must_use]
    pub fn ahead(self, now: SystemTime) -> Option<SystemTime> {
        match self {
            Self::At(end) if end > now => Some(end),
            Self::At(_) | Self::Never | Self::Unreadable => None,
        }
    }
}

/// Go's `time.RFC3339`: `T` and `Z`, and no leap second.
fn parse(text: &str) -> Option<SystemTime> {
    let lower = text.bytes().any(|byte| byte.is_ascii_lowercase());
    let leap = text.get(17..19) == Some("60");
    let divided = text.get(10..11) == Some("T");
    if lower || leap || !divided {
        return None;
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .map(SystemTime::from)
}

/// `time` as a Secret says it: UTC, whole seconds, rounded up, so that no token ends
/// before it was said to.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let up = time.checked_add(Duration::from_nanos(999_999_999));
    let time = OffsetDateTime::from(up.unwrap_or(time));
    let time = time.replace_nanosecond(0).unwrap_or(time);
    time.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_767_225_600;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_over() {
        for (text, over) in [
            (None, false),
            (Some(""), false),
            (Some("2026-01-01T00:00:00Z"), true),
            (Some("2026-01-01T00:00:01Z"), false),
            (Some("2025-12-31T23:59:59Z"), true),
            (Some("2026-01-01T01:00:00+01:00"), true),
            (Some("2026-01-01T01:00:01+01:00"), false),
            (Some("2026-01-01T00:00:00.5Z"), false),
            (Some("2036-01-01t00:00:00z"), true),
            (Some("2036-12-31T23:59:60Z"), true),
            (Some("2036-01-01"), true),
            (Some("2036-01-01 00:00:00Z"), true),
            (Some("soon"), true),
        ] {
            assert_eq!(Expiry::read(text).is_over(at(NOW)), over, "{text:?}");
        }
    }

    #[test]
    fn when_to_look_again() {
        let end = Expiry::At(at(NOW));
        assert_eq!(end.ahead(at(NOW - 1)), Some(at(NOW)));
        assert_eq!(end.ahead(at(NOW)), None);
        assert_eq!(Expiry::Never.ahead(at(NOW)), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let half = at(NOW) + Duration::from_millis(500);
        assert_eq!(rfc3339(at(NOW)), "2026-01-01T00:00:00Z");
        assert_eq!(rfc3339(half), "2026-01-01T00:00:01Z");
        let read = Expiry::read(Some(&rfc3339(half)));
        assert_eq!(read, Expiry::At(at(NOW + 1)));
    }
}
