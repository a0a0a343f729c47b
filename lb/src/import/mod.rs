//! From a configuration of haproxy or nginx to one of ours, with a verdict on every
//! directive.
//!
//! ```text
//! text ─words─▶ sections, blocks ─one verdict each─▶ Report
//!                      └──────────────────────────▶ Draft ─yaml─▶ text
//! ```
//!
//! Nothing is left out in silence: what the importer does not know is `unsupported`, and
//! what a directive did there and api-lb does by itself is `not needed`, with the reason.
//! Reads no file, no environment and asks no resolver itself: see [`Surroundings`].

mod address;
mod draft;
mod haproxy;
mod nginx;
pub mod outside;
mod servers;
mod times;

use std::net::IpAddr;
use std::path::Path;

pub use config::{Finding, Report, Verdict};

/// What a file of a balancer refers to outside of itself.
pub struct Surroundings<'a> {
    /// The value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The address of a name, as of now.
    pub resolve: &'a dyn Fn(&str) -> Option<IpAddr>,
    /// The files that an `include` names: each with its name and its text.
    pub include: &'a dyn Fn(&str) -> Included,
    /// Keeps the hash of a user's password, and says where; or why it does not.
    pub keep_password: &'a dyn Fn(&str, &str) -> Result<String, String>,
    /// What becomes of a page that everybody can reach.
    pub public_page: PublicPage,
}

/// Files by name with their texts, or why they cannot be read.
pub type Included = std::io::Result<Vec<(String, String)>>;

/// What becomes of a page of statistics that everybody can reach, in clear text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicPage {
    /// It is for this host alone.
    Closed,
    /// It stays as it is.
    Kept,
}

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialect {
    /// haproxy's sections.
    Haproxy,
    /// nginx's blocks, of which `stream` counts.
    Nginx,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The configuration for api-lb.
    pub yaml: String,
    /// One verdict for each directive.
    pub report: Report,
}

/// Why nothing could be made of a file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not of the form it should have.
    #[error("{file}:{line}: {problem}")]
    Form {
        /// The file.
        file: String,
        /// Where, from 1.
        line: usize,
        /// What is wrong, with the way out.
        problem: &'static str,
    },
    /// Nothing in it carries TCP connections to servers.
    #[error("{0}: no frontend leads to a server; nothing to balance is in this file")]
    Nothing(String),
}

impl Dialect {
    /// Told by its name, else by its text: nginx ends its directives with semicolons.
    #[must_use]
    pub fn of(path: &Path, text: &str) -> Self {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        let is_block = |line: &str| line.trim_end().ends_with(['{', ';']);
        let code = text.lines().filter(|line| !line.trim().is_empty());
        let code = code.filter(|line| !line.trim_start().starts_with('#'));
        if name.contains("haproxy") {
            Self::Haproxy
        } else if name.contains("nginx") || code.take(3).any(is_block) {
            Self::Nginx
        } else {
            Self::Haproxy
        }
    }
}

/// Imports a text, which findings call `file`.
///
/// # Errors
/// It cannot be read as what it should be, or holds nothing to balance.
pub fn import(
    dialect: Dialect,
    file: &str,
    text: &str,
    around: &Surroundings<'_>,
) -> Result<Imported, ImportError> {
    if let Some(line) = config::unprintable(text) {
        return Err(ImportError::Form {
            file: file.to_owned(),
            line,
            problem: "holds a control character; take it out, no directive has a use for it",
        });
    }
    let mut report = Report::new(file);
    let draft = match dialect {
        Dialect::Haproxy => haproxy::read(file, text, around, &mut report)?,
        Dialect::Nginx => nginx::read(file, text, around, &mut report)?,
    };
    if draft.frontends.is_empty() {
        return Err(ImportError::Nothing(file.to_owned()));
    }
    Ok(Imported {
        yaml: draft.yaml(file),
        report,
    })
}
