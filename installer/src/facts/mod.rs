//! What a host holds, as values: looked at and not touched. They travel as JSON, and no
//! private key is among them.

mod dropins;
mod look;
mod strangers;
mod survey;
mod system;
mod tools;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use dropins::DropIn;
pub use look::{LookError, Wanted, look};
pub(crate) use look::{about, hexadecimal, sha256};
pub(crate) use survey::interfaces;
pub use survey::{Interface, Machine, SurveyError, survey};
pub(crate) use system::STORE;
pub use system::System;
pub(crate) use tools::tool;

/// What was found on a host, of what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// What stands at each path that was asked for; nothing stands at one that is missing.
    pub entries: BTreeMap<String, Entry>,
    /// Each certificate that was asked for and is there, by its name below the folder of
    /// certificates.
    pub certificates: BTreeMap<String, Certificate>,
    /// Each unit that was asked for and is known to systemd.
    pub units: BTreeMap<String, Unit>,
    /// Of each unit, what was written since it last read what it reads.
    #[serde(default)]
    pub unread: BTreeMap<String, BTreeSet<String>>,
    /// The paths at which something of ours was laid down.
    #[serde(default)]
    pub laid: BTreeSet<String>,
    /// The paths at which something of others stands, which nobody has kept yet.
    #[serde(default)]
    pub others: BTreeSet<String>,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// The name of the user it belongs to, or the number of one without a name.
    pub owner: String,
}

/// What an entry of a folder is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file, with what is in it where that is text that everybody may read.
    #[serde(rename_all = "camelCase")]
    File {
        /// SHA-256, in hexadecimal.
        sha256: String,
        /// What is in it.
        text: Option<String>,
    },
    /// Anything else: a link, a device, a socket.
    Other,
}

/// A certificate on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// In PEM form.
    pub pem: String,
    /// Whether the key beside it is there and is its own.
    pub key_fits: bool,
    /// The user the key belongs to; nothing when there is none.
    pub key_owner: Option<String>,
}

/// What systemd says of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unit {
    /// Whether it is started at boot.
    pub enabled: bool,
    /// Whether it runs.
    pub active: bool,
    /// `ActiveState/SubState`, for people.
    pub state: String,
}
