//! What stood where something of ours takes the place of something of ours: a copy for the
//! superuser alone, one a path, until those who read it are well. A unit that does not come up
//! by what is new gets it back.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::before::{self, Was};
use super::files::{FilesError, below, beside, inside, leads, refused, settled};
use super::journal::{Entry, Journal};
use crate::facts::sha256;
use crate::judge;

/// Where the copies lie, each under the SHA-256 of its path.
pub(crate) const PREVIOUS: &str = "/var/lib/sternpost/previous";

/// A copy.
#[derive(Serialize, Deserialize)]
struct Previous {
    was: Was,
    /// What was in a file.
    text: String,
}

/// Whether something is kept of a path.
pub(super) fn is_kept(root: &Path, path: &str) -> bool {
    copy_of(root, path).exists()
}

/// Keeps what stands at these paths, but where something is kept already that is not `outdated`:
/// that is what its readers ran with when they were last well.
pub(super) fn retain(
    root: &Path,
    paths: &[String],
    outdated: &[&String],
) -> Result<(), FilesError> {
    for path in paths {
        let copy = copy_of(root, path);
        if copy.exists() && !outdated.contains(&path) {
            continue;
        }
        let place = below(root, path);
        let Some(was) = before::stands(&place)? else {
            continue;
        };
        let text = match &was {
            // Ours are text; what is none has become another's, who has it himself.
            Was::File { .. } => match fs::read_to_string(&place) {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => continue,
                text => text.map_err(refused("read", place))?,
            },
            Was::Link { .. } => String::new(),
        };
        kept(&copy, &Previous { was, text }).map_err(refused("kept", copy))?;
    }
    Ok(())
}

/// Puts back what is kept of these paths, and keeps it no more; which they were. The journal
/// knows before anything is there. A certificate that has ended stays away, as its key does: nobody
/// runs by it.
pub(super) fn put_back(
    root: &Path,
    paths: &[String],
    journal: &mut Journal,
    now: SystemTime,
) -> Result<Vec<String>, FilesError> {
    let over: BTreeSet<_> = paths
        .iter()
        .filter(|path| is_over(root, path, now))
        .collect();
    let mut back = Vec::new();
    for path in paths {
        let copy = copy_of(root, path);
        let Some(previous) = read(&copy).map_err(refused("read", copy.clone()))? else {
            continue;
        };
        let place = below(root, path);
        let stands = before::stands(&place)?;
        if !over.contains(path) && stands.as_ref() != Some(&previous.was) {
            journal.note(&entry(root, path, &previous.was))?;
            before::laid(&place, &previous.was, |_| Ok(previous.text.into_bytes()))?;
            back.push(path.clone());
        }
        before::gone(&copy).map_err(refused("removed", copy))?;
    }
    Ok(back)
}

/// What stands at a path of which something is kept: an agent that ended while it put that back may
/// have noted it, and not have come to it.
pub(super) fn doubted(root: &Path, path: &str) -> Option<String> {
    if !copy_of(root, path).exists() {
        return None;
    }
    match before::stands(&below(root, path)).ok()?? {
        Was::File { sha256, .. } => Some(sha256),
        Was::Link { to } => Some(inside(root, Path::new(&to))),
    }
}

/// Whether what is kept of a path is a certificate that has ended, or the key of such a one.
fn is_over(root: &Path, path: &str, now: SystemTime) -> bool {
    let stem = path
        .strip_suffix(".crt")
        .or_else(|| path.strip_suffix(".key"));
    let certificate = stem.map(|stem| copy_of(root, &format!("{stem}.crt")));
    let kept = certificate.and_then(|copy| read(&copy).ok().flatten());
    kept.is_some_and(|kept| judge::has_ended(&kept.text, now))
}

/// Keeps nothing more but of these paths.
pub(super) fn forget(root: &Path, but: &[String]) -> io::Result<()> {
    let folder = below(root, PREVIOUS);
    let stay: Vec<_> = but.iter().map(|path| copy_of(root, path)).collect();
    let copies = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        copies => copies?,
    };
    let mut left = false;
    for copy in copies {
        let copy = copy?.path();
        match stay.contains(&copy) {
            true => left = true,
            false => fs::remove_file(copy)?,
        }
    }
    match left {
        true => Ok(()),
        false => fs::remove_dir(folder),
    }
}

/// What the journal is told of something that is put back.
fn entry(root: &Path, path: &str, was: &Was) -> Entry {
    let (path, place) = (path.to_owned(), below(root, path));
    match was {
        Was::File { sha256: after, .. } => Entry::Wrote {
            path,
            before: fs::read(place).ok().map(|octets| sha256(&octets)),
            after: after.clone(),
        },
        Was::Link { to } => Entry::Linked {
            path,
            before: leads(root, &place),
            after: inside(root, Path::new(to)),
        },
    }
}

fn copy_of(root: &Path, path: &str) -> PathBuf {
    below(root, PREVIOUS).join(sha256(path.as_bytes()))
}

/// A copy is there whole or not at all, and never readable by others.
fn kept(copy: &Path, previous: &Previous) -> io::Result<()> {
    if let Some(folder) = copy.parent() {
        let mut make = DirBuilder::new();
        make.recursive(true).mode(0o700).create(folder)?;
    }
    let fresh = beside(copy);
    before::gone(&fresh)?;
    before::written(&fresh, &serde_json::to_vec(previous)?)?;
    fs::rename(&fresh, copy)?;
    settled(copy)
}

fn read(copy: &Path) -> io::Result<Option<Previous>> {
    match fs::read(copy) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        octets => Ok(Some(serde_json::from_slice(&octets?)?)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_certificate_that_has_ended_stays_away_and_its_key_with_it() {
        let now = SystemTime::now();
        let authority = pki::Authority::new("a", now).unwrap();
        let profile = pki::Profile::client("a", &[]);
        let issued = authority.issue(&profile, now).unwrap().certificate_pem;
        let paths = ["/pki/a.crt", "/pki/a.key", "/unit"].map(str::to_owned);
        for (later, wanted) in [
            (Duration::ZERO, &paths[..]),
            (pki::LEAF_LIFETIME, &paths[2..]),
        ] {
            let root = tempfile::tempdir().unwrap();
            let root = root.path();
            let lay = |texts: [&str; 3]| {
                for (path, text) in paths.iter().zip(texts) {
                    let place = below(root, path);
                    fs::create_dir_all(place.parent().unwrap()).unwrap();
                    fs::write(place, text).unwrap();
                }
            };
            lay([&issued, "key", "unit"]);
            retain(root, &paths, &[]).unwrap();
            lay(["new"; 3]);
            let mut journal = Journal::at(root.join("journal.jsonl"));
            let mut back = || put_back(root, &paths, &mut journal, now + later).unwrap();
            assert_eq!(back(), wanted);
            // It is kept no more either way.
            assert_eq!(back(), [""; 0]);
            let stays = fs::read_to_string(below(root, "/pki/a.key")).unwrap();
            assert_eq!(stays == "new", wanted.len() == 1);
        }
    }
}
