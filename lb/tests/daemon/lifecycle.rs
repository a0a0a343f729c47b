//! How it stops.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{CHECK_ONCE, Lb, loopback, simple};
use crate::servers::Echo;

async fn start(head: &str) -> (Lb, std::net::SocketAddr, Echo, TcpStream) {
    let server = Echo::start(b'a').await.unwrap();
    let bind = loopback(6443);
    let body = simple(bind, &[server.address], CHECK_ONCE);
    let mut lb = Lb::start(&format!("{head}{body}")).unwrap();
    lb.enters("s0", "up").unwrap();
    let mut client = TcpStream::connect(bind).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'a');
    (lb, bind, server, client)
}

async fn ends_well(mut lb: Lb) {
    let status = tokio::task::spawn_blocking(move || lb.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_waits_for_the_last_connection() {
    let (mut lb, bind, _server, mut client) =
        start("drainDelay: 0s\ndrainTimeout: 1h\n").await;
    assert!(lb.get("/readyz").await.is_ok());
    lb.signal(Signal::SIGTERM).unwrap();
    let line = lb.line(|line| line["message"] == "draining").unwrap();
    assert_eq!(line["connections"], 1);
    let ready = lb.get("/readyz").await.unwrap_err().to_string();
    assert!(
        ready.contains("503") || ready.contains("draining"),
        "{ready}"
    );
    assert_eq!(lb.get("/status").await.unwrap()["phase"], "draining");
    // The workers close their listeners on their own threads; then nobody answers.
    while TcpStream::connect(bind).await.is_ok() {}
    client.write_all(b"x").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'x');
    client.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    ends_well(lb).await;
}

/// The address moves only after somebody has seen /readyz; clients come until then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_served_while_the_address_moves() {
    let (mut lb, bind, _server, client) =
        start("drainDelay: 3s\ndrainTimeout: 0s\n").await;
    drop(client);
    let signalled = Instant::now();
    lb.signal(Signal::SIGTERM).unwrap();
    lb.line(|line| line["message"] == "leaving").unwrap();
    let ready = lb.get("/readyz").await.unwrap_err().to_string();
    assert!(ready.contains("leaving"), "{ready}");
    assert_eq!(lb.get("/status").await.unwrap()["phase"], "leaving");
    let mut served = 0;
    while let Ok(mut client) = TcpStream::connect(bind).await {
        // The last ones may be cut by the end of the drain.
        served += u32::from(client.read_u8().await.is_ok());
    }
    let lasted = signalled.elapsed();
    assert!(served > 0, "nobody was served");
    assert!(lasted >= Duration::from_secs(3), "closed after {lasted:?}");
    ends_well(lb).await;
}

/// An address that moves late, since the host is busy: nobody finds the listener closed while
/// clients come, and it closes once they have stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_listeners_close_once_clients_have_stopped_coming() {
    let (mut lb, bind, _server, client) =
        start("drainDelay: 1s\ndrainTimeout: 1h\n").await;
    drop(client);
    lb.signal(Signal::SIGTERM).unwrap();
    lb.line(|line| line["message"] == "leaving").unwrap();
    let signalled = Instant::now();
    while signalled.elapsed() < Duration::from_millis(2500) {
        let mut client = TcpStream::connect(bind).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'a');
    }
    assert_eq!(lb.get("/status").await.unwrap()["phase"], "leaving");
    lb.line(|line| line["message"] == "draining").unwrap();
    ends_well(lb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once_before_the_listeners_close() {
    let (mut lb, bind, _server, _client) = start("drainDelay: 1m\n").await;
    lb.signal(Signal::SIGTERM).unwrap();
    lb.line(|line| line["message"] == "leaving").unwrap();
    assert!(TcpStream::connect(bind).await.is_ok());
    lb.signal(Signal::SIGTERM).unwrap();
    ends_well(lb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let (mut lb, _, _server, mut client) =
        start("drainDelay: 0s\ndrainTimeout: 1h\n").await;
    let address = client.local_addr().unwrap();
    lb.signal(Signal::SIGTERM).unwrap();
    lb.line(|line| line["message"] == "draining").unwrap();
    lb.signal(Signal::SIGTERM).unwrap();
    assert!(client.read_u8().await.is_err());
    assert_eq!(lb.end(address).unwrap(), "shutdown");
    ends_well(lb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_ends_with_its_time() {
    let (mut lb, _, _server, mut client) =
        start("drainDelay: 0s\ndrainTimeout: 0s\n").await;
    lb.signal(Signal::SIGINT).unwrap();
    assert!(client.read_u8().await.is_err());
    assert_eq!(lb.end(client.local_addr().unwrap()).unwrap(), "shutdown");
    let socket = lb.socket();
    ends_well(lb).await;
    assert!(!socket.exists());
}
