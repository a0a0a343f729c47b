//! The gate of one frontend.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::network::Network;
use super::rate::Shared;
use super::sources::{Limits, Sources};
use crate::worker::End;

/// What becomes of a client that comes when a limit is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WhenFull {
    /// It waits in the listen queue.
    #[default]
    Wait,
    /// It is reset.
    Refuse,
}

/// What is allowed at a frontend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Connections at a time; no limit when absent.
    pub connections: Option<NonZeroU32>,
    /// New connections per second; no limit when absent.
    pub rate: Option<NonZeroU32>,
    /// What becomes of those who come when one of these two is reached.
    pub when_full: WhenFull,
    /// Only clients of these networks may come; all, when empty.
    pub allow: Vec<Network>,
    /// Clients of these networks may not come; goes before `allow`.
    pub deny: Vec<Network>,
    /// The limits of one source.
    pub sources: Limits,
    /// Connections from these networks begin with a PROXY header.
    pub proxies: Vec<Network>,
}

/// What a gate counts; outlives reloads.
#[derive(Debug)]
pub struct Books {
    epoch: Instant,
    bucket: Shared,
    /// What is known of the sources.
    pub sources: Sources,
}

impl Default for Books {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            bucket: Shared::default(),
            sources: Sources::default(),
        }
    }
}

/// The gate of one frontend, by one configuration.
#[derive(Debug, Default)]
pub struct Gate {
    rules: Rules,
    /// Shared with the gate before and after a reload.
    pub books: Arc<Books>,
}

/// The frontend is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Whoever comes waits in the listen queue; look again after this time.
    Wait(Duration),
    /// Whoever comes is reset, for this reason.
    Refuse(End),
}

/// When to look again whether a connection has ended; the ends of this worker are seen at
/// once.
const LOOK: Duration = Duration::from_millis(20);

impl Gate {
    /// A gate with these rules.
    #[must_use]
    pub const fn new(rules: Rules, books: Arc<Books>) -> Self {
        Self { rules, books }
    }

    /// Whether one more client may come in, with so many `open`. Workers that ask at the same
    /// time may each let one more in.
    ///
    /// # Errors
    /// What becomes of those who come else.
    pub fn look(&self, open: u64, now: Instant) -> Result<(), Held> {
        let most = self
            .rules
            .connections
            .map_or(u64::MAX, |n| u64::from(n.get()));
        if open >= most {
            return Err(self.held(End::FrontendConnections, LOOK));
        }
        let Some(rate) = self.rules.rate else {
            return Ok(());
        };
        let wait = self.books.bucket.wait(rate, self.since_epoch(now));
        wait.map_err(|wait| self.held(End::FrontendRate, wait))
    }

    /// One more client has come in.
    pub fn enter(&self, now: Instant) {
        if let Some(rate) = self.rules.rate {
            // None is left when another worker was quicker: this one is in already.
            let _ = self.books.bucket.take(rate, self.since_epoch(now));
        }
    }

    /// Whether a connection from this address begins with a PROXY header.
    #[must_use]
    pub fn is_proxy(&self, ip: IpAddr) -> bool {
        self.rules
            .proxies
            .iter()
            .any(|network| network.contains(ip))
    }

    /// Whether a client of this address may come. It leaves by [`Gate::dismiss`].
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, ip: IpAddr, now: Instant) -> Result<(), End> {
        let holds = |networks: &[Network]| networks.iter().any(|one| one.contains(ip));
        let Rules { allow, deny, .. } = &self.rules;
        if holds(deny) || !(allow.is_empty() || holds(allow)) {
            return Err(End::Denied);
        }
        let now = self.since_epoch(now);
        self.books.sources.enter(ip, &self.rules.sources, now)
    }

    /// A client of this address is here already: it counts, whatever the limits say.
    pub fn readmit(&self, ip: IpAddr) {
        self.books.sources.keep(ip, &self.rules.sources);
    }

    /// A client of this address that was admitted is gone.
    pub fn dismiss(&self, ip: IpAddr) {
        // Who came by these rules is in the table when they have a limit.
        if !self.rules.sources.are_none() {
            self.books.sources.leave(ip);
        }
    }

    const fn held(&self, end: End, wait: Duration) -> Held {
        match self.rules.when_full {
            WhenFull::Wait => Held::Wait(wait),
            WhenFull::Refuse => Held::Refuse(end),
        }
    }

    fn since_epoch(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.books.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(rules: Rules) -> Gate {
        Gate::new(rules, Arc::default())
    }

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn lists() {
        for (allow, deny, ip, expected) in [
            (&[][..], &[][..], "10.0.0.1", Ok(())),
            (&["10.0.0.0/8"], &[], "10.0.0.1", Ok(())),
            (&["10.0.0.0/8"], &[], "11.0.0.1", Err(End::Denied)),
            (
                &["10.0.0.0/8"],
                &["10.0.0.0/24"],
                "10.0.0.1",
                Err(End::Denied),
            ),
            (&["10.0.0.0/8"], &["10.0.0.0/24"], "10.0.1.1", Ok(())),
            (&[], &["10.0.0.0/24"], "10.0.1.1", Ok(())),
            (&[], &["10.0.0.0/24"], "::ffff:10.0.0.9", Err(End::Denied)),
        ] {
            let rules = Rules {
                allow: networks(allow),
                deny: networks(deny),
                ..Rules::default()
            };
            let admitted = gate(rules).admit(ip.parse().unwrap(), Instant::now());
            assert_eq!(admitted, expected, "{allow:?} {deny:?} {ip}");
        }
    }

    #[test]
    fn a_full_frontend_holds_or_refuses() {
        let now = Instant::now();
        for (when_full, expected) in [
            (WhenFull::Wait, Held::Wait(LOOK)),
            (WhenFull::Refuse, Held::Refuse(End::FrontendConnections)),
        ] {
            let gate = gate(Rules {
                connections: NonZeroU32::new(2),
                when_full,
                ..Rules::default()
            });
            assert_eq!(gate.look(1, now), Ok(()));
            assert_eq!(gate.look(2, now), Err(expected));
            assert_eq!(gate.look(3, now), Err(expected));
        }
    }

    #[test]
    fn a_frontend_has_its_rate() {
        let gate = gate(Rules {
            rate: NonZeroU32::new(2),
            ..Rules::default()
        });
        let now = gate.books.epoch + Duration::from_secs(9);
        assert_eq!(gate.look(0, now), Ok(()));
        gate.enter(now);
        assert_eq!(gate.look(0, now), Ok(()));
        gate.enter(now);
        let wait = Held::Wait(Duration::from_millis(500));
        assert_eq!(gate.look(0, now), Err(wait));
        assert_eq!(gate.look(0, now + Duration::from_millis(500)), Ok(()));
    }
}
