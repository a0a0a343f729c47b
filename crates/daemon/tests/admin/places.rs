//! Where it listens, and what a client is told where nobody does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, net};

use daemon::admin::{Admin, BindError, Listen};
use daemon::client::{self, ClientError};

fn only(socket: &Path) -> Listen {
    Listen {
        tcp: vec![],
        socket: Some(socket.to_owned()),
        ..Listen::default()
    }
}

#[tokio::test]
async fn a_socket_left_behind_is_taken_over_and_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let listen = only(&path);
    // A crash: the listener is gone, its file is not.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let first = Admin::bind(&listen).unwrap();
    let error = Admin::bind(&listen).unwrap_err();
    assert!(matches!(error, BindError::Running(_)), "{error}");
    drop(first);
    assert!(!path.exists());
    fs::write(&path, "x").unwrap();
    let error = Admin::bind(&listen).unwrap_err();
    assert!(matches!(error, BindError::NoSocket(_)), "{error}");
    assert!(path.exists());
}

#[tokio::test]
async fn a_successor_s_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let listen = only(&path);
    let first = Admin::bind(&listen).unwrap();
    fs::remove_file(&path).unwrap();
    let second = Admin::bind(&listen).unwrap();
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}

#[tokio::test]
async fn an_ipv6_wildcard_leaves_ipv4_alone() {
    let tcp = |address: SocketAddr| Listen {
        tcp: vec![address],
        socket: None,
        ..Listen::default()
    };
    // Another test may have taken one port there, but not that of each.
    let beside = (0..20).any(|_| {
        let six = Admin::bind(&tcp("[::]:0".parse().unwrap())).unwrap();
        let port = six.addresses()[0].port();
        Admin::bind(&tcp(([0, 0, 0, 0], port).into())).is_ok()
    });
    assert!(beside);
}

#[tokio::test]
async fn what_cannot_be_bound_says_the_way_out() {
    let taken = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let tcp = |address| Listen {
        tcp: vec![address],
        socket: None,
        ..Listen::default()
    };
    let error = Admin::bind(&tcp(address)).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{address} is taken by another process;")),
        "{error}"
    );
    let error = Admin::bind(&tcp("192.0.2.1:1".parse().unwrap()))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("192.0.2.1:1 is no address of this machine;"),
        "{error}"
    );
    let nowhere = Listen {
        tcp: vec![],
        socket: Some("/proc/sternpost/x.sock".into()),
        ..Listen::default()
    };
    let error = Admin::bind(&nowhere).unwrap_err().to_string();
    assert!(error.contains("or set another admin socket"), "{error}");
    let long = PathBuf::from(format!("/tmp/{}", "x".repeat(200)));
    let error = Admin::bind(&Listen {
        tcp: vec![],
        socket: Some(long),
        ..Listen::default()
    })
    .unwrap_err();
    assert!(matches!(error, BindError::TooLong(_)), "{error}");
}

#[tokio::test]
async fn the_client_says_why_there_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let error = client::get(&path, "/status").await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning(_)), "{error}");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let cut = async {
        drop(listener.accept().await);
    };
    let (error, ()) = tokio::join!(client::get(&path, "/status"), cut);
    assert!(matches!(error, Err(ClientError::Broken(..))), "{error:?}");
    drop(listener);
    let error = client::get(&path, "/status").await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning(_)), "{error}");
}
