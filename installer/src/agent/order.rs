//! What an operator's side says to a host, and what it hears back.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::Question;
use super::collect::{Collect, Pieces};
use super::files::Put;
use super::mend::Mend;
use super::probe::{Probe, Probed};
use super::programs::Install;
use crate::facts::{Facts, Machine, Wanted};
use crate::reset::{Inventory, Step};

/// One thing to do. Each is done or not done when it is answered, never half.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// Let nobody else change this host while this agent runs. Who asks is named to whoever
    /// comes second.
    Lock(String),
    /// Look, and touch nothing.
    Look(Wanted),
    /// Look at the machine itself.
    Survey,
    /// Give back what is in these files; for authorities, which live on the masters.
    Fetch(Vec<String>),
    /// Say what the journal knows of, and what stands there.
    Inventory,
    /// Do a step of a removal, if what it says is still so.
    Remove(Step),
    /// Ask a program of the host how things stand.
    Ask(Question),
    /// Say what a maintainer would ask for.
    Collect(Collect),
    /// Write an object to the API, at its path; on a master.
    Create {
        /// Where: that of its kind's list.
        path: String,
        /// It.
        object: Value,
    },
    /// Have the API remove the object of a path, if it is there; on a master.
    Delete(String),
    /// Have the API move a node's Pods elsewhere, and forget the node; on a master.
    Drain(String),
    /// Give containerd this program as an image of that name; on a node.
    LoadImage(String),
    /// Take the image from containerd again.
    UnloadImage(String),
    /// Find out by trying; nothing that is tried stays.
    Probe(Probe),
    /// Put something right that `preflight` has found.
    Mend(Mend),
    /// Make a folder and those above it, or give it its rights.
    Folder {
        /// Where.
        path: String,
        /// Permission bits.
        mode: u32,
        /// The name of the user it is to belong to.
        owner: String,
    },
    /// Keep what stands at a path, for `reset` to put back.
    Keep(String),
    /// Write a file.
    Put(Put),
    /// Copy a program to its place, and let its link lead there.
    Install(Install),
    /// Make users, folders of the run, modules and kernel settings as the files say, and
    /// have systemd read its units again.
    Settle,
    /// Have a unit started at boot.
    Enable(String),
    /// Keep what stands at these paths until those who read it are well. What is kept already
    /// stays, but where they are by what stands.
    Retain {
        /// Where.
        paths: Vec<String>,
        /// Who reads there.
        readers: Vec<Run>,
    },
    /// Start a unit, and wait until it is ready.
    Start(Run),
    /// Start a unit anew, and wait until it is ready.
    Restart(Run),
    /// Have a unit read its files again.
    Reload(String),
    /// Wait until it is clear that a unit that came up stays up.
    Stays {
        /// Which.
        run: Run,
        /// What becomes of one that does not.
        otherwise: Otherwise,
    },
    /// Put back what is retained of these paths, by which no unit has begun.
    Undo(Vec<String>),
    /// What is retained is needed no more, but that of these paths.
    Well(Vec<String>),
    /// Kill a unit's processes, for a drill: it is started again as after a crash.
    Kill(String),
}

/// A unit, and by what it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its name.
    pub unit: String,
    /// The files that it reads, of which what is retained is put back when it does not run by
    /// what is there.
    pub reads: Vec<String>,
}

/// What becomes of a unit that does not stay up, and for which nothing is retained by which it
/// does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Otherwise {
    /// It did not run before: it is ended.
    Stop,
    /// It ran before: systemd goes on trying.
    Leave,
}

/// What came of an order.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// It is done.
    Done,
    /// What was found.
    Facts(Facts),
    /// What the machine is.
    Machine(Machine),
    /// What is in the files that were asked for and are there.
    Fetched(BTreeMap<String, String>),
    /// What was laid down, and what stands there.
    Inventory(Inventory),
    /// What a program said.
    Told(Value),
    /// What was collected.
    Collected(Pieces),
    /// What came of a trial.
    Probed(Probed),
    /// Another operator has the lock; who, and what to do.
    Held(String),
    /// It is not done, and all is as it was before.
    Failed {
        /// Why: a phrase and its causes.
        error: String,
        /// The last lines of the unit's journal, when it was about a unit.
        said: Vec<String>,
    },
}

/// Only what it is about: what is in a file may be secret.
impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(who) => write!(f, "Lock({who})"),
            Self::Look(_) => f.write_str("Look"),
            Self::Survey => f.write_str("Survey"),
            Self::Fetch(paths) => write!(f, "Fetch({paths:?})"),
            Self::Inventory => f.write_str("Inventory"),
            Self::Remove(step) => write!(f, "Remove({step:?})"),
            Self::Ask(question) => write!(f, "Ask({question:?})"),
            Self::Collect(_) => f.write_str("Collect"),
            Self::Create { path, .. } => write!(f, "Create({path})"),
            Self::Delete(path) => write!(f, "Delete({path})"),
            Self::Drain(node) => write!(f, "Drain({node})"),
            Self::LoadImage(name) => write!(f, "LoadImage({name})"),
            Self::UnloadImage(name) => write!(f, "UnloadImage({name})"),
            Self::Probe(probe) => write!(f, "Probe({probe:?})"),
            Self::Mend(mend) => write!(f, "Mend({mend:?})"),
            Self::Folder { path, .. } => write!(f, "Folder({path})"),
            Self::Keep(path) => write!(f, "Keep({path})"),
            Self::Put(put) => write!(f, "Put({})", put.path),
            Self::Install(install) => write!(f, "Install({})", install.name),
            Self::Settle => f.write_str("Settle"),
            Self::Enable(unit) => write!(f, "Enable({unit})"),
            Self::Retain { paths, .. } => write!(f, "Retain({paths:?})"),
            Self::Start(run) => write!(f, "Start({})", run.unit),
            Self::Restart(run) => write!(f, "Restart({})", run.unit),
            Self::Reload(unit) => write!(f, "Reload({unit})"),
            Self::Stays { run, .. } => write!(f, "Stays({})", run.unit),
            Self::Undo(paths) => write!(f, "Undo({paths:?})"),
            Self::Well(but) => write!(f, "Well({but:?})"),
            Self::Kill(unit) => write!(f, "Kill({unit})"),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("Done"),
            Self::Facts(_) => f.write_str("Facts"),
            Self::Machine(_) => f.write_str("Machine"),
            Self::Fetched(found) => write!(f, "Fetched({:?})", found.keys()),
            Self::Inventory(_) => f.write_str("Inventory"),
            Self::Told(_) => f.write_str("Told"),
            Self::Collected(_) => f.write_str("Collected"),
            Self::Probed(_) => f.write_str("Probed"),
            Self::Held(holder) => write!(f, "Held({holder})"),
            Self::Failed { error, .. } => write!(f, "Failed({error})"),
        }
    }
}
