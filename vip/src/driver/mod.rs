//! The driver of one router: waits, asks the state machine, performs.
//!
//! Owns the state machine, the effects and the [`Record`]. Fed through [`Inputs`] by the
//! receiver of adverts, the monitor of the kernel's notices, tracking and commands; ends
//! with [`Command::Stop`], when the interface is gone, or with its feeders.

mod effects;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use daemon::limit::{Limiter, Verdict as Say};
use daemon::metrics::Histogram;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use vrrp::acceptance::{self, Expected, Notice as Odd, Path, Senders};
use vrrp::fsm::{
    self, Action, Actions, Announcing, Event, Leftover, Note, Reason, Settings,
};
use vrrp::packet::{Addresses, AddressesError, Checksum, ChecksumStyle, parse};
use vrrp::{Dialects, Refusal, State};

use crate::claim::{self, Fence, Verdict, Wish};
use crate::config::{Preempt, Router, Travel};
use crate::linux::Notice;
use crate::track::{Out, Standing};

pub use effects::{Datagram, Effects, Failure, Survey};
pub use record::{Counts, Heard, OVERFLOW, Record};

/// How often the addresses that are held get a new lifetime of
/// [`crate::linux::LIFETIME`]: three renewals may be missed before the kernel acts.
pub const RENEW: Duration = Duration::from_millis(250);

/// How long a router whose interface refused an address stays at fault.
const RETRY: Duration = Duration::from_secs(5);

/// Adverts taken in at once before the clock is looked at again.
const BATCH: usize = 32;

/// Adverts that may wait for the driver: several seconds' worth of a large group at the
/// shortest interval. Beyond it they are dropped and counted; the next one says the same.
pub const ADVERTS: usize = 256;

/// Notices that may wait. The monitor waits with the next one; the kernel keeps them.
pub const NOTICES: usize = 64;

/// Commands that may wait; each has somebody waiting for its answer.
pub const COMMANDS: usize = 8;

/// Peers whose way of computing checksums is remembered.
const PEERS: usize = 64;

/// One line of each kind per so long.
const LOG_WINDOW: Duration = Duration::from_secs(10);

/// What a driver is fed from.
pub struct Inputs {
    /// Datagrams, or why one made no sense.
    pub adverts: mpsc::Receiver<Result<Datagram, Refusal>>,
    /// The kernel's notices about links and addresses.
    pub notices: mpsc::Receiver<Notice>,
    /// What tracking makes of the priority.
    pub standing: watch::Receiver<Standing>,
    /// What somebody wants.
    pub commands: mpsc::Receiver<Command>,
}

/// What somebody wants of a driver.
#[derive(Debug)]
pub enum Command {
    /// Release the address in good order and end; answered when it is done.
    Stop(oneshot::Sender<()>),
}

/// Why a driver ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// The interface is gone; a new one of that name needs new sockets.
    InterfaceGone,
    /// Its feeders are gone.
    Abandoned,
}

/// The driver of one router.
pub struct Driver<E> {
    name: String,
    interface: u32,
    machine: fsm::Router,
    expected: Expected,
    effects: E,
    fence: Fence,
    standing: Standing,
    /// The next renewal; set while addresses of ours are on the interface.
    renew_at: Option<Instant>,
    /// Until then the interface is taken to refuse our addresses.
    broken_until: Option<Instant>,
    running: bool,
    checksums: BTreeMap<IpAddr, Checksum>,
    record: watch::Sender<Record>,
    lateness: Arc<Histogram>,
    limiter: Limiter<&'static str>,
}

/// What a driver needs beside its effects.
pub struct Setup<'a> {
    /// The router as configured.
    pub router: &'a Router,
    /// The interface's number.
    pub interface: u32,
    /// Where our adverts come from.
    pub source: IpAddr,
    /// The standing it starts with.
    pub standing: Standing,
    /// Where it publishes.
    pub record: watch::Sender<Record>,
    /// Where it counts how late it wakes.
    pub lateness: Arc<Histogram>,
}

impl<E: Effects> Driver<E> {
    /// A driver that has not started.
    ///
    /// # Errors
    /// When the router's addresses do not fit into an advert.
    pub fn new(setup: Setup<'_>, effects: E) -> Result<Self, AddressesError> {
        let router = setup.router;
        Ok(Self {
            name: router.name.clone(),
            interface: setup.interface,
            machine: fsm::Router::new(settings(router, setup.source, setup.standing)),
            expected: expected(router, setup.source)?,
            effects,
            fence: Fence::Open,
            standing: setup.standing,
            renew_at: None,
            broken_until: None,
            running: true,
            checksums: BTreeMap::new(),
            record: setup.record,
            lateness: setup.lateness,
            limiter: Limiter::new(3, LOG_WINDOW),
        })
    }

    /// Runs until told to stop.
    pub async fn run(mut self, inputs: &mut Inputs) -> Ended {
        self.start();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let wake = self.wake();
            tokio::select! {
                biased;
                command = inputs.commands.recv() => return self.stop(command),
                notice = inputs.notices.recv() => match notice {
                    None => return Ended::Abandoned,
                    Some(Notice::LinkGone(link)) if link.index == self.interface => {
                        self.link(false);
                        return Ended::InterfaceGone;
                    }
                    Some(notice) => self.notice(notice),
                },
                _ = inputs.adverts.recv_many(&mut batch, BATCH) => self.hear(&mut batch),
                Ok(()) = inputs.standing.changed() => {
                    let standing = *inputs.standing.borrow_and_update();
                    self.stand(standing);
                }
                () = sleep_until(wake) => {}
            }
            if Instant::now() >= self.wake() {
                self.due(&mut inputs.adverts, &mut batch).await;
            }
        }
    }

    fn start(&mut self) {
        let survey = self.effects.survey();
        let survey = self.outcome("survey", survey).unwrap_or_default();
        let leftover = match survey.ours.is_empty() {
            true => Leftover::None,
            false => Leftover::Ours,
        };
        if leftover == Leftover::Ours {
            tracing::info!(router = self.name, "found our address from a run before");
            self.renew_at = Some(Instant::now());
        }
        self.running = survey.running;
        if self.running {
            self.greet();
        }
        self.handle(Event::Start { leftover });
        self.link(survey.running);
    }

    fn stop(&mut self, command: Option<Command>) -> Ended {
        self.handle(Event::Stop);
        match command {
            None => Ended::Abandoned,
            Some(Command::Stop(done)) => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
                Ended::Stopped
            }
        }
    }

    /// When to come back even if nothing happens.
    fn wake(&self) -> Instant {
        /// Nothing is due: the loop wakes for its inputs. A day, since timers want a time.
        const IDLE: Duration = Duration::from_secs(86_400);
        let machine = self.machine.deadline().map(Instant::from_std);
        let all = [machine, self.renew_at, self.broken_until];
        let first = all.into_iter().flatten().min();
        first.unwrap_or_else(|| Instant::now() + IDLE)
    }

    /// Something is due. What waits in the sockets is read first: after a stall, it may be
    /// the reason not to act.
    async fn due(
        &mut self,
        adverts: &mut mpsc::Receiver<Result<Datagram, Refusal>>,
        batch: &mut Vec<Result<Datagram, Refusal>>,
    ) {
        let wake = self.wake();
        self.lateness
            .observe(Instant::now().saturating_duration_since(wake));
        yield_now().await;
        while batch.len() < BATCH
            && let Ok(advert) = adverts.try_recv()
        {
            batch.push(advert);
        }
        self.hear(batch);
        let now = Instant::now();
        if self.broken_until.is_some_and(|until| until <= now) {
            self.broken_until = None;
            self.link(self.running);
        }
        let deadline = self.machine.deadline().map(Instant::from_std);
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.handle(Event::Deadline);
        }
        if self.renew_at.is_some_and(|at| at <= now) {
            self.renew_at = Some(now + RENEW);
            let renewed = self.effects.renew();
            self.outcome("renew", renewed);
        }
    }

    fn hear(&mut self, batch: &mut Vec<Result<Datagram, Refusal>>) {
        for heard in batch.drain(..) {
            match heard {
                Ok(datagram) => self.datagram(&datagram),
                Err(refusal) => self.refuse(refusal, None),
            }
        }
    }

    fn datagram(&mut self, datagram: &Datagram) {
        let envelope = &datagram.envelope;
        let received = match parse(&datagram.payload, envelope) {
            Ok(received) => received,
            Err(refusal) => return self.refuse(refusal, Some(envelope.source)),
        };
        match acceptance::judge(&received.advert, envelope, &self.expected) {
            Err(refusal) => return self.refuse(refusal, Some(envelope.source)),
            Ok(odd) => self.odd(&odd, envelope.source),
        }
        if self.checksums.len() < PEERS || self.checksums.contains_key(&envelope.source) {
            self.checksums.insert(envelope.source, received.checksum);
        }
        let heard = Heard {
            from: envelope.source,
            priority: received.advert.priority,
            interval: received.advert.interval,
            at: Instant::now(),
        };
        self.record.send_modify(|record| {
            record.counts.accepted += 1;
            record.heard = Some(heard);
        });
        self.handle(Event::Advert {
            from: envelope.source,
            advert: &received.advert,
        });
    }

    fn refuse(&mut self, refusal: Refusal, from: Option<IpAddr>) {
        // Other groups on the same network are nobody's fault and need no line.
        let silent = matches!(refusal, Refusal::OtherVrid(_));
        let alarm = refusal.is_misconfiguration();
        self.record.send_modify(|record| {
            *record.counts.refused.entry(refusal.name()).or_default() += 1;
            if alarm {
                record.alarm = Some(alarm_text(&refusal, from));
            }
        });
        if silent {
            return;
        }
        if let Some(suppressed) = self.may_say(refusal.name()) {
            let from = from.map(|from| from.to_string()).unwrap_or_default();
            tracing::warn!(
                router = self.name,
                from,
                reason = refusal.name(),
                suppressed,
                "advert refused: {refusal}"
            );
        }
    }

    fn odd(&mut self, odd: &[Odd], from: IpAddr) {
        for odd in odd {
            let kind = match odd {
                Odd::OtherAddresses => "otherAddresses",
                Odd::OtherInterval(_) => "otherInterval",
            };
            self.record.send_modify(|record| {
                record.alarm = Some(alarm_text(odd, Some(from)));
            });
            if let Some(suppressed) = self.may_say(kind) {
                let router = &self.name;
                tracing::warn!(router, %from, suppressed, "advert accepted, but {odd}");
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Link(link) if link.index == self.interface => {
                self.link(link.running);
            }
            // Our own renewals, four times a second.
            Notice::Address(there) if there.ours => {}
            Notice::AddressGone(there) | Notice::Address(there)
                if there.interface == self.interface
                    && self.virtual_ip(there.address.ip) =>
            {
                self.look();
            }
            Notice::Missed => self.look(),
            Notice::Link(_)
            | Notice::LinkGone(_)
            | Notice::Address(_)
            | Notice::AddressGone(_) => {}
        }
    }

    fn virtual_ip(&self, ip: IpAddr) -> bool {
        self.expected.addresses.contains(&ip)
    }

    /// Looks at the interface: notices may be about a moment that has passed, such as our
    /// own release before we acquired again.
    fn look(&mut self) {
        let survey = self.effects.survey();
        let Some(survey) = self.outcome("survey", survey) else {
            return;
        };
        self.link(survey.running);
        if self.renew_at.is_some() && !survey.missing.is_empty() {
            self.record
                .send_modify(|record| record.counts.addresses_lost += 1);
            if let Some(suppressed) = self.may_say("addressLost") {
                let router = &self.name;
                let missing = survey.missing.len();
                tracing::warn!(router, missing, suppressed, "our address was taken away");
            }
            self.handle(Event::AddressLost);
        }
    }

    fn link(&mut self, running: bool) {
        if running != self.running {
            let router = &self.name;
            tracing::info!(router, running, "the interface's link changed");
            self.running = running;
            if running {
                self.greet();
            }
        }
        let usable = running && self.broken_until.is_none();
        self.handle(if usable { Event::Recover } else { Event::Fault });
    }

    fn greet(&mut self) {
        let greeted = self.effects.greet();
        self.outcome("greet", greeted);
    }

    fn stand(&mut self, standing: Standing) {
        let before = std::mem::replace(&mut self.standing, standing);
        if before == standing {
            return;
        }
        let router = &self.name;
        let out = standing.out.map(Out::name);
        tracing::info!(router, priority = %standing.priority, ?out, "standing changed");
        // Priority 1 first: the skew it brings is the head start of everybody else.
        self.handle(Event::Priority(standing.priority));
        if before.out.is_none() && standing.out.is_some() {
            self.handle(Event::Yield {
                hold: Duration::ZERO,
            });
        }
    }

    fn handle(&mut self, event: Event<'_>) {
        let actions = self.machine.handle(event, Instant::now().into_std());
        self.perform(actions);
        self.publish();
    }

    fn perform(&mut self, actions: Actions) {
        let mut refused = false;
        for action in actions {
            match action {
                // The kernel would keep it for the peers until the link is back, and then
                // tell them something that was true long ago.
                Action::Advertise(_) if !self.running => {}
                Action::Advertise(priority) => {
                    let checksum = self.checksum();
                    let sent = self.effects.advertise(priority, checksum);
                    if self.outcome("advertise", sent).is_some() {
                        self.record.send_modify(|record| {
                            record.counts.sent += 1;
                            record.counts.sent_release +=
                                u64::from(priority.is_release());
                        });
                    }
                }
                Action::Acquire => refused = !self.acquire(),
                // Nobody must send to an address that is not here.
                Action::Announce if refused => {}
                Action::Announce => {
                    let announced = self.effects.announce();
                    self.outcome("announce", announced);
                    self.record
                        .send_modify(|record| record.counts.announcements += 1);
                }
                Action::Release => self.release(),
                Action::Moved { from, to, reason } => self.moved(from, to, reason),
                Action::Note(note) => self.note(note),
            }
        }
        if refused {
            self.broken_until = Some(Instant::now() + RETRY);
            self.link(self.running);
        }
    }

    /// Puts the addresses there, if the claim allows; false when the kernel refuses.
    fn acquire(&mut self) -> bool {
        match claim::decide(Wish::Hold, self.fence) {
            Verdict::Leave => true,
            Verdict::Hold => {
                self.renew_at = Some(Instant::now() + RENEW);
                let acquired = self.effects.acquire();
                self.outcome("acquire", acquired).is_some()
            }
        }
    }

    fn release(&mut self) {
        // First: from here on nothing may renew, which would put them back.
        self.renew_at = None;
        let released = self.effects.release();
        self.outcome("release", released);
    }

    fn moved(&mut self, from: State, to: State, reason: Reason) {
        let (router, reason_name) = (&self.name, reason.name());
        tracing::info!(router, %from, %to, reason = reason_name, "state changed");
        self.record.send_modify(|record| {
            record.since = Instant::now();
            record.reason = reason;
            *record
                .counts
                .transitions
                .entry((to.name(), reason_name))
                .or_default() += 1;
        });
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Late(late) => {
                let router = &self.name;
                tracing::warn!(router, ?late, "woke too late to act at once");
            }
            Note::TwoOwners | Note::OwnSource | Note::AddressLostTooOften => {
                if let Some(suppressed) = self.may_say("note") {
                    let router = &self.name;
                    tracing::error!(router, suppressed, "{note:?}");
                }
            }
            Note::NoMatter
            | Note::LowerDiscarded
            | Note::IntervalAdopted(_)
            | Note::AnswerDeferred => {
                tracing::debug!(router = self.name, ?note, "noted");
            }
        }
    }

    /// How our next advert's checksum is computed: as the peers do, when they agree.
    fn checksum(&self) -> Checksum {
        let mut heard = self.checksums.values().copied();
        let first = heard.next();
        let agreed = first.filter(|first| heard.all(|other| other == *first));
        ChecksumStyle::Auto.choose(self.expected.dialects, agreed)
    }

    /// Counts and logs a failure; passes a success on.
    fn outcome<T>(
        &mut self,
        deed: &'static str,
        outcome: Result<T, Failure>,
    ) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.record
                    .send_if_modified(|record| record.failing.remove(deed).is_some());
                Some(value)
            }
            Err(failure) => {
                let text = chain(&failure);
                if let Some(suppressed) = self.may_say(deed) {
                    tracing::error!(router = self.name, deed, suppressed, "{text}");
                }
                self.record.send_modify(|record| {
                    *record.counts.failures.entry(deed).or_default() += 1;
                    record.failing.insert(deed, text);
                });
                None
            }
        }
    }

    fn may_say(&mut self, class: &'static str) -> Option<u64> {
        match self.limiter.admit(class, Instant::now().into_std()) {
            Say::Say { suppressed } => Some(suppressed),
            Say::Hush => None,
        }
    }

    fn publish(&self) {
        let state = self.machine.state();
        let (standing, running) = (self.standing, self.running);
        let holding = self.renew_at.is_some();
        self.record.send_modify(|record| {
            record.state = state;
            record.priority = standing.priority;
            record.out = standing.out;
            record.running = running;
            record.holding = holding;
        });
    }
}

fn alarm_text(what: &dyn std::fmt::Display, from: Option<IpAddr>) -> String {
    match from {
        Some(from) => format!("{from}: {what}"),
        None => what.to_string(),
    }
}

/// An error with its sources, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn settings(router: &Router, source: IpAddr, standing: Standing) -> Settings {
    Settings {
        version: router.version,
        priority: standing.priority,
        interval: router.interval,
        source,
        preempt: match router.preempt {
            Preempt::Never => fsm::Preempt::Never,
            Preempt::After(Duration::ZERO) => fsm::Preempt::AtOnce,
            Preempt::After(delay) => fsm::Preempt::After(delay),
        },
        announcing: Announcing {
            second: router.announce.again,
            refresh: router.announce.refresh,
        },
        dialects: Dialects::KEEPALIVED,
    }
}

fn expected(router: &Router, source: IpAddr) -> Result<Expected, AddressesError> {
    let addresses = router.addresses.iter().map(|address| address.ip).collect();
    Ok(Expected {
        vrid: router.vrid,
        version: router.version,
        interval: router.interval,
        auth: router.auth,
        addresses: Addresses::new(addresses)?,
        source,
        path: match &router.travel {
            Travel::Multicast => Path::Multicast,
            Travel::Unicast { peers, .. } => Path::Unicast {
                senders: Senders::Only(peers.clone()),
                ttl: None,
            },
        },
        dialects: Dialects::KEEPALIVED,
    })
}
