//! Who asks for one name: a line of those that are pending, in the order in which the API
//! server took them, and those that were approved.

use std::collections::BTreeSet;
use std::time::SystemTime;

use policy::{Requester, Rival, Settings, Signer, State};

use super::{Book, Entry, Seen, Turn};

/// Requests looked at from each end of a line: what is beyond counts as another's, so that
/// who fills it holds up nobody but its own name.
const LOOKED_AT: usize = 64;

/// The client requests for one name.
#[derive(Debug, Default)]
pub(super) struct Line {
    pending: BTreeSet<Turn>,
    approved: BTreeSet<Turn>,
}

impl Line {
    pub(super) fn join(&mut self, place: Turn, seen: &Seen) {
        if seen.submitted.state == State::Pending {
            self.pending.insert(place);
        } else if seen.approved.is_some() {
            self.approved.insert(place);
        }
    }
}

impl Book {
    /// Takes a request out of its line; the first that is left may be the next.
    pub(super) fn leave_line(&mut self, entry: &Entry, name: &str) {
        let Some(node) = entry.content.node() else {
            return;
        };
        let Some(line) = self.lines.get_mut(node) else {
            return;
        };
        let place = (entry.made, name.to_owned());
        line.pending.remove(&place);
        line.approved.remove(&place);
        let next = line.pending.first().map(|(_, name)| name.clone());
        if line.pending.is_empty() && line.approved.is_empty() {
            self.lines.remove(node);
        }
        if let Some(next) = next {
            self.ask(&next);
        }
    }

    /// Those that ask for the same name with another key.
    pub(super) fn rivals(&self, entry: &Entry, settings: &Settings) -> Vec<Rival> {
        let Some((node, key)) = entry.content.node().zip(entry.content.key()) else {
            return Vec::new();
        };
        let line = self.lines.get(node);
        let own = entry.seen.submitted.signer == Signer::Client.name();
        let Some(line) = line.filter(|_| own) else {
            return Vec::new();
        };
        let place: Turn = (entry.made, entry.seen.submitted.name.clone());
        let rival = |(_, name): &Turn| self.rival(name, key, settings);
        let first = |turns: &mut dyn Iterator<Item = &Turn>| -> Option<SystemTime> {
            let mut last = None;
            for (count, turn) in turns.enumerate() {
                if let Some(at) = rival(turn) {
                    return Some(at);
                }
                last = (count + 1 == LOOKED_AT).then_some(turn);
                if last.is_some() {
                    break;
                }
            }
            last.and_then(|(_, name)| self.requests.get(name))
                .map(|other| other.seen.submitted.created)
        };
        let before = first(&mut line.pending.range(..place.clone()));
        let mut after = line.pending.range(place..).rev().take(LOOKED_AT);
        let given = line
            .approved
            .iter()
            .rev()
            .take(LOOKED_AT)
            .filter_map(|turn| {
                let at = self.requests.get(&turn.1)?.seen.approved?;
                rival(turn).map(|_| Rival::Given(at))
            });
        let after = after.find_map(rival).map(|_| Rival::After);
        before
            .map(Rival::Before)
            .into_iter()
            .chain(after)
            .chain(given)
            .collect()
    }

    /// When the request `name` was made, if it is one of a bootstrap identity with another
    /// key than `key`.
    fn rival(&self, name: &str, key: &str, settings: &Settings) -> Option<SystemTime> {
        let other = self.requests.get(name)?;
        let its = other.content.key()?;
        let submitted = &other.seen.submitted;
        let joins = Requester::of(submitted, settings).bootstraps();
        (joins && its != key).then_some(submitted.created)
    }
}
