//! The token that lets new nodes in: on masters for as long as somebody is to join, and no
//! longer. Whoever has joined needs it no more, and a master that keeps it would apply it at
//! every boot.

use std::time::Duration;

use super::super::reach;
use super::super::served::{self, Missing, Pace};
use crate::agent::Order;
use crate::apply::Transport;
use crate::facts::{Kind, Wanted};
use crate::render::Newcomers;
use crate::reset::Step;
use crate::resource::Shared;
use crate::transport::asked;

use super::site::{Site, is_node};

/// From the start of a kubelet until it has its certificate: it asks for it, and bootstrap-signer
/// decides, in a second or two. The rest is for hosts that have just started all that a node runs.
pub(super) const PACE: Pace = Pace {
    again: Duration::from_millis(250),
    patience: Duration::from_secs(60),
};

/// Nothing when nobody of a host is to join any more; one that is on its way is waited for. A
/// master's own kubelet never is: it shows what it was given, and has none of its own before that
/// is renewed.
pub(super) fn has_joined(
    site: &mut Site<'_>,
    pace: &Pace,
    stop: &dyn Fn() -> bool,
    waits: impl FnOnce(&str),
) -> Result<(), Missing> {
    if !is_node(site.host) || site.known.newcomers == Newcomers::None {
        return Ok(());
    }
    certified(&mut site.way, pace, stop, waits)
}

/// Waits until the kubelet of a host has its certificate.
fn certified(
    way: &mut impl Transport,
    pace: &Pace,
    stop: &dyn Fn() -> bool,
    waits: impl FnOnce(&str),
) -> Result<(), Missing> {
    let joined = || match reach::machine(way) {
        Ok(machine) if machine.joined => None,
        Ok(_) => Some("its kubelet has no certificate yet".to_owned()),
        Err(error) => Some(error),
    };
    served::until(pace, stop, waits, joined)
}

/// Takes it off a master.
pub(super) fn gone(way: &mut impl Transport) -> Result<(), String> {
    let paths: Vec<_> = Shared::Token
        .paths()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    let wanted = Wanted {
        paths,
        ..Wanted::default()
    };
    let facts = asked::looked(way, wanted).map_err(|error| error.to_string())?;
    for (path, entry) in facts.entries {
        if let Kind::File { sha256, .. } = entry.kind {
            let step = Step::File { path, sha256 };
            let done = asked::done(way, Order::Remove(step));
            done.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::agent::Answer;
    use crate::apply::TransportError;
    use crate::facts::Machine;

    /// A host whose kubelet has its certificate after so many looks.
    struct Newcomer(usize);

    impl Transport for Newcomer {
        fn bring(&mut self, file: &Path) -> Result<PathBuf, TransportError> {
            Ok(file.to_owned())
        }

        fn ask(&mut self, order: Order) -> Result<Answer, TransportError> {
            assert!(matches!(order, Order::Survey), "{order:?}");
            let joined = self.0 == 0;
            self.0 = self.0.saturating_sub(1);
            Ok(Answer::Machine(Machine {
                joined,
                ..Machine::default()
            }))
        }
    }

    #[test]
    fn a_kubelet_that_gets_no_certificate_has_failed() {
        let pace = |patience| Pace {
            again: Duration::ZERO,
            patience: Duration::from_secs(patience),
        };
        let tried = |looks, patience, stopped: bool| {
            let mut way = Newcomer(looks);
            let ended = certified(&mut way, &pace(patience), &|| stopped, |_| {});
            ended.map_err(|missing| missing.told("joined", "; why"))
        };
        assert_eq!(tried(0, 0, false), Ok(()));
        assert_eq!(tried(3, 9, false), Ok(()));
        let late = "every step is done, but after 0 s it is not joined: its kubelet has no \
                    certificate yet; why";
        assert_eq!(tried(1, 0, false), Err(late.to_owned()));
        let stopped = "every step is done, and stopped before it was joined: its kubelet has no \
                       certificate yet; why";
        assert_eq!(tried(1, 9, true), Err(stopped.to_owned()));
    }
}
