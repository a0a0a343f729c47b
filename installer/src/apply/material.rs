//! What is made once for a cluster: its authorities and keys. They live on the masters; an
//! operator's machine has them in memory while it works, and nowhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::{AdoptError, IssueError, ServiceAccountKey};
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use crate::layout;
use crate::plan::Trust;
use crate::render;
use crate::resource::{Authority, Shared};

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
    /// Something is missing.
    #[error("{PLACE} on the masters lacks {missing}; bring it back from a backup")]
    Lacks {
        /// Which file of the cluster.
        missing: String,
    },
}

/// Where every master keeps all of it, in one file: it is there whole or not at all.
pub const PLACE: &str = "/var/lib/sternpost/authorities.json";

impl Material {
    /// Makes everything anew. `now` is the time of issue.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn new(now: SystemTime) -> Result<Self, MaterialError> {
        let mut files = BTreeMap::new();
        for authority in Authority::ALL {
            let made = pki::Authority::new(authority.common_name(), now)?;
            let name = authority.name();
            files.insert(layout::certificate(name), made.certificate_pem().to_owned());
            files.insert(layout::key(name), made.key_pem().expose().to_owned());
        }
        let key = ServiceAccountKey::generate()?;
        files.insert(layout::key("sa"), key.private_pem.expose().to_owned());
        files.insert(format!("{}/sa.pub", layout::PKI), key.public_pem);
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

    /// Takes up what a master keeps.
    ///
    /// # Errors
    /// When that is not what [`Material::text`] writes, or holds no usable authority.
    pub fn read(text: &str) -> Result<Self, MaterialError> {
        let files: BTreeMap<String, String> =
            serde_json::from_str(text).map_err(MaterialError::Understand)?;
        let missing = Self::paths()
            .into_iter()
            .find(|path| !files.contains_key(path));
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
            let adopted = pki::Authority::from_pem(
                text(&layout::certificate(name)),
                text(&layout::key(name)),
            );
            let adopted = adopted.map_err(|source| MaterialError::Adopt {
                name,
                source: Box::new(source),
            })?;
            authorities.insert(authority, adopted);
        }
        Ok(Self { authorities, files })
    }

    /// An authority.
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
