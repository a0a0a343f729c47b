//! How much is held of requests, by requester. A flood fills its requester's own room and no
//! more: what finds none is left where it is, in the API server, and read from there again
//! once there is room. What was decided is held as a digest, and counts too.

use std::collections::BTreeMap;

use policy::State;

use super::{Seen, Who};

/// Bytes held of one requester. Two thousand kubelets that join at once with one token find
/// room, and four times as many that have joined.
pub const OF_ONE: usize = 8 << 20;
/// Bytes held of all of them, beyond which nobody gets more than [`FEW`].
pub const IN_ALL: usize = 64 << 20;
/// Bytes that everybody may have held: more requests than a quota lets in.
pub const FEW: usize = 256 << 10;

/// What a request takes by itself, measured over twenty thousand of them: names in nine
/// indexes, groups, the parsed request.
const PENDING: usize = 2_048;
/// What a byte of its PEM text becomes at most, as names in lists.
const OF_A_BYTE: usize = 4;
/// What a digest takes.
const DECIDED: usize = 1_024;

/// The room of one requester.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Room {
    held: usize,
    /// Pending ones were left.
    left: bool,
    /// Decided ones were left: what they say of keys and names is not known.
    hidden: bool,
}

/// All rooms.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    rooms: BTreeMap<Who, Room>,
    held: usize,
    /// There is room for somebody of whom something was left.
    again: bool,
}

/// What a request takes while it is in this state.
pub(super) fn weight(seen: &Seen) -> usize {
    match seen.submitted.state {
        State::Pending => PENDING + OF_A_BYTE * seen.pem.len(),
        State::Decided | State::Issued | State::Deleting => DECIDED,
    }
}

impl Shelf {
    /// Takes `weight` in for `who`, in place of `old`; or leaves it and says no.
    pub(super) fn take(&mut self, seen: &Seen, old: usize) -> Option<usize> {
        let weight = weight(seen);
        let most = if self.held - old.min(self.held) + weight > IN_ALL {
            FEW
        } else {
            OF_ONE
        };
        let who = &seen.submitted.username;
        let room = self.rooms.entry(who.clone()).or_default();
        let held = room.held.saturating_sub(old) + weight;
        // What is held already stays, as whatever it has become.
        if held > most && old == 0 {
            match seen.submitted.state {
                State::Pending => room.left = true,
                State::Decided | State::Issued | State::Deleting => room.hidden = true,
            }
            return None;
        }
        room.held = held;
        self.held = self.held.saturating_sub(old) + weight;
        self.look(who);
        Some(weight)
    }

    /// Something of `who` is held no more.
    pub(super) fn give(&mut self, who: &str, weight: usize) {
        if let Some(room) = self.rooms.get_mut(who) {
            room.held = room.held.saturating_sub(weight);
            self.held = self.held.saturating_sub(weight);
            self.look(who);
        }
    }

    /// With half of its room free, what was left is worth reading again.
    fn look(&mut self, who: &str) {
        let Some(room) = self.rooms.get(who) else {
            return;
        };
        if (room.left || room.hidden)
            && room.held <= OF_ONE / 2
            && self.held <= IN_ALL - OF_ONE
        {
            self.again = true;
        } else if room.held == 0 && !room.left && !room.hidden {
            self.rooms.remove(who);
        }
    }

    /// Whether what was left is to be read again; said once.
    pub(super) fn take_again(&mut self) -> bool {
        std::mem::take(&mut self.again)
    }

    /// What was left is read again, all of it: what finds no room is left anew.
    pub(super) fn read_again(&mut self) {
        self.again = false;
        for room in self.rooms.values_mut() {
            (room.left, room.hidden) = (false, false);
        }
        self.rooms.retain(|_, room| room.held > 0);
    }

    /// Whether decided requests of `who` were left.
    pub(super) fn hides(&self, who: &str) -> bool {
        self.rooms.get(who).is_some_and(|room| room.hidden)
    }

    /// Requesters of whom something was left.
    pub(super) fn crowded(&self) -> usize {
        let rooms = self.rooms.values();
        rooms.filter(|room| room.left || room.hidden).count()
    }
}
