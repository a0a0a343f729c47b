//! The flight recorder: what became of a connection and of a server, from the running
//! daemon and from a file.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{Fallible, Lb, loopback, run_to_end, simple};
use crate::servers::Echo;

const CHECKED: &str = "  check: {tcp: {}, interval: 50ms}\n";

fn explain(what: &str, with: &str, path: &Path) -> Fallible<(i32, String, String)> {
    run_to_end(&["explain", what, with, path.to_str().ok_or("path")?])
}

/// The newest file that was kept, once there is one about `word`.
fn kept(folder: &Path, word: &str) -> PathBuf {
    loop {
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
    let (code, account, err) = explain(&id, "--socket", &socket).unwrap();
    assert_eq!(code, 0, "{err}");
    assert!(
        account.contains(&format!("accepted from {name} at {bind}")),
        "{account}"
    );
    assert!(
        account.contains(&format!("the server saw {source}")),
        "{account}"
    );
    let end = line["end"].as_str().unwrap();
    assert!(account.contains(&format!("ended: {end}")), "{account}");
    assert_eq!(explain(source, "--socket", &socket).unwrap().1, account);
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
    let (code, out, err) = explain("b/none", "--socket", &socket).unwrap();
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("nothing is known of b/none"), "{err}");
}
