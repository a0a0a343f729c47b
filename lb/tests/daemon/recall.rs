//! The flight recorder: what became of a connection and of a server, from the running
//! daemon and from a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{Fallible, Lb, PATIENCE, loopback, run_to_end, simple};
use crate::servers::Echo;

const CHECKED: &str = "  check: {tcp: {}, interval: 50ms}\n";

fn explain(what: &str, with: &str, path: &Path) -> Fallible<(i32, String, String)> {
    run_to_end(&["explain", what, with, path.to_str().ok_or("path")?])
}

/// What is told of it, once that is all that is `wanted`: the line of the log comes first, and
/// the recorder after it.
pub(crate) fn explained(
    what: &str,
    socket: &Path,
    wanted: &[String],
) -> Fallible<String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let (code, account, error) = explain(what, "--socket", socket)?;
        if code == 0 && wanted.iter().all(|words| account.contains(words)) {
            return Ok(account);
        }
        if Instant::now() > until {
            return Err(format!("{wanted:?} of {what}: {account}{error}").into());
        }
    }
}

/// The newest file that was kept, once there is one about `word`.
fn kept(folder: &Path, word: &str) -> PathBuf {
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "no file has {word}");
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
            .collect();
        files.sort();
        let holds =
            |path: &&PathBuf| fs::read_to_string(path).is_ok_and(|t| t.contains(word));
        if let Some(file) = files.iter().rev().find(holds) {
            return file.clone();
        }
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_and_a_server_are_explained_live_and_from_a_file() {
    let echo = Echo::start(1).await.unwrap();
    let bind = loopback(6443);
    let folder = tempfile::tempdir().unwrap();
    let directory = format!(
        "flightRecorder: {{directory: {}}}\n",
        folder.path().display()
    );
    let body = directory + &simple(bind, &[echo.address], CHECKED);
    let mut lb = Lb::start(&body).unwrap();
    lb.enters("s0", "up").unwrap();
    let mut client = TcpStream::connect(bind).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    client.read_exact(&mut [0; 5]).await.unwrap();
    let name = client.local_addr().unwrap();
    drop(client);
    let line = lb.ended(name).unwrap();
    let socket = lb.socket();
    let id = line["id"].as_u64().unwrap().to_string();
    let source = line["source"].as_str().unwrap();
    let end = line["end"].as_str().unwrap();
    let wanted = [
        format!("accepted from {name} at {bind}"),
        format!("the server saw {source}"),
        format!("ended: {end}"),
    ];
    explained(&id, &socket, &wanted).unwrap();
    explained(source, &socket, &wanted).unwrap();
    // The change is kept on disk by itself, the rest when it is asked for.
    let file = kept(folder.path(), "\"to\":\"up\"");
    let (code, account, _) = explain("b/s0", "--file", &file).unwrap();
    assert!(
        code == 0 && account.contains("b/s0 was unknown and is up"),
        "{account}"
    );
    let (code, path, err) =
        run_to_end(&["dump", "--socket", socket.to_str().unwrap()]).unwrap();
    assert_eq!(code, 0, "{err}");
    let account = explain(&id, "--file", Path::new(path.trim())).unwrap().1;
    assert!(account.contains(&format!("ended: {end}")), "{account}");
    let path = socket.to_str().unwrap();
    let (code, _, err) = run_to_end(&["drain", "s0", "--socket", path]).unwrap();
    assert_eq!(code, 0, "{err}");
    let wanted = ["b/s0 was up and is draining, by order".to_owned()];
    explained("b/s0", &socket, &wanted).unwrap();
    lb.reload(&body.replace("name: s0,", "name: s0, disabled: true,"))
        .unwrap();
    lb.enters("s0", "disabled").unwrap();
    let wanted = ["b/s0 was draining and is disabled, by the file".to_owned()];
    explained("b/s0", &socket, &wanted).unwrap();
    let (code, out, err) = explain("b/none", "--socket", &socket).unwrap();
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("nothing is known of b/none"), "{err}");
}

/// Lines and the recorder are told apart by the file, and a reload changes it.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_recorded_as_the_file_says() {
    let echo = Echo::start(b'a').await.unwrap();
    let bind = loopback(6443);
    let body = |connections| {
        let own =
            format!("flightRecorder: {{directory: off, connections: {connections}}}\n");
        own + &simple(bind, &[echo.address], CHECKED)
    };
    let mut lb = Lb::start(&body("off")).unwrap();
    lb.enters("s0", "up").unwrap();
    let mut ends = Vec::new();
    for connections in ["on", "off", "on"] {
        lb.reload(&body(connections)).unwrap();
        let mut client = TcpStream::connect(bind).await.unwrap();
        client.read_u8().await.unwrap();
        let name = client.local_addr().unwrap();
        drop(client);
        let line = lb.ended(name).unwrap();
        ends.push((connections, line["id"].as_u64().unwrap().to_string()));
    }
    // The last one is recorded after all others.
    let socket = lb.socket();
    explained(&ends[2].1, &socket, &["ended: ".to_owned()]).unwrap();
    for (connections, id) in ends {
        let (code, account, error) = explain(&id, "--socket", &socket).unwrap();
        assert_eq!(code == 0, connections == "on", "{account}{error}");
    }
}
