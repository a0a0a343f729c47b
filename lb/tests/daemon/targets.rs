//! Where the log goes: standard output, and a syslog daemon of this host.

use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};

use crate::rig::{CHECK_ONCE, Fallible, PATIENCE, file, loopback, simple};

/// A daemon whose log goes there; killed when dropped.
struct Daemon {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Daemon {
    fn start(log: &str) -> Fallible<Self> {
        let folder = tempfile::tempdir()?;
        let body = simple(loopback(6443), &[loopback(1)], CHECK_ONCE);
        let body = format!("admin: {{address: \"{}\"}}\n{body}", loopback(9000));
        let text = file(folder.path(), &body).replace("log: {format: json}", log);
        let path = folder.path().join("lb.yaml");
        std::fs::write(&path, text)?;
        let child = Command::new(env!("CARGO_BIN_EXE_api-lb"))
            .args(["run", "--config"])
            .arg(&path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            child,
            _folder: folder,
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail when the process has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn standard_output_takes_the_same_lines() -> Fallible<()> {
    let mut daemon = Daemon::start("log: {format: json, to: stdout}")?;
    let stdout = daemon.child.stdout.take().ok_or("no stdout")?;
    let first = BufReader::new(stdout).lines().next().ok_or("nothing")??;
    let line: serde_json::Value = serde_json::from_str(&first)?;
    assert_eq!(line["message"], "listening");
    Ok(())
}

#[test]
fn a_syslog_daemon_gets_rfc_5424() -> Fallible<()> {
    let reader = UdpSocket::bind(loopback(0))?;
    reader.set_read_timeout(Some(PATIENCE))?;
    let to = reader.local_addr()?;
    let daemon = Daemon::start(&format!("log: {{to: \"udp://{to}\"}}"))?;
    // A server that refuses is news, which is a warning.
    let line = loop {
        let mut bytes = [0; 4096];
        let len = reader.recv(&mut bytes)?;
        let line = String::from_utf8(bytes[..len].to_vec())?;
        if line.contains("unreachable") {
            break line;
        }
    };
    let words: Vec<&str> = line.splitn(8, ' ').collect();
    assert_eq!(words[0], "<28>1", "{line}");
    assert_eq!(
        (words[3], words[4]),
        ("api-lb", &*daemon.child.id().to_string())
    );
    assert!(
        words[7].starts_with("server backend=\"b\" server=\"s0\""),
        "{line}"
    );
    Ok(())
}
