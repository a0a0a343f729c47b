//! Which servers have too many connections since another has come.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::{Back, Member, Roster};
use crate::pool::rebalance::{Share, WINDOW, excess};
use crate::pool::{Rank, State};
use crate::worker::Shed;

impl Roster {
    /// Connections that are to be moved now.
    #[must_use]
    pub fn sheds(&self, now: SystemTime) -> Vec<Shed> {
        let each = self.backends.iter().flat_map(|back| back.sheds(now));
        each.collect()
    }
}

impl Back {
    fn sheds(&self, now: SystemTime) -> Vec<Shed> {
        let Some(quiet) = self.meant.rebalance else {
            return Vec::new();
        };
        let is_up = |member: &&Member| {
            member.state == State::Up && member.server.terms.rank == Rank::Regular
        };
        let members: Vec<&Member> = self.members.iter().filter(is_up).collect();
        let has_come = |member: &&Member| {
            let up_for = now.duration_since(member.since).unwrap_or_default();
            up_for < quiet + WINDOW
        };
        if !members.iter().any(has_come) {
            return Vec::new();
        }
        let share = |member: &&Member| Share {
            weight: member.server.weight,
            open: member.server.counters.open.load(Ordering::Relaxed),
        };
        let shares: Vec<Share> = members.iter().map(share).collect();
        let too_many = members.iter().zip(excess(&shares));
        too_many
            .filter(|(_, count)| *count > 0)
            .map(|(member, count)| Shed {
                server: member.server.id,
                most: AtomicU64::new(count),
                quiet,
            })
            .collect()
    }
}
