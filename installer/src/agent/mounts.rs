//! Where something is mounted: what must be known before a folder is removed with all that is
//! in it. What cannot be read is an error, never "nothing".

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Mounts as this process sees them (proc(5)).
const MOUNTS: &str = "/proc/self/mountinfo";
/// Digits of an octet that is written as `\ooo`.
const DIGITS: usize = 3;

/// Where something is mounted below `root`, as seen from there.
///
/// # Errors
/// When the system does not say, or in a form that is not known.
pub(super) fn mounts(root: &Path) -> io::Result<Vec<PathBuf>> {
    read(&fs::read(MOUNTS)?, root)
}

/// The fifth field of each line.
fn read(octets: &[u8], root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    let lines = octets.split(|octet| *octet == b'\n');
    for line in lines.filter(|line| !line.is_empty()) {
        let Some(field) = line.split(|octet| *octet == b' ').nth(4) else {
            let line = String::from_utf8_lossy(line);
            let problem = format!("{MOUNTS} has a line without a place: {line:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        };
        let path = PathBuf::from(OsString::from_vec(plain(field)));
        if let Ok(inside) = path.strip_prefix(root) {
            all.push(Path::new("/").join(inside));
        }
    }
    Ok(all)
}

/// A path as it is: spaces, tabs, ends of lines and backslashes are written as `\ooo` there.
pub(crate) fn plain(field: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let written = (*first == b'\\').then(|| behind.split_at_checked(DIGITS));
        match written
            .flatten()
            .and_then(|(digits, after)| Some((octet(digits)?, after)))
        {
            Some((octet, after)) => {
                octets.push(octet);
                rest = after;
            }
            None => {
                octets.push(*first);
                rest = behind;
            }
        }
    }
    octets
}

fn octet(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn of(octets: &[u8], root: &str) -> Vec<PathBuf> {
        read(octets, Path::new(root)).unwrap()
    }

    /// A name in another encoding hides neither itself nor the mounts beside it.
    #[test]
    fn a_mount_is_seen_whatever_its_name() {
        let text = b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
            2 1 8:2 / /var/lib/etcd/old\\040disk\\011a\\012b\\134c rw - ext4 /dev/sdb rw\n\
            3 1 8:3 / /mnt/\xfc\\999 rw - vfat /dev/sdc rw\n";
        let wanted: [&[u8]; 3] =
            [b"/", b"/var/lib/etcd/old disk\ta\nb\\c", b"/mnt/\xfc\\999"];
        let found = of(text, "/");
        let found: Vec<_> = found.iter().map(|at| at.as_os_str().as_bytes()).collect();
        assert_eq!(found, wanted);
        let below: [&[u8]; 1] = [b"/\xfc\\999"];
        let found = of(text, "/mnt");
        let found: Vec<_> = found.iter().map(|at| at.as_os_str().as_bytes()).collect();
        assert_eq!(found, below);
    }

    #[test]
    fn what_cannot_be_read_is_not_nothing() {
        let error = read(b"1 0 8:1 /\n", Path::new("/")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(
            mounts(Path::new("/"))
                .unwrap()
                .contains(&PathBuf::from("/"))
        );
    }
}
