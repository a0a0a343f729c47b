//! What the machine made the programs of hosts wait for since a moment, and what that says of
//! a bound of time that was missed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use crate::error::LabError;
use crate::host::NamespaceHost;
use crate::requirement::too_disturbed;
use crate::stalls::Stalls;
use crate::starved::Waited;

/// The machine, as the programs of these hosts have it.
#[derive(Debug)]
pub struct Machine {
    hosts: Vec<Arc<NamespaceHost>>,
    stalls: Stalls,
}

/// A moment, and what had been waited for cores by then.
#[derive(Debug)]
pub struct Mark {
    /// When it was.
    pub at: Instant,
    /// So long the lab's own command took from then on, where a fault is meant.
    pub hand: Duration,
    waited: Vec<Waited>,
}

impl Machine {
    /// Begins to look.
    ///
    /// # Errors
    /// When its cores cannot be looked at.
    pub fn watch(hosts: &[Arc<NamespaceHost>]) -> Result<Self, LabError> {
        Ok(Self {
            hosts: hosts.to_vec(),
            stalls: Stalls::begin()?,
        })
    }

    /// Now, for a bound of time that begins.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            at: Instant::now(),
            hand: Duration::ZERO,
            waited: self.waited(),
        }
    }

    /// For how long programs on the hosts have waited for a core since, cores stood still, and
    /// the lab's own command took, added up: an election is one program's doing after the other's.
    #[must_use]
    pub fn held_up(&self, since: &Mark) -> Duration {
        let now = self.waited();
        let waits = now.iter().zip(&since.waited);
        let waits = waits.map(|(now, before)| now.since(before));
        waits.sum::<Duration>() + self.stalls.since(since.at) + since.hand
    }

    /// What is to be said of a bound of time that began at `since`.
    ///
    /// # Errors
    /// It was missed; as [`too_disturbed`] where the machine has held up for as long as that.
    pub fn within(
        &self,
        since: &Mark,
        what: &str,
        took: Duration,
        bound: Duration,
    ) -> Result<(), Failed> {
        if took <= bound {
            return Ok(());
        }
        let said = format!("{what} {took:.1?}, bound {bound:.1?}");
        Err(self.missed(since, &said, took - bound))
    }

    /// What is to be said of what is not so, but would be if nothing had been held up for so
    /// long since.
    #[must_use]
    pub fn missed(&self, since: &Mark, said: &str, by: Duration) -> Failed {
        missed(said, by, self.held_up(since))
    }

    fn waited(&self) -> Vec<Waited> {
        let of = |host: &Arc<NamespaceHost>| Waited::of_all(host.netns().processes());
        self.hosts.iter().map(of).collect()
    }
}

/// A skip where it held up for as long.
fn missed(said: &str, by: Duration, held_up: Duration) -> Failed {
    let said = format!("{said}; the machine held up for {held_up:.1?}");
    match held_up >= by {
        true => too_disturbed(&said),
        false => said.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_held_up_for_as_long_is_no_failure() {
        let ms = Duration::from_millis;
        for (by, held_up, disturbed) in [(10, 10, true), (10, 9, false), (1, 0, false)] {
            let said = missed("it took long", ms(by), ms(held_up));
            let said = said.message().unwrap_or_default().to_owned();
            assert_eq!(said.starts_with("TOO DISTURBED: "), disturbed, "{said}");
        }
    }
}
