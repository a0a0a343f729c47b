//! systemd's own words about every unit: `systemd-analyze verify` on a root that holds a host's
//! units, the targets that they name, and an empty program for each that they start.
//!
//! Leaves to others: whether a unit's program works within what the unit allows it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;
use sternpost::resource::Resource;

use crate::for_every_host;

const UNITS: &str = "etc/systemd/system";
const TARGETS: &str = "usr/lib/systemd/system";

pub(crate) fn every_unit() -> Result<(), Failed> {
    let mut seen = 0;
    for_every_host(|_, host, resources| {
        let units = units(resources);
        seen += units.len();
        if let Some((path, _)) = units.iter().find(|(_, text)| is_refused(text)) {
            let why = "is a oneshot with Restart=, which systemd 239 refuses";
            return Err(format!("{}: {path} {why}", host.name).into());
        }
        match complaints(&units)? {
            None => Ok(()),
            Some(said) => Err(format!("{}: {said}", host.name).into()),
        }
    })?;
    if seen == 0 {
        return Err("no host has a unit".into());
    }
    Ok(())
}

/// What systemd before 244 refuses and this one takes: of a oneshot every other `Restart=`.
fn is_refused(text: &str) -> bool {
    let again = |line: &str| line.starts_with("Restart=") && line != "Restart=no";
    text.lines().any(|line| line == "Type=oneshot") && text.lines().any(again)
}

/// The test above can fail.
pub(crate) fn odd() -> Result<(), Failed> {
    let again = |kind: &str| format!("[Service]\nType={kind}\nRestart=on-failure\n");
    if !is_refused(&again("oneshot")) || is_refused(&again("forking")) {
        return Err("a oneshot that is tried again is not known".into());
    }
    for text in [
        "[Service]\nExecStart=/usr/bin/it\nRestart=allways\n",
        "[Service]\nExecStart=/usr/bin/it\nRestartSecs=1s\n",
        "[Unit]\nRequires=nobody.service\n[Service]\nExecStart=/usr/bin/it\n",
        "[Service]\nType=notify\n",
    ] {
        let unit = (format!("/{UNITS}/odd.service"), text.to_owned());
        if complaints(&[unit])?.is_none() {
            return Err(format!("nothing is said of\n{text}").into());
        }
    }
    Ok(())
}

/// The paths and texts of all units and of what is added to them.
fn units(resources: &[Resource]) -> Vec<(String, String)> {
    let folder = format!("/{UNITS}/");
    let files = resources.iter().filter_map(Resource::file);
    let units = files.filter(|file| file.path.starts_with(&folder));
    units
        .map(|file| (file.path.clone(), file.content.clone()))
        .collect()
}

/// What systemd has to say of them, if anything.
fn complaints(units: &[(String, String)]) -> Result<Option<String>, Failed> {
    let root = tempfile::tempdir()?;
    let root = root.path();
    targets(root)?;
    let mut paths = Vec::new();
    for (path, text) in units {
        let path = within(root, path);
        write(&path, text, 0o644)?;
        for program in text.lines().filter_map(started) {
            write(&within(root, program), "", 0o755)?;
        }
        paths.extend(
            path.extension()
                .is_some_and(|end| end != "conf")
                .then_some(path),
        );
    }
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(format!("--root={}", root.display()))
        .args(paths)
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    match output.status.success() && said.is_empty() {
        true => Ok(None),
        false => Ok(Some(format!("{}\n{said}", output.status))),
    }
}

/// systemd's own targets, to which all services belong.
fn targets(root: &Path) -> Result<(), Failed> {
    let folder = root.join(TARGETS);
    fs::create_dir_all(&folder)?;
    for file in fs::read_dir(Path::new("/").join(TARGETS))? {
        let file = file?.path();
        if let (Some("target"), Some(name)) = (
            file.extension().and_then(|end| end.to_str()),
            file.file_name(),
        ) {
            fs::copy(&file, folder.join(name))?;
        }
    }
    Ok(())
}

/// The program of a line that starts one, by its absolute path.
fn started(line: &str) -> Option<&str> {
    let (key, command) = line.split_once('=')?;
    let first = command.split(' ').next()?;
    let program = first.trim_start_matches(['-', '@', ':', '+', '!']);
    (key.starts_with("Exec") && program.starts_with('/')).then_some(program)
}

fn within(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failed> {
    fs::create_dir_all(path.parent().ok_or("it has no folder")?)?;
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}
