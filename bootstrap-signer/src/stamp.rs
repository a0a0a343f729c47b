//! What tells a file that was changed from one that was not.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Inode, size and time of change; nothing where there is no such file.
pub(crate) type Stamp = Option<(u64, u64, i64, i64)>;

/// The stamp of what is at `path`. Links are followed: whoever swaps a folder of them changes
/// what they point to.
pub(crate) fn stamp(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.ino(), data.size(), data.ctime(), data.ctime_nsec()))
}
