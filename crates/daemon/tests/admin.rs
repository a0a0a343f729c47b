//! The admin server over real sockets: what it answers, and what it does not put up
//! with.

use daemon::Identity;
use daemon::admin::{Admin, BindError, CommandError, Listen, Surface};
use daemon::client::{self, ClientError};
use daemon::metrics::Text;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, net};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What no step of a test takes, unless it hangs.
const FAR: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Fake {
    broken: AtomicBool,
    unready: AtomicBool,
}

impl Surface for Fake {
    fn alive(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }

    fn ready(&self) -> Result<(), String> {
        if self.unready.load(Ordering::Relaxed) {
            Err("draining".to_owned())
        } else {
            Ok(())
        }
    }

    fn metrics(&self, out: &mut Text) {
        out.counter("fake_things_total", "Things.")
            .sample(&[("kind", "a")], 3_u64);
    }

    fn status(&self) -> Value {
        json!({"things": 3, "version": "of a liar"})
    }

    fn commands(&self) -> &'static [&'static str] {
        &["echo", "fail", "hang"]
    }

    fn command(
        &self,
        name: &str,
        body: Value,
    ) -> BoxFuture<'_, Result<Value, CommandError>> {
        let name = name.to_owned();
        Box::pin(async move {
            match name.as_str() {
                "echo" => Ok(json!({ "echo": body })),
                "hang" => std::future::pending().await,
                _ => Err(CommandError::Conflict("not while it rains".to_owned())),
            }
        })
    }
}

/// A server that ends with the test.
struct Server {
    address: SocketAddr,
    socket: PathBuf,
    surface: Arc<Fake>,
    identity: Arc<Identity>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
    _folder: TempDir,
}

impl Server {
    fn start() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("run/fake.sock");
        let listen = Listen {
            tcp: vec!["127.0.0.1:0".parse()?],
            socket: Some(socket.clone()),
            ..Listen::default()
        };
        let admin = Admin::bind(&listen)?;
        let address = *admin.addresses().first().ok_or("no address")?;
        let surface = Arc::new(Fake::default());
        let identity = Arc::new(Identity::new(
            "fake-d",
            Path::new("/etc/fake.yaml"),
            SystemTime::now(),
        ));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(admin.serve(identity.clone(), surface.clone(), async {
            let _ = stopped.await;
        }));
        let stop = Some(stop);
        Ok(Self {
            address,
            socket,
            surface,
            identity,
            stop,
            task,
            _folder: folder,
        })
    }

    /// Sends `request` over TCP and reads until the server closes.
    async fn raw(&self, request: &str) -> Result<String, Box<dyn Error>> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request.as_bytes()).await?;
        read_to_end(&mut stream).await
    }

    async fn get(&self, path: &str) -> Result<String, Box<dyn Error>> {
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ))
        .await
    }
}

async fn read_to_end(stream: &mut TcpStream) -> Result<String, Box<dyn Error>> {
    let mut bytes = Vec::new();
    match timeout(FAR, stream.read_to_end(&mut bytes)).await? {
        Ok(_) => {}
        // A server that refuses to read the rest of a request resets.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error.into()),
    }
    Ok(String::from_utf8(bytes)?)
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test]
async fn pages_over_tcp() {
    let server = Server::start().unwrap();
    for (path, status, kind, text) in [
        ("/livez", "200 OK", "text/plain; charset=utf-8", "ok\n"),
        (
            "/readyz?verbose",
            "200 OK",
            "text/plain; charset=utf-8",
            "ok\n",
        ),
    ] {
        let response = server.get(path).await.unwrap();
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{response}"
        );
        assert!(
            response.contains(&format!("content-type: {kind}\r\n")),
            "{response}"
        );
        assert_eq!(body(&response), text);
    }
    server.surface.unready.store(true, Ordering::Relaxed);
    server.surface.broken.store(true, Ordering::Relaxed);
    let unready = server.get("/readyz").await.unwrap();
    assert!(unready.starts_with("HTTP/1.1 503 "), "{unready}");
    assert_eq!(body(&unready), "draining\n");
    assert!(
        server
            .get("/livez")
            .await
            .unwrap()
            .starts_with("HTTP/1.1 503 ")
    );
    let metrics = server.get("/metrics").await.unwrap();
    assert!(
        metrics.contains("content-type: text/plain; version=0.0.4"),
        "{metrics}"
    );
    assert!(
        body(&metrics).contains("fake_things_total{kind=\"a\"} 3\n"),
        "{metrics}"
    );
    assert!(
        body(&metrics).contains("fake_d_config_current 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn status_has_the_shared_keys_and_tells_of_a_refused_reload() {
    let server = Server::start().unwrap();
    let status = client::get(&server.socket, "/status").await.unwrap();
    assert_eq!(status["apiVersion"], "sternpost/v1");
    assert_eq!(status["version"], daemon::VERSION);
    assert_eq!(status["things"], 3);
    assert_eq!(status["config"]["file"], "/etc/fake.yaml");
    assert_eq!(status["config"]["refused"], Value::Null);
    assert_eq!(status["since"], status["config"]["loaded"]);
    server
        .identity
        .reload_refused(&"fake.yaml:1: no", SystemTime::now());
    let status = client::get(&server.socket, "/status").await.unwrap();
    assert_eq!(status["config"]["refused"]["error"], "fake.yaml:1: no");
    let metrics = server.get("/metrics").await.unwrap();
    assert!(metrics.contains("fake_d_config_current 0\n"), "{metrics}");
    assert!(metrics.contains("fake_d_config_reloads_total{outcome=\"refused\"} 1\n"));
    server.identity.reloaded(SystemTime::now());
    let status = client::get(&server.socket, "/status").await.unwrap();
    assert_eq!(status["config"]["refused"], Value::Null);
}

#[tokio::test]
async fn errors_say_what_there_is() {
    let server = Server::start().unwrap();
    let nowhere = server.get("/foo").await.unwrap();
    assert!(nowhere.starts_with("HTTP/1.1 404 "), "{nowhere}");
    let value: Value = serde_json::from_str(body(&nowhere)).unwrap();
    assert_eq!(
        value["error"],
        "nothing at /foo; there are /livez, /readyz, /metrics, /status and, on the unix \
         socket, POST /echo, POST /fail, POST /hang"
    );
    let post = server
        .raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    assert!(body(&post).contains("/echo is a command; send it over the unix socket"));
    let post = server
        .raw("POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(post.contains("allow: GET, HEAD\r\n"), "{post}");
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let server = Server::start().unwrap();
    let head = server
        .raw("HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-length: 3\r\n"), "{head}");
    assert_eq!(body(&head), "");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start().unwrap();
    let one =
        |path: &str, last: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{last}\r\n");
    let requests = one("/livez", "")
        + &one("/nothing", "")
        + &one("/readyz", "Connection: close\r\n");
    let text = server.raw(&requests).await.unwrap();
    let statuses: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("HTTP/1.1"))
        .collect();
    assert_eq!(statuses.len(), 3, "{text}");
    assert!(statuses[1].contains("404"), "{text}");
}

#[tokio::test]
async fn commands_over_the_socket() {
    let server = Server::start().unwrap();
    let mode = fs::metadata(&server.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let answer = client::post(&server.socket, "/echo", &json!({"a": 1}))
        .await
        .unwrap();
    assert_eq!(answer, json!({"echo": {"a": 1}}));
    let refused = client::post(&server.socket, "/fail", &Value::Null)
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "not while it rains");
    assert!(matches!(refused, ClientError::Refused { status: 409, .. }));
    let wrong = client::get(&server.socket, "/echo").await.unwrap_err();
    assert_eq!(wrong.to_string(), "/echo is a command; send it with POST");
    let large = json!("x".repeat(64 * 1024));
    let refused = client::post(&server.socket, "/echo", &large)
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "the body is larger than 64 KiB");
    let most = json!("x".repeat(64 * 1024 - 2));
    assert!(client::post(&server.socket, "/echo", &most).await.is_ok());
    assert_eq!(
        client::get(&server.socket, "/livez").await.unwrap(),
        json!("ok")
    );
}

#[tokio::test]
async fn a_command_that_hangs_is_given_up() {
    let server = Server::start().unwrap();
    let error = client::post(&server.socket, "/hang", &Value::Null)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no answer within 10 s");
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let server = Server::start().unwrap();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let start = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let drip = async {
        loop {
            if writer.write_all(b"G").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let mut bytes = Vec::new();
    tokio::select! {
        () = drip => {}
        _ = timeout(FAR, reader.read_to_end(&mut bytes)) => {}
    }
    let took = start.elapsed();
    assert!(
        took >= Duration::from_secs(4) && took < Duration::from_secs(9),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_huge_head_and_a_thousand_headers_are_refused() {
    let server = Server::start().unwrap();
    let huge = format!(
        "GET /livez HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1_000));
    for request in [huge, many] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // Reset while writing is a refusal too.
        let _ = stream.write_all(request.as_bytes()).await;
        let text = read_to_end(&mut stream).await.unwrap();
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 431 "),
            "{text}"
        );
    }
    assert_eq!(body(&server.get("/livez").await.unwrap()), "ok\n");
}

#[tokio::test]
async fn garbage_gets_400_and_ends() {
    let server = Server::start().unwrap();
    for garbage in [
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "GET\r\n\r\n",
        "\u{16}\u{3}\u{1}\r\n\r\n",
    ] {
        let text = server.raw(garbage).await.unwrap();
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 400 "),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_crowd_of_idle_connections_keeps_nobody_out() {
    let server = Server::start().unwrap();
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert_eq!(body(&server.get("/readyz").await.unwrap()), "ok\n");
    // The oldest had to go, the newest stays.
    let mut byte = [0];
    let oldest = timeout(Duration::from_secs(2), idle[0].read(&mut byte))
        .await
        .unwrap();
    assert!(matches!(oldest, Ok(0) | Err(_)));
    let newest = timeout(Duration::from_millis(200), idle[199].read(&mut byte)).await;
    assert!(newest.is_err(), "{newest:?}");
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way_and_removes_the_socket() {
    let mut server = Server::start().unwrap();
    let idle = TcpStream::connect(server.address).await.unwrap();
    let (socket, address) = (server.socket.clone(), server.address);
    let hanging =
        tokio::spawn(async move { client::post(&socket, "/hang", &Value::Null).await });
    assert!(server.get("/livez").await.is_ok());
    let start = Instant::now();
    server.stop.take().unwrap().send(()).unwrap();
    timeout(FAR, &mut server.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(hanging.await.unwrap().is_err());
    assert!(!server.socket.exists());
    assert!(TcpStream::connect(address).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn a_socket_left_behind_is_taken_over_and_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let listen = Listen {
        tcp: vec![],
        socket: Some(path.clone()),
        ..Listen::default()
    };
    // A crash: the listener is gone, its file is not.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let first = Admin::bind(&listen).unwrap();
    let error = Admin::bind(&listen).unwrap_err();
    assert!(matches!(error, BindError::Running(_)), "{error}");
    drop(first);
    assert!(!path.exists());
    fs::write(&path, "x").unwrap();
    let error = Admin::bind(&listen).unwrap_err();
    assert!(matches!(error, BindError::NoSocket(_)), "{error}");
    assert!(path.exists());
}

#[tokio::test]
async fn a_successor_s_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let listen = Listen {
        tcp: vec![],
        socket: Some(path.clone()),
        ..Listen::default()
    };
    let first = Admin::bind(&listen).unwrap();
    fs::remove_file(&path).unwrap();
    let second = Admin::bind(&listen).unwrap();
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}

#[tokio::test]
async fn an_ipv6_wildcard_leaves_ipv4_alone() {
    let tcp = |address: SocketAddr| Listen {
        tcp: vec![address],
        socket: None,
        ..Listen::default()
    };
    let six = Admin::bind(&tcp("[::]:0".parse().unwrap())).unwrap();
    let port = six.addresses()[0].port();
    Admin::bind(&tcp(([0, 0, 0, 0], port).into())).unwrap();
}

#[tokio::test]
async fn what_cannot_be_bound_says_the_way_out() {
    let taken = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let tcp = |address| Listen {
        tcp: vec![address],
        socket: None,
        ..Listen::default()
    };
    let error = Admin::bind(&tcp(address)).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{address} is taken by another process;")),
        "{error}"
    );
    let error = Admin::bind(&tcp("192.0.2.1:1".parse().unwrap()))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("192.0.2.1:1 is no address of this machine;"),
        "{error}"
    );
    let nowhere = Listen {
        tcp: vec![],
        socket: Some("/proc/sternpost/x.sock".into()),
        ..Listen::default()
    };
    let error = Admin::bind(&nowhere).unwrap_err().to_string();
    assert!(error.contains("or set another admin socket"), "{error}");
    let long = PathBuf::from(format!("/tmp/{}", "x".repeat(200)));
    let error = Admin::bind(&Listen {
        tcp: vec![],
        socket: Some(long),
        ..Listen::default()
    })
    .unwrap_err();
    assert!(matches!(error, BindError::TooLong(_)), "{error}");
}

#[tokio::test]
async fn the_client_says_why_there_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let error = client::get(&path, "/status").await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning(_)), "{error}");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let cut = async {
        drop(listener.accept().await);
    };
    let (error, ()) = tokio::join!(client::get(&path, "/status"), cut);
    assert!(matches!(error, Err(ClientError::Broken(..))), "{error:?}");
    drop(listener);
    let error = client::get(&path, "/status").await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning(_)), "{error}");
}
