//! What is shown: the page, haproxy's table, the status that goes on, rates.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::rig::{Fallible, Lb, loopback, simple};
use crate::servers::Echo;

async fn lb() -> Fallible<(Lb, Echo, std::net::SocketAddr)> {
    let echo = Echo::start(1).await?;
    let bind = loopback(6443);
    let lb = Lb::start(&simple(bind, &[echo.address], ""))?;
    Ok((lb, echo, bind))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_status_goes_on_until_nobody_reads_and_ends_with_the_daemon() {
    let (lb, _echo, _) = lb().await.unwrap();
    let mut watch = Command::new(env!("CARGO_BIN_EXE_api-lb"))
        .args(["status", "--watch", "--socket"])
        .arg(lb.socket())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let heads = lines
        .map_while(Result::ok)
        .filter(|line| line.contains("api-lb "));
    let heads: Vec<String> = heads.take(2).collect();
    assert!(
        heads.iter().all(|line| line.contains("\x1b[H")),
        "{heads:?}"
    );
    drop(lb);
    // Either its reader or the daemon is gone; both are an end.
    assert!(matches!(watch.wait().unwrap().code(), Some(0 | 1)));
}

#[tokio::test]
async fn rates_and_the_last_minute_are_told() {
    let (lb, _echo, bind) = lb().await.unwrap();
    loop {
        drop(tokio::net::TcpStream::connect(bind).await.unwrap());
        let status = lb.get("/status").await.unwrap();
        let front = &status["frontends"][0];
        let recent = front["recent"].as_array().unwrap();
        assert!(recent.len() <= 60);
        if recent.iter().any(|rate| rate.as_u64() > Some(0)) {
            break;
        }
    }
    let table = lb.get("/stats;csv").await.unwrap();
    let table = table.as_str().unwrap();
    assert!(
        table.contains("\nf,FRONTEND,") && table.contains("\nb,BACKEND,"),
        "{table}"
    );
    let page = lb.get("/").await.unwrap();
    assert!(page.as_str().unwrap().starts_with("<!doctype html>"));
}
