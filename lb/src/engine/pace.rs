//! How fast each server is, as one worker sees it, and what follows for a client that waits.
//!
//! Nothing here reads a clock or owns a socket. How fast a server is, each worker learns by
//! itself; when it last spoke, all of them share ([`Voice`]).

use std::collections::HashMap;
use std::time::Duration;

use super::wheel::Tick;
use crate::pool::{ServerId, Voice};

/// A connect is hedged after twice the server's p99, but not before this: in one network it
/// takes less than 1 ms, and a host that is busy for a moment is not dead.
const HEDGE_FLOOR: Duration = Duration::from_millis(20);
/// The same while nothing is known of the server.
const HEDGE_UNKNOWN: Duration = Duration::from_millis(60);
/// A silence after the ClientHello is looked into after three times the server's p99, but not
/// before this: a handshake costs an apiserver 1 to 5 ms of CPU, and it has other work.
const SILENCE_FLOOR: Duration = Duration::from_millis(100);
/// The same while nothing is known of the server.
const SILENCE_UNKNOWN: Duration = Duration::from_millis(300);
/// However slow a server is, it is looked into after this.
const SILENCE_CEILING: Duration = Duration::from_secs(3);
/// How long a server keeps silent before another, of which nothing is known but that its
/// checks pass, is believed to be the better one.
const UNPROVEN: Duration = Duration::from_millis(500);

/// A guess at the 99th percentile of a time, from one number: one sample above it raises it by
/// a quarter, a hundred below lower it by as much.
#[derive(Clone, Copy, Debug, Default)]
struct P99(Option<u32>);

impl P99 {
    fn learn(&mut self, sample: Duration) {
        let sample = u32::try_from(sample.as_micros()).unwrap_or(u32::MAX);
        self.0 = Some(match self.0 {
            // One sample says little; four times as long is a cautious beginning.
            None => sample.saturating_mul(4).max(1),
            Some(guess) if sample > guess => guess.saturating_add(guess / 4 + 1),
            Some(guess) => guess - (guess / 400).max(u32::from(guess > 400)),
        });
    }

    fn guess(self) -> Option<Duration> {
        self.0
            .map(|micros| Duration::from_micros(u64::from(micros)))
    }
}

/// What one worker knows of one server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    connect: P99,
    first_byte: P99,
    /// Sessions that have asked and heard nothing yet.
    waiting: u32,
}

impl Pace {
    /// When a second server is dialled beside this one.
    #[must_use]
    pub(super) fn hedge_after(&self) -> Duration {
        self.connect
            .guess()
            .map_or(HEDGE_UNKNOWN, |p99| (p99 * 2).max(HEDGE_FLOOR))
    }

    /// When its silence is looked into.
    #[must_use]
    pub(super) fn silence_after(&self) -> Duration {
        self.first_byte.guess().map_or(SILENCE_UNKNOWN, |p99| {
            (p99 * 3).clamp(SILENCE_FLOOR, SILENCE_CEILING)
        })
    }

    /// It took a connection.
    pub(super) fn connected(&mut self, took: Duration) {
        self.connect.learn(took);
    }

    /// It was given a whole ClientHello.
    pub(super) fn asked(&mut self) {
        self.waiting = self.waiting.saturating_add(1);
    }

    /// It said its first byte to a session that asked at `asked`.
    pub(super) fn answered(&mut self, asked: Tick, now: Tick) {
        self.first_byte.learn(asked.until(now));
        self.no_longer_waits();
    }

    /// A session that had asked waits for it no more.
    pub(super) fn no_longer_waits(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// What is known of it when a session doubts.
    #[must_use]
    pub(super) fn told(&self, voice: &Voice) -> Told {
        Told {
            waiting: self.waiting,
            spoke: voice.spoke().map(Tick::from_bits),
            answered: voice.answered().map(Tick::from_bits),
        }
    }
}

/// What is known of a server when a session doubts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    waiting: u32,
    spoke: Option<Tick>,
    answered: Option<Tick>,
}

impl Told {
    /// Whether it has said nothing to anybody since then.
    #[must_use]
    pub(super) fn is_silent_since(&self, asked: Tick) -> bool {
        !self.spoke.is_some_and(|spoke| asked.is_due(spoke))
    }
}

/// Whether a session that asked `here` at `asked` would be better off `there`. Where all
/// servers are slow alike nobody is: each has answered about as far as the other.
#[must_use]
pub(super) fn is_better(here: &Told, there: &Told, asked: Tick, now: Tick) -> bool {
    let waited = asked.until(now);
    if here.is_silent_since(asked) {
        !there.is_silent_since(asked) || (there.waiting == 0 && waited >= UNPROVEN)
    } else {
        // It speaks to others. Overtaken by far means that it has forgotten this one.
        waited >= UNPROVEN
            && there
                .answered
                .is_some_and(|answered| asked.after(waited / 2).is_due(answered))
    }
}

/// What one worker knows of all servers.
#[derive(Debug, Default)]
pub(super) struct Paces(HashMap<ServerId, Pace>);

impl Paces {
    /// What is known of this server.
    pub(super) fn of(&mut self, server: ServerId) -> &mut Pace {
        self.0.entry(server).or_default()
    }

    /// Forgets the servers that are no more.
    pub(super) fn keep(&mut self, is_there: impl Fn(ServerId) -> bool) {
        self.0.retain(|server, _| is_there(*server));
    }
}

/// Clients for each of which a tenth of an extra dial may be made.
pub(super) const TEN: u8 = 10;
const SECOND: Duration = Duration::from_secs(1);

/// Extra dials that all workers together may make: one for ten clients of this second or the
/// last, and one a second where there are fewer, so that a lone client is helped as well. What
/// is not used is not saved up: a quiet hour buys no storm.
#[derive(Debug)]
pub(super) struct Budget {
    second: Duration,
    /// Tens of clients that came in this second, and in the one before.
    tens: u32,
    before: u32,
    left: u32,
}

impl Budget {
    /// Of workers that have just begun.
    #[must_use]
    pub(super) const fn new() -> Self {
        Self {
            second: Duration::ZERO,
            tens: 0,
            before: 0,
            left: 1,
        }
    }

    /// Ten clients have come.
    pub(super) fn earn(&mut self, now: Duration) {
        self.turn(now);
        self.tens = self.tens.saturating_add(1);
        let most = self.tens.max(self.before);
        self.left = self.left.saturating_add(1).min(most);
    }

    /// Takes an extra dial out of it, if there is one.
    #[must_use]
    pub(super) fn spend(&mut self, now: Duration) -> bool {
        self.turn(now);
        let rest = self.left.checked_sub(1);
        self.left = rest.unwrap_or(0);
        rest.is_some()
    }

    fn turn(&mut self, now: Duration) {
        let since = now.saturating_sub(self.second);
        if since < SECOND {
            return;
        }
        let is_next = since < 2 * SECOND;
        self.before = if is_next { self.tens } else { 0 };
        self.tens = 0;
        self.second = now;
        self.left = match self.before {
            0 => 1,
            before => self.left.min(before),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(millis: u32) -> Tick {
        Tick::at(millis * MS)
    }

    #[test]
    fn the_guess_has_one_in_a_hundred_above_it() {
        // Three shapes, from a small generator: even, with a long tail, two humps.
        let shapes: [fn(u32) -> u32; 3] = [
            |n| 500 + n % 1000,
            |n| 1_000_000 / (1 + n % 1000),
            |n| {
                if n.is_multiple_of(20) {
                    9000 + n % 500
                } else {
                    300 + n % 100
                }
            },
        ];
        for (which, shape) in shapes.into_iter().enumerate() {
            let (mut p99, mut state, mut above) = (P99::default(), 1u32, 0);
            for n in 0..60_000 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let sample = Duration::from_micros(u64::from(shape(state >> 8)));
                if n >= 10_000 && p99.guess().is_some_and(|guess| sample > guess) {
                    above += 1;
                }
                p99.learn(sample);
            }
            assert!((250..=1500).contains(&above), "{which}: {above} of 50,000");
        }
    }

    #[test]
    fn delays_follow_the_server_within_bounds() {
        let mut pace = Pace::default();
        assert_eq!(pace.hedge_after(), HEDGE_UNKNOWN);
        assert_eq!(pace.silence_after(), SILENCE_UNKNOWN);
        pace.connected(MS / 10);
        assert_eq!(pace.hedge_after(), HEDGE_FLOOR);
        pace.asked();
        pace.answered(at(0), at(4));
        assert_eq!(pace.silence_after(), SILENCE_FLOOR);
        for _ in 0..50 {
            pace.connected(100 * MS);
            pace.answered(at(0), at(20_000));
        }
        assert!(pace.hedge_after() >= 200 * MS);
        assert_eq!(pace.silence_after(), SILENCE_CEILING);
    }

    /// What the other server did, by the milliseconds of its questions and answers; asked
    /// at 1000, looked at so much later.
    #[test]
    fn who_is_better_off_elsewhere() {
        let pace = |waiting, pairs: &[(u32, u32)]| {
            let (mut pace, voice) = (Pace::default(), Voice::default());
            for (asked, spoke) in pairs {
                let (asked, spoke) = (at(*asked), at(*spoke));
                pace.asked();
                pace.answered(asked, spoke);
                voice.speaks(Some(asked.to_bits()), spoke.to_bits());
            }
            (0..waiting).for_each(|_| pace.asked());
            pace.told(&voice)
        };
        for (here, there, waited, expected) in [
            // Hung, while the other one answers.
            (pace(5, &[]), pace(0, &[(990, 1004)]), 100, true),
            (pace(5, &[(900, 992)]), pace(9, &[(1040, 1048)]), 100, true),
            // Both are silent: nobody moves.
            (pace(5, &[]), pace(5, &[]), 2000, false),
            (pace(5, &[]), pace(5, &[(900, 992)]), 2000, false),
            // Nothing is known of the other one but its checks.
            (pace(1, &[]), pace(0, &[]), 100, false),
            (pace(1, &[]), pace(0, &[]), 504, true),
            // All are slow alike.
            (pace(9, &[(900, 1500)]), pace(9, &[(920, 1500)]), 600, false),
            (
                pace(9, &[(900, 1500)]),
                pace(9, &[(1200, 1500)]),
                600,
                false,
            ),
            // This one was forgotten.
            (pace(9, &[(900, 1500)]), pace(9, &[(1320, 1500)]), 600, true),
            (pace(9, &[(900, 1048)]), pace(9, &[(1040, 1048)]), 60, false),
        ] {
            let now = at(1000 + waited);
            let got = is_better(&here, &there, at(1000), now);
            assert_eq!(got, expected, "{here:?} {there:?}");
        }
    }

    /// Clients in each second, and how many extra dials each second gave when asked for as
    /// many as it would.
    #[test]
    fn one_extra_dial_for_ten_clients() {
        for (seconds, expected) in [
            (&[0, 0, 0][..], &[1, 1, 1][..]),
            (&[5, 5, 5], &[1, 1, 1]),
            (&[200, 200, 200], &[20, 20, 20]),
            // A storm has its tenth once, and none in the seconds after.
            (&[5000, 0, 0], &[500, 0, 1]),
            (&[9, 5000, 0], &[1, 500, 0]),
        ] {
            let mut budget = Budget::new();
            let mut given = Vec::new();
            for (n, clients) in (0u32..).zip(seconds) {
                let now = n * SECOND;
                // The first one of a beginning is there before its client.
                let mut extra = u32::from(budget.spend(now));
                for n in 0..*clients {
                    if n % u32::from(TEN) == 9 {
                        budget.earn(now);
                    }
                    extra += u32::from(budget.spend(now));
                }
                given.push(extra);
            }
            assert!(
                given.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= 1),
                "{seconds:?}: {given:?}"
            );
        }
    }
}
