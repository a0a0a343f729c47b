//! Ten thousand clients that mean no good, beside those that do: half ClientHellos, garbage,
//! resets, scans. None reaches a server, those that do mean well are all served, memory stays
//! bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback};

/// Hostile clients in all, and of those how many at a time.
const HOSTILE: usize = 10_000;
const AT_A_TIME: usize = 250;
/// Sources they come from; each may have so many connections.
const SOURCES: usize = 20;
const EACH: usize = 50;
/// What a hostile client may cost while it is there: its session, its kept bytes, and the
/// allocator's rounding.
const COST: usize = 4 * 1024;

/// One record with a ClientHello that any TLS server understands, from OpenSSL.
const HELLO: &[u8] = include_bytes!("../../src/hello/corpus/openssl-tls13-alpn.bin");

/// Counts connections on which something came, and answers with what it has heard.
async fn server() -> Fallible<(SocketAddr, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind(loopback(0)).await?;
    let address = listener.local_addr()?;
    let reached = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reached);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let mut bytes = vec![0; 4096];
                while let Ok(len @ 1..) = stream.read(&mut bytes).await {
                    counter.fetch_add(1, Ordering::Relaxed);
                    if stream.write_all(&bytes[..len]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok((address, reached))
}

async fn connect(source: SocketAddr, bind: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(source)?;
    socket.connect(bind).await
}

/// What one hostile client does, by its number; those that wait do so until they are reset.
async fn harm(number: usize, source: SocketAddr, bind: SocketAddr) {
    let Ok(mut client) = connect(source, bind).await else {
        return;
    };
    let head = &HELLO[..HELLO.len() / 2];
    // Each may fail: the balancer is free to reset it at any moment.
    match number % 4 {
        0 => {
            let _ = client.write_all(head).await;
            let _ = client.read(&mut [0]).await;
        }
        1 => {
            let _ = client.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
            let _ = client.read(&mut [0]).await;
        }
        2 => {
            let _ = client.write_all(&head[..3]).await;
            let _ = socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO));
        }
        _ => drop(client),
    }
}

/// A client that means well: its hello comes back.
async fn served(source: SocketAddr, bind: SocketAddr) -> Fallible<()> {
    let mut client = connect(source, bind).await?;
    client.write_all(HELLO).await?;
    let mut back = vec![0; HELLO.len()];
    tokio::time::timeout(PATIENCE, client.read_exact(&mut back)).await??;
    assert_eq!(back, HELLO);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_hostile_clients_keep_nobody_out() -> Fallible<()> {
    let (server, reached) = server().await?;
    let bind = loopback(6443);
    let lb = Lb::start(&format!(
        "frontends:\n- name: f\n  bind: [\"{bind}\"]\n  backend: b\n  tls: {{only: on, helloTimeout: 1s}}\n  sources: {{maxConnections: {EACH}}}\nbackends:\n- name: b\n{CHECK_ONCE}  servers:\n  - {{name: s, address: \"{server}\"}}\n"
    ))?;
    let good = loopback(0);
    served(good, bind).await?;
    let before = resident(lb.id())?;
    let sources: Vec<SocketAddr> = (0..SOURCES).map(|_| loopback(0)).collect();
    let (mut crowd, mut welcome, mut most) = (JoinSet::new(), 1, before);
    for number in 0..HOSTILE {
        crowd.spawn(harm(number, sources[number % SOURCES], bind));
        if crowd.len() >= AT_A_TIME {
            crowd.join_next().await;
        }
        if number % 100 == 0 {
            served(good, bind).await?;
            welcome += 1;
            most = most.max(resident(lb.id())?);
        }
    }
    let until = Instant::now() + PATIENCE;
    while crowd.join_next().await.is_some() {
        assert!(Instant::now() < until, "a hostile client is never let go");
    }
    served(good, bind).await?;
    welcome += 1;
    assert_eq!(
        reached.load(Ordering::Relaxed),
        welcome,
        "one reached the server"
    );
    let bound = before + AT_A_TIME * COST + 4 * 1024 * 1024;
    assert!(most <= bound, "{most} bytes, {before} before");
    Ok(())
}

/// Bytes of memory that a process has.
fn resident(id: u32) -> Fallible<usize> {
    let statm = std::fs::read_to_string(format!("/proc/{id}/statm"))?;
    let pages = statm.split(' ').nth(1).ok_or("no resident pages")?;
    Ok(pages.parse::<usize>()? * 4096)
}
