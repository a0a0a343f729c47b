//! Routers that advertise our addresses and are configured otherwise: never obeyed, and never
//! stood against where they came first.

use std::net::IpAddr;
use std::time::Instant;

use super::mode::{Active, Backup, Mode};
use super::step::Step;
use super::{Note, Reason, timers};
use crate::packet::Advert;
use crate::{Priority, State};

/// Strangers that are told apart; of more, those that are silent last are waited for. One is
/// a mistake, and a segment where anybody makes up more of them has other troubles.
const TOLD_APART: usize = 8;

/// Who they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Strangers {
    /// When each counts as silent.
    silent: Vec<(IpAddr, Instant)>,
    /// One of them goes before us, and we were Active beside it: an interval more is waited.
    yields: bool,
}

impl Strangers {
    /// When all of them are silent; `None` without any.
    pub(super) fn silent(&self) -> Option<Instant> {
        self.silent.iter().map(|(_, at)| *at).max()
    }

    fn of(&mut self, from: IpAddr) -> Option<&mut Instant> {
        let mut known = self.silent.iter_mut();
        known.find(|(who, _)| *who == from).map(|(_, at)| at)
    }

    /// One is not silent before `silent`, nor before what was noted of it already.
    fn note(&mut self, from: IpAddr, silent: Instant) {
        if let Some(at) = self.of(from) {
            *at = silent.max(*at);
            return;
        }
        if self.silent.len() >= TOLD_APART {
            let first = self
                .silent
                .iter()
                .enumerate()
                .min_by_key(|(_, (_, at))| *at);
            let first = first.map(|(place, _)| place);
            first.map(|place| self.silent.swap_remove(place));
        }
        self.silent.push((from, silent));
    }
}

impl Step<'_> {
    /// It is silent only when it has missed as many adverts of its own as we wait for. A
    /// faster one that is heard after a slower one, or that we follow, shortens nothing.
    pub(super) fn hold_back(&self, backup: &mut Backup, from: IpAddr, advert: &Advert) {
        let slower = advert.interval.max(backup.following);
        let more = u32::from(backup.strangers.yields) * slower.duration();
        let silent = self.now + self.down(slower) + more;
        backup.strangers.note(from, silent);
    }

    /// It has given the addresses up. Backups of its own kind, which nobody has heard, and
    /// which would not understand us, go first: the lowest of them has the longest skew.
    pub(super) fn stranger_released(
        &mut self,
        backup: &mut Backup,
        from: IpAddr,
        advert: &Advert,
    ) {
        let theirs = timers::skew(advert.version, Priority::MIN, advert.interval);
        let over = self.now + theirs + self.skew(backup.following);
        let Some(silent) = backup.strangers.of(from) else {
            return self.note(Note::NoMatter);
        };
        *silent = over.min(*silent);
        if backup.down <= self.now {
            backup.then = Reason::ActiveReleased;
        }
    }

    /// Was a stranger there before us? Three of its adverts after our promotion it has been
    /// heard, if it was; one that is heard later has come since.
    pub(super) fn came_second(&self, active: &Active, advert: &Advert) -> bool {
        let three = advert.interval.duration() * timers::ADVERTS_MISSED;
        let before = active.alone.is_some_and(|since| self.now < since + three);
        before && !advert.priority.is_release()
    }

    /// In silence: nobody is to take over where a stranger has the addresses. Strangers may
    /// have come in the same moment, and step back before us: of these, the highest comes
    /// again first, and the others hear it.
    pub(super) fn step_back(&mut self, from: IpAddr, advert: &Advert) -> Mode {
        self.release(State::Active, State::Backup, Reason::StrangerFirst);
        let wait = self.down(self.rules.interval);
        let mut backup = Backup::waiting(self.rules, self.now, wait, Reason::ActiveDown);
        let by_priority = advert.priority.cmp(&self.rules.priority);
        backup.strangers.yields = by_priority.then(from.cmp(&self.rules.source)).is_gt();
        self.hold_back(&mut backup, from, advert);
        Mode::Backup(backup)
    }
}
