//! What serde reports while a file is read, before it has a line.

use crate::{KeyPath, suggest};
use serde::de::{self, Expected, Unexpected};
use std::fmt;

/// Something that keeps a value from being read.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Where; unknown until the value that was being read claims it.
    pub(crate) at: Option<KeyPath>,
    pub(crate) why: Why,
}

#[derive(Debug)]
pub(crate) enum Why {
    /// The value is wrong.
    Value(String),
    /// The key itself is wrong, whatever its value is.
    Key(String),
    /// A mapping lacks this key.
    Missing(&'static str),
    /// Only the echo of an error that is known.
    Echo,
}

impl Fault {
    pub(crate) fn value(problem: impl Into<String>) -> Self {
        Self {
            at: None,
            why: Why::Value(problem.into()),
        }
    }

    pub(crate) fn unknown_key(key: &str, allowed: &[&str]) -> Self {
        let hint = match key {
            "<<" => "YAML 1.2 has no merge keys; write the keys out".to_owned(),
            _ => suggest(key, allowed.iter().copied()),
        };
        Self {
            at: None,
            why: Why::Key(format!("is not a key here; {hint}")),
        }
    }

    pub(crate) fn echo() -> Self {
        Self {
            at: None,
            why: Why::Echo,
        }
    }

    /// At `path`, unless a value inside of it is known to be the place.
    pub(crate) fn or_at(mut self, path: &KeyPath) -> Self {
        self.at.get_or_insert_with(|| path.clone());
        self
    }
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        // The standard library's words for its address types, which are no sentence.
        Self::value(match problem.to_string().as_str() {
            "invalid IP address syntax" => "is not an IP address".to_owned(),
            "invalid IPv4 address syntax" => "is not an IPv4 address".to_owned(),
            "invalid IPv6 address syntax" => "is not an IPv6 address".to_owned(),
            other => other.to_owned(),
        })
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::value(format!("is not {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::value(format!("is not {expected}"))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::value(format!("has {length} items where {expected} must stand"))
    }

    fn unknown_variant(variant: &str, allowed: &'static [&'static str]) -> Self {
        let hint = suggest(variant, allowed.iter().copied());
        Self::value(format!("is not known; {hint}"))
    }

    fn unknown_field(field: &str, allowed: &'static [&'static str]) -> Self {
        Self::unknown_key(field, allowed)
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            at: None,
            why: Why::Missing(field),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Value(problem) | Why::Key(problem) => problem.fmt(f),
            Why::Missing(key) => write!(f, "lacks {key}"),
            Why::Echo => write!(f, "holds an error"),
        }
    }
}

impl std::error::Error for Fault {}
