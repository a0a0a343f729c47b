//! Who has signed in, and who tries too often. Decides from what it is told; time is an
//! argument.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;

use super::password::hex;

/// Signed in at a time; one more, and the oldest has to sign in again.
const SESSIONS: usize = 16;
/// Unused for this long, one has to sign in again.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// After this long in any case.
const LONGEST: Duration = Duration::from_secs(8 * 60 * 60);

/// Wrong passwords of one source in [`WINDOW`], after which it waits.
const TRIES: usize = 5;
/// Of all sources elsewhere together: each costs a thread some tenths of a second. Those keep
/// nobody out who sits at this host, which is one source.
const ALL_TRIES: usize = 30;
const WINDOW: Duration = Duration::from_secs(60);

/// Somebody who has signed in.
#[derive(Debug)]
struct Session {
    token: String,
    csrf: String,
    user: String,
    since: Instant,
    used: Instant,
}

/// All of them, and the wrong tries of the last minute.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: VecDeque<Session>,
    wrong: VecDeque<(Instant, IpAddr)>,
}

/// What one who has signed in is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) user: String,
    pub(super) token: String,
    pub(super) csrf: String,
}

impl Sessions {
    /// Whether this source may try a password. Counts as a wrong try until it was right,
    /// so that tries at the same time count too.
    pub(super) fn may_try(&mut self, source: IpAddr, now: Instant) -> bool {
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= WINDOW;
        while self.wrong.front().is_some_and(|(at, _)| is_old(at)) {
            self.wrong.pop_front();
        }
        let here = source.is_loopback();
        let is_own = |ip: &IpAddr| *ip == source || (here && ip.is_loopback());
        let own = self.wrong.iter().filter(|(_, ip)| is_own(ip)).count();
        let elsewhere = self.wrong.iter().filter(|(_, ip)| !ip.is_loopback());
        let may = own < TRIES && (here || elsewhere.count() < ALL_TRIES);
        if may {
            self.wrong.push_back((now, source));
        }
        may
    }

    /// The password was right. None when the system has no random numbers.
    pub(super) fn begin(
        &mut self,
        user: &str,
        source: IpAddr,
        now: Instant,
    ) -> Option<Ticket> {
        let ticket = Ticket {
            user: user.to_owned(),
            token: random()?,
            csrf: random()?,
        };
        if let Some(at) = self.wrong.iter().rposition(|(_, ip)| *ip == source) {
            self.wrong.remove(at);
        }
        while self.all.len() >= SESSIONS {
            self.all.pop_front();
        }
        self.all.push_back(Session {
            token: ticket.token.clone(),
            csrf: ticket.csrf.clone(),
            user: user.to_owned(),
            since: now,
            used: now,
        });
        Some(ticket)
    }

    /// Who comes with this token; using it keeps it.
    pub(super) fn of(&mut self, token: &str, now: Instant) -> Option<Ticket> {
        self.all.retain(|session| {
            now.saturating_duration_since(session.used) < IDLE
                && now.saturating_duration_since(session.since) < LONGEST
        });
        let session = self.all.iter_mut().find(|s| same(&s.token, token))?;
        session.used = now;
        Some(Ticket {
            user: session.user.clone(),
            token: session.token.clone(),
            csrf: session.csrf.clone(),
        })
    }

    /// Signs out.
    pub(super) fn end(&mut self, token: &str) {
        self.all.retain(|session| !same(&session.token, token));
    }
}

/// Whether two secrets are the same, in a time that tells nothing of where they differ.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

fn random() -> Option<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_session_ends_by_disuse_by_age_by_number_and_by_will() {
        let mut sessions = Sessions::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let ticket = sessions.begin("anna", HERE, start).unwrap();
        assert_eq!(sessions.of(&ticket.token, at(899)), Some(ticket.clone()));
        assert_eq!(
            sessions.of(&ticket.token, at(899 + 899)),
            Some(ticket.clone())
        );
        assert_eq!(sessions.of(&ticket.token, at(899 + 899 + 900)), None);
        let ticket = sessions.begin("anna", HERE, start).unwrap();
        let mut now = 0;
        while sessions.of(&ticket.token, at(now)).is_some() {
            now += 600;
        }
        assert_eq!(now, 8 * 60 * 60);
        let first = sessions.begin("anna", HERE, start).unwrap();
        for _ in 0..SESSIONS {
            sessions.begin("otto", HERE, start).unwrap();
        }
        assert_eq!(sessions.of(&first.token, start), None);
        let last = sessions.begin("anna", HERE, start).unwrap();
        assert_eq!(sessions.of("", start), None);
        sessions.end(&last.token);
        assert_eq!(sessions.of(&last.token, start), None);
    }

    #[test]
    fn wrong_tries_are_counted_by_source_and_in_all() {
        let mut sessions = Sessions::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let source = |n: u8| IpAddr::from([10, 0, 0, n]);
        for _ in 0..TRIES {
            assert!(sessions.may_try(source(1), start));
        }
        assert!(!sessions.may_try(source(1), at(59)));
        assert!(sessions.may_try(source(1), at(60)));
        // A right one is no try.
        for _ in 0..3 * TRIES {
            assert!(sessions.may_try(source(2), at(60)));
            sessions.begin("anna", source(2), at(60)).unwrap();
        }
        let all = (3..200)
            .filter(|n| sessions.may_try(source(*n), at(61)))
            .count();
        assert_eq!(all, ALL_TRIES - 1);
        let here = [HERE, IpAddr::from([127, 0, 0, 2]), HERE, HERE, HERE, HERE];
        let may = here.map(|source| sessions.may_try(source, at(62)));
        assert_eq!(may, [true, true, true, true, true, false]);
    }
}
