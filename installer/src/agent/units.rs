//! Units as an agent turns them. One that does not come up, or does not stay, gets back what it
//! read before, where that is retained, and is started anew by that.

use std::time::SystemTime;

use daemon::chain;

use super::ask::Kube;
use super::files::FilesError;
use super::journal::Entry;
use super::order::{Otherwise, Run};
use super::previous;
use super::programs;
use super::systemd::{Services, ServicesError};
use super::unread;
use super::{Agent, Answer, done, failed};
use crate::layout;
use crate::reset;

impl<S: Services> Agent<S> {
    /// Keeps what stands at paths, for units that do not come up by what is to take its place. A run
    /// that was killed behind a unit's good start has left what that ran by before.
    pub(super) fn retain(&mut self, paths: &[String], readers: &[Run]) -> Answer {
        let entries = match self.journal.entries() {
            Ok(entries) => entries,
            Err(error) => return failed(&error),
        };
        let units: Vec<_> = readers.iter().map(|run| run.unit.clone()).collect();
        let doubted = |path: &str| previous::doubted(&self.root, path);
        let unread = unread::unread(&entries, &units, doubted);
        let mut outdated = Vec::new();
        for path in paths {
            let mut own = readers.iter().filter(|run| run.reads.contains(path));
            let read =
                |unit: &str| !unread.get(unit).is_some_and(|all| all.contains(path));
            if previous::is_kept(&self.root, path)
                && own
                    .all(|run| read(&run.unit) && self.services.stays(&run.unit).is_ok())
            {
                outdated.push(path);
            }
        }
        done(previous::retain(&self.root, paths, &outdated))
    }

    /// A unit that does not come up is put back to where it was: not started.
    pub(super) fn start(&mut self, run: &Run) -> Answer {
        let answer = self.anew(&run.unit, S::start);
        self.settled(run, answer, Otherwise::Stop)
    }

    pub(super) fn restart(&mut self, run: &Run) -> Answer {
        let answer = self.anew(&run.unit, S::restart);
        self.settled(run, answer, Otherwise::Leave)
    }

    pub(super) fn reload(&mut self, unit: &str) -> Answer {
        let answer = self.service(unit, S::reload);
        self.read(unit, answer)
    }

    pub(super) fn stays(&mut self, run: &Run, otherwise: Otherwise) -> Answer {
        let answer = self.service(&run.unit, S::stays);
        self.settled(run, answer, otherwise)
    }

    fn settled(&mut self, run: &Run, answer: Answer, otherwise: Otherwise) -> Answer {
        let Answer::Failed { error, said } = answer else {
            return answer;
        };
        let (runs, words) = self.put_back(run);
        if !runs && otherwise == Otherwise::Stop {
            // Why it failed is what there is to say; it is tried again by the next run.
            let _ = self.services.stop(&run.unit);
        }
        Answer::Failed {
            error: format!("{error}{words}"),
            said,
        }
    }

    /// Has a unit run by what is retained of what it reads: whether it does, and what there is to
    /// say about that.
    fn put_back(&mut self, run: &Run) -> (bool, String) {
        let back = self.previous(&run.reads);
        let back = match back {
            Ok(back) if back.is_empty() => return (false, String::new()),
            Ok(back) => back.join(", "),
            Err(error) => {
                let why = chain(&error);
                return (false, format!("; what it read before is not back: {why}"));
            }
        };
        if let Answer::Failed { error, .. } = self.as_before(&run.unit) {
            let words = "put back as before, but it does not run by that either";
            return (false, format!("; {back}: {words}: {error}"));
        }
        (
            true,
            format!("; {back}: put back as before, and it runs by that"),
        )
    }

    fn previous(&mut self, paths: &[String]) -> Result<Vec<String>, FilesError> {
        previous::put_back(&self.root, paths, &mut self.journal, SystemTime::now())
    }

    /// Puts back what is retained of paths by which no unit has begun: the next crash of theirs, or
    /// the next boot, has them run as before. Says which they were.
    pub(super) fn undo(&mut self, paths: &[String]) -> Answer {
        let back = match self.previous(paths) {
            Ok(back) => back,
            Err(error) => return failed(&error),
        };
        if back.is_empty() {
            return Answer::Told(back.into());
        }
        match self.services.reread() {
            Ok(()) => Answer::Told(back.into()),
            Err(error) => failed(&error),
        }
    }

    /// Starts a unit anew by files that are back.
    fn as_before(&mut self, unit: &str) -> Answer {
        if let Err(error) = self.services.reread() {
            return failed(&error);
        }
        let answer = self.anew(unit, S::restart);
        if matches!(answer, Answer::Failed { .. }) {
            return answer;
        }
        self.service(unit, S::stays)
    }

    /// Starts a unit, or starts it anew; it has read what stands there then.
    fn anew(
        &mut self,
        unit: &str,
        act: impl FnOnce(&mut S, &str) -> Result<(), ServicesError>,
    ) -> Answer {
        let answer = self.turned(unit, act);
        self.read(unit, answer)
    }

    /// Notes that a unit has read its files, where all went well.
    fn read(&mut self, unit: &str, answer: Answer) -> Answer {
        if !matches!(answer, Answer::Done) {
            return answer;
        }
        let unit = unit.to_owned();
        done(self.journal.note(&Entry::Read { unit }))
    }

    /// Turns a unit, of which the journal knows how it was: it may have been somebody else's.
    pub(super) fn turned(
        &mut self,
        unit: &str,
        act: impl FnOnce(&mut S, &str) -> Result<(), ServicesError>,
    ) -> Answer {
        let before = match self.services.look(unit) {
            Ok(before) => before,
            Err(error) => return failed(&error),
        };
        let entry = Entry::Unit {
            name: unit.to_owned(),
            enabled: before.as_ref().is_some_and(|unit| unit.enabled),
            active: before.is_some_and(|unit| unit.active),
        };
        if let Err(error) = self.journal.note(&entry) {
            return failed(&error);
        }
        self.service(unit, act)
    }

    /// Whether a program of Kubernetes is ours and has run here: one that only lies there, or is
    /// somebody else's, has written nothing that a cluster of ours has, and is not run to be asked.
    pub(super) fn has_run(&mut self, kube: Kube) -> bool {
        let program = kube.program();
        let unit = format!("{program}.service");
        // A journal that cannot be read hides no start.
        let entries = self.journal.entries();
        programs::is_ours(&self.root, &layout::program(program))
            && (entries.map_or(true, |all| reset::turned(&all).contains(&*unit))
                || self.is_active(&unit))
    }

    fn is_active(&mut self, unit: &str) -> bool {
        let unit = self.services.look(unit).ok().flatten();
        unit.is_some_and(|unit| unit.active)
    }

    fn service(
        &mut self,
        unit: &str,
        act: impl FnOnce(&mut S, &str) -> Result<(), ServicesError>,
    ) -> Answer {
        match act(&mut self.services, unit) {
            Ok(()) => Answer::Done,
            Err(error) => Answer::Failed {
                error: chain(&error),
                said: self.services.said(unit),
            },
        }
    }
}
