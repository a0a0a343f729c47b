//! A log that nobody reads: what could not be written is counted, and nothing waits for it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::rig::{CHECK_ONCE, PATIENCE, file, loopback, simple};

/// More lines than the pipe and the queue before it hold.
const CONNECTIONS: u32 = 6_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_nobody_reads_are_counted_and_hold_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (bind, admin) = (loopback(6443), loopback(9000));
    // Nobody listens there: each client is reset at once, and has its line.
    let body = simple(bind, &[loopback(1)], CHECK_ONCE);
    let body = format!("admin: {{address: \"{admin}\"}}\n{body}");
    let path = folder.path().join("lb.yaml");
    std::fs::write(&path, file(folder.path(), &body)).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_api-lb"))
        .args(["run", "--config"])
        .arg(&path)
        .stderr(Stdio::piped())
        .spawn();
    let mut daemon = Unread(child.unwrap());
    let socket = folder.path().join("lb.sock");
    let started = Instant::now();
    while daemon::client::get(&socket, "/livez").await.is_err() {
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..CONNECTIONS {
        if let Ok(mut client) = TcpStream::connect(bind).await {
            assert!(client.read_u8().await.is_err());
        }
    }
    let dropped = |metrics: &str| {
        metrics
            .lines()
            .find_map(|line| line.strip_prefix("api_lb_log_lines_dropped_total "))
            .and_then(|count| count.parse::<f64>().ok())
    };
    while {
        let metrics = daemon::client::get(&socket, "/metrics").await.unwrap();
        dropped(metrics.as_str().unwrap()).unwrap() < 1.0
    } {
        assert!(started.elapsed() < PATIENCE, "no line was dropped");
    }
    let id = Pid::from_raw(i32::try_from(daemon.0.id()).unwrap());
    kill(id, Signal::SIGTERM).unwrap();
    while daemon.0.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < PATIENCE * 2, "it does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(daemon.0.wait().unwrap().code(), Some(0));
}

/// A daemon whose log nobody reads; killed when dropped.
struct Unread(Child);

impl Drop for Unread {
    fn drop(&mut self) {
        // Both fail when the process has ended, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
