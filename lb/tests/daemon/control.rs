//! Descriptors and memory that the control thread does not have: for the admin listeners, for
//! checks. Traffic goes on, and no server is blamed.

use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use serde_json::Value;

use crate::rig::{Fallible, Lb, PATIENCE, loopback, simple};
use crate::servers::{Answer, Web};
use crate::shortage::{allow, leave};
use crate::starved::{Starved, echoes};

/// Between two checks: few are waited for, or descriptors are counted between them.
const OFTEN: &str = "20ms";
const SELDOM: &str = "300ms";
/// A few of those that are made seldom.
const A_WHILE: Duration = Duration::from_secs(1);

/// A daemon that rests, its one server, and an established session.
async fn start(every: &str) -> Fallible<(Lb, Web, tokio::net::TcpStream)> {
    let server = Web::start(Answer::Status(200)).await?;
    let bind = loopback(6443);
    // As far as a request, and one that fails decides.
    let check = format!(
        "  check: {{http: {{path: /readyz}}, interval: {every}, timeout: 2s, rise: 1, fall: 1}}\n"
    );
    let mut lb = Lb::start(&simple(bind, &[server.address], &check))?;
    lb.enters("s0", "up")?;
    lb.rests().await?;
    let mut client = tokio::net::TcpStream::connect(bind).await?;
    echoes(&mut client, b"!").await?;
    Ok((lb, server, client))
}

/// Checks of the server that could not be made.
async fn unmade(lb: &Lb) -> Fallible<u64> {
    let metrics = lb.get("/metrics").await?;
    let metrics = metrics.as_str().ok_or("no text")?;
    let counter =
        "api_lb_server_checks_total{backend=\"b\",server=\"s0\",outcome=\"local\"} ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(counter));
    Ok(line.map_or(Ok(0), str::parse)?)
}

/// Changes of the server's state since the start.
async fn changes(lb: &Lb) -> Fallible<Value> {
    let status = lb.get("/status").await?;
    let server = &status["backends"][0]["servers"][0];
    assert_eq!(server["state"], "up", "{server}");
    Ok(server["stateChanges"].clone())
}

/// Waits until the admin address answers.
async fn answers(lb: &Lb) -> Fallible<()> {
    let asking = async {
        while lb.get("/readyz").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    Ok(tokio::time::timeout(PATIENCE, asking).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_memory_is_missing_for_blames_no_server() {
    let (lb, _server, mut client) = start(OFTEN).await.unwrap();
    let control = Pid::from_raw(i32::try_from(lb.id()).unwrap());
    let before = changes(&lb).await.unwrap();
    for (call, errno) in [
        (libc::SYS_socket, Errno::EMFILE),
        (libc::SYS_socket, Errno::ENFILE),
        (libc::SYS_socket, Errno::ENOBUFS),
        (libc::SYS_socket, Errno::ENOMEM),
        (libc::SYS_connect, Errno::ENOBUFS),
        (libc::SYS_epoll_ctl, Errno::ENOMEM),
        (libc::SYS_sendto, Errno::ENOBUFS),
        (libc::SYS_sendto, Errno::ENOMEM),
        (libc::SYS_recvfrom, Errno::ENOMEM),
    ] {
        let unmade_before = unmade(&lb).await.unwrap();
        let starved = Starved::begin(control, call, errno, 3).unwrap();
        echoes(&mut client, b"!").await.unwrap();
        starved.end().unwrap();
        answers(&lb).await.unwrap();
        assert_eq!(changes(&lb).await.unwrap(), before, "{call} {errno}");
        let unmade = unmade(&lb).await.unwrap() - unmade_before;
        assert!((1..=3).contains(&unmade), "{call} {errno}: {unmade}");
    }
    echoes(&mut client, b"!").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_listener_outlives_every_accept_that_fails() {
    let (mut lb, _server, mut client) = start(OFTEN).await.unwrap();
    let control = Pid::from_raw(i32::try_from(lb.id()).unwrap());
    for errno in [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM] {
        let starved = Starved::begin(control, libc::SYS_accept4, errno, 2).unwrap();
        // Waits until it is accepted.
        lb.get("/status").await.unwrap();
        starved.end().unwrap();
        lb.line(|line| {
            let text = line["message"].as_str().unwrap_or("");
            text == "the admin server could not accept a connection"
        })
        .unwrap();
        echoes(&mut client, b"!").await.unwrap();
    }
}

/// No descriptor at all, for as long as it takes: checks, the admin address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_descriptor_control_waits_and_goes_on_as_before() {
    let (mut lb, _server, mut client) = start(SELDOM).await.unwrap();
    let before = changes(&lb).await.unwrap();
    leave(&lb, 0).await.unwrap();
    let asked = tokio::time::timeout(A_WHILE, lb.get("/status")).await;
    assert!(asked.is_err(), "{asked:?}");
    lb.line(|line| line["message"] == "the admin server could not accept a connection")
        .unwrap();
    echoes(&mut client, b"!").await.unwrap();
    allow(&lb, "1024:").unwrap();
    answers(&lb).await.unwrap();
    assert_eq!(changes(&lb).await.unwrap(), before);
    assert!(unmade(&lb).await.unwrap() > 0);
    echoes(&mut client, b"!").await.unwrap();
}
