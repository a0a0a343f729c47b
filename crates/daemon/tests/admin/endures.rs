//! What it does not put up with, and how it ends.

use std::time::{Duration, Instant};

use daemon::client;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::rig::{FAR, Server, body, read_to_end};

#[tokio::test]
async fn a_command_that_hangs_is_given_up() {
    let server = Server::start().unwrap();
    let error = client::post(&server.socket, "/hang", &Value::Null)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no answer within 10 s");
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let server = Server::start().unwrap();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let start = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let drip = async {
        loop {
            if writer.write_all(b"G").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let mut bytes = Vec::new();
    tokio::select! {
        () = drip => {}
        _ = timeout(FAR, reader.read_to_end(&mut bytes)) => {}
    }
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(4) && took < FAR, "{took:?}");
}

#[tokio::test]
async fn a_huge_head_and_a_thousand_headers_are_refused() {
    let server = Server::start().unwrap();
    let huge = format!(
        "GET /livez HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1_000));
    for request in [huge, many] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // Reset while writing is a refusal too.
        let _ = stream.write_all(request.as_bytes()).await;
        let text = read_to_end(&mut stream).await.unwrap();
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 431 "),
            "{text}"
        );
    }
    assert_eq!(body(&server.get("/livez").await.unwrap()), "ok\n");
}

#[tokio::test]
async fn garbage_gets_400_and_ends() {
    let server = Server::start().unwrap();
    for garbage in [
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "GET\r\n\r\n",
        "\u{16}\u{3}\u{1}\r\n\r\n",
    ] {
        let text = server.raw(garbage).await.unwrap();
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 400 "),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_crowd_of_idle_connections_keeps_nobody_out() {
    let server = Server::start().unwrap();
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert_eq!(body(&server.get("/readyz").await.unwrap()), "ok\n");
    // The oldest had to go, the newest stays.
    let mut byte = [0];
    let oldest = timeout(FAR, idle[0].read(&mut byte)).await.unwrap();
    assert!(matches!(oldest, Ok(0) | Err(_)));
    let newest = timeout(Duration::from_millis(200), idle[199].read(&mut byte)).await;
    assert!(newest.is_err(), "{newest:?}");
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way_and_removes_the_socket() {
    let mut server = Server::start().unwrap();
    let idle = TcpStream::connect(server.address).await.unwrap();
    let (socket, address) = (server.socket.clone(), server.address);
    let hanging =
        tokio::spawn(async move { client::post(&socket, "/hang", &Value::Null).await });
    assert!(server.get("/livez").await.is_ok());
    server.stop.take().unwrap().send(()).unwrap();
    timeout(FAR, &mut server.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(hanging.await.unwrap().is_err());
    assert!(!server.socket.exists());
    assert!(TcpStream::connect(address).await.is_err());
    drop(idle);
}
