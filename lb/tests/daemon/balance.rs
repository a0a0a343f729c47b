//! Which server a client gets: leastconn, source, backups, places and the queue for them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback, simple};
use crate::servers::Echo;

/// A client that has heard which server it was given.
struct Guest {
    stream: TcpStream,
    server: u8,
}

async fn guest(address: std::net::SocketAddr) -> Fallible<Guest> {
    let mut stream = TcpStream::connect(address).await?;
    let mut name = [0];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut name)).await??;
    Ok(Guest {
        stream,
        server: name[0],
    })
}

async fn echoes(names: &[u8]) -> Fallible<Vec<Echo>> {
    let mut all = Vec::new();
    for &name in names {
        all.push(Echo::start(name).await?);
    }
    Ok(all)
}

fn backend(bind: std::net::SocketAddr, more: &str, servers: &[String]) -> String {
    let list: String = servers.iter().map(|s| format!("  - {{{s}}}\n")).collect();
    format!(
        "frontends:\n- {{name: f, bind: [\"{bind}\"], backend: b}}\nbackends:\n- name: b\n{CHECK_ONCE}{more}  servers:\n{list}"
    )
}

async fn settled(lb: &Lb, servers: usize) -> Fallible<()> {
    let until = Instant::now() + PATIENCE;
    while lb.states().await? != vec!["up".to_owned(); servers] {
        if Instant::now() > until {
            return Err("the servers are not up".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// A kernel that says 20 of 24 go to one server would still be no proof for roundrobin; here
/// the ones that stay are all at the first server, and the next ones go elsewhere.
#[tokio::test]
async fn leastconn_evens_out_what_stays_open() -> Fallible<()> {
    let servers = echoes(b"ab").await?;
    let bind = loopback(6443);
    let addresses = [servers[0].address, servers[1].address];
    let body = simple(
        bind,
        &addresses,
        &format!("{CHECK_ONCE}  balance: leastconn\n"),
    );
    let lb = Lb::start(&format!("workers: 4\n{body}"))?;
    settled(&lb, 2).await?;
    let mut kept = Vec::new();
    for _ in 0..24 {
        kept.push(guest(bind).await?);
    }
    let of = |kept: &[Guest], name| kept.iter().filter(|g| g.server == name).count();
    assert_eq!((of(&kept, b'a'), of(&kept, b'b')), (12, 12));
    // All of the first server leave; their places are filled before anything else.
    kept.retain(|guest| guest.server == b'b');
    let until = Instant::now() + PATIENCE;
    while lb.get("/status").await?["backends"][0]["servers"][0]["open"] != 0 {
        assert!(Instant::now() < until, "connections stay open");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..12 {
        let next = guest(bind).await?;
        assert_eq!(next.server, b'a');
        kept.push(next);
    }
    Ok(())
}

#[tokio::test]
async fn source_gives_an_address_the_same_server_from_every_worker() -> Fallible<()> {
    let servers = echoes(b"abc").await?;
    let bind = loopback(6443);
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let body = simple(
        bind,
        &addresses,
        &format!("{CHECK_ONCE}  balance: source\n"),
    );
    let lb = Lb::start(&format!("workers: 4\n{body}"))?;
    settled(&lb, 3).await?;
    let mut all = HashSet::new();
    for _ in 0..40 {
        let from = loopback(0);
        let mut mine = HashSet::new();
        for _ in 0..8 {
            let socket = TcpSocket::new_v4()?;
            socket.bind(from)?;
            let mut stream = socket.connect(bind).await?;
            let mut name = [0];
            stream.read_exact(&mut name).await?;
            mine.insert(name[0]);
        }
        assert_eq!(mine.len(), 1, "{from}");
        all.extend(mine);
    }
    assert_eq!(all.len(), 3, "forty addresses on one server or two");
    Ok(())
}

#[tokio::test]
async fn a_backup_stands_in_until_the_regular_server_is_back() -> Fallible<()> {
    let regular = Echo::start(b'a').await?;
    let backup = Echo::start(b'z').await?;
    let bind = loopback(6443);
    let address = regular.address;
    let servers = [
        format!("name: a, address: \"{address}\""),
        format!("name: z, address: \"{}\", backup: true", backup.address),
    ];
    let check = "  check: {tcp: {}, interval: 20ms, timeout: 500ms}\n";
    let body = backend(bind, "", &servers).replace(CHECK_ONCE, check);
    let mut lb = Lb::start(&body)?;
    settled(&lb, 2).await?;
    lb.enters("a", "up")?;
    for _ in 0..4 {
        assert_eq!(guest(bind).await?.server, b'a');
    }
    regular.stop().await;
    // Also before the checks know: the dial goes on.
    assert_eq!(guest(bind).await?.server, b'z');
    lb.enters("a", "unreachable")?;
    assert_eq!(guest(bind).await?.server, b'z');
    let _back = Echo::start_at(address, b'a').await?;
    lb.enters("a", "up")?;
    for _ in 0..4 {
        assert_eq!(guest(bind).await?.server, b'a');
    }
    Ok(())
}

/// In its first tenth a server that came back has a tenth of its share: 1 of 11 turns.
#[tokio::test]
async fn a_server_that_comes_back_starts_slowly() -> Fallible<()> {
    let stays = Echo::start(b'a').await?;
    let returns = Echo::start(b'b').await?;
    let (bind, address) = (loopback(6443), returns.address);
    let check = "  check: {tcp: {}, interval: 20ms, timeout: 500ms}\n";
    let body = simple(bind, &[stays.address, address], check);
    // Each worker takes turns of its own.
    let body = body.replace("  servers", "  slowStart: 5m\n  servers");
    let mut lb = Lb::start(&format!("workers: 1\n{body}"))?;
    settled(&lb, 2).await?;
    lb.enters("s1", "up")?;
    // A dial that is late is made at the other one, too.
    let of_both = served(bind, 22, b'b').await?;
    assert!(
        (9..=13).contains(&of_both),
        "{of_both}: both are warm at the start"
    );
    returns.stop().await;
    lb.enters("s1", "unreachable")?;
    let _back = Echo::start_at(address, b'b').await?;
    lb.enters("s1", "up")?;
    let of_both = served(bind, 22, b'b').await?;
    assert!((1..=4).contains(&of_both), "{of_both} of 22");
    Ok(())
}

/// In either mode; `prompt` has a second of quiet of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_connections_move_to_a_server_that_comes_back() -> Fallible<()> {
    for rebalance in ["{mode: gentle, quiet: 1s}", "{mode: prompt}"] {
        quiet_ones_move(rebalance).await?;
    }
    Ok(())
}

/// Connections that last go to a server that comes back, as far as they are quiet: the one that
/// speaks stays where it is.
async fn quiet_ones_move(rebalance: &str) -> Fallible<()> {
    let stays = Echo::start(b'a').await?;
    let returns = Echo::start(b'b').await?;
    let (bind, address) = (loopback(6443), returns.address);
    let more = format!(
        "  check: {{tcp: {{}}, interval: 20ms, timeout: 500ms}}\n  balance: leastconn\n  rebalance: {rebalance}\n"
    );
    let mut lb = Lb::start(&simple(bind, &[stays.address, address], &more))?;
    settled(&lb, 2).await?;
    lb.enters("s1", "up")?;
    returns.stop().await;
    lb.enters("s1", "unreachable")?;
    let mut busy = guest(bind).await?;
    let (moved, moves) = std::sync::mpsc::sync_channel(1000);
    // Clients that connect anew when they are closed in order.
    for _ in 0..10 {
        let mut client = guest(bind).await?;
        assert_eq!(client.server, b'a');
        let moved = moved.clone();
        tokio::spawn(async move {
            while let Ok(0) = client.stream.read(&mut [0]).await {
                client = guest(bind).await?;
                // Nobody listens when the test is over.
                let _ = moved.send(client.server);
            }
            Fallible::Ok(())
        });
    }
    let _back = Echo::start_at(address, b'b').await?;
    lb.enters("s1", "up")?;
    let until = Instant::now() + PATIENCE;
    let mut there = 0;
    while there < 4 {
        assert!(Instant::now() < until, "{there} have moved");
        busy.stream.write_all(b"x").await?;
        assert_eq!(busy.stream.read_u8().await?, b'x');
        there += moves.try_iter().filter(|server| *server == b'b').count();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A client sees its end before it is counted.
    while lb.get("/status").await?["frontends"][0]["ends"]["rebalanced"].as_u64()
        < Some(4)
    {
        assert!(Instant::now() < until, "it is not counted");
    }
    Ok(())
}

/// Of so many connections, how many one server got.
async fn served(bind: std::net::SocketAddr, count: u32, name: u8) -> Fallible<usize> {
    let mut theirs = 0;
    for _ in 0..count {
        theirs += usize::from(guest(bind).await?.server == name);
    }
    Ok(theirs)
}

/// Two places; who waits gets the next one in order, whichever worker has it.
#[tokio::test]
async fn who_waits_for_a_place_gets_the_next_in_order() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let bind = loopback(6443);
    let servers = [format!(
        "name: a, address: \"{}\", maxConnections: 2",
        server.address
    )];
    let body = backend(bind, "  queue: {length: 2, timeout: 30s}\n", &servers);
    let mut lb = Lb::start(&format!("workers: 1\n{body}"))?;
    settled(&lb, 1).await?;
    let first = guest(bind).await?;
    let mut second = guest(bind).await?;
    let third = TcpStream::connect(bind).await?;
    waiting(&lb, 1).await?;
    let mut fourth = TcpStream::connect(bind).await?;
    waiting(&lb, 2).await?;
    // The queue is full. The reset may come before the connect is seen to have succeeded.
    let fifth = tokio::net::TcpSocket::new_v4()?;
    fifth.bind(loopback(0))?;
    let address = fifth.local_addr()?;
    if let Ok(mut fifth) = fifth.connect(bind).await {
        assert!(fifth.read(&mut [0]).await.is_err(), "no reset");
    }
    assert_eq!(lb.end(address)?, "queueFull");
    // The third gives up: its place in the line goes to the fourth.
    drop(third);
    assert_eq!(second.stream.write(b"x").await?, 1);
    drop(first);
    let mut name = [0];
    tokio::time::timeout(PATIENCE, fourth.read_exact(&mut name)).await??;
    assert_eq!(&name, b"a");
    waiting(&lb, 0).await?;
    // Those who have a place were not disturbed.
    second.stream.read_exact(&mut name).await?;
    assert_eq!(&name, b"x");
    Ok(())
}

#[tokio::test]
async fn who_waits_too_long_is_reset() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let bind = loopback(6443);
    let servers = [format!(
        "name: a, address: \"{}\", maxConnections: 1",
        server.address
    )];
    let body = backend(bind, "  queue: {length: 5, timeout: 100ms}\n", &servers);
    let mut lb = Lb::start(&body)?;
    settled(&lb, 1).await?;
    let _first = guest(bind).await?;
    let begun = Instant::now();
    let mut second = TcpStream::connect(bind).await?;
    assert!(second.read(&mut [0]).await.is_err(), "no reset");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert_eq!(lb.end(second.local_addr()?)?, "queueTimeout");
    waiting(&lb, 0).await
}

/// A reload that gives the server more places lets those in who wait.
#[tokio::test]
async fn a_reload_changes_the_places_for_those_who_wait() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let bind = loopback(6443);
    let with = |most: u32| {
        let servers = [format!(
            "name: a, address: \"{}\", maxConnections: {most}",
            server.address
        )];
        let admin = loopback(9000);
        let body = backend(bind, "  queue: {length: 5, timeout: 30s}\n", &servers);
        format!("admin: {{address: \"{admin}\"}}\n{body}")
    };
    let mut lb = Lb::start(&with(1))?;
    settled(&lb, 1).await?;
    let _first = guest(bind).await?;
    let mut second = TcpStream::connect(bind).await?;
    waiting(&lb, 1).await?;
    lb.reload(&with(2))?;
    let mut name = [0];
    tokio::time::timeout(PATIENCE, second.read_exact(&mut name)).await??;
    waiting(&lb, 0).await
}

async fn waiting(lb: &Lb, expected: u64) -> Fallible<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let status = lb.get("/status").await?;
        if status["backends"][0]["waiting"] == expected {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(
                format!("not {expected} wait: {:#}", status["backends"][0]).into()
            );
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
