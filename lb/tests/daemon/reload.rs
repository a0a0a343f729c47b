//! Another configuration for a daemon that goes on running.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{CHECK_ONCE, Lb, loopback, simple};
use crate::servers::{Answer, Echo, Web};

/// Connections opened under reloads.
const CONNECTIONS: u64 = 5_000;

/// Of these, so many at once.
const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_fail_nobody() {
    let (a, b, c) = (
        Echo::start(b'a').await.unwrap(),
        Echo::start(b'b').await.unwrap(),
        Echo::start(b'c').await.unwrap(),
    );
    let (bind, other) = (loopback(6443), loopback(6443));
    // Servers come, go and are all replaced; a broken file stands between each two.
    let bodies = [
        simple(bind, &[a.address, b.address], CHECK_ONCE),
        simple(bind, &[a.address, b.address, c.address], CHECK_ONCE)
            .replace(&format!("\"{bind}\""), &format!("\"{bind}\", \"{other}\"")),
        simple(
            bind,
            &[c.address, a.address],
            "  check: {tcp: {}, interval: 50ms}\n",
        ),
        simple(bind, &[b.address], CHECK_ONCE),
    ];
    let broken = bodies[1].replace("backend: b", "backend: x");
    let mut lb = Lb::start(&bodies[0]).unwrap();
    let mut kept = Vec::new();
    for _ in 0..60 {
        let mut client = TcpStream::connect(bind).await.unwrap();
        client.read_u8().await.unwrap();
        kept.push(client);
    }
    let (done, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (done, failed, stop) =
                (Arc::clone(&done), Arc::clone(&failed), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let result = exchange(bind).await;
                    failed.fetch_add(u64::from(result.is_err()), Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut reloads = 0;
    while done.load(Ordering::Relaxed) < CONNECTIONS || reloads < 5 {
        reloads += 1;
        let said = lb.reload(&bodies[reloads % bodies.len()]).unwrap();
        assert_eq!(said["message"], "reloaded", "{said}");
        let said = lb.reload(&broken).unwrap();
        assert_eq!(said["level"], "ERROR", "{said}");
        let next = done.load(Ordering::Relaxed) + CONNECTIONS / 10;
        while done.load(Ordering::Relaxed) < next {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap();
    }
    assert_eq!(
        failed.load(Ordering::Relaxed),
        0,
        "of {}",
        done.load(Ordering::Relaxed)
    );
    for client in &mut kept {
        client.write_all(b"x").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'x');
    }
    let status = lb.get("/status").await.unwrap();
    let counted = status["frontends"][0]["connections"].as_u64().unwrap();
    assert_eq!(counted, done.load(Ordering::Relaxed) + 60);
}

async fn exchange(bind: std::net::SocketAddr) -> std::io::Result<()> {
    let mut client = TcpStream::connect(bind).await?;
    client.write_all(b"x").await?;
    let mut answer = [0; 2];
    client.read_exact(&mut answer).await?;
    client.shutdown().await?;
    match (answer, client.read(&mut answer).await?) {
        ([_, b'x'], 0) => Ok(()),
        _ => Err(std::io::ErrorKind::InvalidData.into()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_changes_nothing_and_is_named() {
    let a = Echo::start(b'a').await.unwrap();
    let bind = loopback(6443);
    let good = simple(bind, &[a.address], CHECK_ONCE);
    let mut lb = Lb::start(&good).unwrap();
    lb.enters("s0", "up").unwrap();
    let said = lb
        .reload(
            &good
                .replace("roundrobin", "")
                .replace("backend: b", "backend: x"),
        )
        .unwrap();
    assert_eq!(said["level"], "ERROR");
    let error = said["error"].as_str().unwrap();
    assert!(
        error.contains("frontends[0].backend: \"x\" is not a backend"),
        "{error}"
    );
    let status = lb.get("/status").await.unwrap();
    assert!(
        status["config"]["refused"]["error"]
            .as_str()
            .unwrap()
            .contains("\"x\"")
    );
    let metrics = lb.get("/metrics").await.unwrap();
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("\napi_lb_config_current 0\n"), "{metrics}");
    exchange(bind).await.unwrap();

    let said = lb.reload(&good).unwrap();
    assert_eq!(said["message"], "reloaded");
    let status = lb.get("/status").await.unwrap();
    assert!(status["config"]["refused"].is_null(), "{status}");
}

/// A new server is unknown until its first check has ended. Nothing speaks against it, and
/// the address need not move.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_replaces_all_servers_waits_for_what_their_checks_say() {
    let good = Web::start(Answer::Status(200)).await.unwrap();
    let silent = Web::start(Answer::Silence).await.unwrap();
    let bind = loopback(6443);
    let with = |server: SocketAddr, timeout: &str| {
        let check =
            format!("  check: {{http: {{}}, timeout: {timeout}, interval: 1h}}\n");
        simple(bind, &[server], &check)
    };
    let mut lb = Lb::start(&with(good.address, "10s")).unwrap();
    lb.enters("s0", "up").unwrap();
    lb.reload(&with(silent.address, "5s")).unwrap();
    assert_eq!(lb.states().await.unwrap(), ["unknown"]);
    assert!(lb.get("/readyz").await.is_ok());
    lb.enters("s0", "hung").unwrap();
    assert!(lb.get("/readyz").await.is_err());
    // Where nobody was expected, a new server makes no difference until it answers.
    let other = Web::start(Answer::Silence).await.unwrap();
    lb.reload(&with(other.address, "1m")).unwrap();
    assert_eq!(lb.states().await.unwrap(), ["unknown"]);
    assert!(lb.get("/readyz").await.is_err());
    lb.reload(&with(good.address, "10s")).unwrap();
    lb.enters("s0", "up").unwrap();
    assert!(lb.get("/readyz").await.is_ok());
}

/// To open a FIFO waits for whoever writes into it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_no_file_holds_up_nothing() {
    let a = Echo::start(b'a').await.unwrap();
    let (bind, folder) = (loopback(6443), tempfile::tempdir().unwrap());
    let fifo = folder.path().join("ca.crt");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let good = simple(bind, &[a.address], CHECK_ONCE);
    let mut lb = Lb::start(&good).unwrap();
    let check = format!("  check: {{https: {{caFile: {}}}}}\n", fifo.display());
    let said = lb.reload(&simple(bind, &[a.address], &check)).unwrap();
    let error = said["error"].as_str().unwrap();
    assert!(error.contains("is no regular file"), "{error}");
    exchange(bind).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bind_that_cannot_be_had_changes_nothing() {
    let a = Echo::start(b'a').await.unwrap();
    let bind = loopback(6443);
    let good = simple(bind, &[a.address], CHECK_ONCE);
    let mut lb = Lb::start(&good).unwrap();
    let taken = std::net::TcpListener::bind(loopback(6443)).unwrap();
    let taken = taken.local_addr().map(|address| (taken, address)).unwrap();
    let said = lb
        .reload(&good.replace(&bind.to_string(), &taken.1.to_string()))
        .unwrap();
    assert!(said["error"].as_str().unwrap().contains("in use"), "{said}");
    exchange(bind).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_of_a_server_outlives_a_reload() {
    let (a, b) = (
        Echo::start(b'a').await.unwrap(),
        Echo::start(b'b').await.unwrap(),
    );
    let bind = loopback(6443);
    let check = "  check: {tcp: {}, interval: 20ms, fall: 1}\n";
    let servers = [a.address, b.address];
    let mut lb = Lb::start(&simple(bind, &servers, check)).unwrap();
    lb.enters("s0", "up").unwrap();
    lb.enters("s1", "up").unwrap();
    b.stop().await;
    lb.enters("s1", "unreachable").unwrap();
    let before = lb.get("/status").await.unwrap();
    // No check runs between the reload and the look: what is known is what was known.
    lb.reload(&simple(
        bind,
        &servers,
        "  check: {tcp: {}, interval: 1h, fall: 100}\n",
    ))
    .unwrap();
    let after = lb.get("/status").await.unwrap();
    for key in ["state", "since", "stateChanges"] {
        let of =
            |status: &serde_json::Value| status["backends"][0]["servers"][1][key].clone();
        assert_eq!(of(&after), of(&before), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_a_server_that_is_removed_stay() {
    let (a, b) = (
        Echo::start(b'a').await.unwrap(),
        Echo::start(b'b').await.unwrap(),
    );
    let bind = loopback(6443);
    let mut lb = Lb::start(&simple(bind, &[a.address], CHECK_ONCE)).unwrap();
    let mut client = TcpStream::connect(bind).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'a');
    lb.reload(&simple(bind, &[b.address], CHECK_ONCE)).unwrap();
    client.write_all(b"x").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'x');
    let mut other = TcpStream::connect(bind).await.unwrap();
    assert_eq!(other.read_u8().await.unwrap(), b'b');
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_needs_a_restart_is_named() {
    let a = Echo::start(b'a').await.unwrap();
    let body = simple(loopback(6443), &[a.address], CHECK_ONCE);
    let mut lb = Lb::start(&format!("workers: 2\n{body}")).unwrap();
    lb.reload(&format!("workers: 3\n{body}")).unwrap();
    let needs = |key: &'static str| {
        move |line: &serde_json::Value| {
            line["message"] == "a change of this key needs a restart"
                && line["key"] == key
        }
    };
    lb.line(needs("workers")).unwrap();
    // The rig gives each file an admin address of its own.
    lb.line(needs("admin.address")).unwrap();
}

/// Each check of the hung server takes longer than the time between two reloads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_break_off_no_check() {
    let web = Web::start(Answer::Status(200)).await.unwrap();
    let check = "  check: {http: {path: /readyz}, interval: 20ms, timeout: 500ms}\n";
    let body = simple(loopback(6443), &[web.address], check);
    let mut lb = Lb::start(&body).unwrap();
    lb.enters("s0", "up").unwrap();
    web.answer.send_replace(Answer::Silence);
    let mut reloads = 0;
    while lb.states().await.unwrap() != ["hung"] {
        reloads += 1;
        assert!(reloads < 100, "nobody learns that the server hangs");
        lb.reload(&body).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// The check of the file that was read last is the one that is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_changes_the_check_of_a_server_that_stays() {
    let web = Web::start(Answer::Status(404)).await.unwrap();
    let with = |status: &str| {
        let check =
            format!("  check: {{http: {{status: \"{status}\"}}, interval: 20ms}}\n");
        simple(loopback(6443), &[web.address], &check)
    };
    let mut lb = Lb::start(&with("200")).unwrap();
    lb.enters("s0", "draining").unwrap();
    lb.reload(&with("404")).unwrap();
    lb.enters("s0", "up").unwrap();
}
