//! Regular expressions that always match a whole name.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// The largest program a pattern may become, in bytes: far above any list of names, far
/// below what a token's annotation could cost every decision.
const PROGRAM: usize = 256 * 1024;

/// A regular expression for whole names: `node-\w+` does not match `node-a.example`,
/// however it is written.
#[derive(Clone)]
pub struct Pattern {
    written: String,
    regex: Regex,
}

/// Why a text is not a [`Pattern`]; printed after the text in quotes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a regular expression: {0}")]
pub struct PatternError(String);

impl Pattern {
    /// Reads `written`.
    ///
    /// # Errors
    /// It is no regular expression, or one too large.
    pub fn new(written: &str) -> Result<Self, PatternError> {
        // Alone first: what only is an expression inside the anchors ("a)(b") is none.
        build(written)?;
        Ok(Self {
            written: written.to_owned(),
            regex: build(&format!("^(?:{written})$"))?,
        })
    }

    /// Whether all of `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

fn build(expression: &str) -> Result<Regex, PatternError> {
    let built = RegexBuilder::new(expression).size_limit(PROGRAM).build();
    built.map_err(|error| PatternError(last_line(&error.to_string())))
}

/// The parser draws the place over several lines; the last one says what is wrong.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or(text);
    line.trim_start_matches("error: ").to_owned()
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.written)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_names_only() {
        for (pattern, name, matches) in [
            (r"node-\w+", "node-a", true),
            (r"node-\w+", "node-a.evil.example", false),
            (r"a|b", "ab", false),
            (r"a|b", "b", true),
            (r"^pool-x-[0-9]+$", "pool-x-1", true),
            (r"^pool-x-[0-9]+$", "new-1", false),
            (r"(?m)a", "a\nb", false),
            (r"a", "a\n", false),
            (r"", "", true),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            assert_eq!(pattern.matches(name), matches, "{pattern} {name:?}");
        }
    }

    #[test]
    fn refuses_what_is_none_alone() {
        for text in ["(", "a)(b", "*", "a{1000}{1000}", "(?x"] {
            assert!(Pattern::new(text).is_err(), "{text}");
        }
    }
}
