//! `vip-daemon run`: puts the parts together, and obeys signals.
//!
//! The order of a start: read the file, take the sockets, give up rights, start the guard
//! and the adverts' thread, start the routers, say ready. Of an end: routers first
//! (priority 0, address removed), everything else after.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use daemon::admin::{Admin, BindError, Listen};
use daemon::log::Log;
use daemon::signals::{Signal, Signals};
use daemon::{Identity, chain, notify};
use tokio::sync::oneshot;

use crate::channel::link;
use crate::config::Config;
use crate::fleet::{Fleet, StartError};
use crate::flight::dump;
use crate::guard::Keeper;
use crate::ledger::Ledger;
use crate::linux::Netlink;
use crate::notify::Teller;
use crate::privileges;
use crate::status::Status;
use crate::thread::Thread;
use crate::upgrade::Resume;
use crate::upgrade::back::{self, Back};

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A listener could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A router could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The kernel refused something every process gets.
    #[error("cannot {operation}")]
    Kernel {
        /// What was asked.
        operation: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// Runs until a signal ends it. When it has come up there is no way `back` to the program
/// before.
///
/// # Errors
/// When it cannot start; afterwards nothing ends it but a signal.
pub async fn run(
    path: &Path,
    config: Config,
    log: Log,
    back: &Back,
) -> Result<(), RunError> {
    if let Some(why) = back::went_back() {
        tracing::error!(
            "the program of the upgrade did not come up, this one goes on: {why}"
        );
    }
    let kernel = |operation| move |source| RunError::Kernel { operation, source };
    let mut signals = Signals::new().map_err(kernel("watch signals"))?;
    let listen = Listen {
        tcp: vec![config.admin],
        socket: Some(config.socket.clone()),
        ..Listen::default()
    };
    let admin = Admin::bind(&listen)?;
    let channel = match &config.channel {
        None => None,
        Some(settings) => {
            let bound =
                link::bind(settings).map_err(kernel("listen on channel.listen"))?;
            Some((settings.clone(), bound))
        }
    };
    privileges::reduce().map_err(kernel("give up rights"))?;
    let guard = Keeper::start(&config.log, ledger(&config));
    let memory = privileges::lock_memory();
    let thread = Thread::start().map_err(kernel("start the adverts' thread"))?;
    report(&config, &thread, &memory);
    let channel = channel.map(|(settings, socket)| {
        link::start(settings, socket, thread.handle()).map_err(kernel("draw at random"))
    });
    let channel = channel.transpose()?;
    let resume = Resume::taken();
    let teller = Teller::start(config.fifo.clone());
    let flights = dump::folder(&config.socket);
    let fleet = Arc::new(Fleet::new(
        thread, memory, guard, channel, flights, teller, resume,
    ));
    if let Err(error) = fleet.start(&config).await {
        // With everything that has started: what is stopped first is another's by then.
        back.go(&chain(&error));
        fleet.stop().await;
        return Err(error.into());
    }
    let identity = Arc::new(Identity::new("vip-daemon", path, SystemTime::now()));
    let (stop, stopped) = oneshot::channel::<()>();
    let surface = Arc::new(Status {
        fleet: Arc::clone(&fleet),
        config: path.to_owned(),
        listens: listens(&config),
    });
    let serving = tokio::spawn(admin.serve(Arc::clone(&identity), surface, async {
        // Sent or dropped: both mean the end.
        let _ = stopped.await;
    }));
    back.over();
    notify::ready();
    tracing::info!(routers = config.routers.len(), "running");
    tokio::select! {
        () = obey(&mut signals, path, (&fleet, &config), &identity, &log) => {}
        // Beside it: a reload takes its time.
        never = alive(&fleet) => match never {},
    }
    notify::stopping();
    fleet.stop().await;
    drop(stop);
    // What it could still say was said to its log.
    let _ = serving.await;
    tracing::info!("stopped");
    Ok(())
}

fn listens(config: &Config) -> Vec<SocketAddr> {
    let channel = config.channel.as_ref().map(|channel| channel.listen);
    std::iter::once(config.admin).chain(channel).collect()
}

/// What is ours of what is there, for routers that start.
fn ledger(config: &Config) -> Ledger {
    let ledger = Ledger::open(&config.socket, config.mark);
    match Netlink::open().and_then(|mut netlink| netlink.all_addresses()) {
        Ok(present) => ledger.begin(&present),
        // The routers ask the same next, and say so when they cannot.
        Err(error) => tracing::debug!("{}", chain(&error)),
    }
    ledger
}

async fn obey(
    signals: &mut Signals,
    path: &Path,
    (fleet, started): (&Fleet, &Config),
    identity: &Identity,
    log: &Log,
) {
    loop {
        match signals.next().await {
            Signal::Terminate => return,
            Signal::Reload => reload(path, (fleet, started), identity, log).await,
        }
    }
}

async fn alive(fleet: &Fleet) -> Infallible {
    let mut beat = notify::Beat::begin();
    loop {
        beat.due().await;
        if fleet.is_alive() {
            notify::watchdog();
        }
    }
}

/// Reads the file again. What is wrong with it changes nothing.
async fn reload(
    path: &Path,
    (fleet, started): (&Fleet, &Config),
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
            hasty(&config, fleet.realtime());
            let waits = config.waits(started).join(", ");
            if !waits.is_empty() {
                tracing::warn!(
                    "differs from what runs, and waits for a restart: {waits}"
                );
            }
            let errors = fleet.change(&config).await;
            for error in &errors {
                tracing::error!("{}", chain(error));
            }
            match errors.first() {
                Some(error) => identity.reload_refused(&chain(error), SystemTime::now()),
                None => {
                    // The level was checked when the file was read.
                    let _ = log.set_level(&config.log.level);
                    fleet.teller().set_fifo(config.fifo.clone());
                    identity.reloaded(SystemTime::now());
                    tracing::info!(routers = config.routers.len(), "reloaded");
                }
            }
        }
    }
    notify::ready();
}

fn warn(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}

fn report(config: &Config, thread: &Thread, memory: &io::Result<()>) {
    warn(config);
    if let Err(error) = memory {
        tracing::info!("memory is not locked: {error}");
    }
    if let Err(error) = thread.realtime() {
        tracing::info!("no real-time scheduling: {error}");
    }
    hasty(config, thread.realtime());
}

/// Says which routers would need what the thread was refused.
fn hasty(config: &Config, realtime: &io::Result<()>) {
    let hasty = config
        .routers
        .iter()
        .filter(|router| router.needs_realtime());
    for router in hasty.filter(|_| realtime.is_err()) {
        tracing::warn!(
            router = router.name, interval = %router.interval,
            "not safe without real-time scheduling: a busy machine moves the address"
        );
    }
}
