//! What the command line lends an import: the resolver and the files beside the one that
//! is imported.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use super::Included;

/// More files than any balancer is made of: the pattern is not what was meant.
const FILES: usize = 256;

/// The address of a name by the system's resolver; IPv4 first, as the peers prefer it.
#[must_use]
pub fn resolve(name: &str) -> Option<IpAddr> {
    let all: Vec<IpAddr> = (name, 0)
        .to_socket_addrs()
        .ok()?
        .map(|address| address.ip())
        .collect();
    let four = all.iter().find(|ip| ip.is_ipv4());
    four.or(all.first()).copied()
}

/// The files of an nginx `include`, relative to the folder of the file that is imported;
/// the last part may hold asterisks.
///
/// # Errors
/// One of them, or their folder, cannot be read.
pub fn include(folder: &Path, pattern: &str) -> Included {
    let path = folder.join(pattern);
    let last = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if !last.contains('*') {
        return Ok(vec![read(&path)?]);
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in path.parent().unwrap_or(folder).read_dir()? {
        let entry = entry?;
        if matches(last, &entry.file_name().to_string_lossy()) {
            files.push(entry.path());
        }
    }
    if files.len() > FILES {
        let why = format!("it names {} files", files.len());
        return Err(io::Error::other(why));
    }
    files.sort();
    files.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> io::Result<(String, String)> {
    let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
    Ok((path.display().to_string(), text))
}

/// Whether a name is of the pattern, in which an asterisk stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let (first, last) = (
        parts.next().unwrap_or_default(),
        parts.next_back().unwrap_or_default(),
    );
    let inner = name
        .strip_prefix(first)
        .and_then(|rest| rest.strip_suffix(last));
    let Some(mut rest) = inner else {
        return false;
    };
    parts.all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.old", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "ac", false),
            ("*", "x", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
