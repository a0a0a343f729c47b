//! Kubernetes' objects as the policy takes them.

use std::time::{Duration, SystemTime};

use crate::certificates::Validity;
use ::token::{Expiry, MAX_NODES, NODE_NAMES, ONE_SHOT, Stored, Usage};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use policy::{Known, Limits, Node, Pattern, State, Submitted, Token, Uses};

/// The label of control-plane nodes.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
pub use ::token::{PREFIX as TOKEN, USED_BY};

/// A request as the policy takes it, its PEM text, and who asked for rights.
pub fn request(object: &CertificateSigningRequest) -> (Submitted, Vec<u8>) {
    let spec = &object.spec;
    let lifetime =
        |seconds: i32| Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let created = object.metadata.creation_timestamp.as_ref();
    let submitted = Submitted {
        name: object.metadata.name.clone().unwrap_or_default(),
        uid: object.metadata.uid.clone().unwrap_or_default(),
        signer: spec.signer_name.clone(),
        username: spec.username.clone().unwrap_or_default(),
        groups: spec.groups.iter().flatten().cloned().collect(),
        usages: spec.usages.clone().unwrap_or_default(),
        expiration: spec.expiration_seconds.map(lifetime),
        created: created.map_or(SystemTime::UNIX_EPOCH, |time| time.0.into()),
        state: state(object),
    };
    // What is larger is refused unread: of a megabyte of it, a byte too many is enough.
    let kept = spec.request.0.iter().take(policy::LARGEST + 1);
    (submitted, kept.copied().collect())
}

fn state(object: &CertificateSigningRequest) -> State {
    let status = object.status.as_ref();
    let certificate = status.and_then(|status| status.certificate.as_ref());
    let conditions = status.and_then(|status| status.conditions.as_ref());
    if object.metadata.deletion_timestamp.is_some() {
        State::Deleting
    } else if certificate.is_some_and(|bytes| !bytes.0.is_empty()) {
        State::Issued
    } else if conditions.is_some_and(|conditions| !conditions.is_empty()) {
        State::Decided
    } else {
        State::Pending
    }
}

/// Whether it was denied.
pub fn is_denied(object: &CertificateSigningRequest) -> bool {
    let status = object.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Denied")
}

/// When it was approved. A condition without a time is as old as its request.
pub fn approved(object: &CertificateSigningRequest) -> Option<SystemTime> {
    let status = object.status.as_ref()?;
    let mut conditions = status.conditions.iter().flatten();
    let approved = conditions.find(|each| each.type_ == "Approved")?;
    let created = object.metadata.creation_timestamp.as_ref();
    let time = approved.last_update_time.as_ref().or(created);
    Some(time.map_or(SystemTime::UNIX_EPOCH, |time| time.0.into()))
}

/// How long the certificate is good that was issued.
pub fn issued(object: &CertificateSigningRequest) -> Option<Validity> {
    let certificate = object.status.as_ref()?.certificate.as_ref()?;
    Validity::read(&certificate.0)
}

/// A Node, heard of at its creation at the latest; its lease says more.
pub fn node(object: &core::Node) -> Node {
    let created = object.metadata.creation_timestamp.as_ref();
    let created = created.map_or(SystemTime::UNIX_EPOCH, |time| time.0.into());
    let status = object.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    let ready = conditions.any(|each| each.type_ == "Ready" && each.status == "True");
    let mut node = Node::new(ready, created);
    let labels = object.metadata.labels.as_ref();
    node.control_plane = labels.is_some_and(|labels| labels.contains_key(CONTROL_PLANE));
    let addresses = status.and_then(|status| status.addresses.as_ref());
    for address in addresses.into_iter().flatten() {
        node.add(&address.address);
    }
    node
}

/// When a lease was last renewed.
pub fn renewed(object: &Lease) -> Option<SystemTime> {
    let time = object.spec.as_ref()?.renew_time.as_ref()?;
    Some(time.0.into())
}

/// A token with its id; `None` for a Secret that is none.
pub fn token(secret: &core::Secret) -> Option<(String, Token)> {
    let data = secret.data.iter().flatten();
    let data = data.map(|(key, value)| (key.as_str(), value.0.as_slice()));
    let stored = Stored::read(secret.metadata.name.as_deref()?, data);
    let expires = match stored.expiry {
        Expiry::Never => None,
        Expiry::At(end) => Some(end),
        // As upstream: what cannot be read has expired.
        Expiry::Unreadable => Some(SystemTime::UNIX_EPOCH),
    };
    let annotations = secret.metadata.annotations.as_ref();
    let note = |name: &str| annotations?.get(name).map(String::as_str);
    let uses = note(USED_BY).unwrap_or_default().split(',');
    let uses = uses.map(|each| each.split_once('/').unwrap_or((each, "")));
    let some = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    let token = Token {
        expires,
        authenticates: stored.usages.contains(&Usage::Authentication),
        deleting: secret.metadata.deletion_timestamp.is_some(),
        limits: limits(note(NODE_NAMES), note(MAX_NODES), note(ONE_SHOT)),
        used_by: uses.clone().filter_map(|(node, _)| some(node)).collect(),
        used_in: uses.filter_map(|(_, request)| some(request)).collect(),
    };
    Some((stored.id?, token))
}

/// A limit that cannot be read limits everything.
fn limits(
    node_names: Option<&str>,
    max_nodes: Option<&str>,
    one_shot: Option<&str>,
) -> Known<Limits> {
    let node_names = match node_names.map(Pattern::new).transpose() {
        Ok(pattern) => pattern,
        Err(_) => return Known::Unknown("sternpost.io/node-names is no pattern"),
    };
    let max_nodes = match max_nodes.map(str::parse).transpose() {
        Ok(number) => number,
        Err(_) => return Known::Unknown("sternpost.io/max-nodes is no number"),
    };
    let uses = match one_shot {
        None | Some("false") => Uses::Many,
        Some("true") => Uses::Once,
        Some(_) => {
            return Known::Unknown("sternpost.io/one-shot is neither true nor false");
        }
    };
    Known::Known(Limits {
        node_names,
        max_nodes,
        uses,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;

    use super::*;

    fn secret(data: &[(&str, &str)], notes: &[(&str, &str)]) -> core::Secret {
        let mut secret = core::Secret::default();
        secret.metadata.name = Some("bootstrap-token-abc123".to_owned());
        let text = |text: &&str| (*text).to_owned();
        let notes = notes.iter().map(|(key, value)| (text(key), text(value)));
        secret.metadata.annotations = Some(notes.collect());
        let bytes = |text: &&str| ByteString(text.as_bytes().to_vec());
        let data = data.iter().map(|(key, value)| (text(key), bytes(value)));
        secret.data = Some(data.collect::<BTreeMap<_, _>>());
        secret
    }

    #[test]
    fn tokens() {
        let good = [
            ("token-id", "abc123"),
            ("usage-bootstrap-authentication", "true"),
            ("expiration", "2026-01-31T12:00:00Z"),
        ];
        let notes = [
            (MAX_NODES, "2"),
            (USED_BY, "w1/csr-1,w2"),
            (ONE_SHOT, "false"),
        ];
        let (id, read) = token(&secret(&good, &notes)).unwrap();
        assert_eq!(id, "abc123");
        assert!(read.authenticates && read.used_by.len() == 2 && read.used_in.len() == 1);
        assert_eq!(
            read.expires,
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_860_800))
        );
        assert!(matches!(
            read.limits,
            Known::Known(Limits {
                max_nodes: Some(2),
                ..
            })
        ));
        let odd = [("token-id", "abc123"), ("expiration", "soon")];
        for notes in [
            (MAX_NODES, "many"),
            (NODE_NAMES, "("),
            (ONE_SHOT, "perhaps"),
        ] {
            let (_, read) = token(&secret(&odd, &[notes])).unwrap();
            assert_eq!(read.expires, Some(SystemTime::UNIX_EPOCH));
            assert!(!read.authenticates);
            assert!(matches!(read.limits, Known::Unknown(_)), "{notes:?}");
        }
        let mut odd = secret(&good, &[]);
        let binary = ("expiration".to_owned(), ByteString(vec![0xff]));
        odd.data.as_mut().unwrap().extend([binary]);
        let (_, read) = token(&odd).unwrap();
        assert_eq!(
            read.expires,
            Some(SystemTime::UNIX_EPOCH),
            "no text is no time"
        );
        assert!(token(&secret(&[("token-id", "other1")], &[])).is_none());
        assert!(token(&secret(&[], &[])).is_none());
    }
}
