//! What was taken out of an archive, and is kept beside the archive's checksum.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

use serde::{Deserialize, Serialize};

use super::Ready;
use super::archive::{Archive, ArchiveError};
use super::cache::{Cache, Fresh, is_whole, refused};

const INDEX: &str = "index.json";

/// A program that is kept, and which member of its archive it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    member: String,
    sha256: String,
}

type Index = BTreeMap<String, Kept>;

/// The programs of an archive, when all of them are there and whole.
pub(super) fn there(
    cache: &Cache,
    archive: &str,
    paths: &BTreeMap<String, String>,
) -> Option<Vec<(String, Ready)>> {
    let folder = cache.unpacked(archive);
    // What cannot be read or understood is taken out anew.
    let text = std::fs::read(folder.join(INDEX)).ok()?;
    let index: Index = serde_json::from_slice(&text).ok()?;
    let ready = |(program, member): (&String, &String)| {
        let kept = index.get(program).filter(|kept| kept.member == *member)?;
        let file = folder.join(program);
        let sha256 = kept.sha256.clone();
        let whole = is_whole(&file, &sha256);
        whole.then(|| (program.clone(), Ready { sha256, file }))
    };
    paths.iter().map(ready).collect()
}

/// Takes the programs out of an archive with that checksum, and keeps them.
pub(super) fn unpack(
    cache: &Cache,
    sha256: &str,
    archive: &Archive,
    paths: &BTreeMap<String, String>,
) -> Result<Vec<(String, Ready)>, ArchiveError> {
    let folder = cache.unpacked(sha256);
    let mut fresh: BTreeMap<String, Fresh> = BTreeMap::new();
    let taken = archive.take(paths, |program| {
        let one = cache.fresh(&folder.join(program))?;
        let file = one.create();
        let file = file.map_err(refused("written", one.path()))?;
        fresh.insert(program.to_owned(), one);
        Ok(file)
    })?;
    let (mut index, mut ready) = (Index::new(), Vec::new());
    for taken in taken {
        let file = folder.join(&taken.program);
        let member = paths.get(&taken.program).cloned().unwrap_or_default();
        if let Some(one) = fresh.remove(&taken.program) {
            one.keep(&file)?;
        }
        let sha256 = taken.sha256.clone();
        index.insert(taken.program.clone(), Kept { member, sha256 });
        let sha256 = taken.sha256;
        ready.push((taken.program, Ready { sha256, file }));
    }
    let place = folder.join(INDEX);
    let one = cache.fresh(&place)?;
    // A map of texts always has a form in JSON.
    let text = serde_json::to_vec(&index).unwrap_or_default();
    let written = one
        .create()
        .and_then(|mut file: File| file.write_all(&text));
    written.map_err(refused("written", &place))?;
    one.keep(&place)?;
    Ok(ready)
}
