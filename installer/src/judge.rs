//! Whether a certificate that is there is the one that is wanted.

use std::collections::BTreeSet;
use std::time::SystemTime;

use pki::{KeyKind, Name, Profile, Purpose};
use serde::{Serialize, Serializer};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

/// A certificate is renewed when less than this part of its life is left: one half, so that two
/// runs a year are enough.
const LEFT: u32 = 2;

/// Why a certificate must be issued anew.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// There is none.
    #[error("there is none")]
    Missing,
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable,
    /// The key beside it is missing or another one's.
    #[error("its key is missing or another one's")]
    Key,
    /// It names somebody else.
    #[error("it is for \"{0}\"")]
    Subject(String),
    /// It lacks names.
    #[error("it lacks {}", .0.join(", "))]
    Lacks(Vec<String>),
    /// It has names that nobody wants any more.
    #[error("it still names {}", .0.join(", "))]
    Extra(Vec<String>),
    /// It may not be used for what it is for.
    #[error("it is for other purposes")]
    Purpose,
    /// Another authority signed it.
    #[error("another authority signed it")]
    Authority,
    /// Its key is of another kind.
    #[error("its key is not {0}")]
    Kind(KeyKind),
    /// Whoever keeps the authority's key has signed another.
    #[error("its authority's keeper has signed another")]
    Given,
    /// It does not last long enough.
    #[error("it ends in {0} days")]
    Ends(i64),
    /// It has ended.
    #[error("it has ended")]
    Ended,
}

/// In words.
impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whether a certificate is over; one that cannot be read has no end.
#[must_use]
pub fn has_ended(pem: &str, now: SystemTime) -> bool {
    left(pem, now).is_some_and(|left| left <= 0)
}

/// Judges the certificate in `pem` by what it should say, by the certificate of the authority
/// that should have signed it, and by the time.
///
/// # Errors
/// The first reason to issue it anew.
pub fn judge(
    pem: &str,
    profile: &Profile,
    authority_pem: &str,
    now: SystemTime,
) -> Result<(), Why> {
    let (_, block) = parse_x509_pem(pem.as_bytes()).map_err(|_| Why::Unreadable)?;
    let leaf = block.parse_x509().map_err(|_| Why::Unreadable)?;
    let (_, block) =
        parse_x509_pem(authority_pem.as_bytes()).map_err(|_| Why::Authority)?;
    let authority = block.parse_x509().map_err(|_| Why::Authority)?;
    subject(&leaf, profile)?;
    names(&leaf, profile)?;
    purpose(&leaf, profile.purpose)?;
    signed(&leaf, &authority)?;
    lasting(&leaf, now)
}

/// Whether a certificate that somebody else renews is of this authority, and has not ended.
///
/// # Errors
/// With why not.
pub fn stands(pem: &str, authority_pem: &str, now: SystemTime) -> Result<(), Why> {
    let (_, block) = parse_x509_pem(pem.as_bytes()).map_err(|_| Why::Unreadable)?;
    let leaf = block.parse_x509().map_err(|_| Why::Unreadable)?;
    let authority = parse_x509_pem(authority_pem.as_bytes());
    let (_, authority) = authority.map_err(|_| Why::Authority)?;
    let authority = authority.parse_x509().map_err(|_| Why::Authority)?;
    signed(&leaf, &authority)?;
    match left(pem, now) {
        Some(1..) => Ok(()),
        Some(_) | None => Err(Why::Ended),
    }
}

fn subject(leaf: &X509Certificate<'_>, profile: &Profile) -> Result<(), Why> {
    let texts = |attributes: Vec<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
        let texts = attributes.iter().filter_map(|value| value.as_str().ok());
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    let common = texts(leaf.subject().iter_common_name().collect());
    let groups = texts(leaf.subject().iter_organization().collect());
    if common == [profile.common_name.clone()] && groups == profile.organizations {
        Ok(())
    } else {
        Err(Why::Subject(leaf.subject().to_string()))
    }
}

fn names(leaf: &X509Certificate<'_>, profile: &Profile) -> Result<(), Why> {
    let there: BTreeSet<String> = match leaf.subject_alternative_name() {
        Ok(Some(names)) => names.value.general_names.iter().map(shown).collect(),
        Ok(None) => BTreeSet::new(),
        Err(_) => return Err(Why::Unreadable),
    };
    let wanted: BTreeSet<String> = profile.names.iter().map(Name::to_string).collect();
    let lacks: Vec<_> = wanted.difference(&there).cloned().collect();
    let extra: Vec<_> = there.difference(&wanted).cloned().collect();
    match (lacks.is_empty(), extra.is_empty()) {
        (false, _) => Err(Why::Lacks(lacks)),
        (true, false) => Err(Why::Extra(extra)),
        (true, true) => Ok(()),
    }
}

fn shown(name: &GeneralName<'_>) -> String {
    if let GeneralName::DNSName(name) = name {
        return (*name).to_owned();
    }
    if let GeneralName::IPAddress(octets) = name {
        let v4 = <[u8; 4]>::try_from(*octets).map(std::net::IpAddr::from);
        let v6 = <[u8; 16]>::try_from(*octets).map(std::net::IpAddr::from);
        if let Ok(address) = v4.or(v6) {
            return address.to_string();
        }
    }
    name.to_string()
}

fn purpose(leaf: &X509Certificate<'_>, wanted: Purpose) -> Result<(), Why> {
    let usage = match leaf.extended_key_usage() {
        Ok(Some(usage)) => usage.value,
        Ok(None) | Err(_) => return Err(Why::Purpose),
    };
    let (server, client) = match wanted {
        Purpose::Server => (true, false),
        Purpose::Client => (false, true),
        Purpose::Peer => (true, true),
    };
    if usage.server_auth == server && usage.client_auth == client {
        Ok(())
    } else {
        Err(Why::Purpose)
    }
}

fn signed(
    leaf: &X509Certificate<'_>,
    authority: &X509Certificate<'_>,
) -> Result<(), Why> {
    let named = leaf.issuer() == authority.subject();
    // An authority made anew under the same name has another key.
    let verified = || leaf.verify_signature(Some(authority.public_key())).is_ok();
    if named && verified() {
        Ok(())
    } else {
        Err(Why::Authority)
    }
}

/// Seconds until the certificate in `pem` ends; less than none when it has, nothing when it
/// cannot be read.
#[must_use]
pub fn left(pem: &str, now: SystemTime) -> Option<i64> {
    let (_, block) = parse_x509_pem(pem.as_bytes()).ok()?;
    let ends = block.parse_x509().ok()?.validity().not_after.timestamp();
    Some(ends.saturating_sub(since_1970(now)))
}

fn since_1970(now: SystemTime) -> i64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

fn lasting(leaf: &X509Certificate<'_>, now: SystemTime) -> Result<(), Why> {
    let now = since_1970(now);
    let (begins, ends) = (
        leaf.validity().not_before.timestamp(),
        leaf.validity().not_after.timestamp(),
    );
    let left = ends.saturating_sub(now);
    if left <= 0 {
        Err(Why::Ended)
    } else if left < ends.saturating_sub(begins) / i64::from(LEFT) {
        Err(Why::Ends(left / 86_400))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pki::{Authority, LEAF_LIFETIME};

    use super::*;

    fn names(names: &[&str]) -> Vec<Name> {
        names
            .iter()
            .map(|name| {
                name.parse()
                    .map_or_else(|_| Name::dns(name).unwrap(), Name::Address)
            })
            .collect()
    }

    #[test]
    fn each_reason_has_its_certificate() {
        let now = SystemTime::now();
        let authority = Authority::new("kubernetes-ca", now).unwrap();
        let twin = Authority::new("kubernetes-ca", now).unwrap();
        let wanted =
            Profile::server("kube-apiserver", names(&["m1", "192.0.2.1", "::1"]));
        let judged = |by: &Authority, profile: &Profile, later| {
            let issued = by.issue(profile, now).unwrap();
            judge(
                &issued.certificate_pem,
                &wanted,
                authority.certificate_pem(),
                now + later,
            )
        };
        let zero = Duration::ZERO;
        assert_eq!(judged(&authority, &wanted, zero), Ok(()));
        assert_eq!(judged(&twin, &wanted, zero), Err(Why::Authority));
        let lacking = Profile::server("kube-apiserver", names(&["m1", "::1"]));
        let lacks = Err(Why::Lacks(vec!["192.0.2.1".into()]));
        assert_eq!(judged(&authority, &lacking, zero), lacks);
        let more =
            Profile::server("kube-apiserver", names(&["m1", "192.0.2.1", "::1", "old"]));
        assert_eq!(
            judged(&authority, &more, zero),
            Err(Why::Extra(vec!["old".into()]))
        );
        let peer = Profile::peer("kube-apiserver", wanted.names.clone());
        assert_eq!(judged(&authority, &peer, zero), Err(Why::Purpose));
        let other = Profile::server("other", wanted.names.clone());
        assert_eq!(
            judged(&authority, &other, zero),
            Err(Why::Subject("CN=other".into()))
        );
        // On each side of half of its life, and of its end.
        let half = LEAF_LIFETIME / 2;
        let day = Duration::from_secs(86_400);
        assert_eq!(judged(&authority, &wanted, half - day), Ok(()));
        assert_eq!(judged(&authority, &wanted, half + day), Err(Why::Ends(181)));
        assert_eq!(
            judged(&authority, &wanted, LEAF_LIFETIME + day),
            Err(Why::Ended)
        );
        let whole = authority.issue(&wanted, now).unwrap().certificate_pem;
        for (pem, later, wanted) in [
            (whole.as_str(), LEAF_LIFETIME - day, false),
            (&whole, LEAF_LIFETIME, true),
            ("no", LEAF_LIFETIME, false),
        ] {
            assert_eq!(has_ended(pem, now + later), wanted, "{later:?}");
        }
        let unreadable = judge("no", &wanted, authority.certificate_pem(), now);
        assert_eq!(unreadable, Err(Why::Unreadable));
    }

    #[test]
    fn groups_count() {
        let now = SystemTime::now();
        let authority = Authority::new("ca", now).unwrap();
        let admin = Profile::client("admin", &["kubeadm:cluster-admins"]);
        let issued = authority.issue(&admin, now).unwrap();
        let judged = |profile: &Profile| {
            judge(
                &issued.certificate_pem,
                profile,
                authority.certificate_pem(),
                now,
            )
        };
        assert_eq!(judged(&admin), Ok(()));
        assert!(matches!(
            judged(&Profile::client("admin", &[])),
            Err(Why::Subject(_))
        ));
    }
}
