//! Watches: connections on which a client has asked once and waits, for as long as it takes. What
//! it sees, and when, of a server whose host hears nothing any more, and of one that hangs.
//!
//! Leaves to `failures.rs`: clients that ask again and again.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use lab::failures::backend::{ANSWER, QUESTION};
use lab::failures::load::{Load, hello};
use lab::failures::proxy::{Door, PORT, Proxy};
use lab::failures::stage::{Stage, WIDE};
use lab::failures::{Peer, Programs};
use lab::requirement::{Requirement, trial};
use lab::{binaries, netns, schedule, signals, wait};
use libtest_mimic::{Arguments, Failed};

/// A third of them goes to each server.
const WATCHES: usize = 30;
const EACH: usize = WATCHES / 3;
/// The server that fails, and what it says of itself.
const VICTIM: usize = 1;
const ITS_NUMBER: u8 = 2;
/// Until the checks have passed.
const SETTLE: Duration = Duration::from_secs(3);
/// A watch that has seen nothing after this has seen nothing of the fault.
const LONG: Duration = Duration::from_secs(6);
/// New connections a second, where others are about.
const RATE: u32 = 200;
/// Where others are about, their dials are what tells first.
const AMONG_OTHERS: Duration = Duration::from_secs(3);
/// Where nobody else comes, the checks tell by their defaults: an interval with its jitter,
/// and two that run into their time. The rest is for the machine.
const ALONE: Duration = Duration::from_millis(3_100 + 300);

fn main() {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let mut arguments = Arguments::from_args();
    // Two at once would disturb each other's clocks.
    arguments.test_threads.get_or_insert(1);
    let trials = vec![
        trial(
            "watch::of_a_host_that_is_gone_is_reset_within_3_s_among_others",
            &[Requirement::Root],
            || blackholed("watch-among-others", RATE, AMONG_OTHERS),
        ),
        trial(
            "watch::of_a_host_that_is_gone_is_reset_by_the_checks_alone",
            &[Requirement::Root],
            || blackholed("watch-alone", 0, ALONE),
        ),
        trial(
            "watch::that_is_owed_nothing_outlives_a_server_that_hangs",
            &[Requirement::Root],
            hung,
        ),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// The stage with a proxy, and watches on it.
struct Scene {
    stage: Stage,
    watches: Vec<Watch>,
    _proxy: Proxy,
}

impl Scene {
    fn new(name: &str) -> Result<Self, Failed> {
        let programs = Programs {
            ours: binaries::own("api-lb")?,
            backend: binaries::own("bench-failures")?,
        };
        let logs = binaries::logs(name);
        let stage = Stage::new(&programs, WIDE, &logs)?;
        let host = stage.lb()?.clone();
        let servers = stage.addresses();
        let proxy =
            Proxy::start(Peer::Ours, Door::Open, &programs, &host, &servers, &logs)?;
        wait::pass(SETTLE, || false);
        let watches = host.run(|| {
            let each = (0..WATCHES).map(|_| Watch::open());
            each.collect::<std::io::Result<Vec<_>>>()
        })??;
        let of_victim = watches.iter().filter(|w| w.server == ITS_NUMBER).count();
        if of_victim != EACH {
            return Err(format!("{of_victim} watches of {WATCHES} at each").into());
        }
        Ok(Self {
            stage,
            watches,
            _proxy: proxy,
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

#[expect(clippy::print_stdout, reason = "when it was belongs to the result")]
fn blackholed(name: &str, rate: u32, bound: Duration) -> Result<(), Failed> {
    let Scene {
        stage,
        watches,
        _proxy,
    } = Scene::new(name)?;
    let load = match rate {
        0 => None,
        rate => {
            let to = (Ipv4Addr::LOCALHOST, PORT).into();
            Some(Load::begin(stage.lb()?, to, rate, 0)?)
        }
    };
    wait::pass(SETTLE, || load.is_none());
    let since = Instant::now();
    stage.isolate(VICTIM)?;
    let saw = Watch::wait_all(watches, since)?;
    stage.heal(VICTIM)?;
    drop(load.map(Load::end));
    let mut last = Duration::ZERO;
    for mut one in saw {
        match (one.server, one.end) {
            (ITS_NUMBER, Some((ErrorKind::ConnectionReset, after))) if after <= bound => {
                last = last.max(after);
            }
            (server, None) if server != ITS_NUMBER => answers(&mut one.watch)?,
            _ => return Err(format!("{one:?}, and at most {bound:?}").into()),
        }
    }
    println!("{EACH} watches reset, the last after {last:.2?}");
    Ok(())
}

/// Their clients wait for nothing that they have asked for.
fn hung() -> Result<(), Failed> {
    let Scene {
        stage,
        watches,
        _proxy,
    } = Scene::new("watch-hung")?;
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
