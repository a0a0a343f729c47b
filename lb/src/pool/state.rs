//! The states of a server, and what each means for new connections.

/// What is known of a server.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Not checked yet; counts as down.
    Unknown,
    /// Answers as it should.
    Up,
    /// Answers, but not as it should: it is starting or going away.
    Draining,
    /// Accepts, but not a byte comes.
    Hung,
    /// Refuses, or does not answer a SYN.
    Unreachable,
    /// Out of use by the operator's word.
    Disabled,
}

/// How much a server is wanted for a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// First choice.
    Up,
    /// When none is up.
    Draining,
    /// When there is nothing better: it looks down, but it may answer.
    Doubtful,
}

impl State {
    /// Every state, in the order of the metric.
    pub const ALL: [Self; 6] = [
        Self::Unknown,
        Self::Up,
        Self::Draining,
        Self::Hung,
        Self::Unreachable,
        Self::Disabled,
    ];

    /// The tier of a server in this state; none when it must not be used.
    #[must_use]
    pub const fn tier(self) -> Option<Tier> {
        match self {
            Self::Up => Some(Tier::Up),
            Self::Draining => Some(Tier::Draining),
            Self::Unknown | Self::Hung | Self::Unreachable => Some(Tier::Doubtful),
            Self::Disabled => None,
        }
    }

    /// Whether a client sent there can expect an answer.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Up | Self::Draining)
    }

    /// The word in logs, metrics and status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Draining => "draining",
            Self::Hung => "hung",
            Self::Unreachable => "unreachable",
            Self::Disabled => "disabled",
        }
    }
}
