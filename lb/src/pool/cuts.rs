//! Which established connections are ended because of their server's state. Decides; the
//! workers end them.

use super::State;
use crate::worker::Which;

/// What is known of a server when cuts are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: State,
    /// Its connections were cut since it became unreachable.
    pub is_cut: bool,
    /// The check whose result led here was its own, and it failed.
    pub has_failed_now: bool,
    /// Results in a row in which it was silent while a usable server answered.
    pub silent_alone: u32,
}

/// The last answer of another may be from before this host lost its network, and the first
/// may come while a check of this one still waits; two results tell.
const ALONE: u32 = 2;

/// What to cut of each server of a backend, in their order.
///
/// An unreachable server loses all connections, once. A hung one loses those that wait for
/// an answer, again at each failed check, since others may have begun to wait. Nothing is
/// cut while no server is usable: a client that is cut then could go nowhere better. When
/// this host loses its network all servers fall silent, but not in the same instant; so
/// only those are cut that are silent while others answer.
#[must_use]
pub fn cuts(servers: &[Standing]) -> Vec<Option<Which>> {
    let is_one_usable = servers.iter().any(|server| server.state.is_usable());
    servers
        .iter()
        .map(|server| {
            cut(*server).filter(|_| is_one_usable && server.silent_alone >= ALONE)
        })
        .collect()
}

const fn cut(server: Standing) -> Option<Which> {
    match server.state {
        State::Unreachable if !server.is_cut => Some(Which::All),
        State::Hung if server.has_failed_now => Some(Which::Unanswered),
        State::Unreachable
        | State::Hung
        | State::Unknown
        | State::Up
        | State::Draining
        | State::Disabled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Disabled, Draining, Hung, Unknown, Unreachable, Up};

    fn decide(servers: &[(State, bool, bool)]) -> Vec<Option<Which>> {
        let servers: Vec<Standing> = servers
            .iter()
            .map(|&(state, is_cut, has_failed_now)| Standing {
                state,
                is_cut,
                has_failed_now,
                silent_alone: ALONE,
            })
            .collect();
        cuts(&servers)
    }

    #[test]
    fn nothing_is_cut_that_is_not_silent_alone() {
        for (silent_alone, is_cut) in [(0, false), (1, false), (2, true), (3, true)] {
            let silent = Standing {
                state: Unreachable,
                is_cut: false,
                has_failed_now: true,
                silent_alone,
            };
            let other = Standing {
                state: Up,
                silent_alone: 0,
                has_failed_now: false,
                ..silent
            };
            let expected = is_cut.then_some(Which::All);
            assert_eq!(cuts(&[silent, other]), [expected, None], "{silent_alone}");
        }
    }

    #[test]
    fn table() {
        for (other, may_cut) in [
            (Up, true),
            (Draining, true),
            (Unknown, false),
            (Hung, false),
            (Unreachable, false),
            (Disabled, false),
        ] {
            for (state, is_cut, failed_now, expected) in [
                (Unreachable, false, true, Some(Which::All)),
                (Unreachable, false, false, Some(Which::All)),
                (Unreachable, true, true, None),
                (Hung, false, true, Some(Which::Unanswered)),
                (Hung, true, true, Some(Which::Unanswered)),
                (Hung, false, false, None),
                (Draining, false, true, None),
                (Up, false, false, None),
                (Unknown, false, true, None),
                (Disabled, false, false, None),
            ] {
                let decided =
                    decide(&[(state, is_cut, failed_now), (other, true, false)]);
                let is_usable = may_cut || state.is_usable();
                assert_eq!(
                    decided[0],
                    expected.filter(|_| is_usable),
                    "{state:?} beside {other:?}"
                );
                assert_eq!(decided[1], None, "{other:?}");
            }
        }
    }
}
