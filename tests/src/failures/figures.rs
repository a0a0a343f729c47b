//! What came of one scene: every connection as it was seen, and the figures that are made of
//! them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::load::LASTING;

/// Answered later than this is slow.
pub(super) const SLOW: Duration = Duration::from_millis(300);

/// One new connection.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// When it was to begin, since the scene began.
    pub at: Duration,
    /// How long it took, from then on.
    pub took: Duration,
    /// Who answered; nobody when it failed.
    pub by: Option<u8>,
}

/// One answer on a connection that lasts, or its end.
#[derive(Clone, Copy, Debug)]
pub struct Lasted {
    /// When it was asked.
    pub at: Duration,
    /// How long the answer, or the end, took.
    pub took: Duration,
    /// The server it is connected to.
    pub to: u8,
    /// Whether the connection ended instead of an answer.
    pub is_cut: bool,
}

/// What was seen in a scene.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// New connections.
    pub asked: Vec<Asked>,
    /// Questions on those that last.
    pub lasted: Vec<Lasted>,
    /// The server of each of those that last and are quiet.
    pub stands: BTreeMap<usize, u8>,
    /// Of those, how often one was ended in order, and came anew.
    pub moved: u32,
    /// How often one was ended otherwise.
    pub lost: u32,
}

/// The figures of a scene. Times are seconds; those "after" count from the fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// New connections.
    pub asked: u64,
    /// Not answered.
    pub failed: u64,
    /// Answered later than 300 ms.
    pub slow: u64,
    /// The longest wait of one that was answered.
    pub longest: f64,
    /// When the last one that failed or was slow had begun.
    pub last_bad_after: Option<f64>,
    /// Of those that last: ended by somebody else than the client.
    pub cut: u64,
    /// The longest wait of one that lasts for an answer or its end.
    pub lasting_longest: f64,
    /// Extra dials for each new connection, where the proxy counts them.
    pub extra: Option<f64>,
    /// When the server was first used again after it had returned.
    pub back_after: Option<f64>,
    /// For how long programs had waited for a core since the fault, where that counts: of each
    /// the thread that waited longest, added up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<f64>,
    /// Other figures of one scene.
    #[serde(default)]
    pub more: BTreeMap<String, f64>,
}

impl Seen {
    /// The figures, of a fault at this time.
    #[must_use]
    pub fn figures(&self, fault: Duration) -> Figures {
        let after: Vec<&Asked> = self.asked.iter().filter(|a| a.at >= fault).collect();
        let is_slow = |a: &Asked| a.by.is_some() && a.took > SLOW;
        let answered = after.iter().filter(|a| a.by.is_some());
        let bad = after.iter().filter(|a| a.by.is_none() || is_slow(a));
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Figures {
            asked: count(after.len()),
            failed: count(after.iter().filter(|a| a.by.is_none()).count()),
            slow: count(after.iter().filter(|a| is_slow(a)).count()),
            longest: seconds(answered.map(|a| a.took).max()),
            last_bad_after: bad.map(|a| (a.at - fault).as_secs_f64()).reduce(f64::max),
            cut: count(self.lasted.iter().filter(|l| l.is_cut).count())
                + u64::from(self.lost),
            lasting_longest: seconds(self.lasted.iter().map(|l| l.took).max()),
            ..Figures::default()
        }
    }

    /// When a server answered a new connection for the first time from `since` on.
    #[must_use]
    pub fn first_by(&self, server: u8, since: Duration) -> Option<f64> {
        let theirs = self.asked.iter().filter(|a| a.by == Some(server));
        let since = theirs.filter_map(|a| a.at.checked_sub(since));
        since.min().map(|time| time.as_secs_f64())
    }

    /// By how much the server that is farthest from its share of those that last and are quiet
    /// is so, as a part of that share.
    #[must_use]
    pub fn spread(&self, servers: &[u8]) -> f64 {
        let number = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        let share = number(LASTING) / number(servers.len()).max(1.0);
        let has = |server: &u8| self.stands.values().filter(|to| *to == server).count();
        let off = servers
            .iter()
            .map(|server| (number(has(server)) - share).abs());
        off.fold(0.0, f64::max) / share
    }

    /// Seconds within which 99 of 100 new connections of this time were answered.
    #[must_use]
    pub fn p99(&self, from: Duration, until: Duration) -> Option<f64> {
        let within = |a: &&Asked| a.by.is_some() && a.at >= from && a.at < until;
        let mut took: Vec<Duration> =
            self.asked.iter().filter(within).map(|a| a.took).collect();
        took.sort_unstable();
        let last = took.len().checked_sub(1)?;
        took.get(last * 99 / 100).map(Duration::as_secs_f64)
    }

    /// When a server answered a new connection for the last time before `until`.
    #[must_use]
    pub fn last_by(&self, server: u8, from: Duration, until: Duration) -> Option<f64> {
        let theirs = self.asked.iter().filter(|a| a.by == Some(server));
        let within = theirs.filter(|a| a.at >= from && a.at < until);
        within.map(|a| (a.at - from).as_secs_f64()).reduce(f64::max)
    }
}

fn seconds(time: Option<Duration>) -> f64 {
    time.unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_begins_with_the_fault() {
        let ms = Duration::from_millis;
        let asked = |at, took, by| Asked {
            at: ms(at),
            took: ms(took),
            by,
        };
        let cut = |is_cut| Lasted {
            at: ms(0),
            took: ms(700),
            to: 1,
            is_cut,
        };
        let seen = Seen {
            asked: vec![
                asked(0, 9000, None),
                asked(1000, 300, Some(1)),
                asked(1100, 301, Some(2)),
                asked(1200, 10_000, None),
                asked(1300, 1, Some(1)),
            ],
            lasted: vec![cut(true), cut(false)],
            ..Seen::default()
        };
        let figures = seen.figures(ms(1000));
        assert_eq!((figures.asked, figures.failed, figures.slow), (4, 1, 1));
        assert_eq!(figures.last_bad_after, Some(0.2));
        assert_eq!((figures.cut, figures.longest), (1, 0.301));
        assert_eq!(seen.p99(ms(1000), ms(1101)), Some(0.3));
        assert_eq!(seen.p99(ms(0), ms(1000)), None);
        assert_eq!(seen.first_by(1, ms(1001)), Some(0.299));
        assert_eq!(seen.last_by(1, ms(0), ms(1300)), Some(1.0));
    }

    #[test]
    fn a_spread_is_told_by_the_server_that_is_farthest_off() {
        for (stands, expected) in [
            (&[20, 20, 20][..], 0.0),
            (&[18, 20, 22], 0.1),
            (&[30, 30, 0], 1.0),
            (&[20, 20, 17], 0.15),
            (&[0, 0, 60], 2.0),
        ] {
            let servers = (1..).zip(stands);
            let each = servers.flat_map(|(server, n)| std::iter::repeat_n(server, *n));
            let seen = Seen {
                stands: each.enumerate().collect(),
                ..Seen::default()
            };
            let spread = seen.spread(&[1, 2, 3]);
            assert!((spread - expected).abs() < 1e-9, "{stands:?}: {spread}");
        }
    }
}
