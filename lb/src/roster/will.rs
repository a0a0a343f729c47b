//! What an operator has ordered for a server, and how it goes together with the file and with
//! what the checks say.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Member, Roster};
use crate::config;
use crate::order::Mode;
use crate::pool::{Judge, Server, State};

/// What was ordered for a server; nothing, at first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize,
)]
pub struct Will {
    /// How it is to be used.
    pub mode: Option<Mode>,
    /// Its weight.
    pub weight: Option<u16>,
}

/// Why an order for a server cannot be obeyed; a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No server has this name.
    #[error("there is no server {0}; `api-lb status` shows their names")]
    Nobody(String),
    /// Servers of several backends have it.
    #[error("several backends have a server {0}; write BACKEND/{0}")]
    Several(String),
}

/// A server was told something new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its backend's name.
    pub backend: Arc<str>,
    /// Its name.
    pub server: Arc<str>,
    /// Its state before.
    pub from: State,
    /// Its state from here on.
    pub to: State,
    /// Its weight from here on.
    pub weight: u16,
}

impl Will {
    /// What is left of it when the file says something else: the file goes before an older
    /// order, where it has changed.
    #[must_use]
    pub fn after(self, old: &config::Server, new: &config::Server) -> Self {
        Self {
            mode: self.mode.filter(|_| old.disabled == new.disabled),
            weight: self.weight.filter(|_| old.weight == new.weight),
        }
    }

    /// Whether the server is out of use.
    #[must_use]
    pub fn is_disabled(self, file: &config::Server) -> bool {
        match self.mode {
            None => file.disabled,
            Some(Mode::Disable) => true,
            Some(Mode::Drain | Mode::Enable) => false,
        }
    }

    /// The state that follows from what the checks say.
    #[must_use]
    pub const fn state(self, judged: State) -> State {
        match (self.mode, judged) {
            // It answers, and is told to say that it is not ready.
            (Some(Mode::Drain), State::Up) => State::Draining,
            (Some(Mode::Drain | Mode::Enable | Mode::Disable) | None, judged) => judged,
        }
    }
}

impl Roster {
    /// Finds a server by its name, or by its backend's and its own.
    fn named(&mut self, name: &str) -> Result<(usize, usize), Unknown> {
        let (backend, server) = match name.split_once('/') {
            Some((backend, server)) => (Some(backend), server),
            None => (None, name),
        };
        let backends = self.backends.iter().enumerate();
        let backends =
            backends.filter(|(_, back)| backend.is_none_or(|b| *back.meant.name == *b));
        let mut found = backends.filter_map(|(at, back)| {
            let mut members = back.members.iter();
            Some((at, members.position(|m| *m.server.name == *server)?))
        });
        match (found.next(), found.next()) {
            (None, _) => Err(Unknown::Nobody(name.to_owned())),
            (Some(place), None) => Ok(place),
            (Some(_), Some(_)) => Err(Unknown::Several(server.to_owned())),
        }
    }

    /// Uses a server in this way from here on.
    ///
    /// # Errors
    /// There is no such server.
    pub fn use_server(
        &mut self,
        name: &str,
        mode: Mode,
        now: SystemTime,
    ) -> Result<Told, Unknown> {
        self.tell(name, now, |will| will.mode = Some(mode))
    }

    /// Gives a server this weight from here on; that of the file, when absent.
    ///
    /// # Errors
    /// There is no such server.
    pub fn weigh(
        &mut self,
        name: &str,
        weight: Option<u16>,
        now: SystemTime,
    ) -> Result<Told, Unknown> {
        self.tell(name, now, |will| will.weight = weight)
    }

    /// The servers that this name stands for: the name of its backend and its own.
    ///
    /// # Errors
    /// There is no such server.
    pub fn find(&mut self, name: &str) -> Result<(Arc<str>, Arc<str>), Unknown> {
        let (at, member) = self.named(name)?;
        let back = self.backends.get(at);
        let found = back.and_then(|back| {
            let member = back.members.get(member)?;
            Some((
                Arc::clone(&back.meant.name),
                Arc::clone(&member.server.name),
            ))
        });
        found.ok_or_else(|| Unknown::Nobody(name.to_owned()))
    }

    fn tell(
        &mut self,
        name: &str,
        now: SystemTime,
        order: impl FnOnce(&mut Will),
    ) -> Result<Told, Unknown> {
        let (at, place) = self.named(name)?;
        let unknown = || Unknown::Nobody(name.to_owned());
        let back = self.backends.get_mut(at).ok_or_else(unknown)?;
        let meant = Arc::clone(&back.meant);
        let member = back.members.get_mut(place).ok_or_else(unknown)?;
        order(&mut member.will);
        let from = member.state;
        member.obey(&member.meant.clone(), &meant, now);
        Ok(Told {
            backend: Arc::clone(&meant.name),
            server: Arc::clone(&member.server.name),
            from,
            to: member.state,
            weight: member.server.weight,
        })
    }
}

impl Member {
    /// Stands as the file and the orders want it, by what is known of it.
    pub(super) fn obey(
        &mut self,
        file: &config::Server,
        backend: &config::Backend,
        now: SystemTime,
    ) {
        self.server = Arc::new(Server {
            id: self.server.id,
            name: Arc::clone(&file.name),
            address: file.address,
            weight: self.will.weight.unwrap_or(file.weight),
            terms: super::take::terms(file),
            counters: Arc::clone(&self.server.counters),
        });
        self.meant = file.clone();
        let is_disabled = self.will.is_disabled(file);
        let (rise, fall) = (backend.check.rise, backend.check.fall);
        let returns = !is_disabled && self.state == State::Disabled;
        self.is_pending = !is_disabled && (returns || self.is_pending);
        self.judge = if returns {
            // What was known before it was disabled says nothing about it afterwards.
            Judge::new(rise, fall)
        } else {
            self.judge.with_limits(rise, fall)
        };
        let state = if is_disabled {
            State::Disabled
        } else {
            self.stand(self.judge.state())
        };
        self.enter(state, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::Listener;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn roster(servers: &str) -> Roster {
        let mut roster = Roster::default();
        replace(&mut roster, servers);
        roster
    }

    fn replace(roster: &mut Roster, servers: &str) {
        let text = format!(
            "apiVersion: sternpost/v1\nkind: ApiLb\nfrontends:\n- {{name: f, bind: [\"192.0.2.1:6443\"], backend: a}}\n- {{name: g, bind: [\"192.0.2.1:8443\"], backend: b}}\nbackends:\n- name: a\n  servers: [{servers}]\n- name: b\n  servers: [{{name: m1, address: \"192.0.2.12:6443\"}}]\n"
        );
        let config = crate::config::parse("test", &text).unwrap();
        let none: &[Arc<Listener>] = &[];
        roster.replace(&config, none, NOW);
    }

    const M2: &str = "{name: m2, address: \"192.0.2.11:6443\"}";
    const OFF: &str = "{name: m2, address: \"192.0.2.11:6443\", disabled: true}";
    const HEAVY: &str = "{name: m2, address: \"192.0.2.11:6443\", weight: 5}";

    fn passed(roster: &mut Roster, server: &str) {
        let (at, place) = roster.named(server).unwrap();
        let member = &mut roster.backends[at].members[place];
        let report = probe::Report {
            outcome: probe::Outcome::Passed,
            took: std::time::Duration::ZERO,
        };
        member.record(report, NOW);
    }

    #[test]
    fn servers_are_found_by_name() {
        let both = format!("{{name: m1, address: \"192.0.2.10:6443\"}}, {M2}");
        let mut roster = roster(&both);
        for (name, expected) in [
            ("m2", Ok((0, 1))),
            ("a/m2", Ok((0, 1))),
            ("a/m1", Ok((0, 0))),
            ("b/m1", Ok((1, 0))),
            ("m1", Err(Unknown::Several("m1".to_owned()))),
            ("b/m2", Err(Unknown::Nobody("b/m2".to_owned()))),
            ("m3", Err(Unknown::Nobody("m3".to_owned()))),
        ] {
            assert_eq!(roster.named(name), expected, "{name}");
        }
    }

    #[test]
    fn orders_go_together_with_what_checks_say() {
        let mut roster = roster(M2);
        passed(&mut roster, "m2");
        let told = roster.use_server("m2", Mode::Drain, NOW).unwrap();
        assert_eq!((told.from, told.to), (State::Up, State::Draining));
        // A check that passes does not end a drain.
        passed(&mut roster, "m2");
        assert_eq!(roster.backends[0].members[0].state, State::Draining);
        let told = roster.use_server("m2", Mode::Enable, NOW).unwrap();
        assert_eq!(told.to, State::Up);
        let told = roster.use_server("m2", Mode::Disable, NOW).unwrap();
        assert_eq!(told.to, State::Disabled);
        assert!(
            roster
                .plans()
                .iter()
                .all(|plan| plan.address.ip().to_string() != "192.0.2.11")
        );
        // What was known before says nothing any more.
        let told = roster.use_server("m2", Mode::Enable, NOW).unwrap();
        assert_eq!(told.to, State::Unknown);
        passed(&mut roster, "m2");
        assert_eq!(roster.backends[0].members[0].state, State::Up);
    }

    #[test]
    fn a_reload_keeps_orders_except_where_the_file_has_changed() {
        for (before, after, mode, weight) in [
            (M2, M2, Some(Mode::Disable), Some(9)),
            (M2, HEAVY, Some(Mode::Disable), None),
            (M2, OFF, None, Some(9)),
            (OFF, M2, None, Some(9)),
        ] {
            let mut roster = roster(before);
            roster.use_server("m2", Mode::Disable, NOW).unwrap();
            let told = roster.weigh("m2", Some(9), NOW).unwrap();
            assert_eq!(told.weight, 9);
            replace(&mut roster, after);
            let member = &roster.backends[0].members[0];
            assert_eq!(member.will, Will { mode, weight }, "{before} {after}");
            let disabled = mode.is_some() || after == OFF;
            assert_eq!(
                member.state == State::Disabled,
                disabled,
                "{before} {after}"
            );
        }
    }

    #[test]
    fn a_server_that_the_file_disables_can_be_enabled() {
        let mut roster = roster(OFF);
        let told = roster.use_server("m2", Mode::Enable, NOW).unwrap();
        assert_eq!((told.from, told.to), (State::Disabled, State::Unknown));
        let told = roster.weigh("m2", None, NOW).unwrap();
        assert_eq!(told.weight, 1);
    }
}
