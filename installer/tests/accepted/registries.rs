//! Whom containerd asks by the files of registries: what is rendered is read by a containerd of each
//! generation, which asks somebody who notes what he is asked.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use lab::{requirement, wait};
use libtest_mimic::Failed;
use sternpost::spec;

use crate::{file, resources};

const SPEC: &str = include_str!("../spec/whole.yaml");
/// What would be made or asked outside of the folders that are named.
const CONFIG: &str = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \
                      \"io.containerd.cri.v1.images\", \"io.containerd.cri.v1.runtime\", \
                      \"io.containerd.internal.v1.opt\", \"io.containerd.nri.v1.nri\"]\n";
/// More than a pull makes; who calls more often waits for a place.
const CALLS: usize = 64;
/// Longer than a start takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn of_one() -> Result<(), Failed> {
    on_the_host_itself(requirement::runtime())
}

pub(crate) fn of_two() -> Result<(), Failed> {
    on_the_host_itself(requirement::containerd())
}

/// One that stands behind a mirror that is down, and knows no TLS.
fn on_the_host_itself(programs: impl AsRef<Path>) -> Result<(), Failed> {
    let programs = programs.as_ref();
    let folder = tempfile::tempdir()?;
    let registry = TcpListener::bind("127.0.0.1:0")?;
    let name = format!("localhost:{}", registry.local_addr()?.port());
    let asked = noted(registry);
    let runtime =
        format!("runtime: {{mirrors: {{\"{name}\": [\"http://127.0.0.1:1\"]}}}}");
    let text = SPEC.replacen("hosts:\n", &format!("{runtime}\nhosts:\n"), 1);
    let cluster = spec::parse("cluster.yaml", &text)?.cluster;
    let host = cluster.hosts.iter().find(|host| host.name == "n1");
    let rendered = resources(&cluster, host.ok_or("no n1")?);
    let path = format!("/etc/containerd/certs.d/{name}/hosts.toml");
    let text = file(&rendered, &path).ok_or("no hosts.toml")?;
    let hosts = folder.path().join("certs.d");
    fs::create_dir_all(hosts.join(&name))?;
    fs::write(hosts.join(&name).join("hosts.toml"), &text)?;
    let daemon = Daemon::start(programs, folder.path())?;
    let pull = Command::new(programs.join("ctr"))
        .arg("--address")
        .arg(folder.path().join("socket"))
        .args(["images", "pull", "--hosts-dir"])
        .arg(&hosts)
        .arg(format!("{name}/a:b"))
        .output()?;
    drop(daemon);
    let said: Vec<_> = asked.try_iter().collect();
    match said
        .iter()
        .any(|line| line.starts_with("HEAD /v2/a/manifests/b"))
    {
        true => Ok(()),
        false => Err(format!(
            "{said:?}\n{text}\n{}",
            String::from_utf8_lossy(&pull.stderr)
        )
        .into()),
    }
}

/// Answers everybody, without TLS, that it has nothing.
fn noted(registry: TcpListener) -> Receiver<String> {
    let (tell, asked) = mpsc::sync_channel(CALLS);
    thread::spawn(move || {
        for stream in registry.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut octets = [0_u8; 4096];
            let count = stream.read(&mut octets).unwrap_or_default();
            let text = String::from_utf8_lossy(octets.get(..count).unwrap_or_default());
            let first = text.lines().next().unwrap_or_default().to_owned();
            let none = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            // Who is gone does not hear it.
            let _ = stream.write_all(none.as_bytes());
            if tell.send(first).is_err() {
                return;
            }
        }
    });
    asked
}

/// A containerd with folders of its own, which ends with the test.
struct Daemon(Child);

impl Daemon {
    fn start(programs: &Path, folder: &Path) -> Result<Self, Failed> {
        let config = folder.join("config.toml");
        fs::write(&config, CONFIG)?;
        let socket = folder.join("socket");
        let child = Command::new(programs.join("containerd"))
            .arg("--config")
            .arg(&config)
            .arg("--root")
            .arg(folder.join("root"))
            .arg("--state")
            .arg(folder.join("state"))
            .arg("--address")
            .arg(&socket)
            .stderr(Stdio::null())
            .spawn()?;
        let daemon = Self(child);
        wait::until("containerd answers", PATIENCE, || {
            let mut ctr = Command::new(programs.join("ctr"));
            let ctr = ctr.arg("--address").arg(&socket).arg("version");
            let output = ctr.output().ok()?;
            output.status.success().then_some(())
        })?;
        Ok(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
