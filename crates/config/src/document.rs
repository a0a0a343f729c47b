//! From a file to its type, with where everything stands.

use crate::{Error, Errors, KeyPath};
use serde::de::DeserializeOwned;
use std::path::Path;

/// What `apiVersion` must say.
pub const API_VERSION: &str = "sternpost/v1";

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
}

/// Reads the file at `path`; see [`parse`].
///
/// # Errors
/// The file cannot be read, or whatever [`parse`] finds.
pub fn read<T: DeserializeOwned>(path: &Path, kind: &str) -> Result<Document<T>, Errors> {
    let _ = (path, kind);
    todo!()
}

/// Reads `text`, which errors call `name`, and checks its `apiVersion` and `kind`.
///
/// # Errors
/// All that is wrong with it.
pub fn parse<T: DeserializeOwned>(
    name: &str,
    text: &str,
    kind: &str,
) -> Result<Document<T>, Errors> {
    let _ = (name, text, kind);
    todo!()
}

impl Source {
    /// An error of the value at `at`: finds its line and value. `problem` follows the
    /// value in quotes: `has no port; write "10.0.0.13:6443"`.
    pub fn error(&self, at: &KeyPath, problem: impl Into<String>) -> Error {
        Error::of_file(&self.name, problem).at(at.clone())
    }

    /// The line, from 1, where `at` stands, or what should hold it.
    pub fn line(&self, at: &KeyPath) -> usize {
        let _ = at;
        todo!()
    }

    /// Which one of `names` the mapping at `at` has.
    ///
    /// # Errors
    /// It has none of them, or several.
    pub fn one_of(
        &self,
        at: &KeyPath,
        names: &[&'static str],
    ) -> Result<&'static str, Error> {
        let _ = (at, names);
        todo!()
    }
}
