//! A token that is to be, and the Secret that makes it one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use thiserror::Error;

use crate::{Token, rfc3339};

/// The group that kubeadm binds the rights of joining nodes to, besides
/// `system:bootstrappers`, which every token has.
pub const DEFAULT_GROUP: &str = "system:bootstrappers:kubeadm:default-node-token";
/// Annotations: what a token is limited to. The policy of bootstrap-signer keeps them.
pub const NODE_NAMES: &str = "sternpost.io/node-names";
/// How many differently named nodes it may make.
pub const MAX_NODES: &str = "sternpost.io/max-nodes";
/// Whether it is for one certificate.
pub const ONE_SHOT: &str = "sternpost.io/one-shot";
/// What it was used for; written by bootstrap-signer.
pub const USED_BY: &str = "sternpost.io/used-by";

const GROUPS: &str = "system:bootstrappers:";
/// Characters of a group behind [`GROUPS`], as the API server counts them.
const LONGEST: usize = 256;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usage {
    /// It signs `cluster-info`, so that its holder knows the cluster.
    Signing,
    /// Its holder may authenticate with it.
    Authentication,
}

impl Usage {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Signing, Self::Authentication];

    /// As kubeadm calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Authentication => "authentication",
        }
    }

    /// The field of the Secret that says so.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Signing => "usage-bootstrap-signing",
            Self::Authentication => "usage-bootstrap-authentication",
        }
    }
}

/// Why a group is none that a token can have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no group of bootstrap tokens; it is written system:bootstrappers:NAME, NAME \
     of a-z, 0-9, - and :, at most 256 characters, with a letter or digit last"
)]
pub struct GroupError(String);

/// Says whether a token can have this group.
///
/// # Errors
/// It cannot: the API server would refuse every request with the token.
pub fn check_group(group: &str) -> Result<(), GroupError> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_good = |name: &str| {
        name.len() <= LONGEST
            && name
                .bytes()
                .all(|byte| letter(byte) || b"-:".contains(&byte))
            && name.bytes().last().is_some_and(letter)
    };
    match group.strip_prefix(GROUPS) {
        Some(name) if is_good(name) => Ok(()),
        Some(_) | None => Err(GroupError(group.to_owned())),
    }
}

/// What a token is limited to, as annotations say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// A pattern that node names match as a whole.
    pub node_names: Option<String>,
    /// How many differently named nodes.
    pub max_nodes: Option<u32>,
    /// How many certificates: one, or any number.
    pub one_shot: bool,
}

/// A token that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Id and secret.
    pub token: Token,
    /// Until when; `None`: for ever.
    pub expires: Option<SystemTime>,
    /// What it is for.
    pub usages: BTreeSet<Usage>,
    /// Further groups of its holder.
    pub groups: BTreeSet<String>,
    /// For people.
    pub description: String,
    /// What it is limited to.
    pub limits: Limits,
}

impl Spec {
    /// The Secret's data. It holds the secret.
    #[must_use]
    pub fn data(&self) -> BTreeMap<&'static str, String> {
        let mut data = BTreeMap::from([
            ("token-id", self.token.id().to_owned()),
            ("token-secret", self.token.secret().expose().to_owned()),
        ]);
        if let Some(end) = self.expires {
            data.insert("expiration", rfc3339(end));
        }
        for usage in &self.usages {
            data.insert(usage.field(), "true".to_owned());
        }
        if !self.groups.is_empty() {
            let groups: Vec<&str> = self.groups.iter().map(String::as_str).collect();
            data.insert("auth-extra-groups", groups.join(","));
        }
        if !self.description.is_empty() {
            data.insert("description", self.description.clone());
        }
        data
    }

    /// The Secret's annotations.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<&'static str, String> {
        let limits = &self.limits;
        let mut notes = BTreeMap::new();
        if let Some(pattern) = &limits.node_names {
            notes.insert(NODE_NAMES, pattern.clone());
        }
        if let Some(number) = limits.max_nodes {
            notes.insert(MAX_NODES, number.to_string());
        }
        if limits.one_shot {
            notes.insert(ONE_SHOT, "true".to_owned());
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn groups() {
        let of = |length: usize| format!("{GROUPS}{}", "a".repeat(length));
        for good in [DEFAULT_GROUP, "system:bootstrappers:a", &of(256)] {
            assert_eq!(check_group(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "system:bootstrappers",
            "system:bootstrappers:",
            "system:bootstrappers:a-",
            "system:bootstrappers:A",
            "system:bootstrappers:a,b",
            "system:masters",
            &of(257),
        ] {
            assert_eq!(check_group(bad), Err(GroupError(bad.to_owned())));
        }
    }

    #[test]
    fn a_secret() {
        let spec = Spec {
            token: Token::parse("abc123.0123456789abcdef").unwrap(),
            expires: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)),
            usages: Usage::ALL.into(),
            groups: [DEFAULT_GROUP.to_owned()].into(),
            description: "rack 7".to_owned(),
            limits: Limits {
                node_names: Some("r7-[0-9]+".to_owned()),
                max_nodes: Some(40),
                one_shot: true,
            },
        };
        let data = spec.data();
        let data: Vec<(&str, &str)> = data
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        assert_eq!(
            data,
            [
                ("auth-extra-groups", DEFAULT_GROUP),
                ("description", "rack 7"),
                ("expiration", "2026-01-01T00:00:00Z"),
                ("token-id", "abc123"),
                ("token-secret", "0123456789abcdef"),
                ("usage-bootstrap-authentication", "true"),
                ("usage-bootstrap-signing", "true"),
            ]
        );
        let notes = spec.annotations();
        let notes: Vec<(&str, &str)> = notes
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        assert_eq!(
            notes,
            [
                (MAX_NODES, "40"),
                (NODE_NAMES, "r7-[0-9]+"),
                (ONE_SHOT, "true")
            ]
        );
        let bare = Spec {
            expires: None,
            usages: BTreeSet::new(),
            groups: BTreeSet::new(),
            description: String::new(),
            limits: Limits::default(),
            ..spec
        };
        assert_eq!(bare.data().len(), 2);
        assert!(bare.annotations().is_empty());
        assert!(!format!("{bare:?}").contains("0123456789"));
    }
}
