//! The files of an authority, and who may read the key.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pki::{AdoptError, Authority, Purpose};
use policy::Signer;

use crate::stamp::{Stamp, stamp};

/// Certificates with their issuers, and keys, are a few KiB.
const LARGEST: u64 = 256 * 1024;
/// Anybody but the owner.
const OTHERS: u32 = 0o077;

/// Which signers sign, with what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan(pub BTreeMap<Signer, Role>);

/// How one signer signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The first that may sign at the time does.
    pub authorities: Vec<Source>,
    /// How long a certificate lasts, unless a shorter time is asked for.
    pub lifetime: Duration,
}

/// Where an authority is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Its certificate, then those of its issuers.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// It does not sign earlier: all that trust it are to know it by then.
    pub from: Option<SystemTime>,
}

/// Why an authority's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// One cannot be read.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// One is too large.
    #[error("{} is larger than {LARGEST} bytes: no certificate or key is", .0.display())]
    TooLarge(PathBuf),
    /// Others may read the key.
    #[error("{} has mode {mode:04o}: a key is for its owner alone; `chmod 600` it", path.display())]
    Mode {
        /// The key.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Nobody may sign now.
    #[error(
        "no authority of {0} may sign now: all have expired or are not valid yet; \
         write a valid one into signing, or take the signer out of it"
    )]
    NoneValid(&'static str),
    /// It may not issue what it is to.
    #[error(
        "{} may not issue for {signer}: its extendedKeyUsage has another purpose",
        certificate.display()
    )]
    Purpose {
        /// The certificate.
        certificate: PathBuf,
        /// What it is to sign.
        signer: &'static str,
    },
    /// They are not an authority's.
    #[error("{} with {}", .certificate.display(), .key.display())]
    Adopt {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong.
        source: AdoptError,
    },
}

impl Source {
    /// Reads both files.
    ///
    /// # Errors
    /// One cannot be read, or they are not of an authority that may sign for `signer`.
    pub fn load(&self, signer: Signer) -> Result<Arc<Authority>, LoadError> {
        let certificate = read(&self.certificate, |_| Ok(()))?;
        let key = read(&self.key, |mode| match mode & OTHERS {
            0 => Ok(()),
            _ => Err(LoadError::Mode {
                path: self.key.clone(),
                mode,
            }),
        })?;
        let authority = Authority::from_pem(&certificate, &key);
        let authority = authority.map_err(|source| LoadError::Adopt {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        })?;
        if !authority.may_issue_for(purpose(signer)) {
            return Err(LoadError::Purpose {
                certificate: self.certificate.clone(),
                signer: signer.name(),
            });
        }
        Ok(Arc::new(authority))
    }

    /// What changes when somebody writes one of the files.
    pub(super) fn stamp(&self) -> [Stamp; 2] {
        [&self.certificate, &self.key].map(|path| stamp(path))
    }
}

/// What a signer's certificates are for.
pub(super) fn purpose(signer: Signer) -> Purpose {
    match signer {
        Signer::Client => Purpose::Client,
        Signer::Serving => Purpose::Server,
    }
}

/// Looks at the mode of what is then read: both of the same open file.
fn read(
    path: &Path,
    check: impl Fn(u32) -> Result<(), LoadError>,
) -> Result<String, LoadError> {
    let failed = |error| LoadError::Read(path.to_owned(), error);
    let file = File::open(path).map_err(failed)?;
    let data = file.metadata().map_err(failed)?;
    if data.is_file() {
        check(data.mode() & 0o7777)?;
    }
    let mut text = String::new();
    let mut limited = file.take(LARGEST + 1);
    let length = limited.read_to_string(&mut text).map_err(failed)?;
    match u64::try_from(length) {
        Ok(length) if length <= LARGEST => Ok(text),
        Ok(_) | Err(_) => Err(LoadError::TooLarge(path.to_owned())),
    }
}
