//! From a configuration to a daemon that works: listeners, workers, the admin endpoint, the
//! threads and tasks beside control. What can fail is done before anything is changed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use daemon::Identity;
use daemon::admin::{Admin, Listen};
use daemon::log::Log;
use daemon::signals::Signals;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::{Control, Finish, Inlets, now, swap};
use crate::beside::{self, Router};
use crate::check::RESULTS;
use crate::config::Config;
use crate::discover::Finder;
use crate::engine::{self, Crew};
use crate::limits::{self, Limits};
use crate::listener::BindError;
use crate::order::ORDERS;
use crate::pool::ListenerId;
use crate::recorder::{self, Keeper, Recorder};
use crate::report;
use crate::roster::{Roster, View};
use crate::surface::{Outside, Phase};
use crate::trail::Trail;
use crate::upgrade::swap::Handed;
use crate::upgrade::{self, History};
use crate::worker::{self, EVENTS, OBSERVED, Observed};
use crate::workers::Workers;

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
    /// Neither the new program nor the old one could be run in the end.
    #[error(
        "an upgrade has left nothing that runs: neither the new program nor the old one"
    )]
    Abandoned,
}

/// Runs the daemon with this configuration until it is told to stop. What another image has
/// handed over is taken once nothing can fail any more.
///
/// # Errors
/// When it cannot start; nothing is left open then, and what was handed over is still there.
pub async fn run(
    path: &Path,
    config: Config,
    log: Arc<Log>,
    handed: &mut Option<Handed>,
) -> Result<(), StartError> {
    let limits = Limits::raise();
    limits::widen_table(&limits);
    let signals = Signals::new()?;
    upgrade::swap::release_signals();
    let (listeners, last_listener) = swap::listeners(&config, handed.as_ref())?;
    let admin = bind_admin(&config)?;
    let Parts {
        mut control,
        outside,
        inlets,
        asking,
    } = assemble(path, &config, log, (signals, limits), handed.as_ref())?;
    control.last_listener = last_listener;
    let stops = match handed.take() {
        Some(handed) => control.go_on(&config, listeners, handed).await,
        None => {
            control.take(&config, listeners).await;
            None
        }
    };
    log_start(&config, &limits);
    let others = begin_others(&outside, Arc::clone(&control.keeper), asking);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let identity = Arc::clone(&control.identity);
    let serving = tokio::spawn(admin.serve(identity, outside, async {
        // Either way it is time to stop.
        let _ = stopped.await;
    }));
    daemon::notify::ready();
    if control.work(inlets, stops).await == Finish::Abandoned {
        return Err(StartError::Abandoned);
    }
    control.end().await;
    drop(stop);
    others.iter().for_each(JoinHandle::abort);
    log_served(serving.await);
    Ok(())
}

/// What the daemon consists of.
struct Parts {
    control: Control,
    outside: Arc<Outside>,
    /// What control waits for.
    inlets: Inlets,
    /// Asks who has the address.
    asking: Option<JoinHandle<()>>,
}

/// Puts the parts together; nothing is carried yet.
fn assemble(
    path: &Path,
    config: &Config,
    log: Arc<Log>,
    (signals, limits): (Signals, Limits),
    handed: Option<&Handed>,
) -> std::io::Result<Parts> {
    let (events, inlet) = mpsc::channel(EVENTS);
    let (observed, observations) = mpsc::channel(OBSERVED);
    let (orders, asked) = mpsc::channel(ORDERS);
    let (wants, wanted) = mpsc::channel(1);
    let (results, checked) = mpsc::channel(RESULTS);
    let trail = Arc::new(Mutex::new(swap::trail(handed)));
    let (view, seen) = watch::channel(Arc::new(View::default()));
    let (reporter, keeper) = begin_telling(config, inlet, &seen, &log, &trail)?;
    let began = swap::began(handed);
    let crew = Crew::since(began, usize::from(config.workers.get()), &limits)?;
    let workers = begin_workers(config, &crew, &events, &observed)?;
    let (phase, phase_seen) = watch::channel(Phase::Accepting);
    let (history, history_seen) = watch::channel(History::default());
    let (routers, asking) = see_beside(config);
    let (finder, found) = Finder::new(seen.clone());
    let outside = Arc::new(Outside {
        routers,
        keeper: Arc::clone(&keeper),
        view: seen,
        phase: phase_seen,
        history: history_seen,
        workers: workers.gauges(),
        limits,
        stats_path: Arc::clone(&config.stats_path),
        orders,
        wants,
        log: Arc::clone(&log),
    });
    let control = Control {
        keeper,
        path: path.to_owned(),
        started_with: config.clone(),
        config: config.clone(),
        finder,
        identity: Arc::new(Identity::new("api-lb", path, SystemTime::now())),
        roster: Roster::default(),
        listeners: Vec::new(),
        last_listener: ListenerId(0),
        watches: HashMap::new(),
        trail,
        workers,
        began,
        results,
        view,
        phase,
        history,
        log,
        reporter: Some(reporter),
        drain_delay: config.drain_delay,
        drain_timeout: config.drain_timeout,
    };
    let inlets = Inlets {
        signals,
        checked,
        observations,
        asked,
        wanted,
        found,
    };
    Ok(Parts {
        control,
        outside,
        inlets,
        asking,
    })
}

/// The tasks that end with control: they change nothing that it answers for.
fn begin_others(
    outside: &Arc<Outside>,
    keeper: Arc<Keeper>,
    asking: Option<JoinHandle<()>>,
) -> Vec<JoinHandle<()>> {
    let looking = tokio::spawn(look_every_second(Arc::clone(outside)));
    let keeping = tokio::spawn(recorder::keep(keeper));
    [looking, keeping].into_iter().chain(asking).collect()
}

/// Asks the vip-daemon of this host who has the address, where the file says so.
fn see_beside(
    config: &Config,
) -> (watch::Receiver<Option<Vec<Router>>>, Option<JoinHandle<()>>) {
    let (routers, seen) = watch::channel(None);
    let ask = |at| tokio::spawn(beside::ask(at, routers));
    (seen, config.vip_daemon.map(ask))
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
    crew: &Arc<Crew>,
    events: &mpsc::Sender<worker::Event>,
    observed: &mpsc::Sender<Observed>,
) -> std::io::Result<Workers> {
    let workers = (0..config.workers.get()).map(|number| {
        let crew = Arc::clone(crew);
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
        pipes = limits.pipes,
        "limits"
    );
}

fn log_served(served: Result<std::io::Result<()>, tokio::task::JoinError>) {
    if let Ok(Err(error)) = served {
        tracing::error!(%error, "the admin listeners failed");
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
