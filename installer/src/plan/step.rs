//! A plan and its steps, as values.

use serde::Serialize;

use super::content::Content;
use crate::judge::Why;
use crate::reset;
use crate::resource::Stage;

/// What a host is to get, in the order in which it gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The host.
    pub host: String,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One thing to do. Each can tell by itself that it is done: what it leads to is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "do")]
pub enum Step {
    /// Make a folder, or give it its rights.
    #[serde(rename_all = "camelCase")]
    Folder {
        /// Where.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Whose.
        owner: &'static str,
        /// What changes.
        change: Change,
    },
    /// Keep what stands somewhere and is none of ours, before something of ours takes its place.
    #[serde(rename_all = "camelCase")]
    Keep {
        /// Where.
        path: String,
    },
    /// Write a file.
    #[serde(rename_all = "camelCase")]
    Write {
        /// Where.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Whose.
        owner: &'static str,
        /// What is to be in it.
        content: Content,
        /// What is in it, as far as that may be shown.
        before: Option<String>,
        /// What changes.
        change: Change,
    },
    /// Issue a certificate with a new key.
    #[serde(rename_all = "camelCase")]
    Issue {
        /// Its name below the folder of certificates.
        name: String,
        /// The common name of who signs it.
        authority: &'static str,
        /// Why the one that is there, if any, will not do.
        why: Why,
    },
    /// Bring something that every host with it has alike.
    #[serde(rename_all = "camelCase")]
    Share {
        /// The files.
        paths: Vec<String>,
    },
    /// Bring a program.
    #[serde(rename_all = "camelCase")]
    Install {
        /// Its name.
        program: String,
        /// Its link.
        path: String,
        /// The SHA-256 of the one that is there.
        before: Option<String>,
    },
    /// Have a unit started at boot.
    Enable {
        /// Its name.
        unit: String,
    },
    /// Start a unit.
    #[serde(rename_all = "camelCase")]
    Start {
        /// Its name.
        unit: String,
        /// When.
        stage: StageName,
    },
    /// Start a unit anew.
    #[serde(rename_all = "camelCase")]
    Restart {
        /// Its name.
        unit: String,
        /// When.
        stage: StageName,
        /// What has changed under it.
        because: Vec<String>,
    },
    /// Take off what the description does not have.
    #[serde(rename_all = "camelCase")]
    Remove {
        /// What of it.
        what: reset::Step,
    },
    /// Have a unit read its files again.
    #[serde(rename_all = "camelCase")]
    Reload {
        /// Its name.
        unit: String,
        /// When.
        stage: StageName,
        /// What has changed under it.
        because: Vec<String>,
    },
}

impl Step {
    /// The unit that begins by what is there, or reads that again.
    #[must_use]
    pub fn turns(&self) -> Option<&str> {
        match self {
            Self::Start { unit, .. }
            | Self::Restart { unit, .. }
            | Self::Reload { unit, .. } => Some(unit),
            Self::Folder { .. }
            | Self::Keep { .. }
            | Self::Write { .. }
            | Self::Issue { .. }
            | Self::Share { .. }
            | Self::Install { .. }
            | Self::Enable { .. }
            | Self::Remove { .. } => None,
        }
    }

    /// The unit that it ends for good.
    #[must_use]
    pub fn stops(&self) -> Option<&str> {
        match self {
            Self::Remove {
                what: reset::Step::Stop { unit },
            } => Some(unit),
            Self::Remove { .. }
            | Self::Folder { .. }
            | Self::Keep { .. }
            | Self::Write { .. }
            | Self::Issue { .. }
            | Self::Share { .. }
            | Self::Install { .. }
            | Self::Enable { .. }
            | Self::Start { .. }
            | Self::Restart { .. }
            | Self::Reload { .. } => None,
        }
    }
}

/// Which of an entry's sides is not as it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// Nothing is there.
    New,
    /// What is in it.
    Content,
    /// Only who may do what with it.
    Rights,
}

/// A [`Stage`] that is written by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StageName(pub Stage);

impl Serialize for StageName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}
