//! What is told when a check without a weight fails: by us what keepalived tells, line by
//! line, of the router, of the other one of its sync group, and of the group.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lab::host::{Host, NamespaceHost};
use lab::process::{Process, Program};
use lab::requirement::peer;
use lab::segment::Segment;
use lab::{binaries, wait};
use libtest_mimic::Failed;
use nix::sys::stat::Mode;

const HOSTS: [(&str, Ipv4Addr); 2] = [
    ("ours", Ipv4Addr::new(10, 55, 0, 11)),
    ("theirs", Ipv4Addr::new(10, 55, 0, 12)),
];
/// Above the start of a daemon, a check's interval and some down intervals of 361 ms.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whose lines they are, as `INSTANCE "inside"`, and each line's `STATE PRIORITY`.
type Lines = BTreeMap<String, Vec<String>>;

/// Each leads once, and what both tell in the same part is the same.
pub(crate) fn alike(label: &str) -> Result<(), Failed> {
    let first = faults("theirs", "ours", &format!("{label}-they-lead"))?;
    let second = faults("ours", "theirs", &format!("{label}-we-lead"))?;
    for part in ["leader", "follower"] {
        let (theirs, ours) = match part {
            "leader" => (&first[0], &second[0]),
            _follower => (&second[1], &first[1]),
        };
        if theirs != ours {
            let differ = format!("as {part} keepalived tells {theirs:#?}\nwe {ours:#?}");
            return Err(differ.into());
        }
        // And there was something to tell.
        let told = |whose: &str| theirs.get(whose).map_or(0, |all| all.len());
        for whose in [
            "INSTANCE \"inside\"",
            "INSTANCE \"outside\"",
            "GROUP \"gateway\"",
        ] {
            if told(whose) < 4 {
                return Err(format!("{part}: too little of {whose}: {theirs:#?}").into());
            }
        }
    }
    Ok(())
}

/// The lines of leader and follower, when the check of the one has failed and passed, and
/// then that of the other.
fn faults(leader: &str, follower: &str, label: &str) -> Result<[Lines; 2], Failed> {
    let logs = binaries::logs(label);
    // The logs of an earlier run would only mislead; there may be none.
    drop(fs::remove_dir_all(&logs));
    let segment = Segment::new(&logs, &HOSTS)?;
    let mut first = Node::start(&segment, leader, 200)?;
    first.says("inside", "MASTER 200")?;
    let mut second = Node::start(&segment, follower, 100)?;
    second.says("inside", "BACKUP 100")?;
    first.check(false)?;
    first.says("inside", "FAULT 200")?;
    second.says("outside", "MASTER 100")?;
    second.says("inside", "MASTER 100")?;
    first.check(true)?;
    for router in ["inside", "outside"] {
        first.says(router, "MASTER 200")?;
        second.says(router, "BACKUP 100")?;
    }
    second.check(false)?;
    second.says("outside", "FAULT 100")?;
    second.check(true)?;
    second.says("outside", "BACKUP 100")?;
    Ok([first.lines()?, second.lines()?])
}

struct Node {
    // Ends before its host.
    _process: Process,
    host: Arc<NamespaceHost>,
    fifo: File,
    read: String,
}

impl Node {
    fn start(segment: &Segment, name: &str, priority: u8) -> Result<Self, Failed> {
        let host = Arc::clone(segment.host(name)?);
        let path = host.file("notify.fifo");
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let mut open = OpenOptions::new();
        open.read(true).custom_flags(libc::O_NONBLOCK);
        let fifo = open.open(&path)?;
        fs::write(host.file("good"), "")?;
        let process = match name {
            "ours" => ours(segment, &host, priority)?,
            _theirs => theirs(segment, &host, priority)?,
        };
        Ok(Self {
            _process: process,
            host,
            fifo,
            read: String::new(),
        })
    }

    /// Makes its check pass, or fail.
    fn check(&self, passes: bool) -> Result<(), Failed> {
        let flag = self.host.file("good");
        match passes {
            true => fs::write(flag, "")?,
            false => fs::remove_file(flag)?,
        }
        Ok(())
    }

    fn lines(&mut self) -> Result<Lines, Failed> {
        let mut buffer = [0; 4096];
        // Until there is nothing: no bytes without a writer, an error with one.
        while let Ok(length @ 1..) = self.fifo.read(&mut buffer) {
            self.read += std::str::from_utf8(buffer.get(..length).unwrap_or_default())?;
        }
        let mut all = Lines::new();
        for line in self.read.lines() {
            let end = line.rfind('"').ok_or("a line without a name")?;
            let (whose, what) = line.split_at(end + 1);
            let of = all.entry(whose.to_owned()).or_default();
            of.push(what.trim().to_owned());
        }
        Ok(all)
    }

    /// Waits until that is the last that was told of the router.
    fn says(&mut self, router: &str, what: &str) -> Result<(), Failed> {
        let whose = format!("INSTANCE \"{router}\"");
        let host = self.host.name().to_owned();
        let awaited = wait::until(&format!("{host}: {whose} {what}"), PATIENCE, || {
            let lines = self.lines().ok()?;
            (lines.get(&whose)?.last()? == what).then_some(())
        });
        awaited.map_err(|error| format!("{error}:\n{}", self.read).into())
    }
}

fn ours(
    segment: &Segment,
    host: &Arc<NamespaceHost>,
    priority: u8,
) -> Result<Process, Failed> {
    let file = |name| host.file(name).display().to_string();
    let router = |name, vrid, last, more: &str| {
        format!(
            "- {{name: {name}, interface: eth0, vrid: {vrid}, priority: {priority}, \
             advertInterval: 100ms, addresses: [10.55.0.{last}/24]{more}}}\n"
        )
    };
    let track = format!(
        ", track: [{{file: {{path: {}}}, interval: 100ms, fall: 1, rise: 1, \
         init: passed}}]",
        file("good")
    );
    let text = format!(
        "apiVersion: sternpost/v1\nkind: VipDaemon\nsocket: {}\nnotify: {{fifo: {}}}\n\
         routers:\n{}{}syncGroups:\n- {{name: gateway, routers: [inside, outside]}}\n",
        file("vip.sock"),
        file("notify.fifo"),
        router("inside", 51, 100, &track),
        router("outside", 52, 101, ""),
    );
    fs::write(host.file("vip.yaml"), text)?;
    let binary: &Path = env!("CARGO_BIN_EXE_vip-daemon").as_ref();
    let program = Program::new("vip-daemon", binary, segment.logs());
    let mut process =
        host.start(&program.args(["run", "--config", &file("vip.yaml")]))?;
    process.ready(PATIENCE)?;
    Ok(process)
}

fn theirs(
    segment: &Segment,
    host: &Arc<NamespaceHost>,
    priority: u8,
) -> Result<Process, Failed> {
    let file = |name| host.file(name).display().to_string();
    let instance = |name, vrid, last, more| {
        format!(
            "vrrp_instance {name} {{\n state BACKUP\n interface eth0\n \
             virtual_router_id {vrid}\n priority {priority}\n advert_int 0.1\n \
             virtual_ipaddress {{\n 10.55.0.{last}/24\n }}\n{more}}}\n"
        )
    };
    let text = format!(
        "global_defs {{\n router_id theirs\n vrrp_version 3\n script_user root\n \
         vrrp_notify_fifo {}\n}}\nvrrp_script good {{\n \
         script \"/usr/bin/test -e {}\"\n interval 1\n}}\n\
         vrrp_sync_group gateway {{\n group {{\n inside\n outside\n }}\n}}\n{}{}",
        file("notify.fifo"),
        file("good"),
        instance("inside", 51, 100, " track_script {\n good\n }\n"),
        instance("outside", 52, 101, ""),
    );
    fs::write(host.file("keepalived.conf"), text)?;
    let (config, pid, vrrp) = (file("keepalived.conf"), file("pid"), file("vrrp-pid"));
    let args = [
        "-n", "-l", "-D", "-P", "-f", &config, "-p", &pid, "-r", &vrrp,
    ];
    let program = Program::new("keepalived", &peer("keepalived"), segment.logs());
    Ok(host.start(&program.args(args))?)
}
