//! A Secret that may be a token, read as upstream's controllers read it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::text::is_id;
use crate::{Expiry, Secret, Usage};

/// Where tokens are.
pub const NAMESPACE: &str = "kube-system";
/// A token's Secret is of this type.
pub const TYPE: &str = "bootstrap.kubernetes.io/token";
/// It is called so, and then by the token's id.
pub const PREFIX: &str = "bootstrap-token-";

/// A Secret of the type of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What names it, if name and data agree on it.
    pub id: Option<String>,
    /// Until when it lives.
    pub expiry: Expiry,
    /// What it is for.
    pub usages: BTreeSet<Usage>,
    /// Further groups of its holder.
    pub groups: Vec<String>,
    /// For people.
    pub description: String,
    secret: Option<Secret>,
}

impl Stored {
    /// Reads the data of the Secret `name`.
    #[must_use]
    pub fn read<'a>(
        name: &str,
        data: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        let data: BTreeMap<&str, &[u8]> = data.into_iter().collect();
        let field = |key: &str| {
            let value = data.get(key)?;
            std::str::from_utf8(value).ok()
        };
        let id = name.strip_prefix(PREFIX).filter(|id| is_id(id));
        let secret = field("token-secret").filter(|text| !text.is_empty());
        let usages = Usage::ALL.into_iter();
        let groups = field("auth-extra-groups").unwrap_or_default().split(',');
        let groups = groups.map(str::trim).filter(|group| !group.is_empty());
        Self {
            id: id
                .filter(|id| field("token-id") == Some(id))
                .map(str::to_owned),
            expiry: match data.contains_key("expiration") && field("expiration").is_none()
            {
                true => Expiry::Unreadable,
                false => Expiry::read(field("expiration")),
            },
            usages: usages
                .filter(|one| field(one.field()) == Some("true"))
                .collect(),
            groups: groups.map(str::to_owned).collect(),
            description: field("description").unwrap_or_default().to_owned(),
            secret: secret.map(Secret::new),
        }
    }

    /// Id and secret, if it signs `cluster-info` at `now`.
    #[must_use]
    pub fn signs(&self, now: SystemTime) -> Option<(&str, &Secret)> {
        let signs = self.usages.contains(&Usage::Signing) && !self.expiry.is_over(now);
        let parts = (self.id.as_deref()?, self.secret.as_ref()?);
        signs.then_some(parts)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stored(name: &str, change: &[(&'static str, &'static str)]) -> Stored {
        let mut data = BTreeMap::from([
            ("token-id", "abc123"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-signing", "true"),
        ]);
        data.extend(change.iter().copied());
        Stored::read(
            name,
            data.iter().map(|(key, value)| (*key, value.as_bytes())),
        )
    }

    #[test]
    fn who_signs() {
        const NAME: &str = "bootstrap-token-abc123";
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        for (name, change, signs) in [
            (NAME, &[][..], true),
            (NAME, &[("expiration", "2026-01-01T00:00:01Z")], true),
            (NAME, &[("expiration", "2026-01-01T00:00:00Z")], false),
            (NAME, &[("expiration", "never")], false),
            (NAME, &[("token-id", "abc124")], false),
            (NAME, &[("token-secret", "")], false),
            // As upstream: its length is not looked at.
            (NAME, &[("token-secret", "short")], true),
            (NAME, &[("usage-bootstrap-signing", "True")], false),
            ("bootstrap-token-abc12", &[("token-id", "abc12")], false),
            ("token-abc123", &[], false),
        ] {
            let stored = stored(name, change);
            assert_eq!(stored.signs(now).is_some(), signs, "{name} {change:?}");
        }
    }

    #[test]
    fn what_is_read() {
        let read = stored(
            "bootstrap-token-abc123",
            &[
                (
                    "auth-extra-groups",
                    "system:bootstrappers:a, system:bootstrappers:b,",
                ),
                ("description", "rack 7"),
                ("usage-bootstrap-authentication", "true"),
            ],
        );
        assert_eq!(read.id.as_deref(), Some("abc123"));
        assert_eq!(
            read.groups,
            ["system:bootstrappers:a", "system:bootstrappers:b"]
        );
        assert_eq!(read.usages, Usage::ALL.into());
        assert_eq!(read.description, "rack 7");
        assert_eq!(read.expiry, Expiry::Never);
        assert!(!format!("{read:?}").contains("0123456789"));
        let not_text = [("expiration", &[0xff][..])];
        let read = Stored::read("bootstrap-token-abc123", not_text);
        assert_eq!(read.expiry, Expiry::Unreadable);
    }
}
