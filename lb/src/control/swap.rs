//! Control between two programs: gives everything to the next, and goes on with what the one
//! before has given.

use std::convert::Infallible;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use daemon::admin::CommandError;
use daemon::chain;
use daemon::signals::{Signal, Signals};
use daemon::upgrade::UpgradeError;
use futures_util::FutureExt as _;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::{Control, StartError};
use crate::config::Config;
use crate::drain::Stop;
use crate::engine::Kept;
use crate::listener::{self, Listener};
use crate::pool::ListenerId;
use crate::trail::Trail;
use crate::upgrade::swap::{self, Handed};
use crate::upgrade::{Clock, Done, Parcel, State, parcel};
use crate::worker::{Adoption, Command, Frozen, Luggage};
use crate::workers::Workers;

/// Who has asked for an upgrade, and hears why there is none.
pub type Answer = oneshot::Sender<Result<Value, CommandError>>;

/// How long the last lines about connections may take to be written.
const LAST_LINES: Duration = Duration::from_millis(500);
/// Why the new program does not take over, though it would do.
const LATE: &str = "a worker did not stop accepting in time, and its connections could be lost; ask again when the host is less busy";
/// How often it is looked whether they are.
const LAST_LOOK: Duration = Duration::from_millis(1);

/// A new program was tried.
#[derive(Debug)]
pub(super) struct Tried {
    program: PathBuf,
    /// Its version, or why it will not do.
    said: Result<String, UpgradeError>,
    answer: Answer,
}

/// Nothing is left that could go on.
#[derive(Debug)]
pub(super) struct Abandoned;

/// The listening sockets of the configuration: those that were handed over, and new ones for
/// the other binds. With them the last number that was given.
pub(super) fn listeners(
    config: &Config,
    handed: Option<&Handed>,
) -> Result<(Vec<Arc<Listener>>, ListenerId), StartError> {
    let mut last = ListenerId(0);
    let mut open = Vec::new();
    if let Some(Handed { state, custody, .. }) = handed {
        let parcel = custody.look();
        let sockets = parcel.iter().flat_map(|parcel| &parcel.sockets);
        for (address, socket) in state.listeners.iter().zip(sockets) {
            last.0 += 1;
            open.push(Arc::new(Listener {
                id: last,
                address: *address,
                // The parcel keeps its own, for the way back.
                socket: socket.try_clone()?.into(),
            }));
        }
    }
    let all = listener::open_all(config, &open, &mut last)?;
    Ok((all, last))
}

/// The list of connections that are over.
pub(super) fn trail(handed: Option<&Handed>) -> Trail {
    let past = handed.map(|handed| handed.state.trail.clone());
    past.map_or_else(Trail::default, Trail::of)
}

/// When the clock of the connections began: now, or when that of the image before did.
pub(super) fn began(handed: Option<&Handed>) -> Instant {
    let now = Instant::now();
    let elapsed = handed.map(|handed| {
        let Clock { machine, crew } = handed.state.clock;
        crew + uptime().saturating_sub(machine)
    });
    elapsed
        .and_then(|elapsed| now.checked_sub(elapsed))
        .unwrap_or(now)
}

/// The machine's monotonic clock, which is the same for both images.
fn uptime() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

impl Control {
    /// Goes on with what another image has handed over. Whether that was told to stop.
    pub(super) async fn go_on(
        &mut self,
        config: &Config,
        listeners: Vec<Arc<Listener>>,
        handed: Handed,
    ) -> Option<Stop> {
        let Handed {
            state,
            custody,
            returned,
        } = handed;
        // Nothing fails from here on, and there is no way back.
        let parcel = custody.take();
        drop(custody);
        self.mean(config, listeners);
        let now = SystemTime::now();
        let served = state.sessions.iter().filter_map(Kept::served_by).collect();
        self.roster.restore(&state.roster, &served, now);
        let connections = state.sessions.len() as u64;
        let sockets = parcel.into_iter().flat_map(|parcel| parcel.sockets);
        let sockets = sockets.skip(state.listeners.len());
        let adoption = Adoption::new(
            Arc::new(self.roster.snapshot(now)),
            self.workers.count(),
            state.counts,
            luggage(state.sessions, sockets),
        );
        self.workers
            .command(&Command::Adopt(Arc::new(adoption)))
            .await;
        let pause = uptime().saturating_sub(state.clock.machine);
        self.watch();
        self.publish().await;
        let mut history = state.history;
        match returned {
            None => {
                tracing::info!(
                    from = state.program,
                    to = daemon::VERSION,
                    connections,
                    ?pause,
                    "upgraded"
                );
                history.succeeded(Done {
                    at: now,
                    from: state.program,
                    connections,
                    pause,
                });
            }
            Some(why) => {
                tracing::error!(
                    error = why,
                    connections,
                    ?pause,
                    "upgrade failed; the old program is back"
                );
                history.failed(now, why);
            }
        }
        self.history.send_replace(history);
        state.stops.then(|| self.leave())
    }

    /// Has the new program tried, unless one is or the process ends. Whether it is.
    pub(super) fn try_out(
        &mut self,
        answer: Answer,
        busy: Option<&'static str>,
        trials: &mpsc::Sender<Tried>,
    ) -> bool {
        let busy = busy.or_else(|| {
            let works = self.workers.all_work();
            (!works).then_some("a worker does not work; its connections would be lost")
        });
        let ready = match busy {
            Some(why) => Err(CommandError::Conflict(why.to_owned())),
            None => self.prepare(),
        };
        match ready {
            Err(error) => {
                // Whoever asked may have gone.
                let _ = answer.send(Err(error));
                false
            }
            Ok((program, blob)) => {
                let (config, trials) = (self.path.clone(), trials.clone());
                tracing::info!(program = %program.display(), "upgrade: trying the new program");
                tokio::spawn(async move {
                    let said = swap::ask(&program, &config, &blob).await;
                    let tried = Tried {
                        program,
                        said,
                        answer,
                    };
                    // Fails only when control has left.
                    let _ = trials.send(tried).await;
                });
                true
            }
        }
    }

    /// Which program it is to be, and the state as far as it can be told while it lives.
    fn prepare(&self) -> Result<(PathBuf, Vec<u8>), CommandError> {
        let failed = |error: &dyn std::error::Error| CommandError::Failed(chain(error));
        let program = daemon::upgrade::program().map_err(|error| failed(&error))?;
        let state = self.state(None, &[]);
        let blob = state.encode().map_err(|error| failed(&error))?;
        Ok((program, blob))
    }

    /// Puts the new program into this one's place, if it will do. Returns when it does not.
    ///
    /// # Errors
    /// When neither of the two programs could be run.
    pub(super) async fn upgrade(
        &mut self,
        tried: Tried,
        stop: Option<Stop>,
        signals: &mut Signals,
    ) -> Result<(), Abandoned> {
        let Tried {
            program,
            said,
            answer,
        } = tried;
        let refusal = match (said, stop) {
            (Err(error), _) => Some(CommandError::Failed(chain(&error))),
            (Ok(_), Some(_)) => {
                Some(CommandError::Conflict("the daemon is ending".to_owned()))
            }
            (Ok(version), None) if self.hold().await => {
                tracing::warn!(program = %program.display(), version, "upgrade: the new program takes over");
                None
            }
            (Ok(_), None) => Some(CommandError::Conflict(LATE.to_owned())),
        };
        if let Some(error) = refusal {
            tracing::error!(%error, "upgrade refused; what ran before goes on");
            let why = error.to_string();
            self.history
                .send_modify(|history| history.failed(SystemTime::now(), why));
            // Whoever asked may have gone.
            let _ = answer.send(Err(error));
            return Ok(());
        }
        // Whether it is written before the exec is all the same: a connection that breaks says
        // as much, and the new program answers the next question.
        let _ = answer.send(Ok(json!({"program": program})));
        match self.give_away(&program, signals).await {
            Ok(never) => match never {},
            Err(abandoned) => Err(abandoned),
        }
    }

    /// The first of two steps: while one worker still accepts, it may hand a client to
    /// another, which must not have given its connections away. Whether none does; else all
    /// accept again.
    async fn hold(&mut self) -> bool {
        let held = self.workers.hold().await;
        if !held {
            self.publish().await;
        }
        held
    }

    async fn give_away(
        &mut self,
        program: &std::path::Path,
        signals: &mut Signals,
    ) -> Result<Infallible, Abandoned> {
        daemon::notify::reloading();
        // All workers have just obeyed; it is not told again until the next image has begun.
        daemon::notify::watchdog();
        let (frozen, clock) = self.freeze().await;
        let terminates = matches!(signals.next().now_or_never(), Some(Signal::Terminate));
        let mut state = self.state(Some(clock), &frozen);
        state.stops = terminates;
        let listening = self
            .listeners
            .iter()
            .map(|one| one.socket.as_fd().try_clone_to_owned());
        let pack = || -> Result<Parcel, Box<dyn std::error::Error>> {
            let mut sockets = listening.collect::<std::io::Result<Vec<_>>>()?;
            for luggage in frozen.into_iter().flat_map(|one| one.sessions) {
                state.sessions.push(luggage.kept);
                sockets.push(luggage.client);
                sockets.extend(luggage.server);
            }
            Ok(Parcel {
                blob: parcel::memory(&state.encode()?)?,
                program: std::fs::File::open("/proc/self/exe")?.into(),
                sockets,
            })
        };
        let parcel = match pack() {
            Ok(parcel) => parcel,
            Err(error) => {
                tracing::error!(%error, "upgrade: the connections could not be handed over");
                return Err(Abandoned);
            }
        };
        // What is logged from here on would be lost.
        self.log.finish();
        let error = swap::replace(program, &parcel);
        let why = format!("{} does not run: {error}", program.display());
        swap::go_back(&state.arguments, &parcel, &why);
        Err(Abandoned)
    }

    /// Takes everything from the workers, and waits until they and the reporter have ended.
    /// With it the instant from which on nothing is carried.
    async fn freeze(&mut self) -> (Vec<Frozen>, Clock) {
        let clock = Clock {
            machine: uptime(),
            crew: self.began.elapsed(),
        };
        let frozen = self.workers.freeze().await;
        std::mem::replace(&mut self.workers, Workers::new(Vec::new()))
            .end()
            .await;
        let until = super::now() + LAST_LINES;
        let writes = |reporter: &std::thread::JoinHandle<()>| !reporter.is_finished();
        while self.reporter.as_ref().is_some_and(writes) && super::now() < until {
            tokio::time::sleep(LAST_LOOK).await;
        }
        (frozen, clock)
    }

    /// The state without its connections.
    fn state(&self, clock: Option<Clock>, frozen: &[Frozen]) -> State {
        let trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
        let workers = frozen.iter().map(|one| usize::from(one.worker) + 1).max();
        let mut counts = vec![0; workers.unwrap_or(0)];
        for one in frozen {
            if let Some(count) = counts.get_mut(usize::from(one.worker)) {
                *count = one.count;
            }
        }
        State {
            program: daemon::VERSION.to_owned(),
            arguments: std::env::args_os().collect(),
            clock: clock.unwrap_or_default(),
            stops: false,
            history: self.history.borrow().clone(),
            roster: self.roster.keep(),
            listeners: self.listeners.iter().map(|one| one.address).collect(),
            trail: trail.keep(),
            counts,
            sessions: Vec::new(),
        }
    }
}

/// The sessions with their sockets. That the numbers fit was seen when the state was read.
fn luggage(
    sessions: Vec<Kept>,
    sockets: impl Iterator<Item = std::os::fd::OwnedFd>,
) -> impl Iterator<Item = Luggage> {
    let mut sockets = sockets;
    sessions.into_iter().filter_map(move |kept| {
        let client = sockets.next()?;
        let server = if kept.sockets() == 2 {
            sockets.next()
        } else {
            None
        };
        Some(Luggage {
            kept,
            client,
            server,
        })
    })
}
