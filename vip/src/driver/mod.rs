//! The driver of one router: waits, asks the state machine, performs.
//!
//! Owns the state machine, the effects and the [`Record`]. Fed through [`Inputs`] by the
//! receiver of adverts, the monitor of the kernel's notices, tracking and commands; ends
//! with [`Command::Stop`], or when it has [`Lost`] what it cannot do without.

mod alarm;
mod catchup;
mod change;
mod effects;
mod handover;
mod hear;
mod holdoff;
mod inputs;
mod interface;
mod perform;
mod record;
mod setup;
#[cfg(test)]
mod tests;
mod together;
mod told;
mod truth;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use daemon::limit::Limiter;
use daemon::metrics::Histogram;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use vrrp::State;
use vrrp::acceptance::Expected;
use vrrp::fsm::{self, Event, Leftover};
use vrrp::packet::{AddressesError, Checksum, ChecksumStyle};

use crate::channel::{Client, Group};
use crate::claim::Fence;
use crate::config::{MisconfiguredPeer, Router, VirtualAddress};
use crate::flight::Flight;
use crate::notify::News;
use crate::sync::Seat;
use crate::track::Standing;

pub use alarm::Alarm;
use catchup::{BATCH, Batch};
pub use effects::{Datagram, Effects, Failure, Survey};
use handover::{Cause, Handing, answered};
pub use handover::{Handed, Yield};
use holdoff::HoldOff;
pub use inputs::{
    ADVERTS, CLAIMANTS, COMMANDS, Change, Command, Ended, Inputs, Lost, NOTICES,
};
pub use record::{Checksums, Complaint, Counts, Heard, OVERFLOW, Record, Told};
use together::{Together, Turn};
use truth::Inquiry;
pub use truth::Mac;

/// How often the addresses that are held get a new lifetime of
/// [`crate::linux::LIFETIME`]: three renewals may be missed before the kernel acts.
pub const RENEW: Duration = Duration::from_millis(250);

/// One line of each kind per so long.
const LOG_WINDOW: Duration = Duration::from_secs(10);

/// The driver of one router.
pub struct Driver<E> {
    name: String,
    interface: u32,
    interface_name: String,
    /// Other interfaces that addresses are put on, by number.
    others: BTreeMap<u32, String>,
    source: IpAddr,
    machine: fsm::Router,
    expected: Expected,
    /// Every virtual address, advertised or not.
    held: Vec<IpAddr>,
    effects: E,
    fence: Fence,
    /// What the router's own checks make of it.
    own: Standing,
    /// What is left of that beside the other routers of its group.
    standing: Standing,
    /// The state that others were told last.
    told: State,
    /// Its own link, or its own addresses, make it unable.
    faulty: bool,
    together: Option<Together>,
    /// The next renewal; set while addresses of ours are on the interface.
    renew_at: Option<Instant>,
    /// Until then the interface is taken to refuse our addresses.
    broken_until: Option<Instant>,
    running: bool,
    hold_off: HoldOff,
    inquiry: Inquiry,
    /// When a frame that claims our addresses was last answered.
    contradicted: Option<Instant>,
    /// Adverts lost to a full queue when that was last looked at.
    overflown: u64,
    misconfigured_peer: MisconfiguredPeer,
    style: ChecksumStyle,
    checksums: BTreeMap<IpAddr, Checksum>,
    record: watch::Sender<Record>,
    lateness: Arc<Histogram>,
    limiter: Limiter<&'static str>,
    groups: Vec<Group>,
    channel: Option<Client>,
    handing: Option<Handing>,
    flight: Arc<Flight>,
    moves: Option<mpsc::Sender<News>>,
    /// What it was asked to become.
    change: Option<Box<Change>>,
}

/// What a driver needs beside its effects.
pub struct Setup<'a> {
    /// The router as configured.
    pub router: &'a Router,
    /// The interface's number.
    pub interface: u32,
    /// Other interfaces that addresses are put on, by number.
    pub others: BTreeMap<u32, String>,
    /// Where our adverts come from.
    pub source: IpAddr,
    /// The standing it starts with.
    pub standing: Standing,
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
}

impl<E: Effects> Driver<E> {
    /// A driver that has not started.
    ///
    /// # Errors
    /// When the router's addresses do not fit into an advert.
    pub fn new(setup: Setup<'_>, effects: E) -> Result<Self, AddressesError> {
        let router = setup.router;
        // One that is opened anew was told of by the one before it.
        let told = setup.record.borrow().told.state;
        Ok(Self {
            name: router.name.clone(),
            interface: setup.interface,
            interface_name: router.interface.clone(),
            others: setup.others,
            source: setup.source,
            machine: fsm::Router::new(setup::settings(
                router,
                setup.source,
                setup.standing,
            )),
            expected: setup::expected(router, setup.source)?,
            held: router.held().map(VirtualAddress::ip).collect(),
            effects,
            fence: Fence::Open,
            own: setup.standing,
            standing: setup.standing,
            told,
            faulty: false,
            together: setup.seat.map(Together::new),
            renew_at: None,
            broken_until: None,
            running: true,
            hold_off: HoldOff::new(router.interval),
            inquiry: Inquiry::new(Instant::now()),
            contradicted: None,
            overflown: 0,
            misconfigured_peer: router.misconfigured_peer,
            style: router.checksum.into(),
            checksums: BTreeMap::new(),
            record: setup.record,
            lateness: setup.lateness,
            limiter: Limiter::new(3, LOG_WINDOW),
            groups: router.groups(),
            channel: setup.channel,
            handing: None,
            flight: setup.flight,
            moves: setup.moves,
            change: None,
        })
    }

    /// Starts, and runs until told to stop; `alarm` wakes it when it is time.
    pub async fn run(&mut self, inputs: &mut Inputs, alarm: &mut impl Alarm) -> Ended {
        if let Some(lost) = self.start() {
            return self.lose(lost);
        }
        if let Some(ended) = self.beside() {
            return ended;
        }
        self.go_on(inputs, alarm).await
    }

    /// Runs on, after [`Ended::Asked`].
    pub async fn go_on(&mut self, inputs: &mut Inputs, alarm: &mut impl Alarm) -> Ended {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            if let Err(error) = alarm.set(self.wake()) {
                return self.unwoken(&error);
            }
            tokio::select! {
                biased;
                // First: whoever has rung need not ask all the others.
                rung = alarm.rings() => {
                    if let Err(error) = rung {
                        return self.unwoken(&error);
                    }
                }
                command = inputs.commands.recv() => {
                    if let Some(ended) = self.command(command) {
                        return ended;
                    }
                }
                answer = answered(&mut self.handing) => {
                    if let Some(ended) = self.settle(answer) {
                        return ended;
                    }
                }
                () = together::changed(&mut self.together) => {
                    if let Some(ended) = self.beside() {
                        return ended;
                    }
                }
                notice = inputs.notices.recv() => {
                    let lost = notice.map_or(Some(Lost::Feeder), |n| self.notice(n));
                    if let Some(lost) = lost {
                        return self.lose(lost);
                    }
                }
                heard = inputs.adverts.recv_many(&mut batch, BATCH) => match heard {
                    0 => return self.lose(Lost::Feeder),
                    _ => self.hear(&mut batch),
                },
                Some(claimant) = inputs.claimants.recv() => self.claimed(claimant),
                Ok(()) = inputs.standing.changed() => {
                    let standing = *inputs.standing.borrow_and_update();
                    self.stand(standing);
                }
            }
            if Instant::now() >= self.wake() {
                let lost = self.due(inputs, &mut batch).await;
                if let Some(lost) = lost {
                    return self.lose(lost);
                }
            }
        }
    }

    fn start(&mut self) -> Option<Lost> {
        let survey = self.effects.survey();
        let Some(survey) = self.outcome("survey", survey) else {
            return Some(Lost::Feeder);
        };
        let leftover = match survey.ours.is_empty() {
            true => Leftover::None,
            false => Leftover::Ours,
        };
        self.foreign(&survey);
        if leftover == Leftover::Ours {
            tracing::info!(router = self.name, "found our address from a run before");
            self.renew_at = Some(Instant::now());
        }
        self.running = survey.link.as_ref().is_some_and(|link| link.running);
        if self.running {
            self.greet();
        }
        self.handle(Event::Start { leftover });
        self.link(self.running);
        self.missed(&survey)
    }

    /// Out of the race, in good order as far as that is possible.
    fn lose(&mut self, lost: Lost) -> Ended {
        // Nothing can be sent through an interface that is gone.
        self.running &= lost != Lost::Interface;
        self.faulty = true;
        self.handle(Event::Fault);
        Ended::Lost(lost)
    }

    /// Nothing would make it advertise, or renew.
    fn unwoken(&mut self, error: &std::io::Error) -> Ended {
        tracing::error!(router = self.name, "the timer has failed: {error}");
        self.lose(Lost::Feeder)
    }

    fn command(&mut self, command: Option<Command>) -> Option<Ended> {
        match command {
            None => {
                self.handle(Event::Stop);
                Some(Ended::Abandoned)
            }
            Some(Command::Stop(done)) => self.hand_over(Cause::Stop(Some(done))),
            Some(Command::Yield(asked)) => self.hand_over(Cause::Asked(asked)),
            Some(Command::Take(done)) => {
                self.handle(Event::Take);
                if self.machine.state() == State::Active {
                    // The peer only measures.
                    let _ = done.send(());
                }
                None
            }
            Some(Command::Change(change)) => {
                self.change = Some(change);
                Some(Ended::Asked)
            }
        }
    }

    fn stopped(&mut self, done: Option<oneshot::Sender<()>>) -> Ended {
        self.handle(Event::Stop);
        if let Some(done) = done {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
        Ended::Stopped
    }

    /// How long ago what is due first was due.
    fn late(&self) -> Duration {
        Instant::now().saturating_duration_since(self.wake())
    }

    /// When to come back even if nothing happens.
    fn wake(&self) -> Instant {
        let waits = self.together.as_ref().is_some_and(Together::waits);
        let machine = self.machine.deadline().filter(|_| !waits);
        let machine = machine.map(Instant::from_std);
        let hold_off = self.hold_off.deadline();
        let all = [
            machine,
            self.renew_at,
            self.broken_until,
            hold_off,
            self.kept(),
        ];
        let first = all.into_iter().flatten().min();
        first.map_or(self.inquiry.at, |first| first.min(self.inquiry.at))
    }

    /// Something is due. What waits in the sockets is read first: after a stall, it may be
    /// the reason not to act.
    async fn due(&mut self, inputs: &mut Inputs, batch: &mut Batch) -> Option<Lost> {
        let late = self.late();
        self.lateness.observe(late);
        self.catch_up(inputs, batch, late).await;
        let now = Instant::now();
        if self.broken_until.is_some_and(|until| until <= now) {
            self.broken_until = None;
            self.link(self.running);
        }
        if self.hold_off.source.is_some_and(|until| until <= now) {
            return Some(Lost::Source);
        }
        if self.hold_off.link.take_if(|until| *until <= now).is_some() {
            self.faulty = true;
            self.handle(Event::Fault);
        }
        let deadline = self.machine.deadline().map(Instant::from_std);
        if deadline.is_some_and(|deadline| deadline <= now) {
            match self.turn() {
                Turn::Own => self.handle(Event::Deadline),
                Turn::Together => self.handle(Event::Rise),
                Turn::Wait => self.publish(),
            }
        }
        if self.kept().is_some_and(|at| at <= now) {
            self.tell_group();
        }
        if self.renew_at.is_some_and(|at| at <= now) {
            self.renew_at = Some(now + RENEW);
            let renewed = self.effects.renew();
            self.outcome("renew", renewed);
        }
        if self.inquiry.at <= now {
            self.inquire(now);
        }
        None
    }
}
