//! Servers that nobody names any more and that carry connections, over an upgrade.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::discovery::{backend, standing};
use crate::rig::{Fallible, Lb, PATIENCE, loopback, simple};
use crate::servers::{Answer, Web};
use crate::upgrade::upgrade;

const CHECK: &str = "  check: {http: {}, interval: 50ms, timeout: 500ms}\n";

async fn goes_on(client: &mut TcpStream) -> std::io::Result<()> {
    client.write_all(b"x").await?;
    client.read_u8().await.map(drop)
}

/// It is drained and checked, and cut when it dies; then it is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_has_left_is_watched_on_after_an_upgrade() -> Fallible<()> {
    let stays = Web::start(Answer::Status(200)).await?;
    let leaves = Web::start(Answer::Status(200)).await?;
    let bind = loopback(6443);
    let mut lb = Lb::start(&simple(bind, &[stays.address, leaves.address], CHECK))?;
    lb.enters("s0", "up")?;
    lb.enters("s1", "up")?;
    // In turn: one on each.
    let mut clients = [
        TcpStream::connect(bind).await?,
        TcpStream::connect(bind).await?,
    ];
    for client in &mut clients {
        goes_on(client).await?;
    }
    lb.reload(&simple(bind, &[stays.address], CHECK))?;
    let left = ["file up", "left draining"];
    backend(&lb, |b| standing(b) == left).await?;
    for _ in 0..2 {
        let (code, said, error) = upgrade(&lb).await?;
        assert_eq!(code, 0, "{said}{error}");
        let after = backend(&lb, |b| standing(b) == left).await?;
        assert_eq!(after["servers"][1]["open"], 1);
        for client in &mut clients {
            goes_on(client).await?;
        }
    }
    leaves.answer.send_replace(Answer::Gone);
    let cut =
        lb.line(|line| line["message"] == "connection" && line["server"] == "s1")?;
    assert_eq!(cut["end"], "serverUnreachable");
    let [first, second] = &mut clients;
    let each = async { tokio::join!(goes_on(first), goes_on(second)) };
    let (first, second) = tokio::time::timeout(PATIENCE, each).await?;
    assert_eq!(
        [first.is_ok(), second.is_ok()]
            .iter()
            .filter(|ok| **ok)
            .count(),
        1
    );
    backend(&lb, |b| standing(b) == left[..1]).await?;
    Ok(())
}
