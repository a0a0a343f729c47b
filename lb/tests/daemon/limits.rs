//! Limits of a frontend over all workers.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback};
use crate::servers::Echo;

/// At most so many, and each of two workers may let one more in.
const MOST: usize = 10;
const WORKERS: usize = 2;
/// Far more than a worker accepts at a time.
const CROWD: usize = 64;
/// Longer than it takes to let in all that are too many.
const A_WHILE: Duration = Duration::from_millis(500);

/// Clients that are on their way from the worker that has accepted them to another one count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_comes_at_once_is_let_in_up_to_the_limit() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let bind = loopback(6443);
    let lb = Lb::start(&format!(
        "workers: {WORKERS}\nfrontends:\n- {{name: f, bind: [\"{bind}\"], backend: b, maxConnections: {MOST}}}\n\
         backends:\n- name: b\n{CHECK_ONCE}  servers: [{{name: s, address: \"{}\"}}]\n",
        server.address
    ))?;
    // All of them stand in the listen queue when the workers wake.
    lb.signal(Signal::SIGSTOP)?;
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let mut client = TcpStream::connect(bind).await?;
        crowd.spawn(async move { client.read_u8().await.map(|_| client) });
    }
    lb.signal(Signal::SIGCONT)?;
    let mut served = Vec::new();
    while served.len() < MOST {
        let next = tokio::time::timeout(PATIENCE, crowd.join_next()).await?;
        served.push(next.ok_or("nobody is left")???);
    }
    while let Ok(Some(one)) = tokio::time::timeout(A_WHILE, crowd.join_next()).await {
        served.push(one??);
    }
    assert!(served.len() < MOST + WORKERS, "{} are in", served.len());
    // As they leave, the others come in.
    drop(served);
    let next = tokio::time::timeout(PATIENCE, crowd.join_next()).await?;
    drop(next.ok_or("nobody is left")???);
    Ok(())
}
