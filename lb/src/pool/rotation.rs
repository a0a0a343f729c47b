//! One cycle of weighted roundrobin, laid out in advance.
//!
//! Smooth: a heavy server's turns are spread over the cycle. Exact: with one cursor for
//! all workers, any run of whole cycles gives each server its weight.

/// One cycle: positions of servers, in the order of their turns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    turns: Box<[u16]>,
}

impl Rotation {
    /// Lays out the cycle of these servers: position and weight (1 to 256).
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = (usize, u16)>) -> Self {
        let servers: Vec<(u16, u16)> = servers
            .into_iter()
            .filter_map(|(at, weight)| Some((u16::try_from(at).ok()?, weight.max(1))))
            .collect();
        let divisor = servers
            .iter()
            .fold(0, |all, &(_, weight)| gcd(all, weight))
            .max(1);
        let members = servers
            .iter()
            .map(|&(at, weight)| Member::new(at, weight / divisor))
            .collect();
        Self {
            turns: lay_out(members),
        }
    }

    /// Whether it has no server.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// How many turns a cycle has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.turns.len()
    }

    /// The positions from this turn on, for one cycle.
    pub fn from(&self, turn: u64) -> impl Iterator<Item = usize> + '_ {
        let len = self.turns.len();
        let start = u64::try_from(len)
            .ok()
            .and_then(|len| turn.checked_rem(len))
            .and_then(|start| usize::try_from(start).ok())
            .unwrap_or(0);
        self.turns
            .iter()
            .cycle()
            .skip(start)
            .take(len)
            .map(|&at| usize::from(at))
    }
}

struct Member {
    at: u16,
    weight: i64,
    credit: i64,
}

impl Member {
    fn new(at: u16, weight: u16) -> Self {
        Self {
            at,
            weight: i64::from(weight),
            credit: 0,
        }
    }
}

/// Each turn every member gains its weight; the richest goes and pays the total. Ties go
/// to the earlier one.
fn lay_out(mut members: Vec<Member>) -> Box<[u16]> {
    let total: i64 = members.iter().map(|member| member.weight).sum();
    (0..total)
        .filter_map(|_| {
            members
                .iter_mut()
                .for_each(|member| member.credit += member.weight);
            let richest = members.iter_mut().reduce(|best, next| {
                if next.credit > best.credit {
                    next
                } else {
                    best
                }
            })?;
            richest.credit -= total;
            Some(richest.at)
        })
        .collect()
}

const fn gcd(mut a: u16, mut b: u16) -> u16 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
