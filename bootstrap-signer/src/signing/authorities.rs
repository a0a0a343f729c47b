//! The authorities in use, and the task that reads their files again when they change.
//! Fed by the rules; ends with the last one who looks at the authorities.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pki::Authority;
use policy::Signer;
use tokio::sync::watch;

use super::files::{LoadError, Plan, Source};
use crate::desk::Rulebook;
use crate::shown::Shown;
use crate::stamp::Stamp;

/// How often the files are looked at. A stat takes microseconds, and a rotation is to be
/// seen before the person who does it looks.
const LOOK: Duration = Duration::from_secs(1);

/// The authorities of each signer.
#[derive(Debug, Clone, Default)]
pub struct Authorities(BTreeMap<Signer, Held>);

#[derive(Debug, Clone)]
struct Held {
    lifetime: Duration,
    authorities: Vec<(Source, Arc<Authority>)>,
}

impl Authorities {
    /// Reads all files of `plan`.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn load(plan: &Plan) -> Result<Self, LoadError> {
        let mut all = BTreeMap::new();
        for (signer, role) in &plan.0 {
            let sources = role.authorities.iter();
            let held = Held {
                lifetime: role.lifetime,
                authorities: sources
                    .map(|source| Ok((source.clone(), source.load(*signer)?)))
                    .collect::<Result<_, _>>()?,
            };
            all.insert(*signer, held);
        }
        Ok(Self(all))
    }

    /// The same, where everybody has someone who may sign at `now`.
    ///
    /// # Errors
    /// A file cannot be used, or a signer has nobody.
    pub fn load_valid(plan: &Plan, now: SystemTime) -> Result<Self, LoadError> {
        let loaded = Self::load(plan)?;
        let mut idle = loaded
            .signers()
            .filter(|one| loaded.signing(*one, now).is_none());
        match idle.next() {
            Some(signer) => Err(LoadError::NoneValid(signer.name())),
            None => {
                drop(idle);
                Ok(loaded)
            }
        }
    }

    /// Who signs for `signer` at `now`, and for how long at most.
    #[must_use]
    pub fn signing(
        &self,
        signer: Signer,
        now: SystemTime,
    ) -> Option<(&Arc<Authority>, Duration)> {
        let held = self.0.get(&signer)?;
        let mut ready = held.authorities.iter().filter(|(source, authority)| {
            source.from.is_none_or(|from| from <= now) && authority.is_valid_at(now)
        });
        ready
            .next()
            .map(|(_, authority)| (authority, held.lifetime))
    }

    /// All of them with their signer, in the order of the file.
    pub fn all(&self) -> impl Iterator<Item = (Signer, &Arc<Authority>)> {
        let held = self.0.iter();
        held.flat_map(|(signer, held)| {
            let authorities = held.authorities.iter();
            authorities.map(|(_, authority)| (*signer, authority))
        })
    }

    /// The signers that sign.
    pub fn signers(&self) -> impl Iterator<Item = Signer> {
        self.0.keys().copied()
    }

    /// What must be trusted, while any of them signs: each root once, in PEM form.
    #[must_use]
    pub fn bundle(&self) -> String {
        let mut roots: Vec<&str> = Vec::new();
        for (_, authority) in self.all() {
            if !roots.contains(&authority.root_pem()) {
                roots.push(authority.root_pem());
            }
        }
        roots.concat()
    }

    /// Says who signs at `now`.
    pub fn tell(&self, now: SystemTime) {
        for signer in self.signers() {
            match self.signing(signer, now) {
                Some((authority, _)) => tracing::info!(
                    signer = signer.name(),
                    authority = authority.name(),
                    fingerprint = authority.fingerprint(),
                    until = daemon::rfc3339(authority.not_after()),
                    "signs"
                ),
                None => tracing::error!(
                    signer = signer.name(),
                    "no authority may sign now: all have expired or are not valid yet"
                ),
            }
        }
    }
}

/// Keeps what is sent to `current` like the files that the rules name. What cannot be
/// read changes nothing: a certificate is written before its key.
pub async fn keep_fresh(
    mut rules: watch::Receiver<Arc<Rulebook>>,
    current: watch::Sender<Arc<Authorities>>,
    shown: Arc<Shown>,
) {
    let mut plan = rules.borrow_and_update().signing.clone();
    let mut stamps = stamps(&plan);
    let mut said = String::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            changed = rules.changed() => match changed {
                Ok(()) => plan = rules.borrow_and_update().signing.clone(),
                Err(_) => return,
            },
            () = current.closed() => return,
        }
        let seen = self::stamps(&plan);
        if seen == stamps && said.is_empty() {
            continue;
        }
        match Authorities::load_valid(&plan, SystemTime::now()) {
            Ok(loaded) => {
                // Files that change while they are read are read once more.
                stamps = seen;
                said.clear();
                shown.signing.reload(Ok(()));
                loaded.tell(SystemTime::now());
                current.send_replace(Arc::new(loaded));
            }
            Err(error) => {
                let error = daemon::chain(&error);
                if said != error {
                    tracing::error!(
                        error,
                        "an authority is refused, what signed goes on"
                    );
                    shown.signing.reload(Err(()));
                    said = error;
                }
            }
        }
    }
}

fn stamps(plan: &Plan) -> Vec<(Source, [Stamp; 2])> {
    let sources = plan.0.values().flat_map(|role| &role.authorities);
    sources
        .map(|source| (source.clone(), source.stamp()))
        .collect()
}
