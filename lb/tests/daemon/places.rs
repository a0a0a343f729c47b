//! Places at servers, and those who wait for one, over an upgrade.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback};
use crate::servers::Echo;
use crate::upgrade::upgrade;

const HEADER: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 6443\r\n";

/// One server with one place; who comes is behind a proxy.
fn body(bind: SocketAddr, server: SocketAddr, wait: &str) -> String {
    format!(
        "workers: 1\nfrontends:\n- name: f\n  bind: [\"{bind}\"]\n  backend: b\n  acceptProxy: [\"127.0.0.0/8\"]\n\
         backends:\n- name: b\n{CHECK_ONCE}  queue: {{length: 10, timeout: {wait}}}\n  servers:\n  - {{name: s0, address: \"{server}\", maxConnections: 1}}\n"
    )
}

/// Who came before the connection that has the place is handed over before it, and waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_taken_is_so_over_an_upgrade() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let bind = loopback(6443);
    let lb = Lb::start(&body(bind, server.address, "1m"))?;
    let mut waiter = TcpStream::connect(bind).await?;
    let mut holder = TcpStream::connect(bind).await?;
    holder.write_all(HEADER).await?;
    assert_eq!(holder.read_u8().await?, b'a');
    waiter.write_all(HEADER).await?;
    let begun = Instant::now();
    while lb.get("/status").await?["backends"][0]["waiting"] != 1 {
        assert!(begun.elapsed() < PATIENCE, "it does not wait");
    }
    let (code, said, error) = upgrade(&lb).await?;
    assert_eq!(code, 0, "{said}{error}");
    let backend = &lb.get("/status").await?["backends"][0];
    assert_eq!(backend["waiting"], 1);
    assert_eq!(backend["servers"][0]["open"], 1);
    holder.write_all(b"x").await?;
    assert_eq!(holder.read_u8().await?, b'x');
    drop(holder);
    let served = tokio::time::timeout(PATIENCE, waiter.read_u8()).await?;
    assert_eq!(served?, b'a');
    Ok(())
}

/// However often the program is replaced, which takes far less than the wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_do_not_lengthen_a_wait() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let bind = loopback(6443);
    let lb = Lb::start(&body(bind, server.address, "3s"))?;
    let mut holder = TcpStream::connect(bind).await?;
    holder.write_all(HEADER).await?;
    assert_eq!(holder.read_u8().await?, b'a');
    let mut waiter = TcpStream::connect(bind).await?;
    waiter.write_all(HEADER).await?;
    let ended = tokio::spawn(async move { waiter.read_u8().await.is_err() });
    let begun = Instant::now();
    while !ended.is_finished() {
        assert!(begun.elapsed() < PATIENCE, "its time begins anew");
        let (code, said, error) = upgrade(&lb).await?;
        assert_eq!(code, 0, "{said}{error}");
    }
    assert!(ended.await?, "it was served");
    let status = lb.get("/status").await?;
    assert_eq!(status["frontends"][0]["ends"]["queueTimeout"], 1);
    Ok(())
}
