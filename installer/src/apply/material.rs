//! What is made once for a cluster: its authorities and keys. They live on the masters; an
//! operator's machine has them in memory while it works, and nowhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::{AdoptError, Anchor, IssueError, KeyKind, ServiceAccountKey};
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use crate::layout;
use crate::plan::Trust;
use crate::render;
use crate::resource::{Authority, Shared};
use crate::spec::Enclosed;

/// Octets of the key that Secrets are sealed with: XSalsa20-Poly1305 takes 32.
const SEAL: usize = 32;

/// The authorities and keys of a cluster.
pub struct Material {
    authorities: BTreeMap<Authority, pki::Authority>,
    files: BTreeMap<String, String>,
}

/// Why there is no material.
#[derive(Debug, Error)]
pub enum MaterialError {
    /// Nothing could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The machine gave no randomness.
    #[error("the machine gave no random bytes")]
    Random,
    /// What a master holds is no authority.
    #[error("{name} on the masters cannot be used")]
    Adopt {
        /// Which, by its file.
        name: &'static str,
        /// Why.
        source: Box<AdoptError>,
    },
    /// What a master keeps it in was not understood.
    #[error(
        "{PLACE} on the masters is not what this program keeps there; bring it back from a backup"
    )]
    Understand(#[source] serde_json::Error),
    /// An authority that is to be taken over has ended, or has not begun.
    #[error("pki.authorities: {name}.crt is not valid today; give one that is")]
    Ended {
        /// Which, by its file.
        name: &'static str,
    },
    /// The masters hold another authority than the one that is to be taken over.
    #[error(
        "the masters hold another {name}.crt than pki.authorities does: apply does not exchange the \
         authority of a cluster that runs; give the one that it has, or leave pki.authorities out"
    )]
    Another {
        /// Which, by its file.
        name: &'static str,
    },
    /// The masters hold no key where one is needed.
    #[error(
        "the masters hold no key of {name}.crt: it is kept elsewhere; give its certificate in \
         pki.authorities, as when the cluster was made"
    )]
    Keyless {
        /// Which, by its file.
        name: &'static str,
    },
    /// Something is missing.
    #[error("{PLACE} on the masters lacks {missing}; bring it back from a backup")]
    Lacks {
        /// Which file of the cluster.
        missing: String,
    },
}

/// Where every master keeps all of it, in one file: it is there whole or not at all.
pub const PLACE: &str = layout::AUTHORITIES;

impl Material {
    /// Makes everything anew, with keys on P-256. `now` is the time of issue.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn new(now: SystemTime) -> Result<Self, MaterialError> {
        Self::made(&Enclosed::default(), KeyKind::P256, now)
    }

    /// Takes over what a description encloses, and makes the rest. `now` is the time of issue.
    ///
    /// # Errors
    /// When an authority is not valid today, the machine gives no randomness, or cannot make
    /// such keys.
    pub fn made(
        enclosed: &Enclosed,
        kind: KeyKind,
        now: SystemTime,
    ) -> Result<Self, MaterialError> {
        let mut files = BTreeMap::new();
        for authority in Authority::ALL {
            let name = authority.name();
            if let Some(adopted) = enclosed.authorities.get(&authority) {
                valid(name, &adopted.certificate.text, now)?;
                let certificate = adopted.certificate.text.clone();
                files.insert(layout::certificate(name), certificate);
                let key = adopted.key.iter();
                files.extend(key.map(|key| (layout::key(name), key.text.clone())));
                continue;
            }
            let made = pki::Authority::of_kind(authority.common_name(), kind, now)?;
            files.insert(layout::certificate(name), made.certificate_pem().to_owned());
            files.insert(layout::key(name), made.key_pem().expose().to_owned());
        }
        let (private, public) = match &enclosed.service_accounts {
            Some((private, public)) => (private.text.clone(), public.text.clone()),
            None => {
                let key = ServiceAccountKey::of_kind(kind)?;
                (key.private_pem.expose().to_owned(), key.public_pem)
            }
        };
        files.insert(layout::key("sa"), private);
        files.insert(format!("{}/sa.pub", layout::PKI), public);
        let mut seal = [0; SEAL];
        let filled = SystemRandom::new().fill(&mut seal);
        filled.map_err(|_| MaterialError::Random)?;
        let sealed = render::encryption(&STANDARD.encode(seal));
        files.insert(format!("{}/encryption.yaml", layout::KUBERNETES), sealed);
        Self::of(files)
    }

    /// Every file that it lies in, by its path.
    #[must_use]
    pub fn paths() -> Vec<String> {
        let pairs = Authority::ALL.into_iter();
        let pairs = pairs.flat_map(|one| [Shared::Trust(one), Shared::Signing(one)]);
        let all = pairs.chain([Shared::ServiceAccounts, Shared::Encryption]);
        all.flat_map(Shared::paths).map(|(path, _)| path).collect()
    }

    /// What the masters keep, for [`PLACE`].
    #[must_use]
    pub fn text(&self) -> String {
        // A map of texts always has a form in JSON.
        serde_json::to_string(&self.files).unwrap_or_default()
    }

    /// Takes up what a master keeps. An authority without its key is one that somebody else
    /// keeps: the file is there whole or not at all.
    ///
    /// # Errors
    /// When that is not what [`Material::text`] writes, or holds no usable authority.
    pub fn read(text: &str) -> Result<Self, MaterialError> {
        let files: BTreeMap<String, String> =
            serde_json::from_str(text).map_err(MaterialError::Understand)?;
        let keys = Authority::ALL.map(|one| layout::key(one.name()));
        let missing = Self::paths()
            .into_iter()
            .find(|path| !files.contains_key(path) && !keys.contains(path));
        match missing {
            Some(missing) => Err(MaterialError::Lacks { missing }),
            None => Self::of(files),
        }
    }

    fn of(files: BTreeMap<String, String>) -> Result<Self, MaterialError> {
        let mut authorities = BTreeMap::new();
        for authority in Authority::ALL {
            let name = authority.name();
            let text = |path: &String| files.get(path).map_or("", String::as_str);
            let unusable = |source| MaterialError::Adopt {
                name,
                source: Box::new(source),
            };
            let certificate = text(&layout::certificate(name));
            let Some(key) = files.get(&layout::key(name)) else {
                Anchor::from_pem(certificate).map_err(unusable)?;
                continue;
            };
            let adopted = pki::Authority::from_pem(certificate, key);
            authorities.insert(authority, adopted.map_err(unusable)?);
        }
        Ok(Self { authorities, files })
    }

    /// Holds what the masters keep against what a description encloses.
    ///
    /// # Errors
    /// When an authority is another one, or a key is missing that nobody else keeps.
    pub fn agrees(&self, enclosed: &Enclosed) -> Result<(), MaterialError> {
        for authority in Authority::ALL {
            let name = authority.name();
            let held = self.certificate(authority).unwrap_or_default();
            let adopted = enclosed.authorities.get(&authority);
            if let Some(adopted) = adopted {
                let wanted = anchor(name, &adopted.certificate.text)?;
                if anchor(name, held)?.fingerprint() != wanted.fingerprint() {
                    return Err(MaterialError::Another { name });
                }
            }
            let external = adopted.is_some_and(|adopted| adopted.key.is_none());
            if !external && !self.authorities.contains_key(&authority) {
                return Err(MaterialError::Keyless { name });
            }
        }
        Ok(())
    }

    /// An authority, when its key is here.
    #[must_use]
    pub fn authority(&self, authority: Authority) -> Option<&pki::Authority> {
        self.authorities.get(&authority)
    }

    /// What is in one of its files.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }
}

fn anchor(name: &'static str, certificate: &str) -> Result<Anchor, MaterialError> {
    Anchor::from_pem(certificate).map_err(|source| MaterialError::Adopt {
        name,
        source: Box::new(source),
    })
}

fn valid(
    name: &'static str,
    certificate: &str,
    now: SystemTime,
) -> Result<(), MaterialError> {
    match anchor(name, certificate)?.is_valid_at(now) {
        true => Ok(()),
        false => Err(MaterialError::Ended { name }),
    }
}

impl Trust for Material {
    fn certificate(&self, authority: Authority) -> Option<&str> {
        self.file(&layout::certificate(authority.name()))
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}
