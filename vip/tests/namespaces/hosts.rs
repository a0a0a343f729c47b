//! Two hosts with the real binary, and a record of who holds the address.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::holders::{What, current};
use lab::host::{Host, NamespaceHost};
use lab::process::{Process, Program};
use lab::segment::Segment;
use lab::timeline::Timeline;
use lab::{binaries, wait};
use libtest_mimic::Failed;
use serde_json::Value;

/// The first host.
pub(crate) const A: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 11);
/// The second.
pub(crate) const B: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 12);
/// The address they hold.
pub(crate) const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 100);
/// What is tested.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_vip-daemon");
/// Far above anything awaited with it; only a hang is that slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Copies the program under test, by a process of its own: a program that another thread of
/// this one starts meanwhile would hold the copy open for writing, and it could not be run.
pub(crate) fn copy_program(to: &std::path::Path) -> Result<(), Failed> {
    lab::command::run("cp", &[BINARY, &to.display().to_string()])?;
    Ok(())
}

/// A value in an answer of the daemon.
pub(crate) fn assert_is(
    what: &str,
    value: Option<&Value>,
    wanted: impl Into<Value>,
) -> Result<(), Failed> {
    let wanted = wanted.into();
    if value != Some(&wanted) {
        return Err(format!("{what} is {value:?}, wanted {wanted}").into());
    }
    Ok(())
}

/// Two hosts and a record of who holds the address.
pub(crate) struct Lab {
    /// Who held the address when.
    pub(crate) timeline: Timeline,
    /// The hosts.
    pub(crate) segment: Segment,
}

impl Lab {
    pub(crate) fn new(name: &str) -> Result<Self, Failed> {
        Self::watching(name, VIRTUAL)
    }

    pub(crate) fn watching(
        name: &str,
        address: impl Into<IpAddr>,
    ) -> Result<Self, Failed> {
        let logs = binaries::logs(format!("vip-{name}"));
        // The logs of an earlier run would only mislead; there may be none.
        drop(fs::remove_dir_all(&logs));
        let segment = Segment::new(&logs, &[("a", A), ("b", B)])?;
        let timeline = Timeline::watch(address, segment.hosts())?;
        Ok(Self { timeline, segment })
    }

    pub(crate) fn config(
        &self,
        host: &str,
        priority: u8,
        more: &str,
    ) -> Result<std::path::PathBuf, Failed> {
        let host = self.segment.host(host)?;
        let path = host.file("vip.yaml");
        let (source, peer) = if host.address() == A { (A, B) } else { (B, A) };
        let socket = host.file("vip.sock");
        let text = format!(
            "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n- name: api\n  \
             interface: eth0\n  vrid: 51\n  priority: {priority}\n  \
             advertInterval: 100ms\n  addresses: [\"{VIRTUAL}/24\"]\n  \
             unicast: {{source: {source}, peers: [{peer}]}}\n{more}socket: {}\n",
            socket.display()
        );
        fs::write(&path, text)?;
        Ok(path)
    }

    pub(crate) fn start(
        &self,
        host: &str,
        config: &std::path::Path,
    ) -> Result<Process, Failed> {
        let program = Program::new("vip-daemon", BINARY.as_ref(), self.segment.logs());
        let config = config.display().to_string();
        let host: &Arc<NamespaceHost> = self.segment.host(host)?;
        let mut process = host.start(&program.args(["run", "--config", &config]))?;
        process.ready(PATIENCE)?;
        Ok(process)
    }

    pub(crate) fn command(&self, host: &str, command: &[&str]) -> Result<String, Failed> {
        let host = self.segment.host(host)?;
        let socket = host.file("vip.sock").display().to_string();
        Ok(host.output(BINARY, &[command, &["--socket", &socket]].concat())?)
    }

    pub(crate) fn status(&self, host: &str) -> Result<Value, Failed> {
        Ok(serde_json::from_str(
            &self.command(host, &["status", "--json"])?,
        )?)
    }

    pub(crate) fn router(&self, host: &str) -> Result<Value, Failed> {
        let status = self.status(host)?;
        Ok(status.pointer("/routers/0").cloned().ok_or("no router")?)
    }

    pub(crate) fn state(&self, host: &str, wanted: &str) -> Result<(), Failed> {
        wait::until(&format!("{host} is {wanted}"), PATIENCE, || {
            let router = self.router(host).ok()?;
            (router.pointer("/state")? == wanted).then_some(())
        })?;
        Ok(())
    }

    pub(crate) fn ip(&self, host: &str, command: &str) -> Result<String, Failed> {
        let words: Vec<_> = command.split(' ').collect();
        Ok(self.segment.host(host)?.output("ip", &words)?)
    }

    /// Waits until exactly these hosts hold the address.
    pub(crate) fn held_by(&self, hosts: &[&str]) -> Result<(), Failed> {
        let wanted: BTreeSet<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        wait::until(&format!("held by {hosts:?}"), PATIENCE, || {
            (current(&self.timeline.events()) == wanted).then_some(())
        })?;
        Ok(())
    }

    /// When the last change to `what` was seen: the first event of the run it belongs to.
    pub(crate) fn last(&self, what: What) -> Option<Instant> {
        let events = self.timeline.events();
        let host = events
            .iter()
            .rev()
            .find(|event| event.what == what)?
            .host
            .clone();
        let mut found = None;
        for event in events.iter().filter(|event| event.host == host) {
            match event.what == what {
                true => found = found.or(Some(event.at)),
                false => found = None,
            }
        }
        found
    }
}
