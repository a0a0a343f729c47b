//! Descriptors that run out, in each state of a session that needs one: to accept, to dial, to
//! dial beside, to splice.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback, simple};
use crate::servers::{Echo, Full};

/// Far longer than a second dial takes to begin, and far shorter than the first may take.
const A_WHILE: Duration = Duration::from_millis(400);

/// Starts with these servers and waits until all are up.
async fn start(bind: SocketAddr, servers: &[SocketAddr], more: &str) -> Fallible<Lb> {
    let mut lb = Lb::start(&simple(bind, servers, &format!("{CHECK_ONCE}{more}")))?;
    for n in 0..servers.len() {
        lb.enters(&format!("s{n}"), "up")?;
    }
    lb.rests().await?;
    Ok(lb)
}

/// Takes all descriptors from a daemon that it does not use, but for `room`.
pub(crate) async fn leave(lb: &Lb, room: usize) -> Fallible<()> {
    let used = used(lb).await?;
    let first_too_many = (0..).filter(|n| !used.contains(n)).nth(room);
    let limit = first_too_many.ok_or("no number is free")?;
    allow(lb, &format!("{limit}:"))
}

/// The numbers of a daemon's descriptors, once they have been the same for a while: a check
/// says how it ended before its socket is closed.
async fn used(lb: &Lb) -> Fallible<HashSet<usize>> {
    const SAME: u32 = 20;
    let until = std::time::Instant::now() + PATIENCE;
    let (mut last, mut same) = (HashSet::new(), 0);
    while same < SAME {
        if std::time::Instant::now() > until {
            return Err("its descriptors never stay the same".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = std::fs::read_dir(format!("/proc/{}/fd", lb.id()))?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().parse()?))
            .collect::<Fallible<HashSet<usize>>>()?;
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    Ok(last)
}

/// Lets a daemon have so many descriptors; written as prlimit(1) wants it.
pub(crate) fn allow(lb: &Lb, limit: &str) -> Fallible<()> {
    let set = Command::new("prlimit")
        .args(["--pid", &lb.id().to_string()])
        .arg(format!("--nofile={limit}"))
        .status()?;
    set.success()
        .then_some(())
        .ok_or_else(|| "not limited".into())
}

/// A session whose server has answered.
async fn served(bind: SocketAddr) -> std::io::Result<TcpStream> {
    let mut client = TcpStream::connect(bind).await?;
    client.read_u8().await?;
    Ok(client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_accept_with_and_clients_wait() {
    let server = Echo::start(b'a').await.unwrap();
    let bind = loopback(6443);
    let mut lb = start(bind, &[server.address], "").await.unwrap();
    leave(&lb, 2).await.unwrap();
    let mut first = served(bind).await.unwrap();
    let mut second = TcpStream::connect(bind).await.unwrap();
    lb.line(|line| line["message"] == "accept failed; trying on")
        .unwrap();
    first.write_all(b"!").await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'!');
    drop(first);
    assert_eq!(second.read_u8().await.unwrap(), b'a');
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_dial_with_and_the_client_is_told() {
    let server = Echo::start(b'a').await.unwrap();
    let bind = loopback(6443);
    let mut lb = start(bind, &[server.address], "").await.unwrap();
    leave(&lb, 3).await.unwrap();
    let mut first = served(bind).await.unwrap();
    let second = TcpSocket::new_v4().unwrap();
    second.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = second.local_addr().unwrap();
    // The reset may come before the connect is seen to have succeeded.
    if let Ok(mut second) = second.connect(bind).await {
        assert!(second.read_u8().await.is_err());
    }
    assert_eq!(lb.end(address).unwrap(), "noResources");
    first.write_all(b"!").await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'!');
    first.shutdown().await.unwrap();
    assert_eq!(first.read(&mut [0; 1]).await.unwrap(), 0);
    lb.ended(first.local_addr().unwrap()).unwrap();
    served(bind).await.unwrap();
}

/// What is missing is ours: it says nothing of the server that was to be dialled beside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_dial_beside_with_and_it_is_done_when_there_is_one() {
    let mut full = Full::start().unwrap();
    let server = Echo::start(b'a').await.unwrap();
    let bind = loopback(6443);
    let more = "  timeouts: {connect: 1m}\n  dialBudget: {time: 5m}\n";
    let mut lb = start(bind, &[full.address, server.address], more)
        .await
        .unwrap();
    full.fill().unwrap();
    leave(&lb, 2).await.unwrap();
    let mut client = TcpStream::connect(bind).await.unwrap();
    let address = client.local_addr().unwrap();
    let waits = tokio::time::timeout(A_WHILE, client.read_u8()).await;
    assert!(waits.is_err(), "there was a descriptor: {waits:?}");
    allow(&lb, "1024:").unwrap();
    let answer = tokio::time::timeout(PATIENCE, client.read_u8()).await;
    assert_eq!(answer.unwrap().unwrap(), b'a');
    drop(client);
    assert_eq!(lb.ended(address).unwrap()["server"], "s1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_splice_with_and_bulk_is_copied() {
    /// Many turns of bulk.
    const POURED: usize = 16 << 20;
    let server = TcpListener::bind(loopback(0)).await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        let pattern: Vec<u8> = (0..=250u8).cycle().take(POURED).collect();
        while let Ok((mut stream, _)) = server.accept().await {
            // The check goes before all is written.
            let _ = stream.write_all(&pattern).await;
        }
    });
    let bind = loopback(6443);
    let lb = start(bind, &[address], "").await.unwrap();
    let before = pipes(&lb).unwrap();
    leave(&lb, 2).await.unwrap();
    let mut client = TcpStream::connect(bind).await.unwrap();
    let mut all = vec![0; POURED];
    let read = tokio::time::timeout(PATIENCE, client.read_exact(&mut all)).await;
    read.unwrap().unwrap();
    assert_eq!(pipes(&lb).unwrap(), before, "it has spliced");
    assert!(all.iter().zip((0..=250u8).cycle()).all(|(a, b)| *a == b));
    // With room for a pipe the next one is spliced: the test sees what it looks for.
    allow(&lb, "1024:").unwrap();
    let mut next = TcpStream::connect(bind).await.unwrap();
    let read = tokio::time::timeout(PATIENCE, next.read_exact(&mut all)).await;
    read.unwrap().unwrap();
}

/// Ends of pipes that a daemon has.
fn pipes(lb: &Lb) -> Fallible<usize> {
    let all = std::fs::read_dir(format!("/proc/{}/fd", lb.id()))?;
    let targets = all.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let pipes = targets.filter(|target| target.to_string_lossy().starts_with("pipe:"));
    Ok(pipes.count())
}
