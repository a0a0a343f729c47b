//! How times and targets are written in a scenario.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::group::{Role, Target};

/// A time as written: `3.7s`, `100ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        time(&text).ok_or_else(|| {
            de::Error::custom(format!("{text:?} is no time; write 100ms or 3.7s"))
        })
    }
}

fn time(text: &str) -> Option<Time> {
    let (number, scale) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s')?, 1.0),
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * scale).ok().map(Time)
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let (host, role) = text.split_once('/').ok_or_else(|| {
            de::Error::custom(format!("{text:?} has no program; write {text}/vip-daemon"))
        })?;
        let role = role.parse().map_err(de::Error::custom)?;
        Ok(Self {
            host: host.to_owned(),
            role,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(time("100ms"), Some(Time(Duration::from_millis(100))));
        assert_eq!(time("3.7s"), Some(Time(Duration::from_millis(3700))));
        assert_eq!(time("3.7"), None);
        assert_eq!(time("-1s"), None);
    }
}
