//! The control thread: owns the roster, the listeners and the workers; obeys signals and
//! the results of checks. Everything that changes, changes here.
//!
//! `start` puts the parts together; `swap` is how control gives everything to the next program,
//! and goes on with what the one before has given.

mod reload;
mod start;
mod swap;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use daemon::Identity;
use daemon::log::Log;
use daemon::signals::{Signal, Signals};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::check::{Checked, RESULTS, Watch};
use crate::config::{self, Config};
use crate::discover::{Finder, Found, Heard};
use crate::drain::{Arrivals, Stop};
use crate::listener::Listener;
use crate::operate::{self, Follow};
use crate::order::Asked;
use crate::pool::{ListenerId, ServerId, rebalance};
use crate::reading::Reading;
use crate::recorder::Keeper;
use crate::roster::{Cause, Change, Consequence, Roster, View};
use crate::surface::Phase;
use crate::trail::Trail;
use crate::upgrade::History;
use crate::worker::{Command, Observed};
use crate::workers::{LOOK, Workers};

pub use start::{StartError, run};
pub use swap::Answer;

/// How often a drain looks whether the last connection is over.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// What control waits for.
struct Inlets {
    signals: Signals,
    checked: mpsc::Receiver<Checked>,
    observations: mpsc::Receiver<Observed>,
    asked: mpsc::Receiver<Asked>,
    /// Who wants the program replaced.
    wanted: mpsc::Receiver<Answer>,
    found: mpsc::Receiver<Found>,
}

struct Control {
    keeper: Arc<Keeper>,
    path: PathBuf,
    started_with: Config,
    /// As it was read last.
    config: Config,
    finder: Finder,
    identity: Arc<Identity>,
    roster: Roster,
    listeners: Vec<Arc<Listener>>,
    last_listener: ListenerId,
    watches: HashMap<ServerId, Watch>,
    trail: Arc<Mutex<Trail>>,
    workers: Workers,
    /// When the clock of the connections began.
    began: Instant,
    results: mpsc::Sender<Checked>,
    view: watch::Sender<Arc<View>>,
    phase: watch::Sender<Phase>,
    history: watch::Sender<History>,
    log: Arc<Log>,
    /// Ends with the last worker.
    reporter: Option<std::thread::JoinHandle<()>>,
    drain_delay: Duration,
    drain_timeout: Duration,
}

/// Why the loop of control has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    /// It was told to stop, and has drained.
    Stopped,
    /// It has given everything away, and no program has taken it.
    Abandoned,
}

impl Control {
    async fn publish(&mut self) {
        let snapshot = Arc::new(self.roster.snapshot(SystemTime::now()));
        self.workers.command(&Command::Snapshot(snapshot)).await;
        self.show();
    }

    fn show(&self) {
        let view = View {
            ledgers: self.finder.ledgers(),
            ..self.roster.view()
        };
        self.view.send_replace(Arc::new(view));
    }

    /// Works until it is told to stop, or has nothing left; `stops` when it was told already.
    async fn work(&mut self, inlets: Inlets, stops: Option<Stop>) -> Finish {
        let Inlets {
            mut signals,
            mut checked,
            mut observations,
            mut asked,
            mut wanted,
            mut found,
        } = inlets;
        let mut stop = stops;
        let mut arrivals = Arrivals::since(self.workers.came(), now());
        let (trials, mut tried) = mpsc::channel(1);
        let mut is_trying = false;
        let path = self.path.clone();
        let mut reading = Reading::new(Arc::new(move || config::read(&path)));
        let mut results = Vec::with_capacity(RESULTS);
        let mut beat = daemon::notify::Beat::begin();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shed = tokio::time::interval(rebalance::LOOK);
        shed.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                signal = signals.next() => match (signal, stop) {
                    (Signal::Reload, None) => {
                        daemon::notify::reloading();
                        reading.ask();
                    }
                    (Signal::Reload, Some(_)) => tracing::warn!("no reload while stopping"),
                    (Signal::Terminate, None) => stop = Some(self.leave()),
                    (Signal::Terminate, Some(_)) => return Finish::Stopped,
                },
                read = reading.result(), if stop.is_none() => self.reload(read).await,
                _ = checked.recv_many(&mut results, RESULTS) => self.check(&mut results).await,
                // Ends with the last worker, which ends with this.
                Some(observed) = observations.recv() => self.observe(observed).await,
                Some(asked) = asked.recv() => self.order(asked).await,
                Some(answer) = wanted.recv() => {
                    let busy = match stop {
                        Some(_) => Some("the daemon is ending"),
                        None => is_trying.then_some("an upgrade is under way"),
                    };
                    is_trying |= self.try_out(answer, busy, &trials);
                }
                Some(tried) = tried.recv() => {
                    is_trying = false;
                    if self.upgrade(tried, stop, &mut signals).await.is_err() {
                        return Finish::Abandoned;
                    }
                }
                Some(found) = found.recv() => self.find(found).await,
                () = over(&self.workers, stop, &mut arrivals) => match stop {
                    Some(Stop::Leaving { end, .. }) => stop = Some(self.drain(end).await),
                    Some(Stop::Draining { .. }) | None => return Finish::Stopped,
                },
                () = passes(self.roster.rises_in(SystemTime::now())) => self.publish().await,
                _ = shed.tick() => self.shed().await,
                _ = look.tick() => self.look().await,
                () = beat.due() => if self.workers.all_work() {
                    daemon::notify::watchdog();
                },
            }
        }
    }

    /// Moves connections to servers that have come.
    async fn shed(&mut self) {
        let now = SystemTime::now();
        // First: those who are moved connect anew at once.
        if self.roster.lift(now) {
            self.publish().await;
        }
        for shed in self.roster.sheds(now) {
            self.workers.command(&Command::Shed(Arc::new(shed))).await;
        }
    }

    async fn look(&mut self) {
        let is_behind = self.workers.look();
        let gone = self.roster.forget();
        for (backend, server) in &gone {
            tracing::info!(
                backend = &**backend,
                server = &**server,
                "server gone: its last connection is over"
            );
        }
        if !gone.is_empty() {
            self.watch();
        }
        if is_behind || !gone.is_empty() {
            self.publish().await;
        }
    }

    /// Takes in which servers were found.
    async fn find(&mut self, found: Found) {
        let now = SystemTime::now();
        match self.finder.hear(found, now) {
            Heard::Changed { .. } => {
                let merged = self.finder.merged(&self.config);
                let before = self.roster.view();
                self.roster.replace(&merged, &self.listeners, now);
                self.watch();
                self.publish().await;
                self.tell_changes(&before, Cause::Found);
            }
            Heard::Same | Heard::Fails | Heard::StillFails => self.show(),
        }
    }

    async fn order(&mut self, asked: Asked) {
        let Asked { order, answer } = asked;
        let (roster, workers) = (&mut self.roster, &mut self.workers);
        let now = SystemTime::now();
        let obeyed = operate::obey(&order, roster, workers, &self.trail, now).await;
        if let Ok((_, Follow::Publish(change))) = &obeyed {
            let recorder = self.keeper.recorder();
            change
                .iter()
                .for_each(|change| recorder.change(change, now));
            self.watch();
            self.publish().await;
        }
        // Whoever asked may have gone.
        let _ = answer.send(obeyed.map(|(answer, _)| answer));
    }

    /// Takes in all results that wait. What follows is told once: where hundreds of servers
    /// change at the same time, a snapshot for each would take longer than their checks.
    async fn check(&mut self, results: &mut Vec<Checked>) {
        let now = SystemTime::now();
        let consequences: Vec<Consequence> = results
            .drain(..)
            .map(|checked| {
                self.keeper.recorder().check(&checked, now);
                self.roster.record(&checked, now)
            })
            .collect();
        for (server, interval) in consequences.iter().filter_map(|all| all.interval) {
            let watch = self.watches.get(&server);
            watch.into_iter().for_each(|watch| watch.pace(interval));
        }
        for server in consequences.iter().filter_map(|all| all.witness) {
            let watch = self.watches.get(&server);
            watch.into_iter().for_each(Watch::hurry);
        }
        let changes = consequences.iter().filter_map(|all| all.change.as_ref());
        if changes.clone().next().is_some() {
            self.publish().await;
            for change in changes {
                log_change(change);
                self.keeper.recorder().change(change, now);
            }
        } else {
            self.show();
        }
        for (server, which) in consequences.iter().flat_map(|all| &all.cuts) {
            self.workers.command(&Command::Cut(*server, *which)).await;
        }
    }

    /// Takes in what traffic says of a server; whether it is so is asked at once.
    async fn observe(&mut self, observed: Observed) {
        let change = self.roster.observe(observed, SystemTime::now());
        if let Some(change) = change {
            self.publish().await;
            log_change(&change);
            self.keeper.recorder().change(&change, SystemTime::now());
            let watch = self.watches.get(&observed.server);
            watch.iter().for_each(|watch| watch.hurry());
        }
    }

    /// Says that this node is leaving; still accepts.
    fn leave(&mut self) -> Stop {
        daemon::notify::stopping();
        self.phase.send_replace(Phase::Leaving);
        tracing::info!(delay = ?self.drain_delay, "leaving");
        Stop::begin(self.drain_delay, self.drain_timeout, now())
    }

    /// Accepts no longer; connections may last until `end`.
    async fn drain(&mut self, end: Instant) -> Stop {
        self.phase.send_replace(Phase::Draining);
        self.workers.command(&Command::StopAccepting).await;
        self.listeners.clear();
        let left = self.workers.open();
        let timeout = end.saturating_duration_since(now());
        tracing::info!(connections = left, ?timeout, "draining");
        Stop::Draining { until: end }
    }

    /// Ends the workers and waits for the last line of the log.
    async fn end(self) {
        let left = self.workers.open();
        // The reporter ends with the last worker.
        if self.workers.end().await
            && let Some(reporter) = self.reporter
            && reporter.join().is_err()
        {
            tracing::error!("the reporter had panicked");
        }
        tracing::info!(cut = left, "stopped");
    }
}

fn log_change(change: &Change) {
    let Change {
        backend,
        server,
        from,
        to,
        cause,
    } = change;
    let (from, to) = (from.name(), to.name());
    let outcome = match cause {
        Cause::Check(outcome) => outcome.to_string(),
        Cause::Traffic => "clients were let down".to_owned(),
        Cause::Order => "by order".to_owned(),
        Cause::File => "by the file".to_owned(),
        Cause::Found => "by discovery".to_owned(),
    };
    if change.to.is_usable() {
        tracing::info!(
            backend = &**backend,
            server = &**server,
            from,
            to,
            check = outcome,
            "server"
        );
    } else {
        tracing::warn!(
            backend = &**backend,
            server = &**server,
            from,
            to,
            check = outcome,
            "server"
        );
    }
}

/// Returns when the stage of a stop is over. Never without a stop.
async fn over(workers: &Workers, stop: Option<Stop>, arrivals: &mut Arrivals) {
    let Some(stop) = stop else {
        return std::future::pending().await;
    };
    loop {
        let silent = arrivals.look(workers.came(), now());
        if stop.is_over(workers.open(), silent, now()) {
            if stop.is_in_vain(silent) {
                tracing::warn!("clients still come: nobody has taken the address");
            }
            return;
        }
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}

/// Returns after this time; never without one.
async fn passes(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
