//! From a file to its type, with where everything stands.

use crate::fault::{Fault, Why};
use crate::path::Step;
use crate::reader::Reader;
use crate::tree::{self, Node, Value};
use crate::{Error, Errors, KeyPath, suggest};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::path::Path;

/// What `apiVersion` must say.
pub const API_VERSION: &str = "sternpost/v1";

/// Errors of types and keys reported at once; beyond, a screen is full anyway.
const REPORTED: usize = 20;

/// A parsed file.
#[derive(Debug)]
pub struct Document<T> {
    /// The file as written, without `apiVersion` and `kind`.
    pub file: T,
    /// Where everything stands.
    pub source: Source,
}

/// Where every value of a file stands.
#[derive(Debug)]
pub struct Source {
    name: String,
    root: Node,
}

/// Reads the file at `path`; see [`parse`].
///
/// # Errors
/// The file cannot be read, or whatever [`parse`] finds.
pub fn read<T: DeserializeOwned>(path: &Path, kind: &str) -> Result<Document<T>, Errors> {
    let text = crate::text::read(path)?;
    parse(&path.display().to_string(), &text, kind)
}

/// Reads `text`, which errors call `name`, and checks its `apiVersion` and `kind`.
///
/// # Errors
/// All that is wrong with it; a wrong `apiVersion` or `kind` alone, since the rest
/// would be measured by the wrong rule.
pub fn parse<T: DeserializeOwned>(
    name: &str,
    text: &str,
    kind: &str,
) -> Result<Document<T>, Errors> {
    let tree = tree::build(name, text.strip_prefix('\u{feff}').unwrap_or(text))?;
    let root = tree.root.filter(|root| !root.is_null());
    let Some(root) = root else {
        let header = format!("apiVersion: {API_VERSION}\" and \"kind: {kind}");
        return Err(Error::of_file(
            name,
            format!("is empty; begin it with \"{header}\""),
        )
        .into());
    };
    let mut source = Source {
        name: name.to_owned(),
        root,
    };
    source.take_header(kind)?;
    let mut errors = Errors::new();
    errors.extend(tree.errors);
    let file = source.fill(&mut errors);
    match file {
        Some(file) if errors.is_empty() => Ok(Document { file, source }),
        Some(_) | None => Err(errors),
    }
}

/// Reads `text` of a format that is not ours, which errors call `name`: whether its
/// header is right is for `T` to say.
///
/// # Errors
/// All that is wrong with it.
pub fn parse_foreign<T: DeserializeOwned>(
    name: &str,
    text: &str,
) -> Result<Document<T>, Errors> {
    let tree = tree::build(name, text.strip_prefix('\u{feff}').unwrap_or(text))?;
    let Some(root) = tree.root.filter(|root| !root.is_null()) else {
        return Err(Error::of_file(name, "is empty").into());
    };
    let source = Source {
        name: name.to_owned(),
        root,
    };
    let mut errors = Errors::new();
    errors.extend(tree.errors);
    match source.fill(&mut errors) {
        Some(file) if errors.is_empty() => Ok(Document { file, source }),
        Some(_) | None => Err(errors),
    }
}

impl Source {
    /// An error of the value at `at`: finds its line and value. `problem` follows the
    /// value in quotes: `has no port; write "10.0.0.13:6443"`.
    pub fn error(&self, at: &KeyPath, problem: impl Into<String>) -> Error {
        let error = self.bare_error(at, problem);
        match self.find(at).1.map(|node| (node.is_null(), &node.value)) {
            Some((false, Value::Scalar { text, .. })) => error.with_value(text),
            Some(_) | None => error,
        }
    }

    /// The line, from 1, where `at` stands, or that of what should hold it.
    pub fn line(&self, at: &KeyPath) -> usize {
        self.find(at).0
    }

    /// Whether `at` is written in the file, be it with no value.
    pub fn has(&self, at: &KeyPath) -> bool {
        self.find(at).1.is_some()
    }

    /// Which one of `names` the mapping at `at` has.
    ///
    /// # Errors
    /// It has none of them, several, or one without a value.
    pub fn one_of(
        &self,
        at: &KeyPath,
        names: &[&'static str],
    ) -> Result<&'static str, Error> {
        let mut written = names
            .iter()
            .copied()
            .filter(|name| self.has(&at.key(*name)));
        match (written.next(), written.next()) {
            (Some(name), None) => self.with_value(&at.key(name)).map(|()| name),
            (Some(one), Some(other)) => {
                let problem = format!("has both \"{one}\" and \"{other}\"; keep one");
                Err(self.error(at, problem))
            }
            (None, _) => {
                let problem = format!("needs one of these keys: {}", names.join(", "));
                Err(self.error(at, problem))
            }
        }
    }

    fn with_value(&self, at: &KeyPath) -> Result<(), Error> {
        match self.find(at).1 {
            Some(node) if node.is_null() => {
                Err(self.error(at, "has no value; write {} for its defaults"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The line of the deepest part of `at` that stands in the file, and the value if
    /// all of it does.
    fn find(&self, at: &KeyPath) -> (usize, Option<&Node>) {
        let mut node = &self.root;
        for step in at.steps() {
            let next = match (step, &node.value) {
                (Step::Key(name), _) => node.get(name),
                (Step::Index(index), Value::List(items)) => items.get(*index),
                (Step::Index(_), Value::Map(_) | Value::Scalar { .. }) => None,
            };
            match next {
                Some(found) => node = found,
                None => return (node.line, None),
            }
        }
        (node.line, Some(node))
    }

    fn bare_error(&self, at: &KeyPath, problem: impl Into<String>) -> Error {
        Error::of_file(&self.name, problem)
            .on_line(self.line(at))
            .at(at.clone())
    }

    /// Checks `apiVersion` and `kind` and takes them out of the tree.
    fn take_header(&mut self, kind: &str) -> Result<(), Errors> {
        if !matches!(self.root.value, Value::Map(_)) {
            let problem = format!(
                "is no mapping; begin the file with \"apiVersion: {API_VERSION}\""
            );
            return Err(Error::of_file(&self.name, problem)
                .on_line(self.root.line)
                .into());
        }
        let mut errors = Errors::new();
        for (key, wanted) in [("apiVersion", API_VERSION), ("kind", kind)] {
            errors.extend(self.check_header(key, wanted));
        }
        if let Value::Map(entries) = &mut self.root.value {
            entries.retain(|entry| !matches!(entry.key.as_str(), "apiVersion" | "kind"));
        }
        errors.or(())
    }

    fn check_header(&self, key: &str, wanted: &str) -> Option<Error> {
        let at = KeyPath::root().key(key);
        let problem = match self.root.get(key).map(|node| &node.value) {
            Some(Value::Scalar { text, .. }) if text == wanted => return None,
            Some(Value::Scalar { text, .. }) if !text.is_empty() => {
                format!("is not read here; {}", suggest(text, [wanted]))
            }
            Some(_) => format!("has no value; write \"{key}: {wanted}\""),
            None => format!("is missing; write \"{key}: {wanted}\""),
        };
        Some(self.error(&at, problem))
    }

    /// Reads the tree as a `T`. serde stops at the first error, so each value found
    /// wrong is hidden and the tree read again, until nothing new is wrong.
    fn fill<T: DeserializeOwned>(&self, errors: &mut Errors) -> Option<T> {
        let mut hidden = BTreeSet::new();
        let mut reported = 0;
        loop {
            let fault = match T::deserialize(Reader::new(&self.root, &hidden)) {
                Ok(file) => return Some(file),
                Err(fault) => fault,
            };
            let at = fault.at.clone().unwrap_or_default();
            if let Some(error) = self.report(&fault, &at, &hidden) {
                reported += 1;
                errors.push(error);
            }
            // At the root, or hidden before: reading again would tell nothing new.
            // Each pass hides one more value of a bounded tree, so this ends.
            if reported >= REPORTED {
                let problem =
                    format!("more may be wrong; these are the first {REPORTED}");
                errors.push(Error::of_file(&self.name, problem).on_line(self.line(&at)));
                return None;
            }
            if at == KeyPath::root() || !hidden.insert(at) {
                return None;
            }
        }
    }

    /// The error to print, unless it only follows from one that is.
    fn report(
        &self,
        fault: &Fault,
        at: &KeyPath,
        hidden: &BTreeSet<KeyPath>,
    ) -> Option<Error> {
        match &fault.why {
            Why::Missing(key) if hidden.contains(&at.key(*key)) => None,
            Why::Missing(key) => Some(self.bare_error(&at.key(*key), "is missing")),
            Why::Key(problem) => Some(self.bare_error(at, problem)),
            Why::Value(_) if hidden.iter().any(|inner| at.contains(inner)) => None,
            Why::Value(problem) => Some(self.error(at, problem)),
            Why::Echo => None,
        }
    }
}
