//! Servers that do not answer: what their clients notice, which is nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use api_lb::config::{Dial, Switch};
use api_lb::hello::Rules;
use api_lb::worker::{Command, End, Observed, Which};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::ends::{closed_port, full_backlog};
use crate::rig::{Options, Rig};

const SOON: Duration = Duration::from_secs(10);
const HELLO: &[u8] = include_bytes!("../../src/hello/corpus/kubectl.bin");

/// Nothing but another server can help a client within the time of a test.
fn patient() -> Options {
    let minute = Duration::from_secs(60);
    Options {
        dial: Dial {
            connect: minute,
            time: minute,
            attempts: 6,
        },
        ..Options::default()
    }
}

async fn listeners(count: usize) -> (Vec<TcpListener>, Vec<SocketAddr>) {
    let mut listeners = Vec::new();
    for _ in 0..count {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let addresses = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    (listeners, addresses)
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("too late")
}

async fn accept(listener: &TcpListener) -> TcpStream {
    soon(listener.accept()).await.unwrap().0
}

async fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// The server is given just the hello, and answers it; what follows is carried both ways.
async fn answers(server: &mut TcpStream, client: &mut TcpStream) {
    assert_eq!(read(server, HELLO.len()).await, HELLO);
    server.write_all(b"ServerHello").await.unwrap();
    assert_eq!(read(client, 11).await, b"ServerHello");
    client.write_all(b"more").await.unwrap();
    assert_eq!(read(server, 4).await, b"more");
}

#[tokio::test]
async fn who_is_not_answered_is_answered_by_another() {
    let (listeners, addresses) = listeners(2).await;
    let mut rig = Rig::start(&addresses, &patient()).unwrap();
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    // In two parts: what is kept is all of it.
    client.write_all(&HELLO[..700]).await.unwrap();
    let mut silent = accept(&listeners[0]).await;
    assert_eq!(read(&mut silent, 700).await, &HELLO[..700]);
    client.write_all(&HELLO[700..]).await.unwrap();
    let mut other = accept(&listeners[1]).await;
    answers(&mut other, &mut client).await;
    assert_eq!(read(&mut silent, HELLO.len() - 700).await, &HELLO[700..]);
    assert_eq!(
        soon(silent.read(&mut [0; 1])).await.unwrap_or(0),
        0,
        "it is left"
    );
    drop((client, other));
    let record = rig.ended().await.unwrap();
    assert_eq!((record.server.as_deref(), record.attempts), (Some("s1"), 2));
    assert_eq!(record.sent, HELLO.len() as u64 + 4);
    let failovers: Vec<u64> = rig
        .servers()
        .map(|s| s.counters.failovers.load(Ordering::SeqCst))
        .collect();
    assert_eq!(failovers, [1, 0]);
    let open = |rig: &Rig| {
        rig.servers()
            .map(|s| s.counters.open.load(Ordering::SeqCst))
            .sum::<u64>()
    };
    assert_eq!(open(&rig), 0);
}

#[tokio::test]
async fn a_hello_that_was_refused_in_silence_is_given_to_another() {
    for is_reset in [true, false] {
        let (listeners, addresses) = listeners(2).await;
        let rig = Rig::start(&addresses, &patient()).unwrap();
        let mut client = TcpStream::connect(rig.address).await.unwrap();
        client.write_all(HELLO).await.unwrap();
        let mut first = accept(&listeners[0]).await;
        read(&mut first, HELLO.len()).await;
        if is_reset {
            first.set_zero_linger().unwrap();
        }
        drop(first);
        let mut other = accept(&listeners[1]).await;
        answers(&mut other, &mut client).await;
        assert_eq!(rig.open(), [1]);
    }
}

#[tokio::test]
async fn what_is_no_hello_or_was_answered_is_given_to_nobody_else() {
    for (question, answer) in [(&b"POST /pay HTTP/1.1"[..], &b""[..]), (HELLO, b"S")] {
        let (listeners, addresses) = listeners(2).await;
        let mut rig = Rig::start(&addresses, &patient()).unwrap();
        let mut client = TcpStream::connect(rig.address).await.unwrap();
        client.write_all(question).await.unwrap();
        let mut first = accept(&listeners[0]).await;
        read(&mut first, question.len()).await;
        first.write_all(answer).await.unwrap();
        read(&mut client, answer.len()).await;
        first.set_zero_linger().unwrap();
        drop(first);
        let error = soon(client.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        let record = rig.ended().await.unwrap();
        assert_eq!((record.end, record.attempts), (End::ServerReset, 1));
    }
}

/// Behind the hello comes what no other server may be given: it belongs to the first.
#[tokio::test]
async fn early_data_is_given_once() {
    let (listeners, addresses) = listeners(2).await;
    let mut rig = Rig::start(&addresses, &patient()).unwrap();
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let flight = [HELLO, b"\x17\x03\x03\x00\x01x"].concat();
    client.write_all(&flight).await.unwrap();
    let mut first = accept(&listeners[0]).await;
    assert_eq!(read(&mut first, flight.len()).await, flight);
    first.set_zero_linger().unwrap();
    drop(first);
    assert_eq!(rig.ended().await.unwrap().end, End::ServerReset);
}

#[tokio::test]
async fn a_cut_server_loses_who_was_not_answered_and_nobody_is_cut() {
    for which in [Which::All, Which::Unanswered] {
        let (listeners, addresses) = listeners(2).await;
        let rig = Rig::start(&addresses, &patient()).unwrap();
        let mut client = TcpStream::connect(rig.address).await.unwrap();
        client.write_all(HELLO).await.unwrap();
        let mut first = accept(&listeners[0]).await;
        read(&mut first, HELLO.len()).await;
        let server = rig.servers().next().unwrap().id;
        rig.command(&Command::Cut(server, which));
        let mut other = accept(&listeners[1]).await;
        answers(&mut other, &mut client).await;
    }
}

#[tokio::test]
async fn a_server_that_takes_no_connection_is_not_waited_for() {
    let (full, _queued) = full_backlog().await;
    let (listeners, addresses) = listeners(1).await;
    let mut rig = Rig::start(&[full, addresses[0]], &patient()).unwrap();
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    client.write_all(HELLO).await.unwrap();
    let mut other = accept(&listeners[0]).await;
    answers(&mut other, &mut client).await;
    drop((client, other));
    let record = rig.ended().await.unwrap();
    assert_eq!((record.server.as_deref(), record.attempts), (Some("s1"), 2));
    let hedges: Vec<u64> = rig
        .servers()
        .map(|s| s.counters.hedges.load(Ordering::SeqCst))
        .collect();
    assert_eq!(hedges, [1, 0]);
}

/// Three clients in a row without an answer are told of once.
#[tokio::test]
async fn a_server_that_lets_clients_down_is_told_of() {
    let refusing = closed_port().await;
    let (listeners, addresses) = listeners(1).await;
    let answering = &listeners[0];
    let mut rig = Rig::start(&[refusing, addresses[0]], &patient()).unwrap();
    for _ in 0..6 {
        let mut client = TcpStream::connect(rig.address).await.unwrap();
        client.write_all(HELLO).await.unwrap();
        let mut server = accept(answering).await;
        answers(&mut server, &mut client).await;
    }
    let id = rig.servers().next().unwrap().id;
    assert_eq!(
        soon(rig.observed.recv()).await,
        Some(Observed::unreachable(id))
    );
    assert!(rig.observed.try_recv().is_err());
}

/// Three of them, of whom each counts once, however often it is looked into that it waits, and
/// with whatever became of it: nothing was said, or a reset came in place of the first byte.
#[tokio::test]
async fn a_server_that_takes_clients_and_does_not_answer_is_told_of() {
    for is_reset in [false, true] {
        let (listeners, addresses) = listeners(2).await;
        let mut rig = Rig::start(&addresses, &patient()).unwrap();
        let mut open = Vec::new();
        for n in 0..3 {
            assert!(rig.observed.try_recv().is_err(), "{n}");
            let mut client = TcpStream::connect(rig.address).await.unwrap();
            client.write_all(HELLO).await.unwrap();
            let mut first = accept(&listeners[0]).await;
            read(&mut first, HELLO.len()).await;
            if is_reset {
                first.set_zero_linger().unwrap();
                drop(first);
            } else {
                open.push(first);
            }
            let mut other = accept(&listeners[1]).await;
            answers(&mut other, &mut client).await;
            // The next one's turn is at the other server.
            let mut next = TcpStream::connect(rig.address).await.unwrap();
            next.write_all(HELLO).await.unwrap();
            let mut its = accept(&listeners[1]).await;
            answers(&mut its, &mut next).await;
            open.extend([client, other, next, its]);
        }
        let id = rig.servers().next().unwrap().id;
        let expected = match is_reset {
            true => Observed::unreachable(id),
            false => Observed::silent(id),
        };
        assert_eq!(soon(rig.observed.recv()).await, Some(expected));
        assert!(rig.observed.try_recv().is_err());
    }
}

#[tokio::test]
async fn where_only_tls_is_wanted_nothing_else_reaches_a_server() {
    let (listeners, addresses) = listeners(1).await;
    let rules = Rules {
        only: Switch::On,
        timeout: Duration::from_secs(2),
        routes: Vec::new(),
    };
    let options = Options {
        rules: Some(Arc::new(rules)),
        ..patient()
    };
    let mut rig = Rig::start(&addresses, &options).unwrap();
    for (words, end) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], End::NotTls),
        (&HELLO[..100], End::NoHello),
        (b"", End::NoHello),
    ] {
        let mut client = TcpStream::connect(rig.address).await.unwrap();
        client.write_all(words).await.unwrap();
        let error = soon(client.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{end:?}");
        let record = rig.ended().await.unwrap();
        assert_eq!((record.end, record.attempts), (end, 0));
    }
    // Who says its hello in parts is let in.
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    client.write_all(&HELLO[..1]).await.unwrap();
    assert!(rig.until(SOON, |rig| rig.open() == [1]).await);
    client.write_all(&HELLO[1..]).await.unwrap();
    let mut server = accept(&listeners[0]).await;
    answers(&mut server, &mut client).await;
}

/// Half hellos that stay, garbage, and connects that are reset at once: none of them reaches
/// the server, and everybody else is answered.
#[tokio::test]
async fn hostile_clients_reach_no_server_and_keep_nobody_from_one() {
    const HOSTILE: usize = 900;
    const GOOD: u64 = 60;
    let (listeners, addresses) = listeners(1).await;
    let rules = Rules {
        only: Switch::On,
        timeout: Duration::from_secs(60),
        routes: Vec::new(),
    };
    let options = Options {
        rules: Some(Arc::new(rules)),
        ..patient()
    };
    let rig = Rig::start(&addresses, &options).unwrap();
    let server = rig.servers().next().unwrap().counters.clone();
    let mut staying = Vec::new();
    for n in 0..HOSTILE {
        let mut client = TcpStream::connect(rig.address).await.unwrap();
        match n % 3 {
            0 => {
                client.write_all(&HELLO[..n]).await.unwrap();
                staying.push(client);
            }
            1 => {
                let garbage = vec![n as u8 | 0x80; 1 + n];
                // It may be turned away before it has said all.
                let _ = client.write_all(&garbage).await;
            }
            _ => client.set_zero_linger().unwrap(),
        }
        if n % 15 == 0 {
            let mut good = TcpStream::connect(rig.address).await.unwrap();
            good.write_all(HELLO).await.unwrap();
            let mut accepted = accept(&listeners[0]).await;
            answers(&mut accepted, &mut good).await;
        }
    }
    let patient = staying.len() as u64;
    let drained = rig.until(SOON, |rig| rig.open() == [patient]).await;
    assert!(drained, "{:?} of {patient}", rig.open());
    assert_eq!(server.connections.load(Ordering::SeqCst), GOOD);
    let counters = &rig.frontend().counters;
    let told = rig
        .until(SOON, |_| counters.ended(End::NotTls) == 300)
        .await;
    assert!(told, "{} of 300", counters.ended(End::NotTls));
}
