//! Whether an approved request is one we sign, and what its certificate says. Without a
//! clock, a client or a file.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use pki::{Encipherment, Name, Profile, PublicKey};
use policy::{Facts, Key, Question, Request, Settings, Signer, Submitted};

use super::files::purpose;

/// What a certificate is asked to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Subject, names, purpose.
    pub profile: Profile,
    /// The key it is for.
    pub key: PublicKey,
    /// Whether the key wraps others.
    pub encipherment: Encipherment,
    /// How long it is asked for.
    lifetime: Option<Duration>,
}

/// Why it is not signed, whoever approved it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

/// kube-controller-manager's, with which a certificate that begins five minutes before is
/// of use for as long after.
const SHORTEST: Duration = Duration::from_secs(10 * 60);

impl Wish {
    /// How long it lasts where `longest` is the signer's.
    #[must_use]
    pub fn lifetime(&self, longest: Duration) -> Duration {
        match self.lifetime {
            Some(asked) => asked.max(SHORTEST).min(longest),
            None => longest,
        }
    }
}

/// Reads what was approved. What only an approver may waive (who asks, for which Node,
/// allow-lists, lifetimes) is his; what would make another thing than a node's
/// certificate, or one in the API's name, is refused.
///
/// # Errors
/// It is not signed.
pub fn judge(
    signer: Signer,
    submitted: &Submitted,
    pem: &[u8],
    settings: &Settings,
) -> Result<Wish, Refusal> {
    let request = Request::read(pem);
    let settings = handling(signer, settings);
    let question = Question {
        submitted,
        request: &request,
        facts: Facts::unknown("not asked by the signer"),
        settings: &settings,
        // No rule that is asked here looks at it.
        now: SystemTime::UNIX_EPOCH,
    };
    if let Some(verdict) = policy::examine(&question) {
        return Err(Refusal(verdict.to_string()));
    }
    let request = request.map_err(|error| Refusal(error.to_string()))?;
    let encipherment = match submitted.usages.iter().any(|each| each == ENCIPHERMENT) {
        true => Encipherment::Allowed,
        false => Encipherment::Not,
    };
    Ok(Wish {
        profile: profile(signer, &request),
        key: key(&request)?,
        encipherment,
        lifetime: submitted.expiration,
    })
}

/// The policy's settings, in which `signer` is handled: it may be one that is only signed for.
fn handling(signer: Signer, settings: &Settings) -> Cow<'_, Settings> {
    if settings.signers.contains(&signer) {
        return Cow::Borrowed(settings);
    }
    Cow::Owned(Settings {
        signers: Signer::ALL.into(),
        ..settings.clone()
    })
}

const ENCIPHERMENT: &str = "key encipherment";

fn profile(signer: Signer, request: &Request) -> Profile {
    let subject = |oid: &'static str| request.subject_values(oid).map(str::to_owned);
    let dns = request.names.dns.iter().cloned().map(Name::Dns);
    let addresses = request.names.addresses.iter().copied().map(Name::from);
    Profile {
        common_name: subject(policy::oid::COMMON_NAME).next().unwrap_or_default(),
        organizations: subject(policy::oid::ORGANIZATION).collect(),
        names: dns.chain(addresses).collect(),
        purpose: purpose(signer),
    }
}

fn key(request: &Request) -> Result<PublicKey, Refusal> {
    match &request.key {
        Key::P256(point) => Ok(PublicKey::p256(point)),
        Key::P384(point) => Ok(PublicKey::p384(point)),
        Key::Rsa { modulus, exponent } => Ok(PublicKey::rsa(modulus, exponent)),
        Key::Other(kind) => Err(Refusal(format!("the key is {kind}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        let seconds = Duration::from_secs;
        let wish = |asked: Option<u64>| Wish {
            profile: Profile::client("x", &[]),
            key: PublicKey::p256(&[]),
            encipherment: Encipherment::Not,
            lifetime: asked.map(seconds),
        };
        for (asked, longest, lasts) in [
            (None, 3600, 3600),
            (Some(0), 3600, 600),
            (Some(599), 3600, 600),
            (Some(601), 3600, 601),
            (Some(3600), 3600, 3600),
            (Some(3601), 3600, 3600),
        ] {
            assert_eq!(wish(asked).lifetime(seconds(longest)), seconds(lasts));
        }
    }
}
