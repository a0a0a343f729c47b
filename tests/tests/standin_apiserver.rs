//! The stand-in for kube-apiserver, as the demo starts it: a process on loopback with a
//! control plane's certificates, asked with the checks of our daemons.

use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pki::{ControlPlane, ControlPlaneSet, Issued, Node, write};
use probe::{Check, Heard, Http, Https, Identity, Outcome, Tls, Trust, run};
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Ample for an answer on loopback.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a check waits where no answer will come.
const SILENCE: Duration = Duration::from_secs(5);

/// Certificates in a folder, and the command that serves them.
struct Bench {
    folder: TempDir,
    set: ControlPlaneSet,
}

/// A server that runs; dropping it kills it.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Bench {
    fn new() -> Result<Self, Failure> {
        let spec = ControlPlane {
            cluster: "kubernetes".to_owned(),
            endpoint: "192.0.2.224:6443".parse()?,
            masters: vec![Node {
                name: "m1".to_owned(),
                addresses: vec![IpAddr::from([127, 0, 0, 1])],
            }],
            apiserver_port: 6443,
            service_networks: Vec::new(),
            cluster_domain: "cluster.local".to_owned(),
            extra_names: Vec::new(),
        };
        let set = spec.issue(SystemTime::now())?;
        let folder = tempfile::tempdir()?;
        let node = set.nodes.first().ok_or("no master")?;
        write(folder.path(), &set.files(node))?;
        Ok(Self { folder, set })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_standin-apiserver"));
        command
            .args(["--bind=127.0.0.1:0", "--node=m1", "--watch-interval=10ms"])
            .arg("--cert")
            .arg(self.file("pki/apiserver.crt"))
            .arg("--key")
            .arg(self.file("pki/apiserver.key"))
            .arg("--client-ca")
            .arg(self.file("pki/ca.crt"))
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn start(&self, flags: &[&str]) -> Result<Running, Failure> {
        let mut child = self.command(flags).spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no stdout")?;
        // A server that ends instead of listening closes its output.
        let read = BufReader::new(stdout).read_line(&mut line);
        let mut running = Running {
            child,
            address: SocketAddr::from(([0; 4], 0)),
        };
        read?;
        let address = line.trim().strip_prefix("STAND-IN listening on ");
        running.address = address.ok_or(format!("said {line:?}"))?.parse()?;
        Ok(running)
    }

    fn check(&self, path: &str, identity: Option<&Issued>) -> Result<Check, Failure> {
        let trust = Trust::from_pem(self.set.kubernetes_ca.certificate_pem().as_bytes())?;
        let identity = identity.map(|issued| {
            let (certificate, key) = (&issued.certificate_pem, issued.key_pem.expose());
            Identity::from_pem(certificate.as_bytes(), key.as_bytes())
        });
        let tls = Tls::new(&trust, None, identity.transpose()?.as_ref())?;
        Ok(Check::Https(Https {
            tls,
            http: Http::new(path)?,
        }))
    }

    async fn ask(&self, running: &Running, path: &str) -> Result<Outcome, Failure> {
        let check = self.check(path, None)?;
        Ok(run(&check, running.address, PATIENCE).await.outcome)
    }

    /// Sends a request as it stands and hands back the connection.
    async fn open(
        &self,
        running: &Running,
        request: &str,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let config = lab::tls::client(self.set.kubernetes_ca.certificate_pem(), None)?;
        let stream = TcpStream::connect(running.address).await?;
        let name = ServerName::try_from("m1")?;
        let mut stream = TlsConnector::from(Arc::clone(&config))
            .connect(name, stream)
            .await?;
        stream.write_all(request.as_bytes()).await?;
        Ok(stream)
    }

    async fn get(&self, running: &Running, path: &str) -> Result<String, Failure> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: m1\r\nConnection: close\r\n\r\n");
        let mut text = String::new();
        self.open(running, &request)
            .await?
            .read_to_string(&mut text)
            .await?;
        Ok(text)
    }
}

impl Running {
    fn terminate(&self) -> Result<(), Failure> {
        let pid = Pid::from_raw(self.child.id().try_into()?);
        Ok(kill(pid, Signal::SIGTERM)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn every_answer_says_that_it_is_a_stand_in() {
    let bench = Bench::new().unwrap();
    let running = bench.start(&[]).unwrap();
    for (path, status, body) in [
        ("/readyz", "200", "ok"),
        ("/livez", "200", "ok"),
        ("/healthz", "200", "ok"),
        ("/version", "200", "\"gitVersion\":\"STAND-IN\""),
        ("/api/v1/nodes", "404", "\"kind\":\"Status\""),
    ] {
        let answer = bench.get(&running, path).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains("\r\nserver: STAND-IN\r\n"), "{answer}");
        assert!(answer.contains("\r\nx-node: m1\r\n"), "{answer}");
        assert!(answer.contains(body), "{answer}");
    }
}

#[tokio::test]
async fn other_methods_are_refused() {
    let bench = Bench::new().unwrap();
    let running = bench.start(&[]).unwrap();
    let request = "DELETE /readyz HTTP/1.1\r\nHost: m1\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    let mut stream = bench.open(&running, request).await.unwrap();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn not_ready_while_the_file_exists() {
    let bench = Bench::new().unwrap();
    let file = bench.file("not-ready");
    let flag = format!("--ready-file={}", file.display());
    let running = bench.start(&[&flag]).unwrap();
    assert_eq!(
        bench.ask(&running, "/readyz").await.unwrap(),
        Outcome::Passed
    );
    std::fs::write(&file, "").unwrap();
    assert_eq!(
        bench.ask(&running, "/readyz").await.unwrap(),
        Outcome::Status(500)
    );
    assert_eq!(
        bench.ask(&running, "/livez").await.unwrap(),
        Outcome::Passed
    );
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        bench.ask(&running, "/readyz").await.unwrap(),
        Outcome::Passed
    );
}

#[tokio::test]
async fn misbehaves_on_request() {
    let bench = Bench::new().unwrap();
    let check = bench.check("/readyz", None).unwrap();
    for flag in ["--hang", "--slow-handshake=1h"] {
        let running = bench.start(&[flag]).unwrap();
        let outcome = run(&check, running.address, SILENCE).await.outcome;
        assert_eq!(outcome, Outcome::HandshakeTimeout(Heard::Nothing), "{flag}");
    }
}

#[tokio::test]
async fn client_certificates_are_welcome_when_they_are_of_the_authority() {
    let bench = Bench::new().unwrap();
    let running = bench.start(&[]).unwrap();
    let ours = bench.check("/livez", Some(&bench.set.super_admin)).unwrap();
    assert_eq!(
        run(&ours, running.address, PATIENCE).await.outcome,
        Outcome::Passed
    );
    let stranger = bench
        .check("/livez", Some(&bench.set.nodes[0].etcd_peer))
        .unwrap();
    let outcome = run(&stranger, running.address, PATIENCE).await.outcome;
    assert!(matches!(outcome, Outcome::TlsRefused(_)), "{outcome}");
}

#[tokio::test]
async fn a_watch_outlives_the_drain_and_ends_with_the_server() {
    let bench = Bench::new().unwrap();
    let mut running = bench.start(&["--drain=10s"]).unwrap();
    for path in ["/watch", "/api/v1/configmaps?watch=1"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: m1\r\n\r\n");
        let stream = bench.open(&running, &request).await.unwrap();
        let mut lines = tokio::io::BufReader::new(stream).lines();
        while !lines
            .next_line()
            .await
            .unwrap()
            .unwrap()
            .contains("BOOKMARK")
        {}
    }
    let request = "GET /watch HTTP/1.1\r\nHost: m1\r\n\r\n";
    let mut watch = bench.open(&running, request).await.unwrap();
    running.terminate().unwrap();
    let told = Instant::now();
    while bench.ask(&running, "/readyz").await.unwrap() == Outcome::Passed {
        assert!(told.elapsed() < PATIENCE, "ready after SIGTERM");
    }
    assert_eq!(
        bench.ask(&running, "/readyz").await.unwrap(),
        Outcome::Status(500)
    );
    assert_eq!(
        bench.ask(&running, "/livez").await.unwrap(),
        Outcome::Passed
    );
    // The end of the watch is a proper one: the last chunk, then close_notify.
    let mut text = String::new();
    watch.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("0\r\n\r\n"), "{text}");
    assert!(text.matches("BOOKMARK").count() > 1, "{text}");
    assert!(running.child.wait().unwrap().success());
}

#[tokio::test]
async fn a_connection_that_has_not_asked_yet_is_answered_before_the_end() {
    let bench = Bench::new().unwrap();
    let mut running = bench.start(&["--drain=0s"]).unwrap();
    let mut stream = bench.open(&running, "").await.unwrap();
    running.terminate().unwrap();
    // Nobody listens: the server has begun to end.
    let told = Instant::now();
    while TcpStream::connect(running.address).await.is_ok() {
        assert!(told.elapsed() < PATIENCE, "still listening after SIGTERM");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: m1\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    assert!(running.child.wait().unwrap().success());
}

fn ends(command: &mut Command) -> io::Result<(Option<i32>, String)> {
    let Output { status, stderr, .. } = command.output()?;
    Ok((status.code(), String::from_utf8_lossy(&stderr).into_owned()))
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let bench = Bench::new().unwrap();
    let running = bench.start(&[]).unwrap();
    let taken = running.address.to_string();
    let (code, said) =
        ends(Command::new(env!("CARGO_BIN_EXE_standin-apiserver")).args([
            "--bind",
            &taken,
            "--cert",
            &bench.file("pki/apiserver.crt").display().to_string(),
            "--key",
            &bench.file("pki/apiserver.key").display().to_string(),
        ]))
        .unwrap();
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("cannot listen on {taken}")),
        "{said}"
    );
    let (code, said) = ends(&mut bench.command(&["--drain=5"])).unwrap();
    assert_eq!(code, Some(2));
    assert!(said.contains("has no unit"), "{said}");
    std::fs::remove_file(bench.file("pki/apiserver.key")).unwrap();
    let (code, said) = ends(&mut bench.command(&[])).unwrap();
    assert_eq!(code, Some(1));
    assert!(said.contains("pki/apiserver.key"), "{said}");
}
