//! The roster as workers see it, and when the picture changes by itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Back, Member, Roster};
use crate::pool::ramp::{self, Rising};
use crate::pool::rebalance::LIFT;
use crate::pool::{Backend, Frontend, Server, Snapshot};

impl Roster {
    /// When the next snapshot is due although nothing happens: a server rises.
    #[must_use]
    pub fn rises_in(&self, now: SystemTime) -> Option<Duration> {
        let each = self.backends.iter().filter_map(|back| {
            ramp::next_change(&back.rising(now), back.meant.slow_start?)
        });
        each.min()
    }

    /// The next snapshot.
    pub fn snapshot(&mut self, now: SystemTime) -> Snapshot {
        self.generation += 1;
        let backends: Vec<Arc<Backend>> = self
            .backends
            .iter()
            .map(|back| Arc::new(back.backend(now)))
            .collect();
        let of = |name: &Arc<str>| backends.iter().find(|b| b.name == *name).cloned();
        let frontends = self.frontends.iter().filter_map(|front| {
            Some(Arc::new(Frontend {
                name: Arc::clone(&front.meant.name),
                listeners: front.listeners.clone(),
                gate: Arc::clone(&front.gate),
                backend: of(&front.meant.backend)?,
                counters: Arc::clone(&front.counters),
                rules: front.meant.rules.clone(),
                routes: front.meant.routes.iter().filter_map(of).collect(),
            }))
        });
        Snapshot {
            generation: self.generation,
            frontends: frontends.collect(),
            ceiling: self.ceiling,
            report_ends: self.report_ends,
        }
    }
}

impl Back {
    fn backend(&self, now: SystemTime) -> Backend {
        let weights = self.weights(now);
        let servers = self.members.iter().zip(weights);
        Backend::new(
            Arc::clone(&self.meant.name),
            self.meant.dial,
            self.meant.tcp,
            self.meant.idle,
            Arc::clone(&self.cursor),
            servers
                .map(|(m, weight)| (m.weighing(weight), m.state))
                .collect(),
        )
        .balanced(self.meant.balance, self.meant.queue)
        .introducing(self.meant.send_proxy)
    }

    /// The weights at this instant. One that still rises is not lifted.
    fn weights(&self, now: SystemTime) -> Vec<u16> {
        let (rising, slow_start) =
            (self.rising(now), self.meant.slow_start.unwrap_or_default());
        let mut weights = ramp::weights(&rising, slow_start);
        let all = self.members.iter().zip(&rising).zip(&mut weights);
        for ((member, rising), weight) in all {
            let is_warm = ramp::step(rising.up_for, slow_start) == ramp::STEPS;
            if is_warm && self.lifted.contains(&member.server.id) {
                *weight = weight.saturating_mul(LIFT);
            }
        }
        weights
    }

    fn rising(&self, now: SystemTime) -> Vec<Rising> {
        self.members
            .iter()
            .map(|member| member.rising(now))
            .collect()
    }
}

impl Member {
    fn rising(&self, now: SystemTime) -> Rising {
        let up_for = now.duration_since(self.since).unwrap_or_default();
        Rising {
            weight: self.server.weight,
            up_for: self.came_back.then_some(up_for),
        }
    }

    /// The server with this weight.
    fn weighing(&self, weight: u16) -> Arc<Server> {
        if weight == self.server.weight {
            return Arc::clone(&self.server);
        }
        Arc::new(Server {
            id: self.server.id,
            name: Arc::clone(&self.server.name),
            address: self.server.address,
            weight,
            terms: self.server.terms,
            counters: Arc::clone(&self.server.counters),
        })
    }
}
