//! A router that goes on as another file describes it: other sockets and frames for the same
//! driver, which keeps its state and what it holds.

use daemon::chain;
use tokio::sync::watch;

use super::feed::{Ears, close};
use crate::config::Router;
use crate::driver::{Change, Driver, Record};
use crate::guard::Line;
use crate::linux::Linux;

/// What a change is made with.
pub(super) struct Place<'a> {
    pub(super) router: &'a mut Router,
    pub(super) guard: &'a Line,
    pub(super) record: &'a watch::Sender<Record>,
}

impl Place<'_> {
    /// Does what the driver was asked for, or leaves everything as it was.
    pub(super) fn change(self, driver: &mut Driver<Linux>, ears: &mut Ears) {
        let Some(change) = driver.asked() else {
            return;
        };
        let Change { router, done } = *change;
        let changed = match self.other(&router, driver, ears) {
            Ok(()) => {
                *self.router = router;
                true
            }
            Err(why) => {
                tracing::warn!(router = self.router.name, "not while it runs: {why}");
                false
            }
        };
        // Whoever asked may have stopped waiting.
        let _ = done.send(changed);
    }

    fn other(
        &self,
        router: &Router,
        driver: &mut Driver<Linux>,
        ears: &mut Ears,
    ) -> Result<(), String> {
        let linux = Linux::open(router, self.guard).map_err(|error| chain(&error))?;
        if (linux.source(), linux.link().index) != driver.stands_on() {
            return Err("adverts would come from elsewhere".to_owned());
        }
        let others = linux.others();
        let again = ears.again(&router.name, &linux, self.record);
        let again = again.map_err(|error| chain(&error))?;
        let again = again.ok_or("nothing is heard any more")?;
        let before = driver.change(router, linux, others);
        let before = before.map_err(|error| chain(&error))?;
        close(std::mem::replace(ears, again), before);
        Ok(())
    }
}
