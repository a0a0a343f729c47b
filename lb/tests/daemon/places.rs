//! Places at servers, and those who wait for one, over an upgrade and a reload.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback};
use crate::servers::{Echo, Manual, reset};
use crate::upgrade::upgrade;

const HEADER: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 6443\r\n";

/// One server with one place; who comes is behind a proxy.
fn body(bind: SocketAddr, server: SocketAddr, wait: &str) -> String {
    format!(
        "workers: 1\nfrontends:\n- name: f\n  bind: [\"{bind}\"]\n  backend: b\n  acceptProxy: [\"127.0.0.0/8\"]\n\
         backends:\n- name: b\n{CHECK_ONCE}  queue: {{length: 10, timeout: {wait}}}\n  servers:\n  - {{name: s0, address: \"{server}\", maxConnections: 1}}\n"
    )
}

/// Waits until so many wait for a place.
async fn waiting(lb: &Lb, expected: u64) -> Fallible<()> {
    let begun = Instant::now();
    loop {
        let backend = lb.get("/status").await?["backends"][0].take();
        if backend["waiting"] == expected {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{} wait, not {expected}", backend["waiting"]).into());
        }
    }
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
    waiting(&lb, 1).await?;
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

/// Who stood in the line first is served first, not who was accepted first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_is_in_the_same_order_after_an_upgrade() -> Fallible<()> {
    let server = Manual::start().await?;
    let bind = loopback(6443);
    let lb = Lb::start(&body(bind, server.address, "1m"))?;
    let come = async || TcpStream::connect(bind).await;
    let (mut holder, mut late, mut soon) = (come().await?, come().await?, come().await?);
    let says = |name: u8| [HEADER, &[name]].concat();
    holder.write_all(&says(b'h')).await?;
    let mut served = server.next().await?;
    assert_eq!(served.read_u8().await?, b'h');
    soon.write_all(&says(b's')).await?;
    waiting(&lb, 1).await?;
    late.write_all(&says(b'l')).await?;
    waiting(&lb, 2).await?;
    let (code, said, error) = upgrade(&lb).await?;
    assert_eq!(code, 0, "{said}{error}");
    waiting(&lb, 2).await?;
    for name in [b's', b'l'] {
        reset(served)?;
        served = tokio::time::timeout(PATIENCE, server.next()).await??;
        assert_eq!(served.read_u8().await?, name);
    }
    Ok(())
}

/// Who is counted by a limit of sources when it comes in, is so no longer when it leaves, though
/// a reload took the limit away while it waited; and who was not, takes nobody else's count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_sources_outlives_a_reload_in_the_line() -> Fallible<()> {
    const LIMIT: &str = "  sources: {maxConnections: 2}\n";
    for (before, after) in [(LIMIT, ""), ("", LIMIT)] {
        let server = Echo::start(b'a').await?;
        let bind = loopback(6443);
        let by = |limit: &str, places: &str| {
            format!(
                "workers: 1\nfrontends:\n- name: f\n  bind: [\"{bind}\"]\n  backend: b\n{limit}backends:\n- name: b\n{CHECK_ONCE}\
                 \x20 queue: {{timeout: 1m}}\n  servers:\n  - {{name: s0, address: \"{}\"{places}}}\n",
                server.address
            )
        };
        let mut lb = Lb::start(&by(before, ", maxConnections: 1"))?;
        let mut holder = TcpStream::connect(bind).await?;
        assert_eq!(holder.read_u8().await?, b'a');
        let mut waiter = TcpStream::connect(bind).await?;
        waiting(&lb, 1).await?;
        lb.reload(&by(after, ", maxConnections: 1"))?;
        drop(holder);
        let served = tokio::time::timeout(PATIENCE, waiter.read_u8()).await?;
        assert_eq!(served?, b'a');
        // With the limit and without one of the server, this source may have two.
        lb.reload(&by(LIMIT, ""))?;
        let mut first = TcpStream::connect(bind).await?;
        assert_eq!(first.read_u8().await?, b'a');
        let waiters = lb.ended_after(waiter).await?;
        assert_eq!(waiters["end"], "clientClosed");
        let mut second = TcpStream::connect(bind).await?;
        assert_eq!(second.read_u8().await?, b'a', "{before} {after}");
        // The reset may come before the connect is seen to have succeeded.
        if let Ok(mut third) = TcpStream::connect(bind).await {
            assert!(third.read_u8().await.is_err(), "{before} {after}");
        }
    }
    Ok(())
}
