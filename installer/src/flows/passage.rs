//! What came of trying a flow: from what the ear at its end could do, and what the caller saw.

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

/// Whether a flow passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "passage")]
pub enum Passage {
    /// It does.
    Passes,
    /// It does not.
    Closed {
        /// What the caller saw, in words.
        saw: &'static str,
    },
    /// It was not tried.
    Untried {
        /// Why not.
        why: String,
    },
}

/// Judges a flow by both of its ends.
#[must_use]
pub fn passage(way: Way, ear: &Standing, reply: &Reply) -> Passage {
    let untried = |why: &str| Passage::Untried {
        why: why.to_owned(),
    };
    let closed = |saw| Passage::Closed { saw };
    match (ear, way) {
        (Standing::Refused(error), _) => {
            return untried(&format!("nothing could listen there: {error}"));
        }
        // Whoever has a TCP port takes a connection; nobody answers a stranger's datagram.
        (Standing::Taken, Way::Udp(_) | Way::Protocol(_)) => {
            return untried("somebody listens there already, who answers no trial");
        }
        (Standing::Listening | Standing::Taken, _) => {}
    }
    match reply {
        Reply::Heard => Passage::Passes,
        Reply::Refused => closed("it is refused"),
        Reply::Unreachable => closed("it is said to be unreachable"),
        Reply::Silence => closed("nothing comes back"),
        Reply::Forbidden => closed("its own rules do not let it out"),
        Reply::NotSent(error) => untried(&format!("it could not be sent: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_decide() {
        let taken = "somebody listens there already, who answers no trial";
        let untried = |why: &str| Passage::Untried { why: why.into() };
        let closed = |saw| Passage::Closed { saw };
        let refused = Standing::Refused("no".into());
        for (way, ear, reply, wanted) in [
            (
                Way::Tcp(1),
                Standing::Listening,
                Reply::Heard,
                Passage::Passes,
            ),
            (Way::Tcp(1), Standing::Taken, Reply::Heard, Passage::Passes),
            (
                Way::Tcp(1),
                Standing::Taken,
                Reply::Silence,
                closed("nothing comes back"),
            ),
            (Way::Udp(1), Standing::Taken, Reply::Heard, untried(taken)),
            (
                Way::Protocol(1),
                Standing::Taken,
                Reply::Silence,
                untried(taken),
            ),
            (
                Way::Udp(1),
                Standing::Listening,
                Reply::Refused,
                closed("it is refused"),
            ),
            (
                Way::Protocol(1),
                Standing::Listening,
                Reply::Unreachable,
                closed("it is said to be unreachable"),
            ),
            (
                Way::Tcp(1),
                refused,
                Reply::Heard,
                untried("nothing could listen there: no"),
            ),
            (
                Way::Tcp(1),
                Standing::Listening,
                Reply::NotSent("no".into()),
                untried("it could not be sent: no"),
            ),
        ] {
            assert_eq!(
                passage(way, &ear, &reply),
                wanted,
                "{way} {ear:?} {reply:?}"
            );
        }
    }
}
