//! Bounds of time, which are a 4-core machine's that has nothing else to do.

use std::thread;
use std::time::{Duration, Instant};

use lab::load::usage;
use lab::requirement::too_disturbed;
use lab::stalls::Stalls;
use libtest_mimic::Failed;

/// On fewer cores, or with more to do for each when a test begins, a bound that is missed says
/// nothing; nor where cores stood still for one part in so many.
const CORES: usize = 4;
const LOAD: f64 = 0.25;
const PART: u32 = 20;

/// What a machine had to do besides, and what of its bounds was missed.
pub(crate) struct Bounds {
    begun: Instant,
    stalls: Stalls,
    cores: usize,
    load: f64,
    missed: Vec<String>,
}

impl Bounds {
    /// Begins, before anything is started.
    pub(crate) fn begin() -> Result<Self, Failed> {
        Ok(Self {
            begun: Instant::now(),
            stalls: Stalls::begin()?,
            cores: thread::available_parallelism()?.get(),
            load: usage::load()?,
            missed: Vec::new(),
        })
    }

    /// What took so long was to take so long at most.
    pub(crate) fn hold(&mut self, what: &str, took: Duration, bound: Duration) {
        if took > bound {
            self.missed
                .push(format!("{what}: {took:.1?}, at most {bound:.1?}"));
        }
    }

    /// Last of all, since what else is wrong goes before.
    ///
    /// # Errors
    /// What was missed, and that it is void where the machine was not as it is to be.
    pub(crate) fn kept(self) -> Result<(), Failed> {
        if self.missed.is_empty() {
            return Ok(());
        }
        let missed = self.missed.join("; ");
        let (took, stood) = (self.begun.elapsed(), self.stalls.since(self.begun));
        let cores = u32::try_from(self.cores).unwrap_or(u32::MAX);
        let busy = self.load > LOAD * f64::from(cores);
        let said = format!(
            "{missed} ({cores} core(s), load {} before it, they stood still for {stood:.1?} of \
             {took:.1?})",
            self.load
        );
        match self.cores < CORES || busy || stood > took * cores / PART {
            true => Err(too_disturbed(&said)),
            false => Err(said.into()),
        }
    }
}
