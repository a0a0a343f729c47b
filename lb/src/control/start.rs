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

use super::{Control, Inlets, now};
use crate::beside::{self, Router};
use crate::check::RESULTS;
use crate::config::Config;
use crate::engine::{self, Crew};
use crate::limits::{self, Limits};
use crate::listener::{self, BindError};
use crate::order::ORDERS;
use crate::pool::ListenerId;
use crate::recorder::{self, Keeper, Recorder};
use crate::report;
use crate::roster::{Roster, View};
use crate::surface::{Outside, Phase};
use crate::trail::Trail;
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
}

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
    let (routers, asking) = see_beside(&config);
    let outside = Arc::new(Outside {
        routers,
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
    let others = begin_others(&outside, keeper, asking);
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
    others.iter().for_each(JoinHandle::abort);
    if let Ok(Err(error)) = serving.await {
        tracing::error!(%error, "the admin listeners failed");
    }
    Ok(())
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

/// Notes what each second brought, for rates and sparklines.
async fn look_every_second(outside: Arc<Outside>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        outside.look(now());
    }
}
