//! How long a disk takes to have something for good, the way etcd's log asks it: as etcd's
//! own guide does with fio (`--fdatasync=1 --bs=2300`), with fewer writes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::ProbeError;
use crate::agent::files::below;
use crate::layout;

/// Octets of a write: about an entry of etcd's log, as in its guide.
const BLOCK: usize = 2300;
/// Writes: the hundredth part is four, so that one alone does not say what the disk is like.
const WRITES: usize = 400;
/// A disk that is slower than that per write has said enough.
const WITHIN: Duration = Duration::from_secs(4);
const NAME: &str = ".sternpost-syncs";

/// Times of writes that a disk has for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Syncs {
    /// Where it was tried.
    pub folder: String,
    /// How often.
    pub writes: usize,
    /// The time that one in a hundred takes longer than.
    pub p99: Duration,
    /// The longest.
    pub longest: Duration,
}

/// Writes to the disk that has, or is to have, etcd's data.
pub(super) fn measure(root: &Path) -> Result<Syncs, ProbeError> {
    let folder = standing(&below(root, layout::ETCD_DATA));
    let times = times(&folder).map_err(|source| ProbeError::Disk {
        folder: folder.clone(),
        source,
    })?;
    Ok(Syncs {
        folder: folder.display().to_string(),
        writes: times.len(),
        p99: percentile(&times),
        longest: times.last().copied().unwrap_or_default(),
    })
}

/// The folder, or the nearest above it that there is.
fn standing(folder: &Path) -> PathBuf {
    let mut all = folder.ancestors();
    let found = all.find(|folder| folder.is_dir());
    found.unwrap_or(Path::new("/")).to_owned()
}

/// Sorted, the shortest first.
fn times(folder: &Path) -> io::Result<Vec<Duration>> {
    let path = folder.join(format!("{NAME}-{}", std::process::id()));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).open(&path)?;
    // Without a name it goes with this process, however that ends.
    fs::remove_file(&path)?;
    let block = [0x5a; BLOCK];
    let begun = Instant::now();
    let mut times = Vec::with_capacity(WRITES);
    while times.len() < WRITES && begun.elapsed() < WITHIN {
        let start = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

/// By the nearest rank: of `n` times the one at place ⌈0.99 n⌉.
fn percentile(times: &[Duration]) -> Duration {
    let rank = (times.len() * 99).div_ceil(100);
    let place = rank.saturating_sub(1);
    times.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_by_rank() {
        let times: Vec<_> = (1..=400).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times), Duration::from_millis(396));
        assert_eq!(percentile(&times[..1]), Duration::from_millis(1));
        assert_eq!(percentile(&[]), Duration::ZERO);
    }

    #[test]
    fn nothing_is_left_and_the_nearest_folder_is_tried() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("var/lib")).unwrap();
        let syncs = measure(root.path()).unwrap();
        assert!(syncs.folder.ends_with("/var/lib"), "{syncs:?}");
        assert!(syncs.writes > 0 && syncs.p99 <= syncs.longest, "{syncs:?}");
        let left = fs::read_dir(root.path().join("var/lib")).unwrap().count();
        assert_eq!(left, 0);
    }
}
