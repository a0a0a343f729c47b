//! Orders over the socket: drain, enable, disable, weight, connections, kill, who.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback, run_to_end, simple};
use crate::servers::Echo;

async fn order(lb: &Lb, name: &str, body: Value) -> Fallible<Value> {
    Ok(daemon::client::post(&lb.socket(), &format!("/{name}"), &body).await?)
}

async fn guest(bind: std::net::SocketAddr) -> Fallible<(TcpStream, u8)> {
    let mut stream = TcpStream::connect(bind).await?;
    let name = tokio::time::timeout(PATIENCE, stream.read_u8()).await??;
    Ok((stream, name))
}

/// The servers of so many new connections.
async fn served(bind: std::net::SocketAddr, count: usize) -> Fallible<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(guest(bind).await?.1);
    }
    names.sort_unstable();
    Ok(String::from_utf8(names)?)
}

async fn becomes(lb: &Lb, expected: [&str; 2]) -> Fallible<()> {
    let until = Instant::now() + PATIENCE;
    while lb.states().await? != expected {
        if Instant::now() > until {
            return Err(format!("{:?}, not {expected:?}", lb.states().await?).into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_drained_disabled_weighed_and_enabled() -> Fallible<()> {
    let (a, b) = (Echo::start(b'a').await?, Echo::start(b'b').await?);
    let (bind, admin) = (loopback(6443), loopback(9000));
    let body = simple(bind, &[a.address, b.address], CHECK_ONCE);
    let body = format!("admin: {{address: \"{admin}\"}}\n{body}");
    let mut lb = Lb::start(&body)?;
    becomes(&lb, ["up", "up"]).await?;
    let mut kept = guest(bind).await?;
    while kept.1 != b'a' {
        kept = guest(bind).await?;
    }
    let told = order(&lb, "drain", json!({"server": "s0"})).await?;
    assert_eq!(
        (&told["from"], &told["state"]),
        (&json!("up"), &json!("draining"))
    );
    assert_eq!(served(bind, 6).await?, "bbbbbb");
    // A reload of the same file keeps the order, and so does the established connection.
    lb.reload(&body)?;
    assert_eq!(served(bind, 4).await?, "bbbb");
    kept.0.write_all(b"x").await?;
    assert_eq!(kept.0.read_u8().await?, b'x');
    // Drained, it is still better than nobody.
    order(&lb, "disable", json!({"server": "b/s1"})).await?;
    assert_eq!(lb.states().await?, ["draining", "disabled"]);
    assert_eq!(served(bind, 2).await?, "aa");
    order(&lb, "enable", json!({"server": "s1"})).await?;
    becomes(&lb, ["draining", "up"]).await?;
    order(&lb, "enable", json!({"server": "s0"})).await?;
    becomes(&lb, ["up", "up"]).await?;
    order(&lb, "weight", json!({"server": "s0", "weight": 3})).await?;
    assert_eq!(served(bind, 8).await?, "aaaaaabb");
    let status = lb.get("/status").await?;
    assert_eq!(status["backends"][0]["servers"][0]["ordered"]["weight"], 3);
    // The file has changed the weight itself: the file goes before the order.
    let file = body.replace("name: s0,", "name: s0, weight: 2,");
    lb.reload(&file)?;
    assert_eq!(served(bind, 6).await?, "aaaabb");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_shown_killed_and_remembered() -> Fallible<()> {
    let server = Echo::start(b'a').await?;
    let bind = loopback(6443);
    let lb = &mut Lb::start(&simple(bind, &[server.address], CHECK_ONCE))?;
    becomes_up(lb).await?;
    let (mut client, _) = guest(bind).await?;
    let (_other, _) = guest(bind).await?;
    let own = client.local_addr()?.to_string();
    let all = order(lb, "connections", json!({"server": "s0"})).await?;
    assert_eq!(all["total"], 2, "{all:#}");
    let mut both = all["connections"].as_array().into_iter().flatten();
    let shown = both
        .find(|one| one["client"] == *own)
        .ok_or("it is not shown")?;
    assert_eq!(
        (&shown["stage"], &shown["server"]),
        (&json!("relay"), &json!("s0"))
    );
    // What the apiserver would have in its audit log.
    let source = shown["source"].clone();
    let who = order(lb, "who", json!({"source": source})).await?;
    assert_eq!(who["clients"][0]["client"], *own);
    assert_eq!(who["clients"][0]["until"], Value::Null);
    let killed = order(lb, "kill", json!({"connections": [shown["id"]]})).await?;
    assert_eq!(killed["killed"], json!([shown["id"]]));
    assert!(client.read_u8().await.is_err());
    assert_eq!(lb.end(own.parse()?)?, "killed");
    let who = order(lb, "who", json!({"source": source})).await?;
    assert_eq!(who["clients"][0]["client"], *own);
    assert!(who["clients"][0]["until"].is_string());
    let again = order(lb, "kill", json!({"connections": [shown["id"]]})).await;
    assert!(
        again
            .unwrap_err()
            .to_string()
            .contains("no such connection")
    );
    // The same by the command line.
    let socket = lb.socket();
    let socket = socket.to_str().ok_or("odd path")?;
    let source = source.as_str().ok_or("no source")?;
    let (code, text, _) = run_to_end(&["who", source, "--socket", socket])?;
    assert_eq!(code, 0);
    assert!(text.contains(&own), "{text}");
    let (code, text, _) = run_to_end(&["connections", "--socket", socket])?;
    assert_eq!((code, text.lines().count()), (0, 2), "{text}");
    let (code, text, _) = run_to_end(&["drain", "s0", "--socket", socket])?;
    assert_eq!(code, 0);
    assert_eq!(
        text.trim(),
        "b/s0 is drained: new connections go elsewhere while another is up; draining, was up"
    );
    let (code, text, _) = run_to_end(&["weight", "s0", "7", "--socket", socket])?;
    assert_eq!((code, &*text), (0, "b/s0 has weight 7\n"));
    for wrong in [
        &["drain", "s9"][..],
        &["weight", "s0", "257"],
        &["weight", "s0", "heavy"],
        &["kill", "1234567"],
        &["who", "192.0.2.1:9"],
    ] {
        let (code, _, why) = run_to_end(&[wrong, &["--socket", socket]].concat())?;
        assert_eq!(code, 1, "{wrong:?}: {why}");
        assert!(!why.is_empty());
    }
    Ok(())
}

async fn becomes_up(lb: &Lb) -> Fallible<()> {
    let until = Instant::now() + PATIENCE;
    while lb.states().await? != ["up"] {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
