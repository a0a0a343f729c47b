//! Who may come in: limits of the process, of a frontend and of a source, lists of networks,
//! and the PROXY protocol in and out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback};
use crate::servers::{Echo, Manual};

/// One frontend with these keys, one server.
fn body(bind: SocketAddr, server: SocketAddr, front: &str, back: &str) -> String {
    format!(
        "frontends:\n- name: f\n  bind: [\"{bind}\"]\n  backend: b\n{front}backends:\n- name: b\n{CHECK_ONCE}{back}  servers:\n  - {{name: s, address: \"{server}\"}}\n"
    )
}

async fn from(source: SocketAddr, bind: SocketAddr) -> Fallible<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(source)?;
    Ok(socket.connect(bind).await?)
}

/// Whether the server says its name to this client; a reset says that it does not.
async fn is_served(client: &mut TcpStream) -> Fallible<bool> {
    let mut name = [0];
    let read = tokio::time::timeout(PATIENCE, client.read_exact(&mut name)).await?;
    Ok(read.is_ok())
}

/// Connects, and says how that went: a reset may also come before the connect is seen.
async fn served_from(
    source: SocketAddr,
    bind: SocketAddr,
) -> Fallible<(bool, Option<TcpStream>)> {
    match from(source, bind).await {
        Ok(mut client) => Ok((is_served(&mut client).await?, Some(client))),
        Err(_) => Ok((false, None)),
    }
}

/// Waits until so many have ended in this way: a client sees its reset before it is counted.
async fn ends(lb: &Lb, end: &str, expected: u64) -> Fallible<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let status = lb.get("/status").await?;
        let count = status["frontends"][0]["ends"][end].as_u64().unwrap_or(0);
        if count == expected {
            return Ok(());
        }
        if count > expected || Instant::now() > until {
            return Err(format!("{count} {end}, not {expected}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn only_those_who_are_allowed_come_in() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let (bind, good, bad) = (loopback(6443), loopback(0), loopback(0));
    let front = format!("  deny: [\"{}\"]\n", bad.ip());
    let lb = Lb::start(&body(bind, server.address, &front, ""))?;
    assert!(served_from(good, bind).await?.0);
    assert!(!served_from(bad, bind).await?.0);
    ends(&lb, "denied", 1).await?;
    drop(lb);
    let front = format!("  allow: [\"{}/32\"]\n", good.ip());
    let lb = Lb::start(&body(bind, server.address, &front, ""))?;
    assert!(served_from(good, bind).await?.0);
    assert!(!served_from(bad, bind).await?.0);
    ends(&lb, "denied", 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_source_that_runs_wild_keeps_nobody_else_out() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let (bind, wild, good) = (loopback(6443), loopback(0), loopback(0));
    let front = "  sources: {maxConnections: 3}\n";
    let lb = Lb::start(&body(bind, server.address, front, ""))?;
    let mut kept = Vec::new();
    for n in 0..6 {
        let (is_served, client) = served_from(wild, bind).await?;
        assert_eq!(is_served, n < 3, "{n}");
        kept.extend(client);
    }
    assert!(served_from(good, bind).await?.0);
    ends(&lb, "sourceConnections", 3).await?;
    // Its places come free with its connections.
    drop(kept);
    let until = Instant::now() + PATIENCE;
    while !served_from(wild, bind).await?.0 {
        assert!(Instant::now() < until, "it is never let in again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_source_has_its_rate() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let (bind, wild, good) = (loopback(6443), loopback(0), loopback(0));
    let front = "  sources: {maxRate: 1}\n";
    let lb = Lb::start(&body(bind, server.address, front, ""))?;
    let begun = Instant::now();
    let mut served = 0_u64;
    for _ in 0..20 {
        served += u64::from(served_from(wild, bind).await?.0);
    }
    assert!(
        served >= 1 && served <= 1 + begun.elapsed().as_secs() + 1,
        "{served}"
    );
    assert!(served_from(good, bind).await?.0);
    ends(&lb, "sourceRate", 20 - served).await?;
    Ok(())
}

/// Full frontends and full processes: those who come wait, or are reset by rule; those who are
/// in notice nothing.
#[tokio::test]
async fn full_is_full_by_rule() -> Fallible<()> {
    for (head, front, refused) in [
        ("", "  maxConnections: 2\n", None),
        (
            "",
            "  maxConnections: 2\n  whenFull: refuse\n",
            Some("frontendConnections"),
        ),
        ("maxConnections: 2\n", "", None),
        (
            "maxConnections: 2\nwhenFull: refuse\n",
            "",
            Some("processConnections"),
        ),
    ] {
        let server = Echo::start(b'a').await?;
        let bind = loopback(6443);
        let body = body(bind, server.address, front, "");
        let lb = Lb::start(&format!("workers: 1\n{head}{body}"))?;
        let mut first = from(loopback(0), bind).await?;
        let mut second = from(loopback(0), bind).await?;
        assert!(is_served(&mut first).await? && is_served(&mut second).await?);
        if let Some(end) = refused {
            assert!(!served_from(loopback(0), bind).await?.0, "{front}");
            ends(&lb, end, 1).await?;
            continue;
        }
        let mut third = from(loopback(0), bind).await?;
        let mut name = [0];
        let short = Duration::from_millis(60);
        let waited = tokio::time::timeout(short, third.read(&mut name)).await;
        assert!(waited.is_err(), "{head}{front}: it was let in");
        first.write_all(b"x").await?;
        assert!(is_served(&mut first).await?);
        drop(second);
        assert!(is_served(&mut third).await?, "{head}{front}");
    }
    Ok(())
}

/// At the limit of descriptors those who come are reset by rule, and those who are in go on.
#[tokio::test]
async fn out_of_descriptors_refuses_by_rule() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let bind = loopback(6443);
    let body = body(bind, server.address, "", "");
    let body = format!("workers: 2\nwhenFull: refuse\n{body}");
    let lb = Lb::start_under(&body, Some(64))?;
    let limit = lb.get("/status").await?["limits"]["connections"].as_u64();
    let limit = usize::try_from(limit.ok_or("no limit")?)?;
    let (mut kept, mut refused) = (Vec::new(), 0);
    for _ in 0..limit + 20 {
        match served_from(loopback(0), bind).await? {
            (true, Some(client)) => kept.push(client),
            _ => refused += 1,
        }
    }
    // Two workers may each let one more in.
    assert!(
        (limit..=limit + 1).contains(&kept.len()),
        "{} of {limit}",
        kept.len()
    );
    ends(&lb, "processConnections", refused).await?;
    for client in &mut kept {
        client.write_all(b"x").await?;
        let mut back = [0];
        tokio::time::timeout(PATIENCE, client.read_exact(&mut back)).await??;
        assert_eq!(&back, b"x");
    }
    Ok(())
}

#[tokio::test]
async fn a_frontend_has_its_rate() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let bind = loopback(6443);
    let front = "  maxRate: 20\n";
    let _lb = Lb::start(&format!(
        "workers: 1\n{}",
        body(bind, server.address, front, "")
    ))?;
    let begun = Instant::now();
    for _ in 0..30 {
        assert!(served_from(loopback(0), bind).await?.0);
    }
    // Twenty at once, and one each 50 ms.
    assert!(
        begun.elapsed() >= Duration::from_millis(450),
        "{:?}",
        begun.elapsed()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_behind_a_proxy_is_the_one_that_the_header_names() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let (bind, proxy) = (loopback(6443), loopback(0));
    let front = format!(
        "  acceptProxy: [\"{}\"]\n  deny: [\"203.0.113.66\"]\n",
        proxy.ip()
    );
    let mut lb = Lb::start(&body(bind, server.address, &front, ""))?;
    // In two pieces, and with the first bytes of the client behind the second.
    let mut client = from(proxy, bind).await?;
    client.write_all(b"PROXY TCP4 203.0.113.7 ").await?;
    client.flush().await?;
    let mut name = [0];
    let waits = tokio::time::timeout(Duration::from_millis(30), client.read(&mut name));
    assert!(waits.await.is_err(), "it was let in before its header");
    client.write_all(b"192.0.2.1 4711 6443\r\nhello").await?;
    let mut answer = [0; 6];
    tokio::time::timeout(PATIENCE, client.read_exact(&mut answer)).await??;
    assert_eq!(&answer, b"ahello");
    drop(client);
    assert_eq!(lb.end("203.0.113.7:4711".parse()?)?, "clientClosed");
    // Version 2, its own connection.
    let mut client = from(proxy, bind).await?;
    let own = client.local_addr()?;
    client.write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").await?;
    assert!(is_served(&mut client).await?);
    drop(client);
    assert_eq!(lb.end(own)?, "clientClosed");
    // The lists are for the client, not for the proxy.
    let mut client = from(proxy, bind).await?;
    client
        .write_all(b"PROXY TCP4 203.0.113.66 192.0.2.1 4711 6443\r\n")
        .await?;
    assert!(!is_served(&mut client).await?);
    ends(&lb, "denied", 1).await?;
    // A proxy without a header, and another client without one.
    let mut client = from(proxy, bind).await?;
    client.write_all(b"\x16\x03\x01").await?;
    assert!(!is_served(&mut client).await?);
    ends(&lb, "badProxyHeader", 1).await?;
    assert!(served_from(loopback(0), bind).await?.0);
    Ok(())
}

#[tokio::test]
async fn a_server_is_told_who_the_client_is() -> Fallible<()> {
    for (version, expected) in [("v1", None), ("v2", Some(28))] {
        let server = Manual::start().await?;
        let (bind, source) = (loopback(6443), loopback(0));
        let back = format!("  sendProxy: {version}\n");
        let _lb = Lb::start(&body(bind, server.address, "", &back))?;
        let mut client = from(source, bind).await?;
        client.write_all(b"hello").await?;
        let mut stream = server.next().await?;
        let own = client.local_addr()?;
        let text = format!(
            "PROXY TCP4 {} {} {} 6443\r\nhello",
            own.ip(),
            bind.ip(),
            own.port()
        );
        let len = expected.map_or(text.len(), |len| len + 5);
        let mut got = vec![0; len];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut got)).await??;
        match expected {
            None => assert_eq!(String::from_utf8(got)?, text),
            Some(len) => {
                let parsed = api_lb::proxy::parse(&got)?;
                let header = api_lb::proxy::Header::Tcp {
                    source: own,
                    destination: bind,
                };
                assert_eq!(parsed, api_lb::proxy::Parsed::Whole { header, len });
                assert_eq!(&got[len..], b"hello");
            }
        }
        // Both ways go on as ever.
        stream.write_all(b"world").await?;
        let mut answer = [0; 5];
        client.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"world");
    }
    Ok(())
}
