//! `signing`: the files are read here too, so that `check` says what `run` would.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use config::KeyPath;
use jiff::Timestamp;
use policy::Signer;

use super::convert::Reader;
use super::file;
use crate::signing::{LoadError, Plan, Role, Source};

/// What kube-controller-manager signs for by default.
const LIFETIME: Duration = Duration::from_secs(365 * 86_400);
/// Kubelets renew when some 70 to 90 % are over; below an hour they would do little else.
const LIFETIMES: RangeInclusive<Duration> = RangeInclusive::new(
    Duration::from_secs(60 * 60),
    Duration::from_secs(3650 * 86_400),
);

impl Reader<'_> {
    pub(super) fn signing(&mut self, file: &file::Signing) -> Plan {
        let at = KeyPath::root().key("signing");
        let written = [
            (Signer::Client, "client", &file.client),
            (Signer::Serving, "serving", &file.serving),
        ];
        let mut plan = Plan::default();
        for (signer, key, signed) in written {
            if let Some(signed) = signed {
                let role = self.role(signer, signed, &at.key(key));
                plan.0.insert(signer, role);
            }
        }
        plan
    }

    fn role(&mut self, signer: Signer, file: &file::Signed, at: &KeyPath) -> Role {
        let lifetime = self.time(file.lifetime, &at.key("lifetime"), LIFETIMES);
        let at = at.key("authorities");
        if file.authorities.is_empty() {
            self.refuse(&at, "is empty; name the files of one that signs");
        }
        let authorities = file.authorities.iter().enumerate();
        Role {
            authorities: authorities
                .map(|(place, authority)| {
                    self.authority(signer, authority, &at.index(place))
                })
                .collect(),
            lifetime: lifetime.unwrap_or(LIFETIME),
        }
    }

    fn authority(
        &mut self,
        signer: Signer,
        file: &file::Authority,
        at: &KeyPath,
    ) -> Source {
        let from = file.signs_from.as_deref().and_then(|text| {
            let from = text.parse::<Timestamp>();
            if from.is_err() {
                let why = "is no time; write it as 2026-01-31T12:00:00Z";
                self.refuse(&at.key("signsFrom"), why);
            }
            from.ok().map(SystemTime::from)
        });
        let source = Source {
            certificate: file.cert_file.clone(),
            key: file.key_file.clone(),
            from,
        };
        if let Err(error) = source.load(signer) {
            let key = match &error {
                LoadError::Mode { .. } => "keyFile",
                LoadError::Read(path, _) | LoadError::TooLarge(path)
                    if *path == source.key =>
                {
                    "keyFile"
                }
                LoadError::Read(..)
                | LoadError::TooLarge(_)
                | LoadError::NoneValid(_)
                | LoadError::Purpose { .. }
                | LoadError::Adopt { .. } => "certFile",
            };
            let why = match &error {
                LoadError::Read(_, error) => format!("cannot be read: {error}"),
                LoadError::TooLarge(_)
                | LoadError::Mode { .. }
                | LoadError::NoneValid(_)
                | LoadError::Purpose { .. }
                | LoadError::Adopt { .. } => daemon::chain(&error),
            };
            self.refuse(&at.key(key), why);
        }
        source
    }
}
