//! The servers of a backend that are chosen among: grouped by tier and rank, best first.

use std::sync::Arc;

use super::{Rank, Rotation, Server, State, Tier, source};

/// The servers of one tier and rank.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) rotation: Rotation,
    /// Their positions, and what stands for them in a draw.
    pub(super) members: Vec<(usize, u64)>,
}

impl Group {
    /// Its members, those first whose turn it is: equals are taken in turn.
    pub(super) fn members_from(
        &self,
        lot: u64,
    ) -> impl Iterator<Item = (usize, u64)> + '_ {
        let len = self.members.len();
        let start = u64::try_from(len).ok().and_then(|len| lot.checked_rem(len));
        let start = start.and_then(|start| usize::try_from(start).ok());
        let around = self.members.iter().cycle().skip(start.unwrap_or(0));
        around.take(len).copied()
    }
}

/// The groups of these servers that have any.
pub(super) fn groups(servers: &[(Arc<Server>, State)]) -> Vec<Group> {
    let tiers = [Tier::Up, Tier::Draining, Tier::Doubtful].into_iter();
    let kinds = tiers.flat_map(|tier| [(tier, Rank::Regular), (tier, Rank::Backup)]);
    kinds
        .map(|(tier, rank)| {
            let of = |(_, (server, state)): &(usize, &(Arc<Server>, State))| {
                state.tier() == Some(tier) && server.terms.rank == rank
            };
            let members = servers.iter().enumerate().filter(of);
            Group {
                rotation: Rotation::new(
                    members.clone().map(|(at, (server, _))| (at, server.weight)),
                ),
                members: members
                    .map(|(at, (server, _))| (at, source::server(server.address)))
                    .collect(),
            }
        })
        .filter(|group| !group.members.is_empty())
        .collect()
}
