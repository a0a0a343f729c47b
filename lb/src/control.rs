//! The control thread: owns the roster, the listeners and the workers; obeys signals and
//! the results of checks. Everything that changes, changes here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use daemon::Identity;
use daemon::admin::{Admin, Listen};
use daemon::log::Log;
use daemon::signals::{Signal, Signals};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::check::{Checked, RESULTS, Watch};
use crate::config::{self, Config};
use crate::drain::Stop;
use crate::engine::{self, Crew};
use crate::limits::{self, Limits};
use crate::listener::{self, BindError, Listener};
use crate::operate::{self, Follow};
use crate::order::{Asked, ORDERS};
use crate::pool::{ListenerId, ServerId, rebalance};
use crate::reading::{ReadError, Reading};
use crate::recorder::{self, Keeper, Recorder};
use crate::report;
use crate::roster::{Cause, Change, Consequence, Roster, View};
use crate::surface::{Outside, Phase};
use crate::trail::Trail;
use crate::worker::{self, Command, EVENTS, OBSERVED, Observed};
use crate::workers::{LOOK, Workers};

/// How often a drain looks whether the last connection is over.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A bind cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin listeners cannot be opened.
    #[error(transparent)]
    Admin(#[from] daemon::admin::BindError),
    /// The system gives no signals, threads or runtime.
    #[error(
        "the system gives no thread or no descriptor; raise LimitNOFILE and TasksMax in the unit (by hand `ulimit -n` and `ulimit -u`)"
    )]
    System(#[from] std::io::Error),
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// Runs the daemon with this configuration until it is told to stop.
///
/// # Errors
/// When it cannot start; nothing is left open then.
pub async fn run(path: &Path, config: Config, log: Arc<Log>) -> Result<(), StartError> {
    let limits = Limits::raise();
    limits::widen_table(&limits);
    let signals = Signals::new()?;
    let mut last_listener = ListenerId(0);
    let listeners = listener::open_all(&config, &[], &mut last_listener)?;
    let admin = bind_admin(&config)?;
    let identity = Arc::new(Identity::new("api-lb", path, SystemTime::now()));
    let (events, inlet) = mpsc::channel(EVENTS);
    let (observed, observations) = mpsc::channel(OBSERVED);
    let (orders, asked) = mpsc::channel(ORDERS);
    let trail = Arc::new(Mutex::new(Trail::default()));
    let (view, seen) = watch::channel(Arc::new(View::default()));
    let (reporter, keeper) = begin_telling(&config, inlet, &seen, &log, &trail)?;
    let workers = begin_workers(&config, &limits, &events, &observed)?;
    drop((events, observed));
    let (phase, phase_seen) = watch::channel(Phase::Accepting);
    let outside = Arc::new(Outside {
        keeper: Arc::clone(&keeper),
        view: seen,
        phase: phase_seen,
        workers: workers.gauges(),
        limits,
        orders,
        log,
    });
    let (results, checked) = mpsc::channel(RESULTS);
    let mut control = Control {
        keeper: Arc::clone(&keeper),
        path: path.to_owned(),
        started_with: config.clone(),
        identity: Arc::clone(&identity),
        roster: Roster::default(),
        listeners: Vec::new(),
        last_listener,
        watches: HashMap::new(),
        trail,
        workers,
        results,
        view,
        phase,
        drain_delay: config.drain_delay,
        drain_timeout: config.drain_timeout,
    };
    control.take(&config, listeners).await;
    log_start(&config, &limits);
    let looking = tokio::spawn(look_every_second(Arc::clone(&outside)));
    let beside = [looking, tokio::spawn(recorder::keep(keeper))];
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(admin.serve(identity, outside, async {
        // Either way it is time to stop.
        let _ = stopped.await;
    }));
    daemon::notify::ready();
    let inlets = Inlets {
        signals,
        checked,
        observations,
        asked,
    };
    control.work(inlets).await;
    control.end(reporter).await;
    drop(stop);
    beside.iter().for_each(JoinHandle::abort);
    if let Ok(Err(error)) = serving.await {
        tracing::error!(%error, "the admin listeners failed");
    }
    Ok(())
}

fn bind_admin(config: &Config) -> Result<Admin, daemon::admin::BindError> {
    Admin::bind(&Listen {
        tcp: vec![config.admin],
        socket: Some(config.socket.clone()),
        tls: config.admin_tls.clone(),
        passwords: config.passwords.clone(),
    })
}

/// Begins to log what the workers say, and to record it.
fn begin_telling(
    config: &Config,
    events: mpsc::Receiver<worker::Event>,
    view: &watch::Receiver<Arc<View>>,
    log: &Log,
    trail: &Arc<Mutex<Trail>>,
) -> std::io::Result<(std::thread::JoinHandle<()>, Arc<Keeper>)> {
    let recorder = Arc::new(Recorder::default());
    let told = (Arc::clone(trail), Arc::clone(&recorder));
    let reporter = report::begin(events, view.clone(), log.lines(), told)?;
    let folder = config.flight_directory.clone();
    Ok((
        reporter,
        Arc::new(Keeper::new(recorder, view.clone(), folder)),
    ))
}

fn begin_workers(
    config: &Config,
    limits: &Limits,
    events: &mpsc::Sender<worker::Event>,
    observed: &mpsc::Sender<Observed>,
) -> std::io::Result<Workers> {
    let crew = Crew::new(usize::from(config.workers.get()), limits)?;
    let workers = (0..config.workers.get()).map(|number| {
        let crew = Arc::clone(&crew);
        let (events, observed) = (events.clone(), observed.clone());
        worker::spawn(number, events, observed, |setup| engine::run(setup, crew))
    });
    Ok(Workers::new(workers.collect::<std::io::Result<_>>()?))
}

fn log_start(config: &Config, limits: &Limits) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for frontend in &config.frontends {
        for bind in &frontend.binds {
            tracing::info!(frontend = &*frontend.name, %bind, "listening");
        }
    }
    tracing::info!(
        workers = config.workers,
        openFiles = limits.open_files,
        connections = limits.connections,
        "limits"
    );
}

/// What control waits for.
struct Inlets {
    signals: Signals,
    checked: mpsc::Receiver<Checked>,
    observations: mpsc::Receiver<Observed>,
    asked: mpsc::Receiver<Asked>,
}

struct Control {
    keeper: Arc<Keeper>,
    path: PathBuf,
    started_with: Config,
    identity: Arc<Identity>,
    roster: Roster,
    listeners: Vec<Arc<Listener>>,
    last_listener: ListenerId,
    watches: HashMap<ServerId, Watch>,
    trail: Arc<Mutex<Trail>>,
    workers: Workers,
    results: mpsc::Sender<Checked>,
    view: watch::Sender<Arc<View>>,
    phase: watch::Sender<Phase>,
    drain_delay: Duration,
    drain_timeout: Duration,
}

impl Control {
    /// Runs by this configuration from here on. Everything that can fail has been done.
    async fn take(&mut self, config: &Config, listeners: Vec<Arc<Listener>>) {
        self.roster.replace(config, &listeners, SystemTime::now());
        for frontend in &config.frontends {
            set_options(frontend, &listeners);
        }
        self.listeners = listeners;
        self.drain_delay = config.drain_delay;
        self.drain_timeout = config.drain_timeout;
        self.watch();
        self.publish().await;
    }

    /// Watches the servers by the plans of the configuration. All are told, since their
    /// certificates may have changed although the configuration did not.
    fn watch(&mut self) {
        let mut old = std::mem::take(&mut self.watches);
        for plan in self.roster.plans() {
            let server = plan.server;
            let watch = match old.remove(&server) {
                Some(watch) => {
                    watch.follow(plan);
                    watch
                }
                None => Watch::begin(plan, self.results.clone()),
            };
            self.watches.insert(server, watch);
        }
    }

    async fn publish(&mut self) {
        let snapshot = Arc::new(self.roster.snapshot(SystemTime::now()));
        self.workers.command(&Command::Snapshot(snapshot)).await;
        self.show();
    }

    fn show(&self) {
        self.view.send_replace(Arc::new(self.roster.view()));
    }

    async fn work(&mut self, inlets: Inlets) {
        let Inlets {
            mut signals,
            mut checked,
            mut observations,
            mut asked,
        } = inlets;
        let mut stop = None;
        let path = self.path.clone();
        let mut reading = Reading::new(Arc::new(move || config::read(&path)));
        let mut results = Vec::with_capacity(RESULTS);
        let mut beat = daemon::notify::watchdog_period().map(tokio::time::interval);
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
                    (Signal::Terminate, Some(_)) => return,
                },
                read = reading.result(), if stop.is_none() => self.reload(read).await,
                _ = checked.recv_many(&mut results, RESULTS) => self.check(&mut results).await,
                // Ends with the last worker, which ends with this.
                Some(observed) = observations.recv() => self.observe(observed).await,
                Some(asked) = asked.recv() => self.order(asked).await,
                () = over(&self.workers, stop) => match stop {
                    Some(Stop::Leaving { .. }) => stop = Some(self.drain().await),
                    Some(Stop::Draining { .. }) | None => return,
                },
                () = passes(self.roster.rises_in(SystemTime::now())) => self.publish().await,
                _ = shed.tick() => self.shed().await,
                _ = look.tick() => if self.workers.look() {
                    self.publish().await;
                },
                () = tick(&mut beat) => if self.workers.all_work() {
                    daemon::notify::watchdog();
                },
            }
        }
    }

    /// Moves connections to servers that have come.
    async fn shed(&mut self) {
        for shed in self.roster.sheds(SystemTime::now()) {
            self.workers.command(&Command::Shed(Arc::new(shed))).await;
        }
    }

    async fn order(&mut self, asked: Asked) {
        let Asked { order, answer } = asked;
        let (roster, workers) = (&mut self.roster, &mut self.workers);
        let now = SystemTime::now();
        let obeyed = operate::obey(&order, roster, workers, &self.trail, now).await;
        if let Ok((_, Follow::Publish)) = &obeyed {
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

    async fn reload(&mut self, read: Result<Config, ReadError>) {
        match self.open(read) {
            Ok((config, listeners)) => {
                self.take(&config, listeners).await;
                self.identity.reloaded(SystemTime::now());
                config
                    .warnings
                    .iter()
                    .for_each(|warning| tracing::warn!("{warning}"));
                for key in self.started_with.fixed_differences(&config) {
                    tracing::warn!(key, "a change of this key needs a restart");
                }
                tracing::info!(file = %self.path.display(), "reloaded");
            }
            Err(error) => {
                self.identity.reload_refused(&error, SystemTime::now());
                tracing::error!(%error, "reload refused; what ran before goes on");
            }
        }
        daemon::notify::ready();
    }

    fn open(
        &mut self,
        read: Result<Config, ReadError>,
    ) -> Result<(Config, Vec<Arc<Listener>>), ReloadError> {
        let config = read?;
        let listeners =
            listener::open_all(&config, &self.listeners, &mut self.last_listener)?;
        Ok((config, listeners))
    }

    /// Says that this node is leaving; still accepts.
    fn leave(&mut self) -> Stop {
        daemon::notify::stopping();
        self.phase.send_replace(Phase::Leaving);
        tracing::info!(delay = ?self.drain_delay, "leaving");
        Stop::Leaving {
            until: now() + self.drain_delay,
        }
    }

    /// Accepts no longer.
    async fn drain(&mut self) -> Stop {
        self.phase.send_replace(Phase::Draining);
        self.workers.command(&Command::StopAccepting).await;
        self.listeners.clear();
        let left = self.workers.open();
        tracing::info!(connections = left, timeout = ?self.drain_timeout, "draining");
        Stop::Draining {
            until: now() + self.drain_timeout,
        }
    }

    /// Ends the workers and waits for the last line of the log.
    async fn end(self, reporter: std::thread::JoinHandle<()>) {
        let left = self.workers.open();
        // The reporter ends with the last worker.
        if self.workers.end().await && reporter.join().is_err() {
            tracing::error!("the reporter had panicked");
        }
        tracing::info!(cut = left, "stopped");
    }
}

fn set_options(frontend: &config::Frontend, listeners: &[Arc<Listener>]) {
    for listener in listeners
        .iter()
        .filter(|l| frontend.binds.contains(&l.address))
    {
        if let Err(error) = listener.set_options(frontend.tcp) {
            tracing::error!(bind = %listener.address, %error, "socket options not set");
        }
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
async fn over(workers: &Workers, stop: Option<Stop>) {
    let Some(stop) = stop else {
        return std::future::pending().await;
    };
    while !stop.is_over(workers.open(), now()) {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}

/// Notes what each second brought, for rates and sparklines.
async fn look_every_second(outside: Arc<Outside>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        outside.look(now());
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Returns after this time; never without one.
async fn passes(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

async fn tick(beat: &mut Option<tokio::time::Interval>) {
    match beat {
        Some(beat) => drop(beat.tick().await),
        None => std::future::pending().await,
    }
}
