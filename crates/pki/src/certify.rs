//! Certificates for keys that others made.

use std::time::{Duration, SystemTime};

use rcgen::KeyUsagePurpose;

use crate::authority::serial;
use crate::{Authority, BACKDATE, IssueError, Profile, PublicKey, Purpose};

/// Lifetimes below are counted from the time of issue, those from here on from
/// [`BACKDATE`] before it: as kube-controller-manager does, to whom five minutes of a
/// short one are too much to take away.
const SHORT: Duration = Duration::from_secs(8 * 60 * 60);

/// When a certificate is valid: both ends included, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From then on.
    pub not_before: SystemTime,
    /// Until then.
    pub not_after: SystemTime,
}

/// Whether a key may also wrap other keys (`keyEncipherment`), as RSA keys of old TLS do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encipherment {
    /// It may.
    Allowed,
    /// It only signs.
    Not,
}

impl Validity {
    /// For so long from `now`, and no longer than the authority lasts.
    #[must_use]
    pub fn of(lifetime: Duration, now: SystemTime, authority: &Authority) -> Self {
        let not_before = now.checked_sub(BACKDATE).unwrap_or(now);
        let begins = if lifetime < SHORT { now } else { not_before };
        let ends = begins.checked_add(lifetime).unwrap_or(authority.not_after);
        Self {
            not_before,
            not_after: ends.min(authority.not_after),
        }
    }
}

impl Authority {
    /// Issues a certificate for a key that stays where it was made, in PEM form,
    /// with the authorities below the root behind it.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate or the machine gives no randomness.
    pub fn certify(
        &self,
        profile: &Profile,
        key: &PublicKey,
        encipherment: Encipherment,
        validity: Validity,
    ) -> Result<String, IssueError> {
        let subject = || profile.common_name.clone();
        let mut params = profile.params().map_err(|source| IssueError::Name {
            subject: subject(),
            source,
        })?;
        if encipherment == Encipherment::Allowed {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        // Without one in its own certificate, no verifier looks for the authority by it.
        params.use_authority_key_identifier_extension = self.has_key_identifier;
        params.not_before = whole_seconds(validity.not_before);
        params.not_after = whole_seconds(validity.not_after);
        params.serial_number = Some(serial()?);
        let certificate = params.signed_by(key, &self.issuer);
        let certificate = certificate.map_err(|source| IssueError::Sign {
            subject: subject(),
            source,
        })?;
        Ok(format!("{}{}", certificate.pem(), self.issuers_pem))
    }

    /// Whether it may sign at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// From when on it is valid.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// Until when it is valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Its subject, as `CN=..., O=...`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of its certificate, in hexadecimal: authorities of one subject are told
    /// apart by it.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether its own extendedKeyUsage lets it issue for this: verifiers look at those
    /// of the whole chain.
    #[must_use]
    pub fn may_issue_for(&self, purpose: Purpose) -> bool {
        let has = |one| self.purposes.is_empty() || self.purposes.contains(&one);
        match purpose {
            Purpose::Server | Purpose::Client => has(purpose),
            Purpose::Peer => has(Purpose::Server) && has(Purpose::Client),
        }
    }

    /// What whoever verifies must trust: the last certificate of its file, in PEM form.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }
}

/// That is all a certificate can say.
pub(crate) fn whole_seconds(time: SystemTime) -> time::OffsetDateTime {
    let time = time::OffsetDateTime::from(time);
    time.replace_nanosecond(0).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    /// Lifetime asked for, and when it ends: after the time of issue.
    #[test]
    fn validity() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let authority = Authority::new("ca", now).unwrap();
        let left = crate::CA_LIFETIME;
        for (lifetime, ends) in [
            (HOUR / 6, HOUR / 6),
            (
                SHORT - Duration::from_secs(1),
                SHORT - Duration::from_secs(1),
            ),
            (SHORT, SHORT - BACKDATE),
            (24 * HOUR, 24 * HOUR - BACKDATE),
            (left + BACKDATE, left),
            (left + BACKDATE + Duration::from_secs(1), left),
            (Duration::MAX, left),
        ] {
            let validity = Validity::of(lifetime, now, &authority);
            assert_eq!(validity.not_before, now - BACKDATE);
            assert_eq!(validity.not_after, now + ends, "{lifetime:?}");
        }
        let second = Duration::from_secs(1);
        for (at, valid) in [
            (now - BACKDATE - second, false),
            (now - BACKDATE, true),
            (now + left - second, true),
            (now + left, false),
        ] {
            assert_eq!(authority.is_valid_at(at), valid);
        }
    }
}
