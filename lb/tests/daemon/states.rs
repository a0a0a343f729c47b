//! What the state of a server does to new and to established connections.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{Fallible, Lb, loopback, simple};
use crate::servers::{Answer, Web};

/// A server answers within far less, however busy the machine is.
const CHECK: &str = "  check: {http: {path: /readyz}, interval: 20ms, timeout: 2s}\n";

struct Pair {
    lb: Lb,
    bind: std::net::SocketAddr,
    servers: [Web; 2],
}

/// Two servers that answer like this; both are known to the daemon.
async fn start(answers: [Answer; 2], states: [&str; 2]) -> Fallible<Pair> {
    let servers = [Web::start(answers[0]).await?, Web::start(answers[1]).await?];
    let bind = loopback(6443);
    let addresses = [servers[0].address, servers[1].address];
    let mut lb = Lb::start(&simple(bind, &addresses, CHECK))?;
    lb.enters("s0", states[0])?;
    lb.enters("s1", states[1])?;
    Ok(Pair { lb, bind, servers })
}

/// A connection to this server, its `count`th, on which it has answered.
async fn connected_to(pair: &Pair, server: usize, count: u64) -> Fallible<TcpStream> {
    for _ in 0..100 {
        let mut client = TcpStream::connect(pair.bind).await?;
        client.write_all(b"hello").await?;
        client.read_exact(&mut [0; 5]).await?;
        let status = pair.lb.get("/status").await?;
        let open = &status["backends"][0]["servers"][server]["open"];
        if open.as_u64().is_some_and(|open| open == count) {
            return Ok(client);
        }
        client.shutdown().await?;
        assert_eq!(client.read(&mut [0; 1]).await?, 0);
    }
    Err("the server is given no connection".into())
}

async fn answers(client: &mut TcpStream) -> bool {
    let is_written = client.write_all(b"again").await.is_ok();
    is_written && client.read_exact(&mut [0; 5]).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_gets_no_new_connection_and_keeps_what_it_has() {
    let ok = Answer::Status(200);
    let mut pair = start([ok, ok], ["up", "up"]).await.unwrap();
    let mut old = connected_to(&pair, 0, 1).await.unwrap();
    pair.servers[0].answer.send_replace(Answer::Status(500));
    pair.lb.enters("s0", "draining").unwrap();
    for _ in 0..10 {
        let mut client = TcpStream::connect(pair.bind).await.unwrap();
        assert!(answers(&mut client).await);
        let line = {
            drop(client);
            pair.lb
                .line(|line| line["message"] == "connection" && line["sent"] == 5)
                .unwrap()
        };
        // Those of before it was draining are among the lines, but answered by s1 too.
        assert_eq!(line["server"], "s1", "{line}");
    }
    pair.servers[0].answer.send_replace(Answer::Status(200));
    pair.lb.enters("s0", "up").unwrap();
    assert!(answers(&mut old).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hung_loses_those_who_wait_for_an_answer_and_no_other() {
    let ok = Answer::Status(200);
    let mut pair = start([ok, ok], ["up", "up"]).await.unwrap();
    let mut quiet = connected_to(&pair, 0, 1).await.unwrap();
    let mut waiting = connected_to(&pair, 0, 2).await.unwrap();
    pair.servers[0].answer.send_replace(Answer::Silence);
    waiting.write_all(b"are you there?").await.unwrap();
    pair.lb.enters("s0", "hung").unwrap();
    assert!(waiting.read_u8().await.is_err());
    assert_eq!(
        pair.lb.end(waiting.local_addr().unwrap()).unwrap(),
        "serverHung"
    );
    pair.servers[0].answer.send_replace(ok);
    pair.lb.enters("s0", "up").unwrap();
    assert!(answers(&mut quiet).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_begins_to_wait_later_is_cut_later() {
    let ok = Answer::Status(200);
    let mut pair = start([ok, ok], ["up", "up"]).await.unwrap();
    let mut client = connected_to(&pair, 0, 1).await.unwrap();
    pair.servers[0].answer.send_replace(Answer::Silence);
    pair.lb.enters("s0", "hung").unwrap();
    client.write_all(b"are you there?").await.unwrap();
    assert!(client.read_u8().await.is_err());
    assert_eq!(
        pair.lb.end(client.local_addr().unwrap()).unwrap(),
        "serverHung"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreachable_loses_all() {
    let ok = Answer::Status(200);
    let mut pair = start([ok, ok], ["up", "up"]).await.unwrap();
    let mut quiet = connected_to(&pair, 0, 1).await.unwrap();
    pair.servers[0].answer.send_replace(Answer::Gone);
    pair.lb.enters("s0", "unreachable").unwrap();
    assert!(quiet.read_u8().await.is_err());
    assert_eq!(
        pair.lb.end(quiet.local_addr().unwrap()).unwrap(),
        "serverUnreachable"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_cut_while_no_server_is_usable() {
    let ok = Answer::Status(200);
    let mut pair = start([ok, Answer::Silence], ["up", "hung"]).await.unwrap();
    let mut client = connected_to(&pair, 0, 1).await.unwrap();
    pair.servers[0].answer.send_replace(Answer::Silence);
    pair.lb.enters("s0", "hung").unwrap();
    client.write_all(b"are you there?").await.unwrap();
    let ready = pair.lb.get("/readyz").await;
    assert!(ready.is_err(), "{ready:?}");
    pair.servers[0].answer.send_replace(ok);
    pair.lb.enters("s0", "up").unwrap();
    // It was not cut, and the daemon is ready again.
    assert!(answers(&mut client).await);
    assert!(pair.lb.get("/readyz").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_that_never_had_a_server_is_ready() {
    let lb = Lb::start(&simple(loopback(6443), &[loopback(1)], CHECK)).unwrap();
    let mut lb = lb;
    lb.enters("s0", "unreachable").unwrap();
    assert!(lb.get("/readyz").await.is_ok());
    assert_eq!(lb.states().await.unwrap(), ["unreachable"]);
}

/// As when this host loses its network: one is known to be silent before the other, which
/// still counts as up then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_fall_silent_together_keep_their_connections() {
    // Both are silent before the first check of the first has ended, however busy the
    // machine is: else it would be silent alone, and rightly lose its connection.
    let ok = Answer::Status(200);
    let mut pair = start([ok, ok], ["up", "up"]).await.unwrap();
    let mut clients = [
        connected_to(&pair, 0, 1).await.unwrap(),
        connected_to(&pair, 1, 1).await.unwrap(),
    ];
    for client in &mut clients {
        client.write_all(b"are you there?").await.unwrap();
        client.read_exact(&mut [0; 14]).await.unwrap();
    }
    pair.servers[0].answer.send_replace(Answer::Silence);
    let passed = passed_checks(&pair.lb).await;
    while passed_checks(&pair.lb).await < passed + 3 {}
    pair.servers[1].answer.send_replace(Answer::Silence);
    for client in &mut clients {
        client.write_all(b"and now?").await.unwrap();
    }
    pair.lb.enters("s0", "hung").unwrap();
    pair.lb.enters("s1", "hung").unwrap();
    for server in &pair.servers {
        server.answer.send_replace(ok);
    }
    pair.lb.enters("s0", "up").unwrap();
    pair.lb.enters("s1", "up").unwrap();
    for client in &mut clients {
        assert!(answers(client).await);
    }
}

/// How many checks of the second server have passed.
async fn passed_checks(lb: &Lb) -> u64 {
    let metrics = lb.get("/metrics").await.unwrap();
    let name =
        "api_lb_server_checks_total{backend=\"b\",server=\"s1\",outcome=\"passed\"} ";
    let metrics = metrics.as_str().unwrap();
    let count = metrics.lines().find_map(|line| line.strip_prefix(name));
    count.unwrap().parse().unwrap()
}
