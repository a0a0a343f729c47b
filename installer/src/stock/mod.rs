//! The programs that there are to lay down: for each architecture, each with its checksum and
//! its file on this machine.
//!
//! ```text
//! binaries.folder ──SHA256SUMS──────────────────────────────────┐
//! binaries.sources ──download──▶ cache ──archive──▶ cache ──────┴─▶ Stock ──▶ Programs
//!                      checked            checked
//! ```
//!
//! Nothing is kept under a checksum that it does not have, and what is kept is looked at again
//! by every run.

mod archive;
mod cache;
mod download;
mod unpacked;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use thiserror::Error;

use crate::architecture::Architecture;
use crate::checksums::{Checksums, ChecksumsError};
use crate::spec::{Binaries, Holds, Source};

pub use archive::ArchiveError;
pub use cache::{Cache, CacheError};
pub use download::DownloadError;

/// Sources that are fetched at once: enough to fill a line, few enough for any mirror.
const AT_ONCE: usize = 4;

/// A program that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: String,
    /// Where it is.
    pub file: PathBuf,
}

/// Why a program is not what its list says.
#[derive(Debug, Error)]
pub enum OddError {
    /// It cannot be read.
    #[error("{} cannot be read", .file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is another.
    #[error(
        "{} has the checksum {found}, not {wanted}; bring the one that the list means, or write \
         the list anew", .file.display()
    )]
    Other {
        /// Which.
        file: PathBuf,
        /// Its own checksum.
        found: String,
        /// That of the list.
        wanted: String,
    },
}

impl Ready {
    /// Reads it, and holds it against its checksum: a list says what it likes.
    ///
    /// # Errors
    /// When it is not there, or another.
    pub fn look(&self) -> Result<(), OddError> {
        let file = self.file.clone();
        match cache::sum(&file) {
            Err(source) => Err(OddError::Read { file, source }),
            Ok(found) if found == self.sha256 => Ok(()),
            Ok(found) => Err(OddError::Other {
                file,
                found,
                wanted: self.sha256.clone(),
            }),
        }
    }
}

/// The programs for one architecture, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs(BTreeMap<String, Ready>);

/// The names of programs that are wanted, by architecture.
pub type Wanted = BTreeMap<Architecture, BTreeSet<String>>;

/// All programs.
#[derive(Clone, Debug, Default)]
pub struct Stock(BTreeMap<Architecture, Programs>);

/// Why a source gives no programs.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The file is not here.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// Its programs cannot be taken out of it.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It cannot be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Why programs were not fetched.
#[derive(Debug, Error)]
#[error("{place}")]
pub struct FetchError {
    /// Of which source.
    place: String,
    /// Why.
    source: Box<SourceError>,
}

impl Programs {
    /// Those of a folder for an architecture: what lies below the architecture's name is
    /// taken before what lies beside it.
    #[must_use]
    pub fn of_folder(
        folder: &Path,
        sums: &Checksums,
        architecture: Architecture,
    ) -> Self {
        let own = format!("{architecture}/");
        let mut programs = BTreeMap::new();
        let beside = sums.iter().filter(|(name, _)| !name.contains('/'));
        let below = sums.iter();
        let below =
            below.filter_map(|(name, sum)| Some((name, name.strip_prefix(&own)?, sum)));
        let all = beside.map(|(name, sum)| (name, name, sum)).chain(below);
        for (path, name, sum) in all {
            let ready = Ready {
                sha256: sum.to_owned(),
                file: folder.join(path),
            };
            programs.insert(name.to_owned(), ready);
        }
        Self(programs)
    }

    /// A program.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Ready> {
        self.0.get(name)
    }

    /// All of them, by their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Ready)> {
        self.0.iter().map(|(name, ready)| (name.as_str(), ready))
    }
}

impl Stock {
    /// What is in the folder of a description.
    ///
    /// # Errors
    /// When its checksums cannot be read.
    pub fn of_folder(binaries: &Binaries) -> Result<Self, ChecksumsError> {
        let mut stock = Self::default();
        if let Some(folder) = &binaries.folder {
            let sums = Checksums::read(&folder.checksums)?;
            for architecture in Architecture::ALL {
                let programs = Programs::of_folder(&folder.path, &sums, architecture);
                stock.0.insert(architecture, programs);
            }
        }
        Ok(stock)
    }

    /// Fetches what is wanted and not there into the cache. `about` is told of each file
    /// before it is fetched.
    ///
    /// # Errors
    /// When a source that is needed gives no programs.
    pub fn fetch(
        &mut self,
        sources: &[Source],
        wanted: &Wanted,
        cache: &Cache,
        about: &(dyn Fn(&Source) + Sync),
    ) -> Result<(), FetchError> {
        let needed: Vec<_> = sources
            .iter()
            .filter(|source| self.lacks(source, wanted))
            .collect();
        for some in needed.chunks(AT_ONCE) {
            for (source, ready) in some.iter().zip(all(some, cache, about)) {
                let ready = ready.map_err(|error| FetchError {
                    place: source.place.to_string(),
                    source: Box::new(error),
                })?;
                let programs = self.0.entry(source.architecture).or_default();
                for (name, ready) in ready {
                    programs.0.entry(name).or_insert(ready);
                }
            }
        }
        Ok(())
    }

    /// Those for one architecture.
    #[must_use]
    pub fn programs(&self, architecture: Architecture) -> Programs {
        self.0.get(&architecture).cloned().unwrap_or_default()
    }

    /// Whether a source has a program that is wanted and not there.
    fn lacks(&self, source: &Source, wanted: &Wanted) -> bool {
        let there = self.0.get(&source.architecture);
        let Some(wanted) = wanted.get(&source.architecture) else {
            return false;
        };
        let lacks =
            |name: &str| there.is_none_or(|programs| programs.get(name).is_none());
        source
            .programs()
            .any(|name| wanted.contains(name) && lacks(name))
    }
}

type Outcome = Result<Vec<(String, Ready)>, SourceError>;

/// Some sources, all at once.
fn all(
    sources: &[&Source],
    cache: &Cache,
    about: &(dyn Fn(&Source) + Sync),
) -> Vec<Outcome> {
    thread::scope(|scope| {
        let works = sources.iter();
        let works: Vec<_> = works
            .map(|source| scope.spawn(move || one(source, cache, about)))
            .collect();
        let died = |_| Err(CacheError::Died.into());
        works
            .into_iter()
            .map(|work| work.join().unwrap_or_else(died))
            .collect()
    })
}

/// The programs of a source: from the cache, else fetched.
fn one(source: &Source, cache: &Cache, about: &(dyn Fn(&Source) + Sync)) -> Outcome {
    if let Holds::Members { paths, .. } = &source.holds
        && let Some(ready) = unpacked::there(cache, &source.sha256, paths)
    {
        return Ok(ready);
    }
    let file = cache.file(&source.sha256);
    if !cache::is_whole(&file, &source.sha256) {
        about(source);
        download::download(&source.place, &source.sha256, cache)?;
    }
    match &source.holds {
        Holds::Program(name) => {
            let sha256 = source.sha256.clone();
            Ok(vec![(name.clone(), Ready { sha256, file })])
        }
        Holds::Members { form, paths } => {
            let archive = archive::Archive { file, form: *form };
            Ok(unpacked::unpack(cache, &source.sha256, &archive, paths)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architectures_own_folder_comes_first() {
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let text = format!("{one}  etcd\n{two}  arm64/etcd\n{two}  other/etcd\n");
        let sums = Checksums::parse(Path::new("SHA256SUMS"), &text).unwrap();
        let of = |architecture| {
            let programs = Programs::of_folder(Path::new("/b"), &sums, architecture);
            assert_eq!(programs.iter().count(), 1);
            programs.get("etcd").cloned().unwrap()
        };
        let amd64 = of(Architecture::Amd64);
        assert_eq!((amd64.sha256, amd64.file), (one, "/b/etcd".into()));
        let arm64 = of(Architecture::Arm64);
        assert_eq!((arm64.sha256, arm64.file), (two, "/b/arm64/etcd".into()));
    }
}
