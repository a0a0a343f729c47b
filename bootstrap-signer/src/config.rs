//! The configuration: [`file::File`] as it is written, [`Config`] as it is meant.

mod convert;
pub mod file;

use std::path::Path;

use config::Errors;
use policy::{Inventory, Settings};

/// What `kind` says.
pub const KIND: &str = "BootstrapSigner";

/// A configuration without half-states.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The policy.
    pub settings: Settings,
    /// The inventory file it names.
    pub inventory: Option<Inventory>,
    /// What is allowed and probably not meant, for the log and for `check`.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads and converts the file at `path`, and the file it names.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(path: &Path) -> Result<Self, Errors> {
        convert::convert(&config::read(path, KIND)?)
    }

    /// The same for a text that errors call `name`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Errors> {
        convert::convert(&config::parse(name, text, KIND)?)
    }
}
