//! The operator sits on a master: description, programs and a key are brought there, and the
//! cluster is laid down from it. Another operator, who comes while that goes on, is kept out by
//! name; one who comes later has the description and a key alone, and goes on; a reset that is
//! begun on a master takes that one off too.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use lab::host::Host;
use lab::rig::{MASTERS, Rig, Run};
use libtest_mimic::Failed;

use super::{BARE, checks, leave};

/// The master that the operator sits on, and his folder there.
const AT: &str = "10.79.0.11";
const DESK: &str = "/root/desk";
/// What is his own there, ssh's configuration included; and m1 lets nobody in who comes from
/// itself: what is done there is not done over ssh.
const SETTLE: &str = "chmod 600 /root/desk/id && \
    printf 'IdentityFile /root/desk/id\\nStrictHostKeyChecking no\\n\
    UserKnownHostsFile /dev/null\\nLogLevel ERROR\\n' >/root/.ssh/config && \
    sed -i 's/^/from=\"10.79.0.50\" /' /root/.ssh/authorized_keys";
/// Everything of his that is not to be needed again.
const LOST: &str = "rm -r /root/desk /root/.local";
/// What has the name of ours, wherever it may lie; the lab's own logs are none, and what an operator
/// has brought or noted is his.
const OURS: &str = "find /etc /opt /usr /var /run /root -name '*sternpost*' -not -path '/root/desk/*' \
     -not -path '/root/.local/state/sternpost'";
/// What was noted of the reset, where it was done.
const NOTED: &str =
    "grep -c '\"command\":\"reset\"' /root/.local/state/sternpost/lab.jsonl";

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn laid_down() -> Result<(), Failed> {
    let rig = Rig::boot("installer-master", &MASTERS)?;
    rig.programs()?;
    rig.describe(&MASTERS, BARE)?;
    let before = leave::standing(&rig)?;
    let desk = Desk(&rig);
    desk.bring(&["cluster.yaml", "binaries", "id"])?;
    rig.on("m1", SETTLE)?;
    let refused = rig.on("m1", &format!("ssh -o BatchMode=yes {AT} true"));
    if refused.is_ok() {
        return Err("m1 reaches itself by ssh".into());
    }
    desk.asked("preflight")?.ended(0)?;
    let first = desk.beside(&rig)?;
    println!("from a master: {:.1?}", first.took);
    checks::no_secret(&first)?;
    checks::serving(&rig)?;
    checks::one_holder(&rig)?;
    checks::one_cluster(&rig)?;
    let again = desk.asked("apply")?.ended(0)?;
    println!("again: {:.1?}", again.took);
    checks::nothing_done(&again, &rig)?;
    checks::nothing_left(&rig)?;
    desk.asked("verify")?.ended(0)?;
    taken_over(&rig, &desk)?;
    desk.bring(&["cluster.yaml", "id"])?;
    leave::gone_by(&rig, &before, |words| {
        desk.run(&[["reset"].as_slice(), words].concat())
    })?;
    rig.on("m1", NOTED)?;
    let left = rig.on("m1", OURS)?;
    match left.trim().is_empty() {
        true => Ok(()),
        false => Err(format!("left on m1: {left}").into()),
    }
}

/// Nothing of the first operator's is there any more: the other one has the description, a key
/// and the list of the programs. All is as it is to be; what he changes is done, and whoever sits
/// on the master is kept out meanwhile.
fn taken_over(rig: &Rig, desk: &Desk<'_>) -> Result<(), Failed> {
    let sums = rig.folder.join("binaries/SHA256SUMS");
    let list = fs::read_to_string(&sums)?;
    fs::remove_dir_all(rig.folder.join("binaries"))?;
    fs::create_dir(rig.folder.join("binaries"))?;
    fs::write(&sums, list)?;
    let state = rig.folder.join("state");
    if state.exists() {
        fs::remove_dir_all(state)?;
    }
    rig.asked("plan", &[])?.ended(0)?;
    checks::nothing_done(&rig.apply(&[])?.ended(0)?, rig)?;
    let flags = "flags: {kube-scheduler: {v: \"1\"}}\n";
    rig.describe(&MASTERS, &format!("{BARE}{flags}"))?;
    let mut inside = None;
    let run = rig.watched(|line, _| {
        if inside.is_none() && line.starts_with("m1: ") {
            inside = Some(desk.asked("apply"));
        }
    })?;
    run.ended(0)?;
    let here = fs::read_to_string("/proc/sys/kernel/hostname")?;
    kept_out(inside, &format!(" on {} (process ", here.trim()))?;
    rig.on("m1", LOST)?;
    rig.asked("plan", &[])?.ended(0)?;
    checks::serving(rig)
}

/// Another run was refused on every master, by the name of whoever is at work there.
fn kept_out(run: Option<Result<Run, Failed>>, by: &str) -> Result<(), Failed> {
    let run = run.ok_or("the other operator was never there")??.ended(1)?;
    for master in MASTERS {
        let told = |line: &str| {
            line.trim().starts_with(&format!("{}: ", master.name))
                && line.contains(by)
                && line.contains("is at work here")
        };
        if !run.printed.lines().any(told) {
            return Err(format!("no {by:?} of {}:\n{}", master.name, run.printed).into());
        }
    }
    Ok(())
}

/// The operator's place on a master, reached from the other one's.
struct Desk<'a>(&'a Rig);

impl Desk<'_> {
    /// Brings files there, and the program beside them.
    fn bring(&self, files: &[&str]) -> Result<(), Failed> {
        self.0.on("m1", &format!("mkdir -p {DESK}"))?;
        let files = files.iter().map(|file| self.0.folder.join(file));
        let all: Vec<PathBuf> = files.chain([lab::binaries::own("sternpost")?]).collect();
        let to = format!("{AT}:{DESK}/");
        let config = self.0.folder.join("ssh_config").display().to_string();
        let mut words = vec!["-q", "-r", "-F", &config];
        let all: Vec<_> = all.iter().map(|path| path.display().to_string()).collect();
        words.extend(all.iter().map(String::as_str));
        words.push(&to);
        Ok(self.0.operator.output("scp", &words).map(drop)?)
    }

    fn command(&self, words: &[&str]) -> Command {
        let line = format!("cd {DESK} && ./sternpost {}", words.join(" "));
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", self.0.operator.netns().name()])
            .args(["ssh", "-F", "ssh_config", AT, &line])
            .current_dir(&self.0.folder)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Result<Run, Failed> {
        Run::whole(self.command(words))
    }

    fn asked(&self, command: &str) -> Result<Run, Failed> {
        self.run(&[command])
    }

    /// `apply` there, and once it is at work, from elsewhere too.
    fn beside(&self, rig: &Rig) -> Result<Run, Failed> {
        let mut outside = None;
        let run = Run::watched(self.command(&["apply"]), |line, _| {
            if outside.is_none() && line.starts_with("m2: start etcd") {
                outside = Some(rig.apply(&[]));
            }
        })?;
        let run = run.ended(0)?;
        kept_out(outside, "root on m1 (process ")?;
        Ok(run)
    }
}
