//! The life of one router on this machine: sockets, feeders, driver, again when the
//! interface comes back as another.
//!
//! Runs as one task on the adverts' thread, with two feeders of its own: one reads
//! adverts, one the kernel's notices. Ends when its driver is told to stop.

mod absent;
mod change;
mod feed;

use std::sync::Arc;
use std::time::Duration;

use daemon::chain;
use daemon::metrics::Histogram;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use vrrp::Refusal;

use crate::channel::Client;
use crate::config::Router;
use crate::driver::{
    ADVERTS, CLAIMANTS, Command, Datagram, Driver, Ended, Inputs, Lost, NOTICES, Record,
    Setup,
};
use crate::flight::Flight;
use crate::guard::Line;
use crate::linux::{Alarm, Before, Claimant, Linux, Monitor, Notice, OpenError};
use crate::notify::News;
use crate::sync::Seat;
use crate::track::Standing;
use change::Place;
use feed::{Ears, Feeders, close, watch_kernel};

/// Between two attempts to open a router again that no notice of the kernel leads to.
const RETRY: Duration = Duration::from_secs(1);

/// What the other routers of a daemon that stops need at most.
const OTHERS: Duration = Duration::from_millis(100);

/// One router and what connects it to the rest of the program.
pub struct Life {
    /// The router as configured.
    pub router: Router,
    /// What tracking makes of the priority.
    pub standing: watch::Receiver<Standing>,
    /// What somebody wants.
    pub commands: mpsc::Receiver<Command>,
    /// Where it publishes.
    pub record: watch::Sender<Record>,
    /// Where it counts how late it wakes.
    pub lateness: Arc<Histogram>,
    /// How it tells a successor.
    pub channel: Option<Client>,
    /// Where it records what it decides.
    pub flight: Arc<Flight>,
    /// Whom it tells of transitions.
    pub moves: Option<mpsc::Sender<News>>,
    /// Its place in a sync group.
    pub seat: Option<Seat>,
    /// Who takes its addresses away when nothing here can.
    pub guard: Line,
    /// How its interface was before a virtual hardware address came to it.
    pub before: Before,
}

/// A driver with its feeders; dropped, these end.
struct Open {
    driver: Driver<Linux>,
    adverts: mpsc::Receiver<Result<Datagram, Refusal>>,
    notices: mpsc::Receiver<Notice>,
    claimants: mpsc::Receiver<Claimant>,
    alarm: Alarm,
    ears: Ears,
    monitor: Feeders,
}

impl Life {
    /// Opens everything, says whether that worked, and lives.
    pub async fn run(mut self, opened: oneshot::Sender<Result<(), OpenError>>) {
        let mut open = match self.open().await {
            Ok(open) => {
                // Whoever started us may have stopped waiting; then commands end us.
                let _ = opened.send(Ok(()));
                open
            }
            Err(error) if error.may_come() => {
                self.stand_by(&error);
                let _ = opened.send(Ok(()));
                match self.reopened(None).await {
                    Some(open) => open,
                    None => return self.clean().await,
                }
            }
            Err(error) => {
                self.clean().await;
                let _ = opened.send(Err(error));
                return;
            }
        };
        loop {
            let Open {
                mut driver,
                mut alarm,
                mut ears,
                monitor,
                adverts,
                notices,
                claimants,
            } = open;
            let mut inputs = Inputs {
                adverts,
                notices,
                claimants,
                standing: self.standing,
                commands: self.commands,
            };
            let mut ended = driver.run(&mut inputs, &mut alarm).await;
            while ended == Ended::Asked {
                let place = Place {
                    router: &mut self.router,
                    guard: &self.guard,
                    record: &self.record,
                };
                place.change(&mut driver, &mut ears);
                ended = driver.go_on(&mut inputs, &mut alarm).await;
            }
            self.standing = inputs.standing;
            self.commands = inputs.commands;
            drop(monitor);
            close(ears, driver);
            match ended {
                Ended::Stopped | Ended::Abandoned | Ended::Asked => {
                    return self.clean().await;
                }
                Ended::Lost(lost) => {
                    self.step_out(lost);
                    match self.reopened(Some(lost)).await {
                        Some(again) => open = again,
                        None => return self.clean().await,
                    }
                }
            }
        }
    }

    /// Takes away what was made for this router alone. Not on this thread, and not while
    /// others give their addresses away: the kernel waits for every CPU before an interface
    /// is gone, and does nothing else meanwhile.
    async fn clean(&self) {
        if self.router.virtual_mac.is_none() {
            return;
        }
        sleep(OTHERS).await;
        let (router, before) = (self.router.clone(), self.before);
        let cleaned = spawn_blocking(move || Linux::clean(&router, before)).await;
        if let Ok(Err(error)) = cleaned {
            tracing::error!(router = self.router.name, "{}", chain(&error));
        }
    }

    /// Makes what is made for this router alone. Not on this thread: it takes as long as
    /// taking it away.
    async fn prepare(&mut self) -> Result<(), OpenError> {
        if self.router.virtual_mac.is_none() {
            return Ok(());
        }
        let (router, before) = (self.router.clone(), self.before);
        let ledger = self.guard.ledger().clone();
        let made = spawn_blocking(move || Linux::prepare(&router, before, &ledger)).await;
        let made = made.map_err(|ended| self.failed(std::io::Error::other(ended)))?;
        self.before = made?;
        Ok(())
    }

    async fn open(&mut self) -> Result<Open, OpenError> {
        // Subscribed first: what changes while the rest is opened is not missed.
        let monitor = Monitor::open(self.guard.ledger());
        let monitor = monitor.map_err(|source| self.failed(source))?;
        self.prepare().await?;
        let mut linux = Linux::open(&self.router, &self.guard)?;
        for (address, interface) in linux.stray()? {
            tracing::warn!(
                router = self.router.name, %address, interface,
                "the address lies in no network of the interface"
            );
        }
        let setup = Setup {
            router: &self.router,
            interface: linux.link().index,
            others: linux.others(),
            source: linux.source(),
            standing: *self.standing.borrow(),
            record: self.record.clone(),
            lateness: Arc::clone(&self.lateness),
            channel: self.channel.clone(),
            flight: Arc::clone(&self.flight),
            moves: self.moves.clone(),
            seat: self.seat.clone(),
        };
        let alarm = Alarm::new().map_err(|source| self.failed(source))?;
        let (advert_sender, adverts) = mpsc::channel(ADVERTS);
        let (claimant_sender, claimants) = mpsc::channel(CLAIMANTS);
        let mouths = (&advert_sender, &claimant_sender);
        let ears = Ears::open(&self.router.name, &linux, mouths, &self.record)?;
        let driver = Driver::new(setup, linux)
            .map_err(|error| self.failed(std::io::Error::other(error)))?;
        let (notice_sender, notices) = mpsc::channel(NOTICES);
        let name = self.router.name.clone();
        let monitor = tokio::spawn(watch_kernel(name, monitor, notice_sender));
        Ok(Open {
            driver,
            adverts,
            notices,
            claimants,
            alarm,
            ears,
            monitor: Feeders(vec![monitor]),
        })
    }

    /// Waits until everything can be opened, or for the end.
    async fn reopened(&mut self, lost: Option<Lost>) -> Option<Open> {
        let mut monitor = Monitor::open(self.guard.ledger()).ok();
        // What failed by itself may fail again at once.
        let mut pause = lost == Some(Lost::Feeder);
        loop {
            if !std::mem::take(&mut pause) {
                let opened = self.open().await;
                self.lacks(opened.as_ref().err());
                if let Ok(open) = opened {
                    return Some(open);
                }
            }
            tokio::select! {
                biased;
                command = self.commands.recv() => {
                    match command {
                        Some(Command::Stop(done)) => {
                            self.end();
                            // Whoever asked may have stopped waiting.
                            let _ = done.send(());
                            return None;
                        }
                        Some(Command::Change(change)) => {
                            self.router = change.router;
                            // Whoever asked may have stopped waiting.
                            let _ = change.done.send(true);
                        }
                        // Dropped: it holds nothing, and can take nothing.
                        Some(Command::Yield(_) | Command::Take(_)) => {}
                        None => {
                            self.end();
                            return None;
                        }
                    }
                }
                () = change(&mut monitor) => {}
                () = sleep(RETRY) => {}
            }
        }
    }

    fn failed(&self, source: std::io::Error) -> OpenError {
        OpenError::Socket {
            router: self.router.name.clone(),
            interface: self.router.interface.clone(),
            source,
        }
    }
}

/// The kernel's next notice; for ever without a monitor.
async fn change(monitor: &mut Option<Monitor>) {
    let failed = match monitor {
        Some(open) => open.next().await.is_err(),
        None => std::future::pending().await,
    };
    if failed {
        *monitor = None;
    }
}
