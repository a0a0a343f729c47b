//! What `sha256sum` writes: which program has which bytes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The checksums of a folder of programs: name to SHA-256 in lower-case hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums(BTreeMap<String, String>);

/// Why checksums were not read.
#[derive(Debug, Error)]
pub enum ChecksumsError {
    /// The file cannot be read.
    #[error("{} cannot be read; write it with \"sha256sum * > SHA256SUMS\" beside the programs", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is none of sha256sum's.
    #[error("{}:{line}: is not \"CHECKSUM  NAME\" as sha256sum writes it", .path.display())]
    Line {
        /// Of which file.
        path: PathBuf,
        /// Which, from 1.
        line: usize,
    },
    /// A name stands there with two checksums.
    #[error("{}:{line}: {name} is there twice with two checksums", .path.display())]
    Twice {
        /// Of which file.
        path: PathBuf,
        /// Which, from 1.
        line: usize,
        /// Whose.
        name: String,
    },
}

impl Checksums {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or a line is none of `sha256sum`'s.
    pub fn read(path: &Path) -> Result<Self, ChecksumsError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ChecksumsError::Read {
                path: path.to_owned(),
                source,
            })?;
        Self::parse(path, &text)
    }

    /// Reads a text; `path` is what errors call it.
    ///
    /// # Errors
    /// A line is none of `sha256sum`'s.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ChecksumsError> {
        let mut all = BTreeMap::new();
        for (place, line) in text.lines().enumerate() {
            let (path, number) = (path.to_owned(), place + 1);
            if line.trim().is_empty() {
                continue;
            }
            let Some((name, sum)) = entry(line) else {
                return Err(ChecksumsError::Line { path, line: number });
            };
            if all
                .insert(name.clone(), sum.clone())
                .is_some_and(|known| known != sum)
            {
                return Err(ChecksumsError::Twice {
                    path,
                    line: number,
                    name,
                });
            }
        }
        Ok(Self(all))
    }

    /// Each name with its checksum.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, sum)| (name.as_str(), sum.as_str()))
    }

    /// The checksum of a program.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// `CHECKSUM  NAME`, or `CHECKSUM *NAME` for binary mode.
fn entry(line: &str) -> Option<(String, String)> {
    let (sum, name) = line.split_once(' ')?;
    let name = name.strip_prefix([' ', '*'])?;
    let good = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = name.strip_prefix("./").unwrap_or(name);
    (good && !name.is_empty()).then(|| (name.to_owned(), sum.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_sha256sum_writes_and_nothing_else() {
        let sum = "a".repeat(64);
        let parse = |text: &str| Checksums::parse(Path::new("SHA256SUMS"), text);
        let read = parse(&format!("{sum}  etcd\n\n{sum} *./kubelet\n")).unwrap();
        assert_eq!(read.get("etcd"), Some(sum.as_str()));
        assert_eq!(read.get("kubelet"), Some(sum.as_str()));
        assert_eq!(read.get("other"), None);
        for (text, wanted) in [
            ("etcd", "SHA256SUMS:1: is not"),
            (
                &format!("{sum}  etcd\nabc  kubelet"),
                "SHA256SUMS:2: is not",
            ),
            (&sum.clone(), "SHA256SUMS:1: is not"),
            (
                &format!("{sum}  etcd\n{}  etcd", "b".repeat(64)),
                "SHA256SUMS:2: etcd is there twice",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
