//! The configuration: [`file::File`] as it is written, [`Config`] as it is meant.

mod convert;
pub mod file;
mod signing;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use config::Errors;
use daemon::log;
use policy::{Inventory, Settings};
use serde::Deserialize;

use crate::signing::Plan;
use crate::tokens::Duties;

/// What `kind` says.
pub const KIND: &str = "BootstrapSigner";

/// A configuration without half-states.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The policy.
    pub settings: Settings,
    /// The inventory file it names.
    pub inventory: Option<Inventory>,
    /// Whether decisions are written.
    pub mode: Mode,
    /// Which signers sign, with what.
    pub signing: Plan,
    /// What is looked after of tokens.
    pub tokens: Duties,
    /// The credentials; `None`: those of the pod it runs in.
    pub kubeconfig: Option<PathBuf>,
    /// Where the admin endpoint listens.
    pub admin: SocketAddr,
    /// Where commands are taken.
    pub socket: PathBuf,
    /// How to log.
    pub log: log::Settings,
    /// What is allowed and probably not meant, for the log and for `check`.
    pub warnings: Vec<String>,
}

/// Whether decisions are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// They are made, logged and counted.
    Audit,
}

impl Mode {
    /// As the file names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
        }
    }
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
