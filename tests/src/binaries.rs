//! Where the programs under test are: beside the program that runs, or where
//! `STERNPOST_BIN` says.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::LabError;

/// The project's own binary `name`.
///
/// # Errors
/// When it has not been built.
pub fn own(name: &str) -> Result<PathBuf, LabError> {
    let folder = env::var_os("STERNPOST_BIN").map_or_else(beside, PathBuf::from);
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let folder = folder.display();
    Err(LabError::Missing(format!(
        "no {name} in {folder}; build it (`make build`) or name its folder with STERNPOST_BIN"
    )))
}

/// The folder for what a lab leaves on purpose: logs and reports, `target/<name>`.
#[must_use]
pub fn output(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).join("target").join(name)
}

/// The folder for the logs of one lab, `target/lab-logs/<name>`, without those of an earlier
/// run: they would only mislead, and decide what they know nothing of.
#[must_use]
pub fn logs(name: impl AsRef<Path>) -> PathBuf {
    let folder = output("lab-logs").join(name);
    // Mostly there is none. One that cannot be removed cannot be written either, which the
    // first program says.
    drop(fs::remove_dir_all(&folder));
    folder
}

/// Cargo puts tests into `deps/` below the binaries.
fn beside() -> PathBuf {
    let exe = env::current_exe().unwrap_or_default();
    let folder = exe.parent().unwrap_or(Path::new("."));
    match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().unwrap_or(folder).to_owned(),
        _ => folder.to_owned(),
    }
}
