//! A client that resets, in each state of its session: the session ends by its name, and
//! nothing of it is left.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback};
use crate::servers::{Answer, Echo, Full, Manual, Web, reset};

/// One record with a ClientHello that any TLS server understands, from OpenSSL.
const HELLO: &[u8] = include_bytes!("../../src/hello/corpus/openssl-tls13-alpn.bin");

/// A state, and how a client comes to be in it.
struct Case {
    /// As `api-lb connections` names it.
    stage: &'static str,
    frontend: &'static str,
    backend: &'static str,
    server: SocketAddr,
    /// What the client says first.
    says: &'static [u8],
    /// How the session ends when its client resets.
    end: &'static str,
}

impl Case {
    fn body(&self, bind: SocketAddr) -> String {
        let Self {
            frontend,
            backend,
            server,
            ..
        } = self;
        format!(
            "workers: 1\nfrontends:\n- {{name: f, bind: [\"{bind}\"], backend: b, {frontend}}}\n\
             backends:\n- name: b\n{CHECK_ONCE}{backend}  servers:\n  - {{name: s0, address: \"{server}\"}}\n"
        )
    }
}

/// Waits until this client's session stands there.
async fn stands(lb: &Lb, client: SocketAddr, stage: &str) -> Fallible<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let all = daemon::client::post(&lb.socket(), "/connections", &json!({})).await?;
        let mut all = all["connections"].as_array().into_iter().flatten();
        let own = all.find(|one| one["client"] == *client.to_string());
        let at = own.map_or(&Value::Null, |one| &one["stage"]);
        if at == stage {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("{client} stands at {at}, not at {stage}").into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Sockets that a daemon has; those of the admin socket go by themselves.
fn sockets(lb: &Lb) -> Fallible<usize> {
    let all = std::fs::read_dir(format!("/proc/{}/fd", lb.id()))?;
    let targets = all.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let sockets =
        targets.filter(|target| target.to_string_lossy().starts_with("socket:"));
    Ok(sockets.count())
}

/// Waits until it has so many.
async fn has_sockets(lb: &Lb, is_it: impl Fn(usize) -> bool) -> Fallible<()> {
    let until = Instant::now() + PATIENCE;
    while !is_it(sockets(lb)?) {
        if Instant::now() > until {
            return Err(format!("it has {} sockets", sockets(lb)?).into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// `lb`'s server may be filled up once its check has passed.
async fn resets(mut lb: Lb, bind: SocketAddr, case: &Case) -> Fallible<()> {
    lb.rests().await?;
    let before = sockets(&lb)?;
    let mut client = TcpStream::connect(bind).await?;
    let address = client.local_addr()?;
    client.write_all(case.says).await?;
    stands(&lb, address, case.stage).await?;
    reset(client)?;
    assert_eq!(lb.end(address)?, case.end, "{}", case.stage);
    has_sockets(&lb, |now| now <= before).await?;
    let status = lb.get("/status").await?;
    assert_eq!(status["backends"][0]["servers"][0]["open"], 0);
    Ok(())
}

fn start(bind: SocketAddr, case: &Case) -> Fallible<Lb> {
    let mut lb = Lb::start(&case.body(bind))?;
    lb.enters("s0", "up")?;
    Ok(lb)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_a_server_is_dialled() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    for (stage, frontend, says) in [
        (
            "header",
            "acceptProxy: [\"127.0.0.0/8\"]",
            &b"PROXY TCP4 203."[..],
        ),
        ("hello", "tls: {only: on, helloTimeout: 1m}", &HELLO[..20]),
    ] {
        let case = Case {
            stage,
            frontend,
            backend: "",
            server: server.address,
            says,
            end: "clientAborted",
        };
        let bind = loopback(6443);
        resets(start(bind, &case)?, bind, &case).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_dialled_and_while_another_is_beside_it() -> Fallible<()> {
    let mut full = Full::start()?;
    let case = Case {
        stage: "dial",
        frontend: "",
        backend: "  timeouts: {connect: 1m}\n  dialBudget: {time: 5m}\n",
        server: full.address,
        says: HELLO,
        end: "clientAborted",
    };
    let bind = loopback(6443);
    let lb = start(bind, &case)?;
    full.fill()?;
    resets(lb, bind, &case).await?;

    let mut both = [Full::start()?, Full::start()?];
    let case = Case {
        server: both[0].address,
        ..case
    };
    let bind = loopback(6443);
    let more = format!("  - {{name: s1, address: \"{}\"}}\n", both[1].address);
    let mut lb = Lb::start(&(case.body(bind) + &more))?;
    lb.enters("s0", "up")?;
    lb.enters("s1", "up")?;
    for full in &mut both {
        full.fill()?;
    }
    lb.rests().await?;
    let before = sockets(&lb)?;
    let client = TcpStream::connect(bind).await?;
    let address = client.local_addr()?;
    // Its own socket and one to each server.
    has_sockets(&lb, |now| now >= before + 3).await?;
    reset(client)?;
    assert_eq!(lb.end(address)?, "clientAborted");
    has_sockets(&lb, |now| now <= before).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_silent() -> Fallible<()> {
    let server = Web::start(Answer::Silence).await?;
    let case = Case {
        stage: "asked",
        frontend: "",
        backend: "",
        server: server.address,
        says: HELLO,
        end: "clientReset",
    };
    let bind = loopback(6443);
    resets(start(bind, &case)?, bind, &case).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_waits_for_a_place_and_while_bytes_cross() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let case = Case {
        stage: "relay",
        frontend: "",
        backend: "",
        server: server.address,
        says: b"x",
        end: "clientReset",
    };
    let bind = loopback(6443);
    resets(start(bind, &case)?, bind, &case).await?;

    let bind = loopback(6443);
    let queue = "  queue: {length: 2, timeout: 1m}\n";
    let body = Case {
        backend: queue,
        ..case
    };
    let body = body.body(bind);
    let body = body.replace("name: s0,", "name: s0, maxConnections: 1,");
    let mut lb = Lb::start(&body)?;
    lb.enters("s0", "up")?;
    let mut first = TcpStream::connect(bind).await?;
    first.read_u8().await?;
    let second = TcpStream::connect(bind).await?;
    let address = second.local_addr()?;
    stands(&lb, address, "queue").await?;
    reset(second)?;
    assert_eq!(lb.end(address)?, "clientAborted");
    // The place in the line is free, and the first has kept its own.
    first.write_all(b"!").await?;
    assert_eq!(first.read_u8().await?, b'!');
    Ok(())
}

/// First words that routes have waited for are kept like a ClientHello, and are none: a request
/// that a server has seen, and another would do again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_a_server_has_seen_goes_to_no_other() {
    let (a, b) = (
        Manual::start().await.unwrap(),
        Manual::start().await.unwrap(),
    );
    let bind = loopback(6443);
    let body = format!(
        "frontends:\n- {{name: f, bind: [\"{bind}\"], backend: b, routes: [{{alpn: [h2], backend: b}}]}}\nbackends:\n- name: b\n{CHECK_ONCE}  servers: [{{name: s0, address: \"{}\"}}, {{name: s1, address: \"{}\"}}]\n",
        a.address, b.address
    );
    let mut lb = Lb::start(&body).unwrap();
    let mut client = TcpStream::connect(bind).await.unwrap();
    client.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
    let server = tokio::select! {
        server = a.next() => server,
        server = b.next() => server,
    };
    reset(server.unwrap()).unwrap();
    let address = client.local_addr().unwrap();
    let answer = tokio::time::timeout(PATIENCE, client.read_u8()).await;
    assert!(answer.unwrap().is_err());
    let line = lb.ended(address).unwrap();
    assert_eq!(
        (&line["end"], &line["dials"]),
        (&json!("serverReset"), &json!(1))
    );
}
