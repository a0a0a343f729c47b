//! Clients that do not read: what the daemon holds for them is bounded.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{CHECK_ONCE, Lb, PATIENCE, loopback, simple};

const STALLED: usize = 64;
/// What each is sent: far more than sockets and buffers hold.
const POURED: usize = 32 << 20;

/// Resident memory of a process, in bytes.
fn resident(process: u32) -> usize {
    let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

async fn pour(mut stream: TcpStream) {
    let chunk = vec![7; 256 * 1024];
    for _ in 0..POURED / chunk.len() {
        if stream.write_all(&chunk).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_stall_cost_a_buffer_each_and_no_more() {
    let server = TcpListener::bind(loopback(0)).await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = server.accept().await {
            tokio::spawn(pour(stream));
        }
    });
    let bind = loopback(6443);
    let body = simple(bind, &[address], CHECK_ONCE);
    let mut lb = Lb::start(&body).unwrap();
    lb.enters("s0", "up").unwrap();
    let before = resident(lb.id());
    let mut clients = Vec::new();
    for _ in 0..STALLED {
        clients.push(TcpStream::connect(bind).await.unwrap());
    }
    // It rests when it uses no processor any more: every reader is stalled.
    let started = std::time::Instant::now();
    let mut last = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let spent = spent(lb.id());
        if spent == last && last > 0 {
            break;
        }
        last = spent;
        assert!(started.elapsed() < PATIENCE, "it does not come to rest");
    }
    let grown = resident(lb.id()).saturating_sub(before);
    // A session holds up to 64 KiB; the rest is the slab's and the allocator's.
    let bound = STALLED * 64 * 1024 + (2 << 20);
    assert!(grown < bound, "{grown} bytes for {STALLED} sessions");
    let mut client = clients.pop().unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), POURED);
}

/// Clock ticks of processor time that a process has spent on moving bytes.
fn spent(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let fields = rest.split(' ').skip(12).take(2);
    fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
