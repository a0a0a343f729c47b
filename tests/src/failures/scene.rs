//! The scenes: one fault each, and the bounds that do not depend on the machine's speed.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backend::Mode;
use super::figures::{Figures, Seen};
use super::hostile;
use super::load::Load;
use super::proxy::{Door, PORT, Peer, Programs, Proxy};
use super::stage::{Stage, WIDE};
use crate::error::{Doing, LabError};
use crate::wait;

/// New connections a second.
pub(super) const RATE: u32 = 200;
/// Until everybody has connected and the checks have passed.
pub(super) const SETTLE: Duration = Duration::from_secs(3);
/// Room for so few that a paused server's queue is full at once.
const NARROW: u32 = 4;
/// After the last fault is over.
const AFTER: Duration = Duration::from_secs(4);
/// The same where the clients of a whole fault are to be 10,000 with it: 40 s at [`RATE`].
const LONG_AFTER: Duration = Duration::from_secs(11);
/// The server that fails, and what it says of itself.
const VICTIM: usize = 1;
const ITS_NUMBER: u8 = 2;

/// How long the faults last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A few seconds: what a test asserts does not need more.
    Short,
    /// As in the published table.
    Whole,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scene {
    /// A server's process is killed, and started again.
    Killed,
    /// A server's host hears nothing any more, and comes back.
    Blackholed,
    /// A server's process is stopped: the kernel still accepts.
    Hung,
    /// The same with a short accept queue: SYNs are dropped.
    QueueFull,
    /// A server says that it is not ready, goes on serving, and exits.
    Draining,
    /// All servers are killed, and one comes back.
    AllDown,
    /// No server has time for checks; all of them serve.
    Overloaded,
    /// Everybody reconnects at once, and handshakes are slow.
    Storm,
    /// Five reloads while a server is dead.
    Reloads,
    /// Ten thousand who mean no good, beside those who do.
    Hostile,
}

impl Scene {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Killed,
        Self::Blackholed,
        Self::Hung,
        Self::QueueFull,
        Self::Draining,
        Self::AllDown,
        Self::Overloaded,
        Self::Storm,
        Self::Reloads,
        Self::Hostile,
    ];

    /// As written in tables and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Blackholed => "blackholed",
            Self::Hung => "hung",
            Self::QueueFull => "queue-full",
            Self::Draining => "draining",
            Self::AllDown => "all-down",
            Self::Overloaded => "overloaded",
            Self::Storm => "storm",
            Self::Reloads => "reloads",
            Self::Hostile => "hostile",
        }
    }

    /// What happens, for people.
    #[must_use]
    pub const fn claim(self) -> &'static str {
        match self {
            Self::Killed => "a server is killed, and started again",
            Self::Blackholed => "a host hears nothing any more, and comes back",
            Self::Hung => "a server accepts and says nothing",
            Self::QueueFull => "a server's accept queue is full",
            Self::Draining => "a server says 500 and serves on, then exits",
            Self::AllDown => "all servers are down, then one is back",
            Self::Overloaded => "checks time out on all servers, traffic flows",
            Self::Storm => "all clients reconnect at once, handshakes are slow",
            Self::Reloads => "five reloads while a server is dead",
            Self::Hostile => "10,000 half ClientHellos, garbage, resets and scans",
        }
    }

    fn fault_lasts(self, size: Size) -> Duration {
        let (short, whole) = match self {
            Self::Killed => (4, 6),
            Self::Blackholed => (8, 40),
            Self::Hung => (8, 60),
            Self::QueueFull => (6, 25),
            Self::Draining => (5, 20),
            Self::AllDown => (3, 6),
            Self::Overloaded => (6, 20),
            Self::Storm | Self::Hostile => (0, 0),
            Self::Reloads => (6, 10),
        };
        Duration::from_secs(match size {
            Size::Short => short,
            Size::Whole => whole,
        })
    }

    /// Runs it with this proxy on a stage of its own.
    ///
    /// # Errors
    /// When the lab cannot do its part; a bound that is missed is a figure.
    pub fn run(
        self,
        peer: Peer,
        size: Size,
        programs: &Programs,
        logs: &Path,
    ) -> Result<Figures, LabError> {
        let backlog = if self == Self::QueueFull {
            NARROW
        } else {
            WIDE
        };
        let mut stage = Stage::new(programs, backlog, logs)?;
        let host = stage.lb()?.clone();
        let door = if self == Self::Hostile {
            Door::Tls
        } else {
            Door::Open
        };
        let addresses = stage.addresses();
        let proxy = Proxy::start(peer, door, programs, &host, &addresses, logs)?;
        let address = (std::net::Ipv4Addr::LOCALHOST, PORT).into();
        if self == Self::Storm {
            return storm(&mut stage, &proxy, size);
        }
        if self == Self::Hostile {
            return hostile::run(&stage, &proxy, size);
        }
        let load = Load::begin(&host, address, RATE, 0)?;
        pass(SETTLE);
        let before = dials(&proxy)?;
        let fault = load.now();
        let lasts = self.fault_lasts(size);
        self.play(&mut stage, &proxy, lasts)?;
        let back = load.now();
        let is_long = self == Self::Blackholed && size == Size::Whole;
        pass(if is_long { LONG_AFTER } else { AFTER });
        let after = dials(&proxy)?;
        let seen = load.end()?;
        Ok(self.figures(&seen, fault, back, before.zip(after)))
    }

    fn play(
        self,
        stage: &mut Stage,
        proxy: &Proxy,
        lasts: Duration,
    ) -> Result<(), LabError> {
        match self {
            Self::Killed => {
                stage.kill(VICTIM);
                pass(lasts);
                stage.start(VICTIM)?;
            }
            Self::Blackholed => {
                stage.isolate(VICTIM)?;
                pass(lasts);
                stage.heal(VICTIM)?;
            }
            Self::Hung | Self::QueueFull => {
                stage.pause(VICTIM);
                pass(lasts);
                stage.resume(VICTIM);
            }
            Self::Draining => {
                stage.tell(VICTIM, Mode::Draining)?;
                pass(lasts);
                stage.kill(VICTIM);
            }
            Self::AllDown => {
                (0..3).for_each(|n| stage.kill(n));
                pass(lasts);
                stage.start(VICTIM)?;
            }
            Self::Overloaded => {
                for n in 0..3 {
                    stage.tell(n, Mode::Busy)?;
                }
                pass(lasts);
                for n in 0..3 {
                    stage.tell(n, Mode::Well)?;
                }
            }
            Self::Reloads => {
                stage.kill(VICTIM);
                for _ in 0..5 {
                    pass(lasts / 5);
                    proxy.reload();
                }
            }
            Self::Storm | Self::Hostile => {}
        }
        Ok(())
    }

    fn figures(
        self,
        seen: &Seen,
        fault: Duration,
        back: Duration,
        dials: Option<(Dials, Dials)>,
    ) -> Figures {
        // What nobody could answer is no figure of the proxy.
        let from = if self == Self::AllDown { back } else { fault };
        let mut figures = seen.figures(from);
        figures.extra = dials.and_then(|(before, after)| after.extra_since(before));
        match self {
            Self::Killed | Self::Blackholed | Self::Hung | Self::QueueFull => {
                figures.back_after = seen.first_by(ITS_NUMBER, back);
            }
            Self::AllDown => {
                let first = seen.asked.iter().filter(|a| a.by.is_some());
                let first = first.filter_map(|a| a.at.checked_sub(back)).min();
                figures.back_after = first.map(|time| time.as_secs_f64());
            }
            Self::Draining => {
                let left = seen.last_by(ITS_NUMBER, fault, back).unwrap_or_default();
                figures.more.insert("newLeftAfter".to_owned(), left);
                let early = seen.lasted.iter().filter(|l| l.is_cut);
                let early = early.filter(|l| l.at + l.took < back).count();
                let early = u32::try_from(early).unwrap_or(u32::MAX);
                figures
                    .more
                    .insert("cutBeforeExit".to_owned(), early.into());
            }
            Self::Overloaded | Self::Reloads | Self::Storm | Self::Hostile => {}
        }
        figures
    }

    /// The bounds that a proxy has missed, one sentence each.
    #[must_use]
    pub fn missed(self, figures: &Figures) -> Vec<String> {
        let mut missed = Vec::new();
        let mut most = |what: &str, is: f64, most: f64| {
            if is > most {
                missed.push(format!("{what}: {is}, at most {most}"));
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "counts of some thousands")]
        let count = |n: u64| n as f64;
        most("failed", count(figures.failed), 0.0);
        // On each server are about twenty of the sixty that last.
        let on_one = 32.0;
        match self {
            Self::Killed => most("cut", count(figures.cut), on_one),
            Self::Blackholed => {
                most("slow", count(figures.slow), 0.0);
                most("cut", count(figures.cut), on_one);
                most("lasting_longest", figures.lasting_longest, 4.5);
            }
            Self::Hung => {
                most("last_bad_after", figures.last_bad_after.unwrap_or(0.0), 3.0);
                most("cut", count(figures.cut), on_one);
                most("lasting_longest", figures.lasting_longest, 4.5);
            }
            Self::QueueFull => most("slow", count(figures.slow), 0.0),
            Self::Draining => {
                let more = |what: &str| figures.more.get(what).copied();
                most("newLeftAfter", more("newLeftAfter").unwrap_or(9.0), 2.2);
                most("cutBeforeExit", more("cutBeforeExit").unwrap_or(9.0), 0.0);
            }
            Self::AllDown => most("back", figures.back_after.unwrap_or(9.0), 0.1),
            Self::Overloaded => most("cut", count(figures.cut), 0.0),
            Self::Storm => most("extra", figures.extra.unwrap_or(1.0), 0.1),
            Self::Reloads => most("cut", count(figures.cut), on_one),
            Self::Hostile => {
                most("cut", count(figures.cut), 0.0);
                for (what, is, bound) in hostile::bounds(figures) {
                    most(what, is, bound);
                }
            }
        }
        match self {
            Self::Killed | Self::Blackholed | Self::Hung | Self::QueueFull => {
                most("back", figures.back_after.unwrap_or(9.0), 3.5);
            }
            Self::Draining
            | Self::AllDown
            | Self::Overloaded
            | Self::Storm
            | Self::Reloads
            | Self::Hostile => {}
        }
        missed
    }
}

/// All servers are slow, and everybody comes at once.
fn storm(stage: &mut Stage, proxy: &Proxy, size: Size) -> Result<Figures, LabError> {
    let clients: usize = match size {
        Size::Short => 2_000,
        Size::Whole => 5_000,
    };
    for n in 0..3 {
        stage.tell(n, Mode::Slow)?;
    }
    pass(SETTLE);
    let before = dials(proxy)?;
    let address = (std::net::Ipv4Addr::LOCALHOST, PORT).into();
    let load = Load::begin(stage.lb()?, address, 0, clients)?;
    let limit = Duration::from_secs(180);
    wait::until("the storm to be over", limit, || {
        (load.over() >= clients).then_some(())
    })?;
    let after = dials(proxy)?;
    let seen = load.end()?;
    let mut figures = seen.figures(Duration::ZERO);
    // Slow is what the servers are here.
    figures.slow = 0;
    figures.extra = before.zip(after).and_then(|(b, a)| a.extra_since(b));
    Ok(figures)
}

/// Clients and extra dials so far, of a proxy that counts them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dials {
    clients: f64,
    extra: f64,
}

impl Dials {
    pub(super) fn extra_since(self, before: Self) -> Option<f64> {
        let clients = self.clients - before.clients;
        (clients > 0.0).then(|| (self.extra - before.extra) / clients)
    }
}

pub(super) fn dials(proxy: &Proxy) -> Result<Option<Dials>, LabError> {
    let Some(socket) = proxy.socket() else {
        return Ok(None);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("ask the proxy")?;
    let answer = runtime.block_on(daemon::client::get(&socket, "/status"));
    let status = answer.map_err(|error| LabError::Missing(error.to_string()))?;
    let sum = |list: &str, key: &str| -> f64 {
        let all = status.pointer(list).and_then(|l| l.as_array());
        let each = all
            .into_iter()
            .flatten()
            .filter_map(|one| one[key].as_f64());
        each.sum()
    };
    let servers = "/backends/0/servers";
    Ok(Some(Dials {
        clients: sum("/frontends", "connections"),
        extra: sum(servers, "hedges") + sum(servers, "failovers"),
    }))
}

pub(super) fn pass(time: Duration) {
    wait::pass(time, || false);
}
