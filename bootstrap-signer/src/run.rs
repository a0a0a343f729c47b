//! `bootstrap-signer run`: puts the parts together, and obeys signals.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use daemon::admin::{Admin, BindError, Listen};
use daemon::log::Log;
use daemon::signals::{Signal, Signals};
use daemon::{Identity, notify};
use kube::Client;
use tokio::sync::{mpsc, oneshot, watch as latest};
use tokio::task::JoinHandle;

use crate::act::Writer;
use crate::config::Config;
use crate::desk::{Desk, Rulebook};
use crate::shown::Shown;
use crate::signing::{Authorities, LoadError, Pen, Plan, Tray, Worker, keep_fresh};
use crate::{credentials, tokens, watch};

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A listener could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// There is neither a kubeconfig nor a service account.
    #[error("no kubeconfig is configured, and this is no pod")]
    InCluster(#[from] kube::config::InClusterError),
    /// No client can be made of it.
    #[error("no client can be made of the credentials")]
    Client(#[source] Box<kube::Error>),
    /// An authority's files cannot be used.
    #[error("an authority cannot be used")]
    Authority(#[from] LoadError),
    /// The system gives no signals.
    #[error("cannot watch signals")]
    Signals(#[source] std::io::Error),
}

/// Runs until a signal ends it.
///
/// # Errors
/// When it cannot start; afterwards nothing ends it but a signal.
pub async fn run(path: &Path, config: Config, log: Log) -> Result<(), RunError> {
    let signals = Signals::new().map_err(RunError::Signals)?;
    let admin = Admin::bind(&Listen {
        tcp: vec![config.admin],
        socket: Some(config.socket.clone()),
        ..Listen::default()
    })?;
    let now = SystemTime::now();
    let authorities = authorities(&config.signing, now)?;
    authorities.tell(now);
    let shown = Arc::new(Shown::default());
    let (client, keeper) =
        credentials::kept(config.kubeconfig.as_deref(), &shown).await?;
    let identity = Arc::new(Identity::new("bootstrap-signer", path, SystemTime::now()));
    let (rules, seen) = latest::channel(Arc::new(rulebook(&config)));
    let (changes, inlet) = mpsc::channel(watch::CHANGES);
    let tray = Arc::new(Tray::default());
    let signing = sign(&client, &seen, &tray, &shown, Arc::new(authorities));
    let writer = Writer::new(&client, Arc::clone(&tray));
    let desk = Desk::new(seen.clone(), writer, Arc::clone(&shown), SystemTime::now);
    let (stop_admin, admin_stopped) = oneshot::channel::<()>();
    let (stop_desk, desk_stopped) = oneshot::channel::<()>();
    let keeping = tokens::work(client.clone(), seen.clone(), Arc::clone(&shown));
    let keeping = tokio::spawn(keeping);
    let renewing = keeper.map(|keeper| tokio::spawn(keeper.keep()));
    let watching = tokio::spawn(watch::all(client, changes, tray, desk.again()));
    let deciding = tokio::spawn(desk.work(inlet, desk_stopped));
    let serving = tokio::spawn(admin.serve(Arc::clone(&identity), shown, async {
        // Sent or dropped: both mean the end.
        let _ = admin_stopped.await;
    }));
    warn(&config);
    notify::ready();
    tracing::info!(mode = config.mode.name(), "running");
    obey(signals, path, &rules, &identity, &log).await;
    notify::stopping();
    drop(stop_desk);
    // What they could still say was said to the log.
    let _ = deciding.await;
    signing.stop().await;
    watching.abort();
    keeping.abort();
    if let Some(renewing) = renewing {
        renewing.abort();
    }
    drop(stop_admin);
    let _ = serving.await;
    tracing::info!("stopped");
    Ok(())
}

fn rulebook(config: &Config) -> Rulebook {
    Rulebook {
        settings: config.settings.clone(),
        inventory: config.inventory.clone(),
        mode: config.mode,
        signing: config.signing.clone(),
        tokens: config.tokens,
    }
}

/// What signs at the start: a daemon that is to sign and cannot is better not there.
///
/// # Errors
/// When a file cannot be used, or a signer has nobody who may sign at `now`.
pub fn authorities(plan: &Plan, now: SystemTime) -> Result<Authorities, RunError> {
    Ok(Authorities::load_valid(plan, now)?)
}

/// The tasks that sign.
struct Signing {
    stop: oneshot::Sender<()>,
    work: JoinHandle<()>,
    fresh: JoinHandle<()>,
}

impl Signing {
    /// Finishes what is on its way.
    async fn stop(self) {
        drop(self.stop);
        // What it could still say was said to the log.
        let _ = self.work.await;
        self.fresh.abort();
    }
}

fn sign(
    client: &Client,
    rules: &latest::Receiver<Arc<Rulebook>>,
    tray: &Arc<Tray>,
    shown: &Arc<Shown>,
    authorities: Arc<Authorities>,
) -> Signing {
    let (fresh, current) = latest::channel(authorities);
    let (stop, stopped) = oneshot::channel();
    let (tray, shown) = (Arc::clone(tray), Arc::clone(shown));
    let pen = Pen::new(client);
    let worker = Worker::new(tray, rules.clone(), current, pen, Arc::clone(&shown));
    Signing {
        stop,
        work: tokio::spawn(worker.work(stopped)),
        fresh: tokio::spawn(keep_fresh(rules.clone(), fresh, shown)),
    }
}

fn warn(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}

async fn obey(
    mut signals: Signals,
    path: &Path,
    rules: &latest::Sender<Arc<Rulebook>>,
    identity: &Identity,
    log: &Log,
) {
    let mut beat = notify::Beat::begin();
    loop {
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Signal::Terminate => return,
                Signal::Reload => reload(path, rules, identity, log),
            },
            () = beat.due() => notify::watchdog(),
        }
    }
}

/// Reads the file again. What is wrong with it changes nothing.
fn reload(
    path: &Path,
    rules: &latest::Sender<Arc<Rulebook>>,
    identity: &Identity,
    log: &Log,
) {
    notify::reloading();
    match Config::read(path) {
        Err(errors) => {
            tracing::error!("the configuration is refused, what ran goes on:\n{errors}");
            identity.reload_refused(&errors, SystemTime::now());
        }
        Ok(config) => {
            warn(&config);
            // The level was checked when the file was read.
            let _ = log.set_level(&config.log.level);
            rules.send_replace(Arc::new(rulebook(&config)));
            identity.reloaded(SystemTime::now());
            tracing::info!("reloaded");
        }
    }
    notify::ready();
}
