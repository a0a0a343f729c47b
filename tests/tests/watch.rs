//! Watches: connections on which a client has asked once and waits, for as long as it takes. What
//! it sees, and when, of a server whose host hears nothing any more, and of one that hangs.
//!
//! Leaves to `failures.rs`: clients that ask again and again.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use lab::daemons::servers_up;
use lab::failures::backend::{ANSWER, QUESTION};
use lab::failures::load::{Demand, Lasting, Load, hello};
use lab::failures::proxy::{Door, PORT, Proxy};
use lab::failures::stage::{Stage, WIDE};
use lab::failures::stalls::Mark;
use lab::failures::{Peer, Programs, Verdict, sound};
use lab::requirement::{Requirement, trial};
use lab::{binaries, harness, schedule, wait};
use libtest_mimic::Failed;

/// A third of them goes to each server, where no stall of the machine has another dialled
/// beside it.
const WATCHES: usize = 30;
const SOME: usize = WATCHES / 6;
/// The server that fails, and what it says of itself.
const VICTIM: usize = 1;
const ITS_NUMBER: u8 = 2;
/// Until the first checks have passed.
const PATIENCE: Duration = Duration::from_secs(30);
/// The checks are at their pace, and others are about, for so long before anything fails.
const SETTLE: Duration = Duration::from_secs(3);
/// A watch that has seen nothing after this has seen nothing of the fault.
const LONG: Duration = Duration::from_secs(8);
/// New connections a second, where others are about.
const RATE: u32 = 200;
/// Where others are about, their dials are what tells first.
const AMONG_OTHERS: Duration = Duration::from_secs(3);
/// Where nobody else comes, the checks tell by their defaults: an interval with its jitter,
/// and two that run into their time.
const ALONE: Duration = Duration::from_millis(3_100);

fn main() {
    schedule::prefer_run();
    harness::run(vec![
        trial(
            "watch::of_a_host_that_is_gone_is_reset_within_3_s_among_others",
            &[Requirement::Root],
            || blackholed("watch-among-others", SETTLE, RATE, AMONG_OTHERS),
        ),
        trial(
            "watch::of_a_host_that_is_gone_is_reset_by_the_checks_alone",
            &[Requirement::Root],
            || blackholed("watch-alone", SETTLE, 0, ALONE),
        ),
        trial(
            "watch::of_a_host_that_goes_right_after_the_start_is_reset_as_soon",
            &[Requirement::Root],
            || blackholed("watch-start", Duration::ZERO, 0, ALONE),
        ),
        trial(
            "watch::that_is_owed_nothing_outlives_a_server_that_hangs",
            &[Requirement::Root],
            hung,
        ),
    ])
}

/// The stage with a proxy, and watches on it.
struct Scene {
    stage: Stage,
    watches: Vec<Watch>,
    proxy: Proxy,
}

impl Scene {
    /// All of it, once the proxy has run for so long.
    fn new(logs: &Path, settle: Duration) -> Result<Self, Failed> {
        let programs = Programs {
            ours: binaries::own("api-lb")?,
            backend: binaries::own("bench-failures")?,
        };
        let stage = Stage::new(&programs, WIDE, logs)?;
        let host = stage.lb()?.clone();
        let servers = stage.addresses();
        let proxy =
            Proxy::start(Peer::Ours, Door::Open, &programs, &host, &servers, logs)?;
        wait::until("every server is up", PATIENCE, || {
            (servers_up(&host)? == servers.len()).then_some(())
        })?;
        wait::pass(settle, || false);
        let watches = host.run(|| {
            let each = (0..WATCHES).map(|_| Watch::open());
            each.collect::<std::io::Result<Vec<_>>>()
        })??;
        let of_victim = watches.iter().filter(|w| w.server == ITS_NUMBER).count();
        if of_victim < SOME {
            return Err(format!("{of_victim} watches of {WATCHES} at the victim").into());
        }
        Ok(Self {
            stage,
            watches,
            proxy,
        })
    }
}

struct Watch {
    socket: TcpStream,
    server: u8,
}

/// What a watch has seen since an instant.
#[derive(Debug)]
struct Saw {
    server: u8,
    /// Its end; none, when it went on.
    end: Option<(ErrorKind, Duration)>,
    watch: TcpStream,
}

impl Watch {
    fn open() -> std::io::Result<Self> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
        socket.set_read_timeout(Some(LONG))?;
        socket.write_all(&hello())?;
        let mut answer = [0; ANSWER];
        socket.read_exact(&mut answer)?;
        let [server, ..] = answer;
        Ok(Self { socket, server })
    }

    /// Waits, as a watch does.
    fn wait(mut self, since: Instant) -> Saw {
        let end = match self.socket.read(&mut [0]) {
            Ok(_) => Some(ErrorKind::UnexpectedEof),
            // The time to wait is over.
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => Some(error.kind()),
        };
        Saw {
            server: self.server,
            end: end.map(|end| (end, since.elapsed())),
            watch: self.socket,
        }
    }

    /// All of them at once; it is over when the last one is.
    fn wait_all(all: Vec<Self>, since: Instant) -> Result<Vec<Saw>, Failed> {
        let waiting: Vec<_> = all
            .into_iter()
            .map(|watch| thread::spawn(move || watch.wait(since)))
            .collect();
        let saw = waiting.into_iter().map(thread::JoinHandle::join);
        Ok(saw
            .collect::<Result<_, _>>()
            .map_err(|_| "a watch panicked")?)
    }
}

/// Whether a watch that went on is whole.
fn answers(watch: &mut TcpStream) -> std::io::Result<()> {
    watch.write_all(&[b'?'; QUESTION])?;
    watch.read_exact(&mut [0; ANSWER])
}

fn blackholed(
    name: &str,
    settle: Duration,
    rate: u32,
    bound: Duration,
) -> Result<(), Failed> {
    sound(name, &binaries::logs(name), |logs| {
        gone(Scene::new(logs, settle)?, rate, bound)
    })
}

/// A host hears nothing any more: its watches are reset, those of others go on.
#[expect(clippy::print_stdout, reason = "when it was belongs to the result")]
fn gone(scene: Scene, rate: u32, bound: Duration) -> Result<Verdict, Failed> {
    let Scene {
        stage,
        watches,
        proxy,
    } = scene;
    let demand = Demand {
        rate,
        storm: 0,
        lasting: Lasting::Asking,
    };
    let load = match rate {
        0 => None,
        _ => {
            let to = (Ipv4Addr::LOCALHOST, PORT).into();
            Some(Load::begin(stage.lb()?, to, demand)?)
        }
    };
    wait::pass(SETTLE, || load.is_none());
    let mark = Mark::now(&stage, &proxy)?;
    let since = Instant::now();
    stage.isolate(VICTIM)?;
    let saw = Watch::wait_all(watches, since)?;
    let stalled = mark.stalled(&stage, &proxy);
    stage.heal(VICTIM)?;
    load.map(Load::end).transpose()?;
    let (mut resets, mut last) = (0, Duration::ZERO);
    for mut one in saw {
        match (one.server, one.end) {
            (ITS_NUMBER, Some((ErrorKind::ConnectionReset, after))) => {
                resets += 1;
                last = last.max(after);
            }
            (server, None) if server != ITS_NUMBER => answers(&mut one.watch)?,
            _ => return Err(format!("{one:?}").into()),
        }
    }
    let said = format!(
        "{resets} watches reset, the last after {last:.2?}, at most {bound:?}; the machine \
         stalled for {stalled:.2?}"
    );
    println!("{said}");
    Ok(match last.checked_sub(bound) {
        None | Some(Duration::ZERO) => Verdict::Kept,
        Some(late) if late <= stalled => Verdict::HeldUp(said),
        Some(_) => Verdict::Missed(said),
    })
}

/// Their clients wait for nothing that they have asked for.
fn hung() -> Result<(), Failed> {
    let Scene {
        stage,
        watches,
        proxy: _proxy,
    } = Scene::new(&binaries::logs("watch-hung"), SETTLE)?;
    stage.pause(VICTIM);
    let saw = Watch::wait_all(watches, Instant::now())?;
    stage.resume(VICTIM);
    for mut one in saw {
        if one.end.is_some() {
            return Err(format!("{one:?}").into());
        }
        answers(&mut one.watch)?;
    }
    Ok(())
}
