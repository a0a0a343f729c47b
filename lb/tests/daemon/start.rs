//! What stands in the way of a start, and how it is said.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::rig::{Fallible, Lb, file, loopback, run_to_end, simple};
use crate::servers::Echo;

/// Runs with this configuration to its end.
fn run(body: &str) -> Fallible<(i32, String, String)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("lb.yaml");
    let admin = format!("admin: {{address: \"{}\"}}\n", loopback(9000));
    let body = if body.contains("admin:") {
        body.to_owned()
    } else {
        admin + body
    };
    std::fs::write(&path, file(folder.path(), &body))?;
    run_to_end(&["run", "--config", path.to_str().ok_or("path")?])
}

#[test]
fn a_port_in_use_is_one_sentence_and_exit_1() {
    let taken = TcpListener::bind(loopback(0)).unwrap();
    let address = taken.local_addr().unwrap();
    let (code, out, err) = run(&simple(address, &[loopback(1)], "")).unwrap();
    assert_eq!(
        (code, out.as_str(), err.lines().count()),
        (1, "", 1),
        "{err}"
    );
    assert!(
        err.contains(&format!("cannot listen on {address}: it is in use")),
        "{err}"
    );
}

#[test]
fn an_admin_port_in_use_is_one_sentence_and_exit_1() {
    let taken = TcpListener::bind(loopback(0)).unwrap();
    let address = taken.local_addr().unwrap();
    let body = simple(loopback(6443), &[loopback(1)], "");
    let (code, _, err) =
        run(&format!("admin: {{address: \"{address}\"}}\n{body}")).unwrap();
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
    assert!(err.contains(&address.to_string()), "{err}");
}

/// Whatever is refused for want of descriptors, the sentence says what to raise.
#[test]
fn too_few_descriptors_are_one_sentence_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lb.yaml");
    let admin = format!("admin: {{address: \"{}\"}}\n", loopback(9000));
    let body = admin + &simple(loopback(6443), &[loopback(1)], "");
    std::fs::write(&path, file(folder.path(), &body)).unwrap();
    let mut refused = 0;
    for open_files in 4..64 {
        let mut child = Command::new("sh")
            .args([
                "-c",
                &format!("ulimit -n {open_files}; exec \"$0\" run --config \"$1\""),
            ])
            .arg(env!("CARGO_BIN_EXE_api-lb"))
            .arg(&path)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        lines.read_line(&mut first).unwrap();
        let is_logged = first.starts_with('{');
        if is_logged {
            child.kill().unwrap();
        }
        let code = child.wait().unwrap().code();
        if is_logged {
            assert!(refused > 3, "{refused}");
            return;
        }
        // With fewer, neither the program nor its file can be opened.
        if code == Some(1) {
            refused += 1;
            assert!(first.contains("LimitNOFILE"), "{open_files}: {first}");
        }
    }
    panic!("it never starts");
}

#[test]
fn a_bad_file_is_exit_2_and_nothing_is_touched() {
    let bind = loopback(6443);
    let body = simple(bind, &[loopback(1)], "  balance: random\n");
    let (code, out, err) = run(&body).unwrap();
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(
        err.contains("lb.yaml:11: backends[0].balance: \"random\""),
        "{err}"
    );
    // Had it been opened first, the port would be in TIME_WAIT at the least.
    assert!(TcpListener::bind(bind).is_ok());
}

#[test]
fn wrong_usage_is_exit_2() {
    let (code, _, err) = run_to_end(&["walk"]).unwrap();
    assert_eq!(code, 2, "{err}");
}

#[test]
fn a_missing_file_is_exit_2() {
    let (code, _, err) = run_to_end(&["run", "--config", "/nowhere/lb.yaml"]).unwrap();
    assert_eq!((code, err.lines().count()), (2, 1), "{err}");
    assert!(err.contains("/nowhere/lb.yaml"), "{err}");
}

#[test]
fn status_without_a_daemon_is_one_sentence_and_exit_1() {
    let (code, _, err) = run_to_end(&["status", "--socket", "/nowhere/lb.sock"]).unwrap();
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_is_a_table_of_80_columns_and_json() {
    let server = Echo::start(b'a').await.unwrap();
    let mut lb = Lb::start(&simple(loopback(6443), &[server.address], "")).unwrap();
    lb.enters("s0", "up").unwrap();
    let socket = lb.socket();
    let socket = socket.to_str().unwrap();
    let ask = |args: &'static [&'static str]| {
        let all: Vec<String> = args
            .iter()
            .chain(&["--socket"])
            .map(|s| (*s).to_owned())
            .chain([socket.to_owned()])
            .collect();
        tokio::task::spawn_blocking(move || {
            run_to_end(&all.iter().map(String::as_str).collect::<Vec<_>>())
        })
    };
    let (code, table, _) = ask(&["status"]).await.unwrap().unwrap();
    assert_eq!(code, 0);
    assert!(table.contains("accepting, ready; 0 connections"), "{table}");
    assert!(table.contains("b/s0") && table.contains("up"), "{table}");
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
    let (code, json, _) = ask(&["status", "--json"]).await.unwrap().unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(code, 0);
    assert_eq!(json["apiVersion"], "sternpost/v1");
    assert_eq!(
        json["backends"][0]["servers"][0]["check"]["outcome"],
        "passed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ipv6_bind_carries_and_an_absent_address_is_no_obstacle() {
    use tokio::io::AsyncReadExt as _;
    let server = Echo::start(b'a').await.unwrap();
    // A port of this process, as the address is everybody's.
    let port = TcpListener::bind("[::1]:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let body = format!(
        "frontends:\n- {{name: f, bind: [\"192.0.2.77:6443\", \"[::1]:{port}\"], backend: b}}\nbackends:\n- {{name: b, servers: [{{name: s0, address: \"{}\"}}]}}\n",
        server.address
    );
    let _lb = Lb::start(&body).unwrap();
    let mut client = tokio::net::TcpStream::connect(("::1", port)).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'a');
}
