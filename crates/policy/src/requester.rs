//! Who asks, by what the API server vouches for.

use crate::{Settings, Submitted};

const NODE: &str = "system:node:";
const NODES: &str = "system:nodes";
const TOKEN: &str = "system:bootstrap:";

/// The group every bootstrap token's requests carry.
pub(crate) const BOOTSTRAPPERS: &str = "system:bootstrappers";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requester<'a> {
    /// `system:node:NAME` in the group `system:nodes`.
    Node(&'a str),
    /// A bootstrap token: `system:bootstrap:ID`.
    Token(&'a str),
    /// Another identity that may bootstrap nodes: a static token, a service account that
    /// the settings name.
    Bootstrapper(&'a str),
    /// A name that promises a group, without that group.
    Incomplete(&'static str),
    /// Somebody else.
    Unknown,
}

impl<'a> Requester<'a> {
    /// Who made `submitted`.
    #[must_use]
    pub fn of(submitted: &'a Submitted, settings: &Settings) -> Self {
        let is_in = |group: &str| submitted.groups.contains(group);
        let name = submitted.username.as_str();
        if let Some(node) = name.strip_prefix(NODE) {
            return if is_in(NODES) {
                Self::Node(node)
            } else {
                Self::Incomplete(NODES)
            };
        }
        if let Some(token) = name.strip_prefix(TOKEN) {
            return if is_in(BOOTSTRAPPERS) {
                Self::Token(token)
            } else {
                Self::Incomplete(BOOTSTRAPPERS)
            };
        }
        let may = settings.bootstrap_users.contains(name)
            || settings.bootstrap_groups.iter().any(|group| is_in(group));
        if may {
            Self::Bootstrapper(name)
        } else {
            Self::Unknown
        }
    }

    /// Whether it asks for nodes that are not there yet.
    #[must_use]
    pub fn bootstraps(&self) -> bool {
        matches!(self, Self::Token(_) | Self::Bootstrapper(_))
    }
}
