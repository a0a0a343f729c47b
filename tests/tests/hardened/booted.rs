//! The machine: what a package would have put there, and questions to it.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::host::Host;
use lab::machine::Machine;
use lab::segment::Segment;
use lab::{binaries, command, wait};
use libtest_mimic::Failed;
use serde_json::Value;

/// The machine's address.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 76, 0, 11);
/// Twice the unit's watchdog, on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where clients come whom a proxy names, and those who are led by the name that they ask for.
pub(crate) const PROXIED: u16 = 445;
pub(crate) const ROUTED: u16 = 446;
/// Of the one who may sign in.
pub(crate) const PASSWORD: &str = "a long pass phrase";

/// Ports below 1024, an address of nobody, TLS, passwords, the journal's own protocol, a name
/// that is looked up, a proxy, routes.
pub(crate) const CONFIG: &str = r#"apiVersion: sternpost/v1
kind: ApiLb
workers: 2
drainDelay: 0s
log: {to: journald}
admin:
  tls: {address: "0.0.0.0:9443", certFile: /etc/sternpost/admin.crt, keyFile: /etc/sternpost/admin.key}
  passwordFile: /etc/sternpost/api-lb.passwords
frontends:
- name: api
  bind: ["10.76.0.11:443", "10.76.0.100:6443"]
  backend: api
  sources: {maxConnections: 10000}
- {name: proxied, bind: ["10.76.0.11:445"], backend: found, acceptProxy: ["10.76.0.50"]}
- name: routed
  bind: ["10.76.0.11:446"]
  backend: api
  routes:
  - {serverNames: [konnectivity.example], backend: found}
backends:
- name: found
  check: {tcp: {}, interval: 200ms}
  discovery: {dns: {names: ["servers.example:6443"], interval: 1s}}
- name: api
  check: {tcp: {}, interval: 200ms}
  servers:
  - {name: s1, address: "10.76.0.60:6443"}
  - {name: s2, address: "10.76.0.60:6444"}
"#;

/// The running machine.
pub(crate) struct Booted(pub(crate) Machine);

impl Booted {
    /// Installs and boots.
    pub(crate) fn new(segment: &Segment) -> Result<Self, Failed> {
        install(&segment.files().join("machine-m1/upper"))?;
        Ok(Self(Machine::boot(segment, "m1", ADDRESS)?))
    }

    /// What a shell on it prints.
    pub(crate) fn run(&self, command: &str) -> Result<String, Failed> {
        Ok(self.0.output("/bin/sh", &["-c", command])?)
    }

    /// Waits until the output of `command` holds `wanted`.
    pub(crate) fn until(&self, command: &str, wanted: &str) -> Result<String, Failed> {
        let mut last = String::new();
        let found = wait::until(&format!("{command}: {wanted}"), PATIENCE, || {
            last = self
                .run(command)
                .unwrap_or_else(|error| format!("{error:?}"));
            last.contains(wanted).then(|| last.clone())
        });
        found.map_err(|error| format!("{error}; last: {last}\n{}", self.journal()).into())
    }

    /// What a property of the unit is.
    pub(crate) fn unit(&self, property: &str) -> Result<String, Failed> {
        let said = self.run(&format!("systemctl show -P {property} api-lb"))?;
        Ok(said.trim().to_owned())
    }

    /// What the daemon says of itself.
    pub(crate) fn status(&self) -> Result<Value, Failed> {
        Ok(serde_json::from_str(&self.run("api-lb status --json")?)?)
    }

    /// Waits until systemd has been told so often again that all is well.
    pub(crate) fn is_fed(&self, times: u32) -> Result<(), Failed> {
        for _ in 0..times {
            let before = self.unit("WatchdogTimestampMonotonic")?;
            wait::until("the watchdog to be fed", PATIENCE, || {
                let now = self.unit("WatchdogTimestampMonotonic").ok()?;
                (now != before).then_some(())
            })
            .map_err(|error| Failed::from(format!("{error}\n{}", self.journal())))?;
        }
        Ok(())
    }

    /// Runs `api-lb upgrade` to its end: whether it worked, and what it said.
    pub(crate) fn upgrade(&self) -> Result<(bool, String), Failed> {
        let said = self.run("api-lb upgrade 2>&1; echo \"exit code $?\"")?;
        Ok((said.contains("exit code 0"), said))
    }

    /// The last lines of the unit.
    pub(crate) fn journal(&self) -> String {
        let journal = "journalctl -b --no-pager -u api-lb | tail -40";
        self.run(journal).unwrap_or_default()
    }
}

/// A file of the packages.
fn packaging(file: &str) -> PathBuf {
    Path::new("../packaging").join(file)
}

/// Puts what a package would into the machine's own files, before it boots.
fn install(root: &Path) -> Result<(), Failed> {
    let put = |from: &Path, to: &str, mode: u32| -> Result<(), Failed> {
        let to = root.join(to);
        fs::create_dir_all(to.parent().ok_or("no folder")?)?;
        fs::copy(from, &to)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(mode))?;
        Ok(())
    };
    put(&binaries::own("api-lb")?, "usr/bin/api-lb", 0o755)?;
    let unit = packaging("systemd/api-lb.service");
    put(&unit, "etc/systemd/system/api-lb.service", 0o644)?;
    for file in ["sysusers.d/api-lb.conf", "tmpfiles.d/sternpost.conf"] {
        put(&packaging(file), &format!("usr/lib/{file}"), 0o644)?;
    }
    let etc = root.join("etc/sternpost");
    fs::create_dir_all(&etc)?;
    fs::write(etc.join("api-lb.yaml"), CONFIG)?;
    let path = |name: &str| etc.join(name).display().to_string();
    let (key, certificate) = (path("admin.key"), path("admin.crt"));
    let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=m1";
    let mut arguments: Vec<&str> = request.split(' ').collect();
    arguments.extend(["-keyout", &key, "-out", &certificate]);
    command::run("openssl", &arguments)?;
    Ok(())
}
