//! The real binary on loopback addresses of its own, its log as records, its status.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::net::TcpStream;

pub(crate) type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A test that waits longer for an event than this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Log lines that wait for the test.
const LINES: usize = 100_000;

/// An address that no other test of any process uses.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    static BLOCK: Mutex<Option<Block>> = Mutex::new(None);
    let mut block = BLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    if block.as_ref().is_none_or(|block| block.given == u8::MAX) {
        // One that is used up stays claimed, as its addresses may be in use.
        std::mem::forget(block.replace(Block::claim()));
    }
    block.as_mut().map_or(([0; 4], 0).into(), |block| {
        block.given += 1;
        let [net, high, low, _] = block.network;
        SocketAddr::from(([net, high, low, block.given], port))
    })
}

/// The addresses 127.x.y.1 to 127.x.y.255: claimed by a socket on 127.x.y.0, which goes
/// with the process.
struct Block {
    network: [u8; 4],
    given: u8,
    _claim: Option<UdpSocket>,
}

impl Block {
    /// The first block from one by the process id on that nobody has claimed.
    fn claim() -> Self {
        let [_, _, first, second] = std::process::id().to_be_bytes();
        let first = u16::from_be_bytes([first, second]);
        let mut networks = (0..=u16::MAX).map(|n| {
            let [high, low] = first.wrapping_add(n).to_be_bytes();
            [127, 1 + high % 126, low, 0]
        });
        let claimed = networks.find_map(|network| {
            let claim = UdpSocket::bind(SocketAddr::from((network, CLAIM))).ok()?;
            Some((network, claim))
        });
        let (network, claim) = claimed.unzip();
        Self {
            network: network.unwrap_or([127, 127, 127, 0]),
            given: 0,
            _claim: claim,
        }
    }
}

/// The port of claims; of UDP, which no test uses.
const CLAIM: u16 = 8112;

/// A running daemon; killed when dropped.
pub(crate) struct Lb {
    child: Child,
    folder: tempfile::TempDir,
    lines: mpsc::Receiver<Value>,
    passed_over: VecDeque<Value>,
    /// What it tells of itself as it reloads is received here, and read by nobody.
    notify: UnixDatagram,
}

/// What stands around the frontends and backends of a test's configuration.
pub(crate) fn file(folder: &Path, body: &str) -> String {
    let socket = folder.join("lb.sock");
    let head = "apiVersion: sternpost/v1\nkind: ApiLb\nlog: {format: json}\n";
    // Tests keep nothing where this machine's own daemon would.
    let recorder = match body.contains("flightRecorder:") {
        true => "",
        false => "flightRecorder: {directory: off}\n",
    };
    format!("{head}socket: {}\n{recorder}{body}", socket.display())
}

/// One frontend and one backend; `more` is put into the backend.
pub(crate) fn simple(bind: SocketAddr, servers: &[SocketAddr], more: &str) -> String {
    let servers: Vec<String> = servers
        .iter()
        .enumerate()
        .map(|(n, address)| format!("  - {{name: s{n}, address: \"{address}\"}}\n"))
        .collect();
    format!(
        "frontends:\n- {{name: f, bind: [\"{bind}\"], backend: b}}\nbackends:\n- name: b\n{more}  servers:\n{}",
        servers.concat()
    )
}

/// Checks by TCP, once at the start and then not for an hour.
pub(crate) const CHECK_ONCE: &str = "  check: {tcp: {}, interval: 1h}\n";

impl Lb {
    /// Starts it and waits until it says that it is ready.
    pub(crate) fn start(body: &str) -> Fallible<Self> {
        Self::start_after(body, "")
    }

    /// As [`Lb::start`], with at most so many open files.
    pub(crate) fn start_under(body: &str, open_files: Option<u32>) -> Fallible<Self> {
        let limit = open_files.map_or_else(String::new, |n| format!("ulimit -n {n};"));
        Self::start_after(body, &limit)
    }

    /// As [`Lb::start`], with this done by the shell before.
    pub(crate) fn start_after(body: &str, before: &str) -> Fallible<Self> {
        Self::start_program(Path::new(env!("CARGO_BIN_EXE_api-lb")), body, before)
    }

    /// As [`Lb::start_after`], with the program that lies there.
    pub(crate) fn start_program(
        program: &Path,
        body: &str,
        before: &str,
    ) -> Fallible<Self> {
        let folder = tempfile::tempdir()?;
        let notify = folder.path().join("notify.sock");
        let ready = UnixDatagram::bind(&notify)?;
        std::fs::write(
            folder.path().join("lb.yaml"),
            file(folder.path(), &admin(body)),
        )?;
        let mut child = Command::new("sh")
            .args(["-c", &format!("{before} exec \"$0\" run --config \"$1\"")])
            .arg(program)
            .arg(folder.path().join("lb.yaml"))
            .env("NOTIFY_SOCKET", &notify)
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("no stderr")?;
        let lines = read_lines(stderr)?;
        let mut lb = Self {
            child,
            folder,
            lines,
            passed_over: VecDeque::new(),
            notify: ready,
        };
        let said = lb.heard()?;
        if said.contains("READY=1") {
            Ok(lb)
        } else {
            Err(said.into())
        }
    }

    /// What it tells systemd next; one that has ended tells nothing any more.
    fn heard(&mut self) -> Fallible<String> {
        const LOOK: Duration = Duration::from_millis(100);
        let until = std::time::Instant::now() + PATIENCE;
        self.notify.set_read_timeout(Some(LOOK))?;
        let mut said = [0; 512];
        loop {
            match self.notify.recv(&mut said) {
                Ok(count) => {
                    return Ok(String::from_utf8_lossy(&said[..count]).into_owned());
                }
                Err(error) if error.kind() != ErrorKind::WouldBlock => {
                    return Err(error.into());
                }
                Err(_) if std::time::Instant::now() > until => {
                    return Err("it is not ready".into());
                }
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                let log: Vec<Value> = self.lines.iter().collect();
                return Err(format!("it has ended, {status}: {log:#?}").into());
            }
        }
    }

    /// Writes another configuration and has it read, well or ill.
    pub(crate) fn reload(&mut self, body: &str) -> Fallible<Value> {
        self.write(body)?;
        self.signal(Signal::SIGHUP)?;
        self.line(|line| {
            line["message"]
                .as_str()
                .is_some_and(|m| m.starts_with("reload"))
        })
    }

    /// Writes another configuration.
    pub(crate) fn write(&self, body: &str) -> Fallible<()> {
        let text = file(self.folder.path(), &admin(body));
        Ok(std::fs::write(self.file(), text)?)
    }

    /// Its configuration.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("lb.yaml")
    }

    pub(crate) fn signal(&self, signal: Signal) -> Fallible<()> {
        Ok(kill(
            Pid::from_raw(i32::try_from(self.child.id())?),
            signal,
        )?)
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it tells the watchdog within this time that all is well. What it told
    /// before is passed over.
    pub(crate) fn feeds_watchdog(&self, within: Duration) -> Fallible<bool> {
        let mut said = [0; 512];
        self.notify.set_nonblocking(true)?;
        while self.notify.recv(&mut said).is_ok() {}
        self.notify.set_nonblocking(false)?;
        self.notify.set_read_timeout(Some(within))?;
        match self.notify.recv(&mut said) {
            Ok(count) => Ok(said[..count].starts_with(b"WATCHDOG=1")),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("lb.sock")
    }

    /// Waits until it has opened all that it opens by itself, and nobody asks it anything:
    /// what it opens from here on is a session's.
    pub(crate) async fn rests(&self) -> Fallible<()> {
        const CONNECTED: &str = "03";
        self.get("/status").await?;
        let path = self.socket().display().to_string();
        let is_asked = |line: &str| {
            let mut words = line.split_whitespace();
            words.nth(5) == Some(CONNECTED) && words.nth(1) == Some(&*path)
        };
        let until = std::time::Instant::now() + PATIENCE;
        while std::fs::read_to_string("/proc/net/unix")?
            .lines()
            .any(is_asked)
        {
            if std::time::Instant::now() > until {
                return Err("somebody stays at the admin socket".into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    pub(crate) async fn get(&self, path: &str) -> Fallible<Value> {
        Ok(daemon::client::get(&self.socket(), path).await?)
    }

    /// The state of each server of the first backend.
    pub(crate) async fn states(&self) -> Fallible<Vec<String>> {
        let status = self.get("/status").await?;
        let servers = status["backends"][0]["servers"]
            .as_array()
            .ok_or("no servers")?;
        Ok(servers
            .iter()
            .map(|s| s["state"].as_str().unwrap_or("").to_owned())
            .collect())
    }

    /// The next line of the log, past or future, that is meant; each is given once.
    pub(crate) fn line(&mut self, is_meant: impl Fn(&Value) -> bool) -> Fallible<Value> {
        if let Some(at) = self.passed_over.iter().position(&is_meant) {
            return self.passed_over.remove(at).ok_or_else(|| "gone".into());
        }
        loop {
            let line = self.lines.recv_timeout(PATIENCE).map_err(|error| {
                format!("{error}; passed over: {:#?}", self.passed_over)
            })?;
            if is_meant(&line) {
                return Ok(line);
            }
            self.passed_over.push_back(line);
        }
    }

    /// The line of the connection of this client.
    pub(crate) fn ended(&mut self, client: SocketAddr) -> Fallible<Value> {
        let client = client.to_string();
        self.line(|line| line["message"] == "connection" && line["client"] == *client)
    }

    /// Closes this client, and waits for the line of its connection.
    pub(crate) async fn ended_after(&mut self, client: TcpStream) -> Fallible<Value> {
        let address = client.local_addr()?;
        drop(client);
        self.ended(address)
    }

    /// How the connection of this client ended.
    pub(crate) fn end(&mut self, client: SocketAddr) -> Fallible<String> {
        let line = self.ended(client)?;
        Ok(line["end"].as_str().unwrap_or("").to_owned())
    }

    /// Waits until a server enters a state.
    pub(crate) fn enters(&mut self, server: &str, state: &str) -> Fallible<()> {
        self.line(|line| {
            line["message"] == "server" && line["server"] == server && line["to"] == state
        })
        .map(drop)
    }

    /// Waits for the process to end.
    pub(crate) fn wait(&mut self) -> Fallible<ExitStatus> {
        // The log ends with the process; only then is the wait short.
        while self
            .lines
            .recv_timeout(PATIENCE)
            .map(|l| self.passed_over.push_back(l))
            .is_ok()
        {}
        Ok(self.child.wait()?)
    }
}

impl Drop for Lb {
    fn drop(&mut self) {
        // Both fail when the process has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An admin address of the test's own, where it names none.
fn admin(body: &str) -> String {
    if body.contains("admin:") {
        return body.to_owned();
    }
    format!("admin: {{address: \"{}\"}}\n{body}", loopback(9000))
}

fn read_lines(stderr: ChildStderr) -> std::io::Result<mpsc::Receiver<Value>> {
    let (lines, received) = mpsc::sync_channel(LINES);
    std::thread::Builder::new().spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let parsed = serde_json::from_str(&line).unwrap_or(Value::String(line));
            if lines.send(parsed).is_err() {
                return;
            }
        }
    })?;
    Ok(received)
}

/// Runs the binary to its end: exit code, standard output, standard error.
pub(crate) fn run_to_end(args: &[&str]) -> Fallible<(i32, String, String)> {
    let out = Command::new(env!("CARGO_BIN_EXE_api-lb"))
        .args(args)
        .output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((
        out.status.code().unwrap_or(-1),
        text(&out.stdout),
        text(&out.stderr),
    ))
}

#[test]
fn no_address_is_given_twice() {
    let given: std::collections::HashSet<SocketAddr> =
        (0..1000).map(|_| loopback(1)).collect();
    assert_eq!(given.len(), 1000);
}
