//! Servers that refuse, do not answer, or are none; more clients than there is room for.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::rig::{CHECK_ONCE, Fallible, Lb, loopback, simple};
use crate::servers::{Echo, Full, reset};

/// One record with a ClientHello that any TLS server understands, from OpenSSL.
const HELLO: &[u8] = include_bytes!("../../src/hello/corpus/openssl-tls13-alpn.bin");

/// Who answers a new connection.
async fn ask(bind: SocketAddr) -> std::io::Result<(SocketAddr, u8)> {
    let mut client = TcpStream::connect(bind).await?;
    let address = client.local_addr()?;
    Ok((address, client.read_u8().await?))
}

/// Starts with these servers and waits until all are up.
fn start(bind: SocketAddr, servers: &[SocketAddr], more: &str) -> Fallible<Lb> {
    let mut lb = Lb::start(&simple(bind, servers, &format!("{CHECK_ONCE}{more}")))?;
    for n in 0..servers.len() {
        lb.enters(&format!("s{n}"), "up")?;
    }
    Ok(lb)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_costs_no_client_anything() {
    let (a, b, c) = (
        Echo::start(b'a').await.unwrap(),
        Echo::start(b'b').await.unwrap(),
        Echo::start(b'c').await.unwrap(),
    );
    let bind = loopback(6443);
    let mut lb = start(bind, &[a.address, b.address, c.address], "").unwrap();
    b.stop().await;
    let served = async |times: u32| {
        for _ in 0..times {
            let (_, name) = ask(bind).await.unwrap();
            assert!(matches!(name, b'a' | b'c'));
        }
    };
    // Three in a row tell; each worker takes turns of its own.
    for _ in 0..300 {
        served(1).await;
        if failed_dials(&lb).await >= 3 {
            break;
        }
    }
    lb.enters("s1", "unreachable").unwrap();
    let known = failed_dials(&lb).await;
    assert!(known >= 3, "{known}");
    // A worker may hear of it a little later than the log.
    served(300).await;
    let now = failed_dials(&lb).await;
    assert!(now < known + 10, "it is dialled on: {known}, then {now}");
}

/// How many dials of the second server have failed.
async fn failed_dials(lb: &Lb) -> u64 {
    let status = lb.get("/status").await.unwrap();
    let server = &status["backends"][0]["servers"][1];
    server["dialFailures"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let live = Echo::start(b'a').await.unwrap();
    let mut full = Full::start().unwrap();
    let bind = loopback(6443);
    let more = "  timeouts: {connect: 30s}\n  dialBudget: {time: 1m}\n";
    let mut lb = start(bind, &[full.address, live.address], more).unwrap();
    full.fill().unwrap();
    let mut second_dials = 0;
    for _ in 0..10 {
        let (client, name) = ask(bind).await.unwrap();
        assert_eq!(name, b'a');
        let line = lb.ended(client).unwrap();
        second_dials += u32::from(line["dials"] == 2);
    }
    assert!((3..=5).contains(&second_dials), "{second_dials}");
    let failed = lb.line(|line| line["message"] == "dial failed").unwrap();
    assert_eq!(failed["server"], "s0");
    assert_eq!(failed["error"], "timed out");
}

/// The client gets a reset, never an orderly end, and the log says why.
async fn refused(lb: &mut Lb, bind: SocketAddr) -> Fallible<(String, u64)> {
    // The reset can come before the connect has returned.
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let address = socket.local_addr()?;
    let answer = match socket.connect(bind).await {
        Ok(mut client) => client.read_u8().await,
        Err(error) => Err(error),
    };
    let error = answer.err().ok_or("it was answered")?;
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let line = lb.ended(address)?;
    let end = line["end"].as_str().unwrap_or("").to_owned();
    Ok((end, line["dials"].as_u64().unwrap_or(0)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_refuse_the_client_is_reset_and_the_log_says_why() {
    let (a, b) = (
        Echo::start(b'a').await.unwrap(),
        Echo::start(b'b').await.unwrap(),
    );
    let bind = loopback(6443);
    let mut lb = start(bind, &[a.address, b.address], "").unwrap();
    let address = a.address;
    a.stop().await;
    b.stop().await;
    let ended = refused(&mut lb, bind).await.unwrap();
    assert_eq!(ended, ("dialFailed".to_owned(), 2));
    // The first connection after a server answers succeeds, whatever the checks believe.
    let _back = Echo::start_at(address, b'A').await.unwrap();
    assert_eq!(ask(bind).await.unwrap().1, b'A');
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dial_budget_ends_and_the_log_says_why() {
    let mut full = Full::start().unwrap();
    let bind = loopback(6443);
    let more = "  timeouts: {connect: 10ms}\n  dialBudget: {attempts: 3}\n";
    let mut lb = start(bind, &[full.address], more).unwrap();
    full.fill().unwrap();
    let ended = refused(&mut lb, bind).await.unwrap();
    assert_eq!(ended, ("dialBudget".to_owned(), 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_server_disabled_there_is_none() {
    let bind = loopback(6443);
    let body = simple(bind, &[loopback(1)], CHECK_ONCE)
        .replace(":1\"}", ":1\", disabled: true}");
    let mut lb = Lb::start(&body).unwrap();
    let ended = refused(&mut lb, bind).await.unwrap();
    assert_eq!(ended, ("noServer".to_owned(), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_while_it_waits_ends_the_dialling() {
    let mut full = Full::start().unwrap();
    let bind = loopback(6443);
    let more = "  timeouts: {connect: 1m}\n  dialBudget: {time: 5m}\n";
    let mut lb = start(bind, &[full.address], more).unwrap();
    full.fill().unwrap();
    let client = TcpStream::connect(bind).await.unwrap();
    let address = client.local_addr().unwrap();
    reset(client).unwrap();
    assert_eq!(lb.end(address).unwrap(), "clientAborted");
}

/// Whether all threads of a daemon stand.
fn is_stopped(lb: &Lb) -> Fallible<bool> {
    for task in std::fs::read_dir(format!("/proc/{}/task", lb.id()))? {
        let stat = std::fs::read_to_string(task?.path().join("stat"))?;
        let (_, state) = stat.rsplit_once(')').ok_or("odd stat")?;
        if !state.starts_with(" T") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One look at the poll reports the client's hello and, behind it, that its server has reset.
/// The hello goes to another server, which is not taken for the one that has gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reported_of_a_server_that_is_left_is_not_said_of_the_next() {
    let first = TcpListener::bind(loopback(0)).await.unwrap();
    let second = Echo::start(b'b').await.unwrap();
    let bind = loopback(6443);
    let servers = [first.local_addr().unwrap(), second.address];
    let lb = start(bind, &servers, "").unwrap();
    // Its check.
    drop(first.accept().await.unwrap());
    let mut client = TcpStream::connect(bind).await.unwrap();
    let (server, _) = first.accept().await.unwrap();
    lb.signal(Signal::SIGSTOP).unwrap();
    while !is_stopped(&lb).unwrap() {
        tokio::task::yield_now().await;
    }
    client.write_all(HELLO).await.unwrap();
    reset(server).unwrap();
    lb.signal(Signal::SIGCONT).unwrap();
    let mut answer = vec![0; 1 + HELLO.len()];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!((answer[0], &answer[1..]), (b'b', HELLO));
}

/// Clients beyond the limit wait in the listener's queue and are served when others leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_beyond_the_limit_wait_and_are_all_answered() {
    let server = Echo::start(b'a').await.unwrap();
    let bind = loopback(6443);
    let body = simple(bind, &[server.address], CHECK_ONCE);
    let mut lb = Lb::start_under(&format!("workers: 2\n{body}"), Some(64)).unwrap();
    lb.enters("s0", "up").unwrap();
    let status = lb.get("/status").await.unwrap();
    let limit = status["limits"]["connections"].as_u64().unwrap();
    assert!((10..30).contains(&limit), "{limit}");
    let mut clients = VecDeque::new();
    for _ in 0..100 {
        clients.push_back(TcpStream::connect(bind).await.unwrap());
    }
    let mut waited = 0;
    while let Some(mut client) = clients.pop_front() {
        assert_eq!(client.read_u8().await.unwrap(), b'a');
        // Two workers may each let one more in; and there is room for the admin socket.
        let open = lb.get("/status").await.unwrap()["connections"]
            .as_u64()
            .unwrap();
        assert!(open <= limit + 1, "{open}");
        waited += u32::from(open >= limit && clients.len() > 40);
        client.shutdown().await.unwrap();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    }
    assert!(waited > 20, "{waited}");
    assert_eq!(ask(bind).await.unwrap().1, b'a');
}
