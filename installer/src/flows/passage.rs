//! What came of trying a flow: from what the ear at its end could do, and what the caller saw.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Way;

/// Where something is to be listened for while flows are tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ear {
    /// The host's own address.
    pub address: std::net::IpAddr,
    /// How it comes.
    pub way: Way,
}

/// What became of an ear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// It listens and answers.
    Listening,
    /// Somebody else listens there already.
    Taken,
    /// The system refused.
    Refused(String),
    /// Nothing was opened: components are at home there, and one that is down must find its
    /// port free when it comes back.
    LeftAlone,
}

/// What a caller saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    /// It got through, and back.
    Heard,
    /// The other side said no: a reset, or an ICMP "port unreachable".
    Refused,
    /// An ICMP "unreachable" or "prohibited", or no neighbour of that address.
    Unreachable,
    /// Nothing came back.
    Silence,
    /// The caller's own rules do not let it out.
    Forbidden,
    /// It could not be sent.
    NotSent(String),
}

/// What a caller saw of a flow that does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Saw {
    /// The other side said no.
    Refused,
    /// It is said to be unreachable, which filters say too.
    Unreachable,
    /// Nothing came back.
    Silence,
    /// Its own rules, which nobody but itself can change.
    Forbidden,
}

/// Whether a flow passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "passage")]
pub enum Passage {
    /// It does.
    Passes,
    /// It does not.
    Closed {
        /// What the caller saw.
        saw: Saw,
    },
    /// It was not tried.
    Untried {
        /// Why not.
        why: String,
    },
}

impl fmt::Display for Saw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "it is refused",
            Self::Unreachable => "it is said to be unreachable",
            Self::Silence => "nothing comes back",
            Self::Forbidden => "its own rules do not let it out",
        })
    }
}

/// Judges a flow by both of its ends.
#[must_use]
pub fn passage(way: Way, ear: &Standing, reply: &Reply) -> Passage {
    let untried = |why: &str| Passage::Untried {
        why: why.to_owned(),
    };
    if let Standing::Refused(error) = ear {
        return untried(&format!("nothing could listen there: {error}"));
    }
    let saw = match reply {
        Reply::NotSent(error) => {
            return untried(&format!("it could not be sent: {error}"));
        }
        // Whoever says so answers for every listener behind him.
        Reply::Unreachable => {
            return Passage::Closed {
                saw: Saw::Unreachable,
            };
        }
        Reply::Forbidden => {
            return Passage::Closed {
                saw: Saw::Forbidden,
            };
        }
        Reply::Heard => None,
        Reply::Refused => Some(Saw::Refused),
        Reply::Silence => Some(Saw::Silence),
    };
    match (ear, way, saw) {
        // Whoever has a TCP port takes a connection; nobody answers a stranger's datagram.
        (Standing::Taken | Standing::LeftAlone, Way::Udp(_) | Way::Protocol(_), _) => {
            untried("somebody listens there already, who answers no trial")
        }
        // A kernel says so of a port that nobody listens at.
        (Standing::LeftAlone, Way::Tcp(_), Some(Saw::Refused)) => {
            untried("it is refused: what listens there is down, or a filter says so")
        }
        (_, _, Some(saw)) => Passage::Closed { saw },
        (_, _, None) => Passage::Passes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_decide() {
        let untried = |why: &str| Passage::Untried { why: why.into() };
        let closed = |saw| Passage::Closed { saw };
        let mute = || untried("somebody listens there already, who answers no trial");
        let (tcp, udp, raw) = (Way::Tcp(1), Way::Udp(1), Way::Protocol(1));
        let (heard, silence) = (|| Reply::Heard, || Reply::Silence);
        let (listening, taken) = (|| Standing::Listening, || Standing::Taken);
        let left = || Standing::LeftAlone;
        let rows = [
            (tcp, listening(), heard(), Passage::Passes),
            (tcp, listening(), silence(), closed(Saw::Silence)),
            (tcp, listening(), Reply::Forbidden, closed(Saw::Forbidden)),
            (udp, listening(), Reply::Refused, closed(Saw::Refused)),
            (
                raw,
                listening(),
                Reply::Unreachable,
                closed(Saw::Unreachable),
            ),
            (tcp, taken(), heard(), Passage::Passes),
            (tcp, taken(), silence(), closed(Saw::Silence)),
            (tcp, taken(), Reply::Refused, closed(Saw::Refused)),
            (udp, taken(), heard(), mute()),
            (raw, taken(), silence(), mute()),
            (raw, taken(), Reply::Forbidden, closed(Saw::Forbidden)),
            (tcp, left(), heard(), Passage::Passes),
            (tcp, left(), silence(), closed(Saw::Silence)),
            (
                tcp,
                left(),
                Reply::Refused,
                untried("it is refused: what listens there is down, or a filter says so"),
            ),
            (udp, left(), Reply::Refused, mute()),
            (udp, left(), silence(), mute()),
            (udp, left(), Reply::Unreachable, closed(Saw::Unreachable)),
            (
                tcp,
                Standing::Refused("no".into()),
                heard(),
                untried("nothing could listen there: no"),
            ),
            (
                tcp,
                listening(),
                Reply::NotSent("no".into()),
                untried("it could not be sent: no"),
            ),
        ];
        for (row, (way, ear, reply, wanted)) in rows.into_iter().enumerate() {
            assert_eq!(passage(way, &ear, &reply), wanted, "row {row}");
        }
    }
}
