//! The one form of error a configuration file gets.
//!
//! `api-lb.yaml:14: backends[0].servers[2].address: "10.0.0.13" has no port; write "10.0.0.13:6443"`

use crate::KeyPath;
use std::fmt;

/// Longest piece of a value that is shown, in characters: enough for any address
/// or path, short enough that a pasted certificate does not fill the screen.
const SHOWN: usize = 80;

/// One thing that is wrong, where it stands, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    file: String,
    line: Option<usize>,
    at: KeyPath,
    value: Option<String>,
    problem: String,
}

impl Error {
    /// An error of the file as a whole: unreadable, empty, not text.
    pub(crate) fn of_file(file: &str, problem: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            at: KeyPath::root(),
            value: None,
            problem: problem.into(),
        }
    }

    pub(crate) fn on_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    pub(crate) fn at(mut self, path: KeyPath) -> Self {
        self.at = path;
        self
    }

    pub(crate) fn with_value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// The key that is wrong; the root for an error of the whole file.
    pub fn path(&self) -> &KeyPath {
        &self.at
    }

    /// The line, from 1, where that key stands, or that of what should hold it.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if self.at != KeyPath::root() {
            write!(f, ": {}", Printable(&self.at.to_string(), SHOWN))?;
        }
        write!(f, ": ")?;
        if let Some(value) = &self.value {
            write!(f, "{} ", Quoted(value))?;
        }
        write!(f, "{}", Printable(&self.problem, usize::MAX))
    }
}

impl std::error::Error for Error {}

/// Everything that is wrong with a file, in the order of its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// No errors yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one, at its place in the order of lines.
    pub fn push(&mut self, error: Error) {
        let place = self.0.partition_point(|known| known.line <= error.line);
        self.0.insert(place, error);
    }

    /// Keeps the value, or notes the error and goes on: for converting a whole file
    /// and reporting everything at once.
    pub fn keep<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each error, in the order of lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }

    /// `value` when nothing is wrong.
    ///
    /// # Errors
    /// All that was pushed.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl Extend<Error> for Errors {
    fn extend<I: IntoIterator<Item = Error>>(&mut self, errors: I) {
        errors.into_iter().for_each(|error| self.push(error));
    }
}

impl IntoIterator for Errors {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Errors {
    type Item = &'a Error;
    type IntoIter = std::slice::Iter<'a, Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            let end = if position == 0 { "" } else { "\n" };
            write!(f, "{end}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// A value in quotes, on one line, of bounded length.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", Printable(self.0, SHOWN))
    }
}

/// Text from a file, safe for a terminal: control characters escaped, at most so many
/// characters.
struct Printable<'a>(&'a str, usize);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().take(self.1) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        if self.0.chars().nth(self.1).is_some() {
            write!(f, "…")?;
        }
        Ok(())
    }
}
