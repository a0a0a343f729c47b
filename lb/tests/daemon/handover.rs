//! Clients without an answer while one program follows another.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback};
use crate::servers::{Manual, reset};
use crate::upgrade::upgrade;

const HELLO: &[u8] = include_bytes!("../../src/hello/corpus/openssl-tls13-alpn.bin");

/// Where each connection stands, in the order of the words.
async fn stages(lb: &Lb) -> Fallible<Vec<String>> {
    let socket = lb.socket();
    let asked = daemon::client::post(&socket, "/connections", &Value::Null);
    let shown = asked.await?;
    let all = shown["connections"].as_array().ok_or("no connections")?;
    let mut all: Vec<String> = all.iter().map(|one| one["stage"].to_string()).collect();
    all.sort();
    Ok(all)
}

/// Waits until they stand so.
async fn stand(lb: &Lb, expected: &[&str]) -> Fallible<()> {
    let waiting = async {
        while stages(lb).await? != expected {
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, waiting).await?
}

/// Clients that have no answer yet: one whose hello is half here, one whose server is silent,
/// and one that waits for a place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_answer_yet_gets_it_from_the_next_program() {
    let server = Manual::start().await.unwrap();
    let bind = loopback(6443);
    // One worker has one line, in the order in which they came.
    let body = format!(
        "workers: 1\nfrontends:\n- {{name: f, bind: [\"{bind}\"], backend: b, tls: {{only: on}}}}\nbackends:\n- name: b\n{CHECK_ONCE}  queue: {{timeout: 1m}}\n  servers: [{{name: s, address: \"{}\", maxConnections: 1}}]\n",
        server.address
    );
    let lb = Lb::start(&body).unwrap();
    let (half, rest) = HELLO.split_at(100);
    let mut first = TcpStream::connect(bind).await.unwrap();
    first.write_all(HELLO).await.unwrap();
    let mut to_first = server.next().await.unwrap();
    let mut waiting = TcpStream::connect(bind).await.unwrap();
    waiting.write_all(HELLO).await.unwrap();
    let mut slow = TcpStream::connect(bind).await.unwrap();
    slow.write_all(half).await.unwrap();
    let expected = ["\"asked\"", "\"hello\"", "\"queue\""];
    stand(&lb, &expected).await.unwrap();

    let (code, said, error) = upgrade(&lb).await.unwrap();
    assert_eq!(code, 0, "{said}{error}");
    assert_eq!(stages(&lb).await.unwrap(), expected);
    // The server that was asked is still the one, and has the hello once.
    let mut heard = vec![0; HELLO.len()];
    to_first.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, HELLO);
    to_first.write_all(b"1").await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'1');
    slow.write_all(rest).await.unwrap();
    drop((first, to_first));
    for (client, name) in [(&mut waiting, b'2'), (&mut slow, b'3')] {
        let mut server = server.next().await.unwrap();
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, HELLO);
        server.write_all(&[name]).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), name);
        drop(server);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        client.shutdown().await.unwrap();
    }
}

/// The place of one that has gone is another's, who came later than those behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_served_in_the_order_of_coming() {
    let server = Manual::start().await.unwrap();
    let bind = loopback(6443);
    let body = format!(
        "workers: 1\nfrontends:\n- {{name: f, bind: [\"{bind}\"], backend: b}}\nbackends:\n- name: b\n{CHECK_ONCE}  queue: {{timeout: 1m}}\n  servers: [{{name: s, address: \"{}\", maxConnections: 1}}]\n",
        server.address
    );
    let lb = Lb::start(&body).unwrap();
    let come = async |name: u8| {
        let mut client = TcpStream::connect(bind).await.unwrap();
        client.write_all(&[name]).await.unwrap();
        client
    };
    let first = come(b'1').await;
    let to_first = server.next().await.unwrap();
    let gone = come(b'2').await;
    stand(&lb, &["\"queue\"", "\"relay\""]).await.unwrap();
    let _third = come(b'3').await;
    stand(&lb, &["\"queue\"", "\"queue\"", "\"relay\""])
        .await
        .unwrap();
    reset(gone).unwrap();
    stand(&lb, &["\"queue\"", "\"relay\""]).await.unwrap();
    let _fourth = come(b'4').await;
    stand(&lb, &["\"queue\"", "\"queue\"", "\"relay\""])
        .await
        .unwrap();

    let (code, said, error) = upgrade(&lb).await.unwrap();
    assert_eq!(code, 0, "{said}{error}");
    drop((first, to_first));
    for name in [b'3', b'4'] {
        let mut next = server.next().await.unwrap();
        assert_eq!(next.read_u8().await.unwrap(), name);
        reset(next).unwrap();
    }
}
