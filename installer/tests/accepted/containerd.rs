//! containerd's own words about its configuration: a containerd of each generation reads what is
//! rendered for it, and keeps all of it.
//!
//! It ends well with a key that it does not know, so two of its commands are held against what is
//! rendered: `config dump` is the file as it was understood, and lacks what was not; what a
//! runtime is given is dumped whatever it is, and stands in `config default` where it is known.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::requirement;
use libtest_mimic::Failed;
use sternpost::spec::Generation;
use toml::Value;

use crate::{file, for_every_host};

/// Each value by the keys that lead to it.
type Leaves = BTreeSet<(Vec<String>, String)>;

pub(crate) fn of_one() -> Result<(), Failed> {
    configuration(Generation::One)
}

pub(crate) fn of_two() -> Result<(), Failed> {
    configuration(Generation::Two)
}

fn configuration(generation: Generation) -> Result<(), Failed> {
    let containerd = Containerd::of(generation)?;
    let mut seen = BTreeSet::new();
    for_every_host(|cluster, _, resources| {
        let Some(text) = file(resources, "/etc/containerd/config.toml") else {
            return Ok(());
        };
        if cluster.containerd != generation {
            return Ok(());
        }
        containerd.understands(&text)?;
        let pause = cluster.version.features().pause;
        for wanted in [pause, "SystemdCgroup = true", "/etc/containerd/certs.d"] {
            if !text.contains(wanted) {
                return Err(format!("no {wanted} in\n{text}").into());
            }
        }
        seen.insert(text);
        Ok(())
    })?;
    let text = seen.first().ok_or("no description has this generation")?;
    for key in ["SystemdCgroup", "config_path", "conf_dir"] {
        let misspelt = text.replace(key, &format!("{key}s"));
        if containerd.understands(&misspelt).is_ok() {
            return Err(format!("{key}s was taken").into());
        }
    }
    Ok(())
}

/// A real one, with a folder for what it reads.
struct Containerd {
    program: PathBuf,
    folder: tempfile::TempDir,
    known: BTreeSet<Vec<String>>,
}

impl Containerd {
    fn of(generation: Generation) -> Result<Self, Failed> {
        let folder = match generation {
            Generation::One => requirement::runtime(),
            Generation::Two => requirement::containerd(),
        };
        let mut containerd = Self {
            program: folder.join("containerd"),
            folder: tempfile::tempdir()?,
            known: BTreeSet::new(),
        };
        let default = containerd.says(&["config", "default"])?;
        containerd.known = leaves(&default)?
            .into_iter()
            .map(|(keys, _)| keys)
            .collect();
        Ok(containerd)
    }

    /// Every value is kept as it is, and every key is one that it knows.
    fn understands(&self, text: &str) -> Result<(), Failed> {
        let path = self.folder.path().join("config.toml");
        fs::write(&path, text)?;
        let dumped =
            leaves(&self.says(&["--config", name(&path)?, "config", "dump"])?)?;
        for leaf in leaves(text)? {
            let (keys, value) = &leaf;
            if !dumped.contains(&leaf) {
                return Err(format!("it read no {} = {value}", keys.join(".")).into());
            }
            if !self.known.contains(keys) {
                return Err(format!("it knows no {}", keys.join(".")).into());
            }
        }
        Ok(())
    }

    /// What a command prints, when nothing is complained of.
    fn says(&self, arguments: &[&str]) -> Result<String, Failed> {
        let output = Command::new(&self.program).args(arguments).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        match output.status.success() && complaint.is_empty() {
            true => Ok(String::from_utf8(output.stdout)?),
            false => Err(format!("{arguments:?}: {}: {complaint}", output.status).into()),
        }
    }
}

fn name(path: &Path) -> Result<&str, Failed> {
    path.to_str().ok_or_else(|| "an odd folder".into())
}

fn leaves(text: &str) -> Result<Leaves, Failed> {
    let mut all = Leaves::new();
    collect(&Value::Table(text.parse()?), &[], &mut all);
    Ok(all)
}

fn collect(value: &Value, keys: &[String], all: &mut Leaves) {
    let Value::Table(table) = value else {
        all.insert((keys.to_vec(), value.to_string()));
        return;
    };
    for (key, value) in table {
        let mut keys = keys.to_vec();
        keys.push(key.clone());
        collect(value, &keys, all);
    }
}
