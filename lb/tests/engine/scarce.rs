//! What is scarce: pipes for splicing, room for connections.

use std::time::Duration;

use api_lb::limits::Limits;
use api_lb::worker::End;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{Options, Rig};

/// What each client is sent: many chunks, however large they are.
const POURED: usize = 16 << 20;

/// A server that pours `len` bytes of a pattern on whoever connects.
async fn pouring(len: usize) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let chunk: std::sync::Arc<[u8]> = (0..=250u8).cycle().take(251 * 256).collect();
        while let Ok((mut stream, _)) = listener.accept().await {
            let chunk = std::sync::Arc::clone(&chunk);
            tokio::spawn(async move {
                let mut left = len;
                while left > 0 {
                    let part = left.min(chunk.len());
                    if stream.write_all(&chunk[..part]).await.is_err() {
                        return;
                    }
                    left -= part;
                }
            });
        }
    });
    address
}

/// The pattern, all of it and in order.
async fn drink(client: &mut TcpStream) -> usize {
    let (mut at, mut buffer) = (0, vec![0; 64 * 1024]);
    loop {
        let len = client.read(&mut buffer).await.unwrap();
        if len == 0 {
            return at;
        }
        for byte in &buffer[..len] {
            assert_eq!(usize::from(*byte), at % 251);
            at += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_arrives_whole_with_few_pipes_and_with_none() {
    let server = pouring(POURED).await;
    for pipes in [0, 1, 3, 1024] {
        let options = Options {
            limits: Limits {
                pipes,
                ..Limits::of(20_000)
            },
            ..Options::default()
        };
        let rig = Rig::start(&[server], &options).unwrap();
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let mut client = TcpStream::connect(rig.address).await.unwrap();
            all.spawn(async move { drink(&mut client).await });
        }
        let all = all.join_all().await;
        assert_eq!(all, [POURED; 4], "with {pipes} pipes");
    }
}

#[tokio::test]
async fn those_beyond_the_limit_wait_for_their_turn() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options {
        limits: Limits {
            connections: 2,
            ..Limits::of(20_000)
        },
        ..Options::default()
    };
    let servers = [listener.local_addr().unwrap()];
    let mut rig = Rig::start(&servers, &options).unwrap();
    let mut clients = std::collections::VecDeque::new();
    for _ in 0..5 {
        clients.push_back(TcpStream::connect(rig.address).await.unwrap());
    }
    let mut served = std::collections::VecDeque::new();
    for _ in 0..2 {
        served.push_back(listener.accept().await.unwrap().0);
    }
    let third = tokio::time::timeout(Duration::from_millis(300), listener.accept());
    assert!(third.await.is_err(), "three where two are allowed");
    while let Some(mut client) = clients.pop_front() {
        let mut server = served.pop_front().unwrap();
        server.write_all(b"!").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'!');
        drop((client, server));
        let end = rig.ended().await.unwrap().end;
        assert!(end.is_orderly() || end == End::ClientReset, "{end:?}");
        if clients.len() >= 2 {
            served.push_back(listener.accept().await.unwrap().0);
        }
    }
}
