//! How many connections each server has too many, after one has come that has too few.
//!
//! Long-lived connections stay where they are for days: a server that was away gets nothing
//! of them by itself. Decides numbers; the workers look for connections that can be ended
//! without harm.

use std::time::Duration;

/// All that are too many go within so many looks, one each second: as many clients connect
/// anew at the same time as usual, and not all at once.
const LOOKS: u64 = 30;
/// A server with this part of its share, in percent, has enough.
const ENOUGH: u64 = 90;
/// One with this part of it has too much: where the one that has come weighs more than the
/// others, what it lacks is little to it and much to them.
const TOO_MUCH: u64 = 110;

/// How often connections are moved.
pub const LOOK: Duration = Duration::from_secs(1);
/// For how long after a server has come, besides the time of quiet.
pub const WINDOW: Duration = Duration::from_secs(5 * 60);
/// With `prompt`, how long a connection is quiet at least: longer than a request and its answer
/// are apart.
pub const PROMPT: Duration = Duration::from_secs(1);

/// While a server lacks connections, so many times its share of the new ones goes to it. Clients
/// whose connections were moved connect like all others; each goes where it came from or to
/// another that has enough more often than where it is wanted, and only connections that have
/// been quiet for long can be moved again.
pub const LIFT: u16 = 3;

/// One server that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its weight.
    pub weight: u16,
    /// Its connections.
    pub open: u64,
}

/// What all servers together have.
#[derive(Clone, Copy, Debug)]
struct Whole {
    open: u64,
    weights: u64,
}

impl Whole {
    fn of(servers: &[Share]) -> Self {
        Self {
            open: servers.iter().map(|server| server.open).sum(),
            weights: servers.iter().map(|server| u64::from(server.weight)).sum(),
        }
    }

    fn share(self, server: &Share) -> u64 {
        (self.open * u64::from(server.weight))
            .checked_div(self.weights)
            .unwrap_or(0)
    }

    fn lacks(self, server: &Share) -> bool {
        server.open * 100 < self.share(server) * ENOUGH
    }
}

/// Which servers have too few connections, in their order.
#[must_use]
pub fn lacking(servers: &[Share]) -> Vec<bool> {
    let whole = Whole::of(servers);
    servers.iter().map(|server| whole.lacks(server)).collect()
}

/// How many connections of each server are to be ended now; none, when all have about their
/// share.
#[must_use]
pub fn excess(servers: &[Share]) -> Vec<u64> {
    let whole = Whole::of(servers);
    // Half a connection belongs to nobody: the larger half stays.
    let surplus = |server: &Share| server.open.saturating_sub(whole.share(server) + 1);
    let is_over = |server: &Share| {
        surplus(server) > 0 && server.open * 100 > whole.share(server) * TOO_MUCH
    };
    if !servers
        .iter()
        .any(|server| whole.lacks(server) || is_over(server))
    {
        return vec![0; servers.len()];
    }
    let mut left = whole.open.div_ceil(LOOKS);
    let too_many = servers.iter().map(|server| {
        let too_many = surplus(server).min(left);
        left -= too_many;
        too_many
    });
    too_many.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shares(rows: &[(u16, u64)]) -> Vec<Share> {
        let share = |&(weight, open): &(u16, u64)| Share { weight, open };
        rows.iter().map(share).collect()
    }

    #[test]
    fn table() {
        for (rows, expected) in [
            (&[][..], vec![]),
            (&[(1, 0), (1, 0)], vec![0, 0]),
            (&[(1, 10)], vec![0]),
            // One has come back: 60 of them, so two each second.
            (&[(1, 30), (1, 30), (1, 0)], vec![2, 0, 0]),
            (&[(1, 21), (1, 39), (1, 0)], vec![0, 2, 0]),
            // Within a tenth of their shares.
            (&[(1, 21), (1, 21), (1, 18)], vec![0, 0, 0]),
            (&[(1, 21), (1, 22), (1, 17)], vec![0, 1, 0]),
            // By weight this is even.
            (&[(2, 40), (1, 20)], vec![0, 0]),
            (&[(2, 20), (1, 40)], vec![0, 2]),
            // The heavy one has enough, and the light one a tenth too many, or more.
            (&[(1, 44), (3, 116)], vec![0, 0]),
            (&[(1, 45), (3, 115)], vec![4, 0]),
            (&[(1, 3), (3, 5)], vec![0, 0]),
        ] {
            assert_eq!(excess(&shares(rows)), expected, "{rows:?}");
        }
    }

    #[test]
    fn who_lacks() {
        for (rows, expected) in [
            (&[][..], vec![]),
            (&[(1, 30), (1, 30), (1, 0)], vec![false, false, true]),
            (&[(1, 21), (1, 22), (1, 17)], vec![false, false, true]),
            (&[(1, 21), (1, 21), (1, 18)], vec![false; 3]),
            (&[(2, 40), (1, 20)], vec![false; 2]),
            (&[(1, 0), (1, 0)], vec![false; 2]),
        ] {
            assert_eq!(lacking(&shares(rows)), expected, "{rows:?}");
        }
    }

    proptest! {
        /// Wherever the ended connections come back to in turn, it comes to rest near the
        /// shares, and within a minute.
        #[test]
        fn it_comes_to_rest(
            weights in prop::collection::vec(1_u16..4, 2..6),
            at in any::<prop::sample::Index>(),
            each in 30_u64..400,
        ) {
            let gone = at.index(weights.len());
            let mut servers: Vec<Share> =
                weights.iter().map(|&weight| Share { weight, open: each * u64::from(weight) }).collect();
            servers[gone].open = 0;
            let rotation = crate::pool::Rotation::new(weights.iter().copied().enumerate());
            let mut turns = rotation.from(0).collect::<Vec<_>>().into_iter().cycle();
            let mut looks = 0;
            loop {
                let ended = excess(&servers);
                let count: u64 = ended.iter().sum();
                if count == 0 {
                    break;
                }
                looks += 1;
                prop_assert!(looks <= 240, "{:?}", servers);
                servers.iter_mut().zip(ended).for_each(|(server, n)| server.open -= n);
                for _ in 0..count {
                    servers[turns.next().unwrap()].open += 1;
                }
            }
            let total: u64 = servers.iter().map(|server| server.open).sum();
            let all: u64 = weights.iter().map(|&w| u64::from(w)).sum();
            for server in &servers {
                let share = total * u64::from(server.weight) / all;
                prop_assert!(server.open * 100 + 200 >= share * 88, "{:?}", servers);
            }
        }
    }
}
