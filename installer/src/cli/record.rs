//! What was done, by whom and when, on the operator's machine: a line of JSON an event, beside
//! the journals of the hosts. It is for people who look for what happened; no run reads it.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use daemon::rfc3339;
use serde_json::{Value, json};

use super::Sentence;
use super::progress::Event;

/// A file that is longer at the beginning of a run makes room for another, octets. A run of a
/// hundred hosts adds about one.
const LONG: u64 = 8 * 1024 * 1024;

/// Where it is kept.
#[derive(Debug, Default, Args)]
pub(super) struct Noted {
    /// Where it is noted on this machine what was done, a line of JSON an event; by default
    /// CLUSTER.jsonl in sternpost in $XDG_STATE_HOME, or in ~/.local/state.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    file: File,
}

impl Noted {
    /// Opens the journal of a cluster, and notes who begins with what. Without it a run goes on, unless
    /// it was asked for by name.
    pub(super) fn open(
        &self,
        cluster: &str,
        who: &str,
        command: &str,
    ) -> Result<Option<Record>, Sentence> {
        match (self.opened(cluster, who, command), &self.journal) {
            (Ok(record), _) => Ok(Some(record)),
            (Err(error), Some(_)) => Err(error),
            (Err(error), None) => {
                super::complain(&error);
                Ok(None)
            }
        }
    }

    fn opened(
        &self,
        cluster: &str,
        who: &str,
        command: &str,
    ) -> Result<Record, Sentence> {
        let path = match &self.journal {
            Some(path) => path.clone(),
            None => folder()?.join(format!("{cluster}.jsonl")),
        };
        let failed = |error: io::Error| {
            let place = path.display();
            format!(
                "{place} cannot be written: {error}; write another with --journal FILE"
            )
        };
        let file = open(&path).map_err(failed)?;
        let version = env!("CARGO_PKG_VERSION");
        let begun = json!({"event": "begun", "command": command, "cluster": cluster,
                           "by": who, "version": version});
        let mut record = Record { path, file };
        record.line(begun)?;
        Ok(record)
    }
}

impl Record {
    /// Notes an event.
    pub(super) fn note(&mut self, event: &Event) -> Result<(), Sentence> {
        self.line(json!(event))
    }

    fn line(&mut self, mut event: Value) -> Result<(), Sentence> {
        if let Value::Object(map) = &mut event {
            map.insert("at".to_owned(), rfc3339(SystemTime::now()).into());
        }
        // One write: lines of two runs do not run into each other.
        let written = self.file.write_all(format!("{event}\n").as_bytes());
        written.map_err(|error| {
            let place = self.path.display();
            format!("{place} cannot be written: {error}")
        })
    }
}

fn folder() -> Result<PathBuf, Sentence> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let state = set("XDG_STATE_HOME").map(PathBuf::from);
    let home = || set("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state = state.or_else(home);
    let state = state.map(|state| state.join("sternpost"));
    state.ok_or_else(|| {
        "nobody says where this run is noted; write --journal FILE".to_owned()
    })
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    if fs::metadata(path).is_ok_and(|about| about.len() > LONG) {
        fs::rename(path, path.with_extension("old.jsonl"))?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn every_run_is_added_and_a_long_file_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/prod.jsonl");
        let kept = Noted {
            journal: Some(path.clone()),
        };
        for steps in 0..2 {
            let mut record = kept
                .open("prod", "ada on laptop", "apply")
                .unwrap()
                .unwrap();
            let host = "m1".to_owned();
            record.note(&Event::Done { host, steps }).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(serde_json::from_str::<Value>);
        let lines: Vec<_> = lines.map(Result::unwrap).collect();
        let events: Vec<_> = lines.iter().map(|line| line["event"].clone()).collect();
        assert_eq!(events, ["begun", "done", "begun", "done"]);
        assert_eq!(lines[0]["by"], "ada on laptop");
        assert_eq!(lines[0]["command"], "apply");
        assert!(lines.iter().all(|line| line["at"].is_string()), "{text}");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(LONG + 1)
            .unwrap();
        drop(kept.open("prod", "ada", "reset").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
        assert!(folder.path().join("state/prod.old.jsonl").exists());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let kept = Noted {
            journal: Some("/proc/nowhere/x.jsonl".into()),
        };
        let error = kept.open("prod", "ada", "apply").unwrap_err();
        assert!(
            error.starts_with("/proc/nowhere/x.jsonl cannot be written: "),
            "{error}"
        );
    }
}
