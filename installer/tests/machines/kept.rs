//! Where [`KEEP`] names a file, what was measured is put into it, and the page beside it.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use lab::bench::Circumstances;
use lab::load::usage;
use lab::requirement;
use libtest_mimic::Failed;

use super::record::{Measured, Record};

/// Names the file: of one run, whose trials each put their own part into it.
const KEEP: &str = "STERNPOST_KEEP";

/// What is measured, and where, as it was when it began.
pub(crate) struct Begun {
    circumstances: Circumstances,
    load: f64,
}

impl Begun {
    /// Before anything is started.
    pub(crate) fn now() -> Result<Self, Failed> {
        let mut version = Command::new(requirement::kubernetes().join("kube-apiserver"));
        version.arg("--version");
        Ok(Self {
            circumstances: Circumstances::of([("kubernetes", version)]),
            load: usage::load()?,
        })
    }

    /// With what was measured.
    pub(crate) fn measured<T>(self, figures: T) -> Measured<T> {
        Measured {
            circumstances: self.circumstances,
            load: Some(self.load),
            figures,
        }
    }
}

/// Keeps what is put into the record, where that is asked for.
pub(crate) fn keep(put: impl FnOnce(&mut Record)) -> Result<(), Failed> {
    let Some(path) = env::var_os(KEEP).map(PathBuf::from) else {
        return Ok(());
    };
    let mut record = match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Record::default(),
        Err(error) => return Err(error.into()),
    };
    put(&mut record);
    fs::write(&path, serde_json::to_string_pretty(&record)? + "\n")?;
    Ok(fs::write(path.with_extension("md"), record.page())?)
}
