//! Which servers have too many connections since another has come, and which too few.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::{Back, Member, Roster};
use crate::config::Balance;
use crate::pool::rebalance::{Share, WINDOW, excess, lacking};
use crate::pool::{Rank, ServerId, State};
use crate::worker::Shed;

impl Roster {
    /// Connections that are to be moved now.
    #[must_use]
    pub fn sheds(&self, now: SystemTime) -> Vec<Shed> {
        let each = self.backends.iter().flat_map(|back| back.sheds(now));
        each.collect()
    }

    /// Lifts the servers that lack connections, and no other. Whether the next snapshot is
    /// another for it.
    pub fn lift(&mut self, now: SystemTime) -> bool {
        let mut changed = false;
        for back in &mut self.backends {
            let lifted = back.to_lift(now);
            changed |= std::mem::replace(&mut back.lifted, lifted.clone()) != lifted;
        }
        changed
    }
}

impl Back {
    fn sheds(&self, now: SystemTime) -> Vec<Shed> {
        let Some(quiet) = self.meant.rebalance else {
            return Vec::new();
        };
        let (members, shares) = self.shares(now);
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

    /// `leastconn` has them catch up by itself.
    fn to_lift(&self, now: SystemTime) -> Vec<ServerId> {
        match self.meant.balance {
            Balance::Roundrobin => {}
            Balance::Leastconn | Balance::Source => return Vec::new(),
        }
        let (members, shares) = self.shares(now);
        let few = members.iter().zip(lacking(&shares));
        few.filter(|(_, lacks)| *lacks)
            .map(|(member, _)| member.server.id)
            .collect()
    }

    /// Those among whom connections are moved now, and what each has: nobody, unless one has
    /// come lately.
    fn shares(&self, now: SystemTime) -> (Vec<&Member>, Vec<Share>) {
        let Some(quiet) = self.meant.rebalance else {
            return Default::default();
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
            return Default::default();
        }
        let share = |member: &&Member| Share {
            weight: member.server.weight,
            open: member.server.counters.open.load(Ordering::Relaxed),
        };
        let shares = members.iter().map(share).collect();
        (members, shares)
    }
}
