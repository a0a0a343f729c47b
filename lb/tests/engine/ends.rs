//! How sessions end, in each state, and what both peers see of it.

use std::net::SocketAddr;
use std::time::Duration;

use api_lb::worker::{Command, End, Which};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::rig::{Options, Rig};

const SOON: Duration = Duration::from_secs(30);

/// A session with both ends in our hands.
struct Pair {
    rig: Rig,
    client: TcpStream,
    server: TcpStream,
}

async fn pair(options: &Options) -> Pair {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = Rig::start(&[listener.local_addr().unwrap()], options).unwrap();
    let client = TcpStream::connect(rig.address).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let mut pair = Pair {
        rig,
        client,
        server,
    };
    pair.exchange().await;
    pair
}

impl Pair {
    /// One byte each way: the session is established, and nothing is on its way.
    async fn exchange(&mut self) {
        self.client.write_all(b"?").await.unwrap();
        assert_eq!(self.server.read_u8().await.unwrap(), b'?');
        self.server.write_all(b"!").await.unwrap();
        assert_eq!(self.client.read_u8().await.unwrap(), b'!');
    }

    async fn end(&mut self) -> End {
        self.rig.ended().await.expect("no end is reported").end
    }
}

async fn read(stream: &mut TcpStream) -> std::io::Result<usize> {
    let mut buffer = [0; 1024];
    tokio::time::timeout(SOON, stream.read(&mut buffer))
        .await
        .expect("nothing is told")
}

async fn sees_a_reset(stream: &mut TcpStream) -> bool {
    read(stream)
        .await
        .is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn the_side_that_ends_first_names_the_end() {
    let mut pair = pair(&Options::default()).await;
    pair.client.shutdown().await.unwrap();
    assert_eq!(read(&mut pair.server).await.unwrap(), 0);
    pair.server.write_all(b"late").await.unwrap();
    assert_eq!(
        read(&mut pair.client).await.unwrap(),
        4,
        "a half-closed session carries on"
    );
    pair.server.shutdown().await.unwrap();
    assert_eq!(read(&mut pair.client).await.unwrap(), 0);
    assert_eq!(pair.end().await, End::ClientClosed);

    let mut pair = self::pair(&Options::default()).await;
    pair.server.shutdown().await.unwrap();
    assert_eq!(read(&mut pair.client).await.unwrap(), 0);
    pair.client.write_all(b"late").await.unwrap();
    assert_eq!(read(&mut pair.server).await.unwrap(), 4);
    pair.client.shutdown().await.unwrap();
    assert_eq!(pair.end().await, End::ServerClosed);
}

#[tokio::test]
async fn a_reset_is_passed_on_as_a_reset() {
    let mut pair = pair(&Options::default()).await;
    pair.client.set_zero_linger().unwrap();
    drop(std::mem::replace(&mut pair.client, other().await));
    assert!(sees_a_reset(&mut pair.server).await);
    assert_eq!(pair.end().await, End::ClientReset);

    let mut pair = self::pair(&Options::default()).await;
    pair.server.set_zero_linger().unwrap();
    drop(std::mem::replace(&mut pair.server, other().await));
    assert!(sees_a_reset(&mut pair.client).await);
    assert_eq!(pair.end().await, End::ServerReset);
}

#[tokio::test]
async fn a_reset_after_a_half_close_is_noticed_although_nobody_reads() {
    for client in [true, false] {
        let mut pair = pair(&Options::default()).await;
        let (one, other) = if client {
            (&mut pair.client, &mut pair.server)
        } else {
            (&mut pair.server, &mut pair.client)
        };
        one.shutdown().await.unwrap();
        assert_eq!(read(other).await.unwrap(), 0);
        one.set_zero_linger().unwrap();
        drop(std::mem::replace(one, self::other().await));
        let expected = if client {
            End::ClientReset
        } else {
            End::ServerReset
        };
        assert_eq!(pair.end().await, expected);
    }
}

#[tokio::test]
async fn a_client_that_resets_frees_a_session_whose_server_takes_nothing() {
    let mut pair = pair(&Options::default()).await;
    let noise = vec![7; 1 << 20];
    let fill = async { while pair.client.write_all(&noise).await.is_ok() {} };
    let blocked = tokio::time::timeout(Duration::from_millis(500), fill).await;
    assert!(
        blocked.is_err(),
        "the server that does not read did not block its client"
    );
    pair.client.set_zero_linger().unwrap();
    drop(std::mem::replace(&mut pair.client, other().await));
    assert_eq!(pair.end().await, End::ClientReset);
}

#[tokio::test]
async fn commands_end_sessions_with_a_reset() {
    let mut pair = pair(&Options::default()).await;
    let id = pair.rig.servers().next().unwrap().id;
    pair.rig.command(&Command::Cut(id, Which::Unanswered));
    pair.exchange().await;
    pair.client.write_all(b"?").await.unwrap();
    assert_eq!(pair.server.read_u8().await.unwrap(), b'?');
    pair.rig.command(&Command::Cut(id, Which::Unanswered));
    assert!(sees_a_reset(&mut pair.client).await);
    assert_eq!(pair.end().await, End::ServerHung);

    let mut pair = self::pair(&Options::default()).await;
    let id = pair.rig.servers().next().unwrap().id;
    pair.rig.command(&Command::Cut(id, Which::All));
    assert!(sees_a_reset(&mut pair.client).await);
    assert_eq!(pair.end().await, End::ServerUnreachable);

    let mut pair = self::pair(&Options::default()).await;
    pair.rig.command(&Command::Shutdown);
    assert!(sees_a_reset(&mut pair.client).await);
    assert!(sees_a_reset(&mut pair.server).await);
    assert_eq!(pair.end().await, End::Shutdown);
}

#[tokio::test]
async fn an_idle_time_ends_only_what_is_quiet() {
    let idle = Duration::from_secs(3);
    let options = Options {
        idle: Some(idle),
        ..Options::default()
    };
    let mut pair = pair(&options).await;
    let start = std::time::Instant::now();
    let mut last = start;
    while start.elapsed() < 2 * idle {
        last = std::time::Instant::now();
        pair.exchange().await;
        tokio::time::sleep(idle / 20).await;
    }
    assert_eq!(pair.end().await, End::Idle);
    let after = last.elapsed();
    assert!(after >= idle, "ended after {after:?}");
}

#[tokio::test]
async fn a_dead_server_is_passed_over_and_the_client_does_not_notice() {
    let dead = closed_port().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let servers = [dead, listener.local_addr().unwrap(), dead];
    let mut rig = Rig::start(&servers, &Options::default()).unwrap();
    for _ in 0..6 {
        let mut client = TcpStream::connect(rig.address).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        server.write_all(b"!").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'!');
        drop((client, server));
        let record = rig.ended().await.unwrap();
        assert_eq!(record.server.as_deref(), Some("s1"));
        assert!(record.attempts <= 3);
    }
}

#[tokio::test]
async fn without_a_server_that_answers_the_client_is_reset_and_told_why() {
    let (silent, _full) = full_backlog().await;
    for (server, expected) in [
        (closed_port().await, End::DialFailed),
        (silent, End::DialBudget),
    ] {
        let mut rig = Rig::start(&[server], &Options::default()).unwrap();
        let mut client = TcpStream::connect(rig.address).await.unwrap();
        assert!(sees_a_reset(&mut client).await);
        assert_eq!(rig.ended().await.unwrap().end, expected);
    }
    let mut rig = Rig::start(&[], &Options::default()).unwrap();
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    assert!(sees_a_reset(&mut client).await);
    assert_eq!(rig.ended().await.unwrap().end, End::NoServer);
}

#[tokio::test]
async fn a_client_that_resets_while_its_server_is_dialled_ends_the_dial() {
    let (silent, _full) = full_backlog().await;
    let mut options = Options::default();
    options.dial.connect = 2 * SOON;
    options.dial.time = 2 * SOON;
    let mut rig = Rig::start(&[silent], &options).unwrap();
    let client = TcpStream::connect(rig.address).await.unwrap();
    client.set_zero_linger().unwrap();
    drop(client);
    let record = rig.ended().await.unwrap();
    assert_eq!(record.end, End::ClientAborted);
    assert!(record.lasted < SOON, "{:?}", record.lasted);
}

/// A connection that has nothing to do with the session.
async fn other() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap()
}

/// A port that refuses: on an address where no other test listens.
pub async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.77.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A listener whose queue is full: the kernel drops further SYNs.
pub async fn full_backlog() -> (SocketAddr, Vec<Box<dyn std::any::Any>>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held: Vec<Box<dyn std::any::Any>> = vec![Box::new(listener)];
    for _ in 0..3 {
        let connect = TcpStream::connect(address);
        if let Ok(stream) = tokio::time::timeout(Duration::from_millis(50), connect).await
        {
            held.push(Box::new(stream.unwrap()));
        }
    }
    (address, held)
}

/// A server that takes connections and resets them at once.
async fn resetting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_zero_linger();
        }
    });
    address
}

#[tokio::test]
async fn a_reset_before_the_first_byte_leads_to_another_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let servers = [resetting().await, listener.local_addr().unwrap()];
    let mut rig = Rig::start(&servers, &Options::default()).unwrap();
    for half_closes in [false, true, false, true] {
        let mut client = TcpStream::connect(rig.address).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        if half_closes {
            client.shutdown().await.unwrap();
            assert_eq!(read(&mut server).await.unwrap(), 0);
        }
        server.write_all(b"!").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'!');
        drop((client, server));
        assert_eq!(rig.ended().await.unwrap().server.as_deref(), Some("s1"));
    }
    let (bad, good) = (rig.servers().next().unwrap(), rig.servers().nth(1).unwrap());
    let count = |count: &std::sync::atomic::AtomicU64| {
        count.load(std::sync::atomic::Ordering::SeqCst)
    };
    assert_eq!(count(&bad.counters.dial_failures), 2);
    assert_eq!(
        (count(&bad.counters.open), count(&good.counters.open)),
        (0, 0)
    );
}

#[tokio::test]
async fn a_reset_of_every_server_ends_within_the_budget() {
    let servers = [resetting().await, resetting().await];
    let mut rig = Rig::start(&servers, &Options::default()).unwrap();
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    assert!(sees_a_reset(&mut client).await);
    let record = rig.ended().await.unwrap();
    assert_eq!((record.end, record.attempts), (End::DialFailed, 2));
}

#[tokio::test]
async fn a_reset_after_the_client_was_heard_is_no_others_business() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let servers = [listener.local_addr().unwrap(), other.local_addr().unwrap()];
    let mut rig = Rig::start(&servers, &Options::default()).unwrap();
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    client.write_all(b"?").await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), b'?');
    server.set_zero_linger().unwrap();
    drop(server);
    assert!(sees_a_reset(&mut client).await);
    assert_eq!(rig.ended().await.unwrap().end, End::ServerReset);
}
