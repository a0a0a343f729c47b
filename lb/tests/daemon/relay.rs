//! What is carried arrives as it was sent, and ends as it was ended.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::pattern::{Pattern, Random};
use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback, simple};
use crate::servers::{Echo, Manual, reset};

/// A client and the server's side of its connection; the server has read `hello`.
async fn pair(lb: &Rig) -> Fallible<(TcpStream, TcpStream)> {
    let mut client = TcpStream::connect(lb.bind).await?;
    client.write_all(b"hello").await?;
    let mut server = lb.server.next().await?;
    let mut hello = [0; 5];
    server.read_exact(&mut hello).await?;
    assert_eq!(&hello, b"hello");
    Ok((client, server))
}

/// The daemon before one server that the test plays.
struct Rig {
    lb: Lb,
    bind: SocketAddr,
    server: Manual,
}

async fn start() -> Fallible<Rig> {
    let server = Manual::start().await?;
    let bind = loopback(6443);
    let lb = Lb::start(&simple(bind, &[server.address], CHECK_ONCE))?;
    Ok(Rig { lb, bind, server })
}

/// Whether the other side has reset the connection, and not closed it in order.
async fn is_reset(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_sizes_both_ways_at_once() {
    let mut all = start().await.unwrap();
    let mut tasks = Vec::new();
    for seed in 0..100 {
        let (client, server) = pair(&all).await.unwrap();
        tasks.push(tokio::spawn(transfer(seed, client, server)));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    for _ in 0..100 {
        let line = all.lb.line(|line| line["message"] == "connection").unwrap();
        let end = line["end"].as_str().unwrap();
        assert!(matches!(end, "clientClosed" | "serverClosed"), "{line}");
    }
}

/// Sends random amounts both ways at once, in writes of random sizes.
async fn transfer(seed: u64, client: TcpStream, server: TcpStream) -> Fallible<()> {
    let mut random = Random::new(seed + 1);
    let (up, down) = (Pattern::new(seed), Pattern::new(!seed));
    let sizes = [random.size(2_000_000), random.size(2_000_000)];
    let writes = [1 + random.size(300_000), 1 + random.size(300_000)];
    let (mut client_read, mut client_write) = client.into_split();
    let (mut server_read, mut server_write) = server.into_split();
    let (sent, answered, received, returned) = tokio::join!(
        async {
            up.send(&mut client_write, sizes[0], writes[0]).await?;
            Fallible::Ok(client_write.shutdown().await?)
        },
        async {
            down.send(&mut server_write, sizes[1], writes[1]).await?;
            Fallible::Ok(server_write.shutdown().await?)
        },
        up.receive(&mut server_read),
        down.receive(&mut client_read),
    );
    sent?;
    answered?;
    assert_eq!([received?, returned?], sizes);
    Ok(())
}

/// 1 GiB each way at once where the daemon is built to be fast, less elsewhere; or as many
/// bytes as `STERNPOST_BULK_BYTES` says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_both_ways() {
    let default = if cfg!(debug_assertions) {
        64 << 20
    } else {
        1 << 30
    };
    let total =
        std::env::var("STERNPOST_BULK_BYTES").map_or(default, |n| n.parse().unwrap());
    let all = start().await.unwrap();
    let (client, server) = pair(&all).await.unwrap();
    let (up, down) = (Arc::new(Pattern::new(1)), Arc::new(Pattern::new(2)));
    let ((mut from_lb, mut to_lb), (mut read, mut write)) =
        (client.into_split(), server.into_split());
    let (sent, served) = (Arc::clone(&up), Arc::clone(&down));
    let one = tokio::spawn(async move {
        sent.send(&mut to_lb, total, 256 * 1024).await?;
        Fallible::Ok(to_lb.shutdown().await?)
    });
    let other = tokio::spawn(async move {
        served.send(&mut write, total, 256 * 1024).await?;
        Fallible::Ok(write.shutdown().await?)
    });
    let up = tokio::spawn(async move { up.receive(&mut read).await });
    assert_eq!(down.receive(&mut from_lb).await.unwrap(), total);
    assert_eq!(up.await.unwrap().unwrap(), total);
    one.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_bytes() {
    let all = start().await.unwrap();
    let (mut client, mut server) = pair(&all).await.unwrap();
    client.set_nodelay(true).unwrap();
    let pattern = Pattern::new(3);
    let (mut read, mut write) = client.split();
    let echo = async {
        let (mut from, mut to) = server.split();
        tokio::io::copy(&mut from, &mut to).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let send = async {
        pattern.send(&mut write, 20_000, 1).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let ((), (), received) = tokio::join!(send, echo, pattern.receive(&mut read));
    assert_eq!(received.unwrap(), 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_closes_first_and_the_server_goes_on() {
    let mut all = start().await.unwrap();
    let (mut client, mut server) = pair(&all).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    let pattern = Pattern::new(4);
    let send = async {
        pattern.send(&mut server, 3_000_000, 70_000).await.unwrap();
        server.shutdown().await.unwrap();
    };
    let ((), received) = tokio::join!(send, pattern.receive(&mut client));
    assert_eq!(received.unwrap(), 3_000_000);
    let line = all.lb.ended(client.local_addr().unwrap()).unwrap();
    assert_eq!(line["end"], "clientClosed");
    assert_eq!(
        (&line["sent"], &line["received"]),
        (&5.into(), &3_000_000.into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_closes_first_and_the_client_goes_on() {
    let mut all = start().await.unwrap();
    let (mut client, mut server) = pair(&all).await.unwrap();
    let source = server.peer_addr().unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    let pattern = Pattern::new(5);
    let send = async {
        pattern.send(&mut client, 3_000_000, 70_000).await.unwrap();
        client.shutdown().await.unwrap();
    };
    let ((), received) = tokio::join!(send, pattern.receive(&mut server));
    assert_eq!(received.unwrap(), 3_000_000);
    let line = all.lb.ended(client.local_addr().unwrap()).unwrap();
    assert_eq!(line["end"], "serverClosed");
    assert_eq!(line["source"], source.to_string());
}

/// The server sends until nothing moves any more while the client reads nothing: what the
/// kernel's buffers take, and no more than a buffer in the daemon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_costs_bounded_memory_and_loses_nothing() {
    const TOTAL: usize = 256 << 20;
    let all = start().await.unwrap();
    let before = resident(all.lb.id());
    let (mut client, mut server) = pair(&all).await.unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let pattern = Arc::new(Pattern::new(6));
    let source = Arc::clone(&pattern);
    let sender = tokio::spawn(async move {
        let (mut done, mut buffer) = (0, vec![0; 64 * 1024]);
        while done < TOTAL {
            source.fill(done, &mut buffer);
            server.write_all(&buffer).await.unwrap();
            done += buffer.len();
            counter.store(done, Ordering::Relaxed);
        }
    });
    let stalled_at = until_still(&sent).await;
    assert!(
        stalled_at < TOTAL / 2,
        "{stalled_at} bytes were taken in from a sender whose reader sleeps"
    );
    let grown = resident(all.lb.id()).saturating_sub(before);
    assert!(grown < 8 << 20, "the daemon grew by {grown} bytes");
    assert_eq!(
        pattern.receive_most(&mut client, TOTAL).await.unwrap(),
        TOTAL
    );
    sender.await.unwrap();
}

/// Waits until a number has not changed for several looks; not a bound on anything.
async fn until_still(number: &AtomicUsize) -> usize {
    let (mut last, mut still) = (0, 0);
    while still < 5 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let current = number.load(Ordering::Relaxed);
        still = if current == last && current > 0 {
            still + 1
        } else {
            0
        };
        last = current;
    }
    last
}

/// Bytes of memory that a process has.
fn resident(id: u32) -> usize {
    let statm = std::fs::read_to_string(format!("/proc/{id}/statm")).unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_of_the_client_is_a_reset_to_the_server() {
    let mut all = start().await.unwrap();
    let (client, mut server) = pair(&all).await.unwrap();
    let address = client.local_addr().unwrap();
    reset(client).unwrap();
    assert!(is_reset(&mut server).await);
    assert_eq!(all.lb.end(address).unwrap(), "clientReset");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_of_the_server_is_a_reset_to_the_client() {
    let mut all = start().await.unwrap();
    let (mut client, server) = pair(&all).await.unwrap();
    reset(server).unwrap();
    assert!(is_reset(&mut client).await);
    assert_eq!(
        all.lb.end(client.local_addr().unwrap()).unwrap(),
        "serverReset"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_after_a_half_close_is_passed_on() {
    let mut all = start().await.unwrap();
    let (mut client, mut server) = pair(&all).await.unwrap();
    let address = client.local_addr().unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    reset(client).unwrap();
    assert_eq!(all.lb.end(address).unwrap(), "clientReset");
    refuses_writes(&mut server).await;

    let (mut client, mut server) = pair(&all).await.unwrap();
    let address = client.local_addr().unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    reset(server).unwrap();
    assert_eq!(all.lb.end(address).unwrap(), "serverReset");
    refuses_writes(&mut client).await;
}

/// A side that has read the end learns of a reset only when it writes.
async fn refuses_writes(stream: &mut TcpStream) {
    let refused = async { while stream.write_all(b"x").await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
}

/// Nothing is read from the side that resets, since the other takes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_seen_while_the_other_side_is_blocked() {
    let mut all = start().await.unwrap();
    let (mut client, server) = pair(&all).await.unwrap();
    let address = client.local_addr().unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let sender = tokio::spawn(async move {
        let chunk = vec![0; 64 * 1024];
        loop {
            tokio::select! {
                result = client.write_all(&chunk) => result.unwrap(),
                () = tokio::time::sleep(Duration::from_secs(2)) => return client,
            }
            counter.fetch_add(chunk.len(), Ordering::Relaxed);
        }
    });
    until_still(&sent).await;
    reset(sender.await.unwrap()).unwrap();
    assert_eq!(all.lb.end(address).unwrap(), "clientReset");
    drop(server);
}

/// A server that answers and closes with unread bytes resets; its answer comes through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_before_a_reset_is_delivered() {
    let all = start().await.unwrap();
    for _ in 0..50 {
        let (mut client, mut server) = pair(&all).await.unwrap();
        client.write_all(b"more than is read").await.unwrap();
        server.readable().await.unwrap();
        server.write_all(b"413").await.unwrap();
        drop(server);
        let mut answer = [0; 3];
        tokio::time::timeout(PATIENCE, client.read_exact(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&answer, b"413");
    }
}

/// Who answers a new connection.
async fn ask(bind: SocketAddr) -> std::io::Result<u8> {
    TcpStream::connect(bind).await?.read_u8().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_are_exact_over_all_workers() {
    let mut servers = Vec::new();
    for name in b"abc" {
        servers.push(Echo::start(*name).await.unwrap());
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let bind = loopback(6443);
    let body = simple(bind, &addresses, CHECK_ONCE);
    let mut lb = Lb::start(&format!("workers: 4\n{body}")).unwrap();
    for server in ["s0", "s1", "s2"] {
        lb.enters(server, "up").unwrap();
    }
    // The log says it before the last worker has heard it.
    let mut row = 0;
    let mut last = b'c';
    while row < 30 {
        let name = ask(bind).await.unwrap();
        row = if (name - b'a') == (last - b'a' + 1) % 3 {
            row + 1
        } else {
            0
        };
        last = name;
    }
    let tasks: Vec<_> = (0..300).map(|_| tokio::spawn(ask(bind))).collect();
    let mut counts = [0; 3];
    for task in tasks {
        counts[usize::from(task.await.unwrap().unwrap() - b'a')] += 1;
    }
    assert_eq!(counts, [100, 100, 100]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_ends_only_where_a_limit_is_set() {
    let server = Manual::start().await.unwrap();
    let bind = loopback(6443);
    let idle = format!("{CHECK_ONCE}  timeouts: {{idle: 1s}}\n");
    let lb = Lb::start(&simple(bind, &[server.address], &idle)).unwrap();
    let mut all = Rig { lb, bind, server };
    let (mut client, _server) = pair(&all).await.unwrap();
    assert!(is_reset(&mut client).await);
    assert_eq!(all.lb.end(client.local_addr().unwrap()).unwrap(), "idle");
}
