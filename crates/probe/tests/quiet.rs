//! A server written in Go, as kube-apiserver is, has nothing to log about our checks.
//! Skipped, and said so, where Go is not installed.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime};

use libtest_mimic::{Arguments, Failed, Trial};
use pki::{Authority, Name, Profile};
use probe::{Check, Http, Https, Outcome, Tls, Trust, run};

/// Of each kind: a race at the close of a connection would show in some of them.
const ROUNDS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);

#[expect(
    clippy::print_stderr,
    reason = "the test runner reads the line of a skip"
)]
fn main() -> ExitCode {
    let required = std::env::var("STERNPOST_REQUIRE").unwrap_or_default();
    let required = required.split(',').any(|name| name == "go");
    let missing = Command::new("go").arg("version").output().is_err();
    let skip = missing && !required;
    if skip {
        // The line the test runner reads; see `Requirement` of the lab.
        eprintln!("SKIPPED a_go_server_logs_nothing (needs: go): no go in PATH");
    }
    let trial = Trial::test("a_go_server_logs_nothing", a_go_server_logs_nothing);
    let trial = trial.with_ignored_flag(skip);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn a_go_server_logs_nothing() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new("ca", SystemTime::now())?;
    let names = vec![Name::Address([127, 0, 0, 1].into())];
    let issued = authority.issue(&Profile::server("go", names), SystemTime::now())?;
    std::fs::write(folder.path().join("crt"), &issued.certificate_pem)?;
    std::fs::write(folder.path().join("key"), issued.key_pem.expose())?;
    let mut server = Server::start(folder.path())?;
    let trust = Trust::from_pem(authority.certificate_pem().as_bytes())?;
    let tls = Tls::new(&trust, None, None)?;
    let https = |path| {
        Http::new(path).map(|http| Https {
            tls: tls.clone(),
            http,
        })
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for (check, expected) in [
        (Check::Https(https("/readyz")?), Outcome::Passed),
        (Check::Https(https("/failing")?), Outcome::Status(500)),
        (Check::Tls(tls.clone()), Outcome::Passed),
    ] {
        for _ in 0..ROUNDS {
            let outcome = runtime
                .block_on(run(&check, server.address, PATIENCE))
                .outcome;
            if outcome != expected {
                return Err(format!("{check:?}: {outcome}").into());
            }
        }
    }
    // The log does show what is wrong: a check without a handshake is.
    let tcp = runtime
        .block_on(run(&Check::Tcp, server.address, PATIENCE))
        .outcome;
    let logged = server.first_line_and_end()?;
    if tcp != Outcome::Passed || !logged.contains("TLS handshake error") {
        return Err(format!("tcp {tcp}, logged {logged:?}").into());
    }
    match logged.lines().count() {
        1 => Ok(()),
        _ => Err(format!("the server logged:\n{logged}").into()),
    }
}

/// The server's process; dropping it kills it.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(folder: &Path) -> Result<Self, Failed> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go");
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(folder.join("server"))
            .arg("main.go")
            .current_dir(source)
            // Nothing but the standard library and no go.mod that asks for a version: the Go
            // that is there will do.
            .envs([
                ("GOPROXY", "off"),
                ("GOTOOLCHAIN", "local"),
                ("GOFLAGS", ""),
            ])
            .output()?;
        if !built.status.success() {
            return Err(String::from_utf8_lossy(&built.stderr).into_owned().into());
        }
        let child = Command::new(folder.join("server"))
            .args([folder.join("crt"), folder.join("key")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut server = Self {
            child,
            address: SocketAddr::from(([0; 4], 0)),
        };
        let mut line = String::new();
        let stdout = server.child.stdout.take().ok_or("no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        server.address = line.trim().parse()?;
        Ok(server)
    }

    /// Waits for the line that the last check causes, then ends the server: all of its log.
    fn first_line_and_end(&mut self) -> Result<String, Failed> {
        let stderr = self.child.stderr.take().ok_or("no stderr")?;
        let mut stderr = BufReader::new(stderr);
        let mut logged = String::new();
        stderr.read_line(&mut logged)?;
        drop(self.child.stdin.take());
        stderr.read_to_string(&mut logged)?;
        Ok(logged)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
