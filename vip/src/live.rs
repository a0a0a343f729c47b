//! The life of one router on this machine: sockets, feeders, driver, again when the
//! interface comes back as another.
//!
//! Runs as one task on the adverts' thread, with two feeders of its own: one reads
//! adverts, one the kernel's notices. Ends when its driver is told to stop.

mod absent;

use std::sync::Arc;
use std::time::Duration;

use daemon::chain;
use daemon::metrics::Histogram;
use futures_util::FutureExt;
use futures_util::future::select_all;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::sleep;
use vrrp::Refusal;

use crate::channel::Client;
use crate::config::Router;
use crate::driver::{
    ADVERTS, CLAIMANTS, Command, Datagram, Driver, Ended, Inputs, Lost, NOTICES,
    OVERFLOW, Record, Setup,
};
use crate::flight::Flight;
use crate::guard::Line;
use crate::linux::{
    Alarm, Before, Claimant, Linux, Monitor, Notice, OpenError, Receiver, Witness,
};
use crate::notify::Move;
use crate::sync::Seat;
use crate::track::Standing;

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
    pub moves: Option<mpsc::Sender<Move>>,
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
    _feeders: Feeders,
}

struct Feeders(Vec<AbortHandle>);

impl Drop for Feeders {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
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
            let mut inputs = Inputs {
                adverts: open.adverts,
                notices: open.notices,
                claimants: open.claimants,
                standing: self.standing,
                commands: self.commands,
            };
            let ended = open.driver.run(&mut inputs, &mut open.alarm).await;
            self.standing = inputs.standing;
            self.commands = inputs.commands;
            match ended {
                Ended::Stopped | Ended::Abandoned => return self.clean().await,
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
        let receivers = linux.receivers()?;
        let lowering = linux.lowering();
        let witnesses = linux.witnesses()?;
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
        let driver = Driver::new(setup, linux)
            .map_err(|error| self.failed(std::io::Error::other(error)))?;
        let (advert_sender, adverts) = mpsc::channel(ADVERTS);
        let (notice_sender, notices) = mpsc::channel(NOTICES);
        let name = self.router.name.clone();
        let mut tasks = vec![tokio::spawn(watch_kernel(name, monitor, notice_sender))];
        tasks.extend(lowering.map(tokio::spawn));
        let hearing = receivers.into_iter().map(|receiver| {
            let (name, record) = (self.router.name.clone(), self.record.clone());
            Box::pin(hear(name, receiver, advert_sender.clone(), record))
        });
        // When one ends, all do, and the driver learns of it.
        tasks.push(tokio::spawn(select_all(hearing).map(drop)));
        let (claimant_sender, claimants) = mpsc::channel(CLAIMANTS);
        for witness in witnesses {
            let name = self.router.name.clone();
            tasks.push(tokio::spawn(listen(name, witness, claimant_sender.clone())));
        }
        let feeders = Feeders(tasks.iter().map(|task| task.abort_handle()).collect());
        Ok(Open {
            driver,
            adverts,
            notices,
            claimants,
            alarm,
            _feeders: feeders,
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
                            // Whoever asked may have stopped waiting.
                            let _ = done.send(());
                            return None;
                        }
                        // Dropped: it holds nothing, and can take nothing.
                        Some(Command::Yield(_) | Command::Take(_)) => {}
                        None => return None,
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

/// Feeds adverts to the driver. When its queue is full, what comes is dropped and
/// counted: the next advert says the same.
async fn hear(
    router: String,
    receiver: Receiver,
    adverts: mpsc::Sender<Result<Datagram, Refusal>>,
    record: watch::Sender<Record>,
) {
    loop {
        match receiver.next().await {
            Ok(heard) => {
                if let Err(mpsc::error::TrySendError::Full(_)) = adverts.try_send(heard) {
                    record.send_if_modified(|record| {
                        *record.counts.refused.entry(OVERFLOW).or_default() += 1;
                        // Of no count is anybody told.
                        false
                    });
                }
            }
            // The link is down: it is the monitor that says so, and that it is back.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
            Err(error) => {
                tracing::error!(router, "cannot receive adverts: {error}");
                return;
            }
        }
        if adverts.is_closed() {
            return;
        }
    }
}

/// Feeds whoever says to have our addresses to the driver. When its queue is full, what
/// comes is dropped: whoever means it says it again.
async fn listen(router: String, witness: Witness, claimants: mpsc::Sender<Claimant>) {
    loop {
        match witness.next().await {
            Ok(claimant) => {
                if let Err(mpsc::error::TrySendError::Closed(_)) =
                    claimants.try_send(claimant)
                {
                    return;
                }
            }
            // The link is down: it is the monitor that says so, and that it is back.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
            Err(error) => {
                tracing::warn!(
                    router,
                    "cannot listen to ARP or neighbour discovery any more: {error}"
                );
                return;
            }
        }
    }
}

/// Feeds the kernel's notices to the driver; waits when it is busy, the kernel keeps them.
async fn watch_kernel(
    router: String,
    mut monitor: Monitor,
    notices: mpsc::Sender<Notice>,
) {
    loop {
        match monitor.next().await {
            Ok(notice) => {
                if notices.send(notice).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(router, "cannot watch the kernel: {error}");
                return;
            }
        }
    }
}
