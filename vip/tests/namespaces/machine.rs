//! What the machine itself makes everybody wait for: a core, and the one lock that the kernel
//! takes for every change of an address, on whichever host of the lab. A bound that is broken
//! while it held others up for long says nothing about the daemon.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lab::requirement::too_disturbed;
use lab::schedule;
use lab::stalls::Stalls;
use libtest_mimic::Failed;
use vip_daemon::config::Address;
use vip_daemon::linux::{Netlink, RequestError};

use crate::hosts::Lab;

/// Between two looks: far below what counts as a disturbance.
const LOOK: Duration = Duration::from_millis(1);
/// From there on an attempt was disturbed. Removing an address waits for a core, for a list of
/// addresses and for the lock: three times this is less than what the bounds leave for it.
const DISTURBED: Duration = Duration::from_millis(20);
/// Attempts at one bound.
const TRIES: u32 = 5;
/// Loopback, and an address that is not there: the kernel has nothing to do once it has the
/// lock.
const NOWHERE: (u32, &str) = (1, "192.0.2.1/32");

/// Asks the kernel for the same again and again, from before the daemon is struck.
pub(crate) struct Machine {
    began: Instant,
    stalls: Stalls,
    longest: Arc<AtomicU64>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Machine {
    /// Begins to look, on the host that nothing happens to.
    pub(crate) fn watch(lab: &Lab) -> Result<Self, Failed> {
        let stalls = Stalls::begin()?;
        let mut netlink = lab.segment.host("b")?.run(Netlink::open)??;
        let (interface, address) = NOWHERE;
        let address: Address = address.parse()?;
        let (longest, ending) =
            (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (seen, end) = (Arc::clone(&longest), Arc::clone(&ending));
        let look = move || {
            schedule::prefer();
            while !end.load(Ordering::Relaxed) {
                let began = Instant::now();
                thread::park_timeout(LOOK);
                drop::<Result<(), RequestError>>(netlink.remove(interface, address));
                let late = began.elapsed().saturating_sub(LOOK).as_micros();
                let late = u64::try_from(late).unwrap_or(u64::MAX);
                seen.fetch_max(late, Ordering::Relaxed);
            }
        };
        let thread = thread::Builder::new()
            .name("machine".to_owned())
            .spawn(look)?;
        Ok(Self {
            began: Instant::now(),
            stalls,
            longest,
            ending,
            thread: Some(thread),
        })
    }

    /// For how long it held us up at most, until now: who asks, or cores, added up.
    pub(crate) fn held_up(&self) -> Duration {
        let longest = Duration::from_micros(self.longest.load(Ordering::Relaxed));
        longest.max(self.stalls.since(self.began))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What an attempt measured.
pub(crate) struct Measured {
    /// What has a bound.
    pub(crate) took: Duration,
    /// What the machine made everybody wait for meanwhile.
    pub(crate) held_up: Duration,
}

/// An attempt within the bound is one, whatever the machine did; beyond it, it counts unless it
/// was disturbed.
pub(crate) fn bounded(
    what: &str,
    bound: Duration,
    attempt: impl Fn() -> Result<Measured, Failed>,
) -> Result<(), Failed> {
    between(what, Duration::ZERO..=bound, || {
        let measured = attempt()?;
        Ok((measured.took, measured))
    })
}

/// The same with a bound from below, for a time that an attempt gives beside: where it is taken
/// from is another matter there.
pub(crate) fn between(
    what: &str,
    bounds: RangeInclusive<Duration>,
    attempt: impl Fn() -> Result<(Duration, Measured), Failed>,
) -> Result<(), Failed> {
    for _ in 0..TRIES {
        let (at_least, Measured { took, held_up }) = attempt()?;
        if at_least >= *bounds.start() && took <= *bounds.end() {
            return Ok(());
        }
        if held_up < DISTURBED {
            return Err(
                format!("{what} {took:?} ({at_least:?}), bounds {bounds:?}").into()
            );
        }
        #[expect(clippy::print_stdout, reason = "figures of a run, for people")]
        {
            println!("void: {what} {took:?}, the machine held us up for {held_up:?}");
        }
    }
    let why = format!("{what}: each of {TRIES} attempts was disturbed by the machine");
    Err(too_disturbed(&why))
}
