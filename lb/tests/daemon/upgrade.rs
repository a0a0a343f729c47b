//! One program after another in the same process, under load, with everything that goes on.
//!
//! Leaves to the booted machine: the rights and the watchdog of the unit.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback, run_to_end, simple};
use crate::servers::Echo;
use crate::streams::{Manner, Stream};

/// Streams that last over all upgrades.
const STREAMS: u64 = 60;
/// Upgrades or reloads, how far apart, and how many come in between. A machine that does not
/// keep up takes longer; `lab/failures` has the same by the clock.
const CHANGES: u64 = 5;
const APART: Duration = Duration::from_secs(2);
const BETWEEN: u64 = 1000;
/// New connections: one in so much time, 500 a second.
const EACH: Duration = Duration::from_millis(2);

/// So many at once; more would only measure the machine.
const AT_ONCE: usize = 200;

const REAL: &str = env!("CARGO_BIN_EXE_api-lb");

/// Has the daemon replaced: exit code, standard output, standard error.
pub(crate) async fn upgrade(lb: &Lb) -> Fallible<(i32, String, String)> {
    let socket = lb.socket().display().to_string();
    let run = move || run_to_end(&["upgrade", "--socket", &socket]);
    tokio::task::spawn_blocking(run).await?
}

async fn upgrades(lb: &Lb) -> Fallible<Value> {
    Ok(lb.get("/status").await?["upgrades"].clone())
}

/// A place for programs, one after the other.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Fallible<Self> {
        let place = Self {
            folder: tempfile::tempdir()?,
        };
        place.link(Path::new(REAL))?;
        Ok(place)
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("api-lb")
    }

    /// The program is this one from here on.
    fn link(&self, to: &Path) -> Fallible<()> {
        self.install(to, 0o755)
    }

    /// The program is this text from here on, with these rights.
    fn write(&self, text: &str, mode: u32) -> Fallible<()> {
        let source = self.folder.path().join("source");
        std::fs::write(&source, text)?;
        self.install(&source, mode)
    }

    /// Copied by a process that starts no other: one that another test begins at this moment
    /// would have the file open for writing, and nobody could run it (ETXTBSY).
    fn install(&self, from: &Path, mode: u32) -> Fallible<()> {
        let new = self.folder.path().join("new");
        let installed = Command::new("install")
            .arg(format!("--mode={mode:o}"))
            .args([from, &new])
            .status()?;
        if !installed.success() {
            return Err(format!("{} was not copied", from.display()).into());
        }
        Ok(std::fs::rename(new, self.program())?)
    }
}

/// A daemon whose program can be changed, and a client of it that stays.
struct Stage {
    place: Place,
    lb: Lb,
    bind: SocketAddr,
    client: TcpStream,
    _server: Echo,
}

impl Stage {
    async fn new() -> Fallible<Self> {
        let server = Echo::start(b'a').await?;
        let bind = loopback(6443);
        let place = Place::new()?;
        let body = simple(bind, &[server.address], CHECK_ONCE);
        let lb = Lb::start_program(&place.program(), &body, "")?;
        let mut client = TcpStream::connect(bind).await?;
        assert_eq!(client.read_u8().await?, b'a');
        Ok(Self {
            place,
            lb,
            bind,
            client,
            _server: server,
        })
    }

    /// The client goes on, and others come.
    async fn goes_on(&mut self) -> Fallible<()> {
        self.client.write_all(b"x").await?;
        assert_eq!(self.client.read_u8().await?, b'x');
        Ok(exchange(self.bind).await?)
    }

    /// The program that lies there fails, with `why`, and the old one says `what` of it.
    async fn fails(&mut self, n: u64, why: &[&str], what: &str) -> Fallible<()> {
        let (code, said, error) = upgrade(&self.lb).await?;
        assert_eq!(code, 1, "{said}");
        let upgrades = upgrades(&self.lb).await?;
        let counted = (&upgrades["done"], &upgrades["failed"]);
        assert_eq!(counted, (&0.into(), &n.into()));
        let kept = upgrades["failure"]["error"].as_str().ok_or("no error")?;
        for why in why {
            assert!(error.contains(why), "{error}");
        }
        assert!(why.iter().any(|why| kept.contains(why)), "{kept}");
        self.lb.line(|line| line["message"] == what)?;
        self.goes_on().await
    }

    /// And one that will do.
    async fn succeeds(&mut self) -> Fallible<()> {
        self.place.link(Path::new(REAL))?;
        let (code, said, error) = upgrade(&self.lb).await?;
        assert_eq!(code, 0, "{said}{error}");
        assert!(said.contains("1 connections go on"), "{said}");
        self.goes_on().await
    }
}

pub(crate) async fn exchange(bind: SocketAddr) -> std::io::Result<()> {
    let mut client = TcpStream::connect(bind).await?;
    client.write_all(b"x").await?;
    let mut answer = [0; 2];
    client.read_exact(&mut answer).await?;
    client.shutdown().await?;
    match (answer, client.read(&mut answer).await?) {
        ([_, b'x'], 0) => Ok(()),
        _ => Err(std::io::ErrorKind::InvalidData.into()),
    }
}

/// New connections at an even pace: as long as the machine keeps up, whatever becomes of those
/// before.
async fn load(
    bind: SocketAddr,
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
) -> Vec<String> {
    let mut each = interval(EACH);
    each.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = JoinSet::new();
    let mut failed = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        each.tick().await;
        made.fetch_add(1, Ordering::Relaxed);
        open.spawn(timeout(PATIENCE, exchange(bind)));
        while let Some(one) = ended(&mut open).await {
            failed.extend(one.err());
        }
    }
    while let Some(one) = open.join_next().await {
        failed.extend(outcome(one).err());
    }
    failed
}

/// Until so many have come in all; a load that does not come is none.
async fn until_came(made: &AtomicU64, wanted: u64) -> Fallible<()> {
    let waits = async {
        while made.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(EACH).await;
        }
    };
    Ok(timeout(PATIENCE, waits).await?)
}

type Exchange = Result<std::io::Result<()>, tokio::time::error::Elapsed>;

/// One that has ended; waited for only where too many are open.
async fn ended(open: &mut JoinSet<Exchange>) -> Option<Result<(), String>> {
    if open.len() > AT_ONCE {
        return open.join_next().await.map(outcome);
    }
    open.try_join_next().map(outcome)
}

fn outcome(one: Result<Exchange, tokio::task::JoinError>) -> Result<(), String> {
    match one {
        Ok(Ok(Ok(()))) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// What five changes in ten seconds leave behind, under 500 new connections a second and with
/// sixty streams: nobody failed, every stream whole, a dead server known as before.
async fn under_load(changes: impl AsyncFn(&mut Lb, &str, u64)) -> Value {
    let (a, b) = (
        Echo::start(b'a').await.unwrap(),
        Echo::start(b'b').await.unwrap(),
    );
    let bind = loopback(6443);
    // Nobody listens at the third; one check of each server tells, and each program makes one.
    let body = simple(bind, &[a.address, b.address, loopback(1)], CHECK_ONCE);
    let mut lb = Lb::start(&body).unwrap();
    lb.enters("s2", "unreachable").unwrap();
    let dead = |status: &Value| {
        let server = &status["backends"][0]["servers"][2];
        (server["state"].clone(), server["since"].clone())
    };
    let before = dead(&lb.get("/status").await.unwrap());

    let moved = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let mut streams = JoinSet::new();
    for seed in 0..STREAMS {
        let manner = match seed % 3 {
            0 => Manner::Bulk,
            1 => Manner::Small,
            _ => Manner::Stalled,
        };
        let stream = Stream::open(bind, seed, manner).await.unwrap();
        streams.spawn(stream.run(Arc::clone(&stop), Arc::clone(&moved)));
    }
    let made = Arc::new(AtomicU64::new(0));
    let loading = tokio::spawn(load(bind, Arc::clone(&stop), Arc::clone(&made)));
    let mut last = 0;
    for n in 1..=CHANGES {
        tokio::time::sleep(APART).await;
        until_came(&made, n * BETWEEN).await.unwrap();
        changes(&mut lb, &body, n).await;
        let so_far = moved.load(Ordering::Relaxed);
        assert!(so_far > last, "the streams stand still");
        last = so_far;
    }
    stop.store(true, Ordering::Relaxed);
    let failed = loading.await.unwrap();
    let made = made.load(Ordering::Relaxed);
    let status = lb.get("/status").await.unwrap();
    let ends = &status["frontends"][0]["ends"];
    assert!(
        failed.is_empty(),
        "{} of {made}: {:?} {ends}",
        failed.len(),
        &failed[..1]
    );
    let mut kept = 0;
    while let Some(stream) = streams.join_next().await {
        let whole = stream.unwrap();
        assert!(whole.is_ok(), "{whole:?} {ends}");
        kept += 1;
    }
    assert_eq!(kept, STREAMS);
    let status = lb.get("/status").await.unwrap();
    assert_eq!(status["frontends"][0]["connections"], made + STREAMS);
    assert_eq!(dead(&status), before);
    assert_eq!(before.0, "unreachable");
    lb.get("/metrics").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_upgrades_under_load_fail_nobody() {
    let change = async |lb: &mut Lb, _: &str, n: u64| {
        let (code, said, error) = upgrade(lb).await.unwrap();
        assert_eq!(code, 0, "{said}{error}");
        assert_eq!(upgrades(lb).await.unwrap()["done"], n);
    };
    let metrics = under_load(change).await;
    let done = "\napi_lb_upgrades_total{result=\"done\"} 5\n";
    assert!(metrics.as_str().unwrap().contains(done), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_reloads_under_load_fail_nobody() {
    let change = async |lb: &mut Lb, body: &str, _: u64| {
        let said = lb.reload(body).unwrap();
        assert_eq!(said["message"], "reloaded", "{said}");
    };
    let metrics = under_load(change).await;
    let taken = "\napi_lb_config_reloads_total{outcome=\"taken\"} 5\n";
    assert!(metrics.as_str().unwrap().contains(taken), "{metrics}");
}

/// Each way in which a program may not do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_will_not_do_leaves_the_old_one() {
    let mut stage = Stage::new().await.unwrap();
    for (n, text, mode, why) in [
        (
            1,
            "#!/bin/sh\necho no such luck >&2\nexit 1\n",
            0o755,
            "no such luck",
        ),
        (2, "#!/bin/sh\nexit 7\n", 0o755, "exit status: 7"),
        (3, "#!/bin/sh\nkill -9 $$\n", 0o755, "signal: 9"),
        (4, "not a program", 0o755, "does not run"),
        (5, "#!/bin/sh\nexit 0\n", 0o644, "does not run"),
        (
            6,
            "#!/bin/sh\nexec sleep 60\n",
            0o755,
            "did not answer within 5 s",
        ),
    ] {
        stage.place.write(text, mode).unwrap();
        let what = "upgrade refused; what ran before goes on";
        stage.fails(n, &[why], what).await.unwrap();
    }
    stage.succeeds().await.unwrap();
}

/// It passes the trial and cannot start: everything goes back, twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_start_gives_everything_back() {
    let mut stage = Stage::new().await.unwrap();
    let broken = format!(
        "#!/bin/sh\n[ \"$1\" = adopt ] && exec {REAL} \"$@\"\nexec {REAL} run --config /no/such/file.yaml\n"
    );
    for n in 1..=2 {
        stage.place.write(&broken, 0o755).unwrap();
        let why = ["the old program is back", "/no/such/file.yaml"];
        let what = "upgrade failed; the old program is back";
        stage.fails(n, &why, what).await.unwrap();
    }
    stage.succeeds().await.unwrap();
}

/// It passes the trial and then hangs before it is ready: the old one is back after a while that
/// is bounded, with everything, twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_before_it_is_ready_is_given_up() {
    let mut stage = Stage::new().await.unwrap();
    // Nobody ever writes into this file: whoever opens it waits.
    let never = stage.place.folder.path().join("never");
    nix::unistd::mkfifo(&never, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let hangs = format!(
        "#!/bin/sh\n[ \"$1\" = adopt ] && exec {REAL} \"$@\"\nexec {REAL} run --config {}\n",
        never.display()
    );
    for n in 1..=2 {
        stage.place.write(&hangs, 0o755).unwrap();
        let why = ["the old program is back", "was not ready within 5 s"];
        let what = "upgrade failed; the old program is back";
        stage.fails(n, &why, what).await.unwrap();
    }
    stage.succeeds().await.unwrap();
}
