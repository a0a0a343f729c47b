//! Booted machines, an operator who reaches them by ssh, and a description of them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::command::run;
use lab::host::{Host, NamespaceHost};
use lab::machine::{Machine, Purpose};
use lab::segment::Segment;
use lab::{LabError, binaries, requirement, wait};
use libtest_mimic::Failed;
use nix::unistd::Pid;

use crate::node;

/// The virtual address.
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 100);
const OPERATOR: (&str, Ipv4Addr) = ("operator", Ipv4Addr::new(10, 79, 0, 50));
/// From systemd's word that a machine is up until its sshd answers.
const SSHD: Duration = Duration::from_secs(90);
/// Kubernetes' own programs that a control plane takes.
const KUBERNETES: [&str; 6] = [
    "etcd",
    "etcdctl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
];
const OWN: [&str; 3] = ["api-lb", "vip-daemon", "bootstrap-signer"];

const BOTH: &str = "etcd, controlPlane";
/// Three masters.
pub(crate) const MASTERS: [Box; 3] = [
    Box::new("m1", 11, BOTH),
    Box::new("m2", 12, BOTH),
    Box::new("m3", 13, BOTH),
];

/// And a node.
pub(crate) const WITH_A_NODE: [Box; 4] = [
    Box::new("m1", 11, BOTH),
    Box::new("m2", 12, BOTH),
    Box::new("m3", 13, BOTH),
    Box::new("n1", 21, "node"),
];

/// A machine to boot.
#[derive(Clone, Copy)]
pub(crate) struct Box {
    pub(crate) name: &'static str,
    pub(crate) last: u8,
    pub(crate) roles: &'static str,
}

impl Box {
    pub(crate) const fn new(name: &'static str, last: u8, roles: &'static str) -> Self {
        Self { name, last, roles }
    }

    fn is_node(&self) -> bool {
        self.roles.contains("node")
    }

    fn purpose(&self) -> Purpose {
        match self.is_node() {
            true => Purpose::Containers,
            false => Purpose::Services,
        }
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 79, 0, self.last)
    }
}

/// Machines that are up, and the operator's place.
pub(crate) struct Rig {
    pub(crate) machines: Vec<Machine>,
    pub(crate) operator: Arc<NamespaceHost>,
    pub(crate) folder: PathBuf,
    /// Whether there are nodes among the machines.
    nodes: bool,
    /// Goes last: machines and operator are plugged into it.
    segment: Segment,
}

/// How a run of `sternpost` ended.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) printed: String,
    pub(crate) said: String,
    pub(crate) took: Duration,
}

impl Rig {
    /// Boots all of `boxes` at once and waits for their sshd.
    pub(crate) fn boot(name: &str, boxes: &[Box]) -> Result<Self, Failed> {
        let logs = binaries::logs(name);
        let segment = Segment::new(&logs, &[OPERATOR])?;
        let folder = segment.files().join("operator");
        fs::create_dir_all(&folder)?;
        let key = folder.join("id");
        run(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", &text(&key)],
        )?;
        let public = fs::read_to_string(key.with_extension("pub"))?;
        for one in boxes {
            let upper = segment.files().join(format!("machine-{}/upper", one.name));
            if one.is_node() {
                node::prepare(&upper)?;
            }
            let home = upper.join("root");
            fs::create_dir_all(home.join(".ssh"))?;
            fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
            fs::write(home.join(".ssh/authorized_keys"), &public)?;
        }
        let ssh = format!(
            "IdentityFile {}\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n\
             LogLevel ERROR\nUser root\n",
            key.display()
        );
        fs::write(folder.join("ssh_config"), ssh)?;
        // Each waits for its own machine; they boot beside each other.
        let machines = std::thread::scope(|scope| {
            let boots: Vec<_> = boxes
                .iter()
                .map(|one| {
                    let segment = &segment;
                    scope.spawn(move || boot(segment, one))
                })
                .collect();
            let joined = boots.into_iter().map(|boot| boot.join());
            joined
                .map(|boot| {
                    boot.map_err(|_| Failed::from("a boot panicked"))?
                        .map_err(Failed::from)
                })
                .collect::<Result<Vec<_>, Failed>>()
        })?;
        let operator = segment.host(OPERATOR.0)?.clone();
        let rig = Self {
            machines,
            operator,
            folder,
            nodes: boxes.iter().any(Box::is_node),
            segment,
        };
        for one in boxes {
            rig.greeted(one)?;
        }
        Ok(rig)
    }

    fn greeted(&self, one: &Box) -> Result<(), Failed> {
        let what = format!("sshd of {}", one.name);
        let config = text(&self.folder.join("ssh_config"));
        let address = one.address().to_string();
        wait::until(&what, SSHD, || {
            let tried = self.operator.output(
                "ssh",
                &["-F", &config, "-o", "BatchMode=yes", &address, "true"],
            );
            tried.ok()
        })?;
        Ok(())
    }

    /// Puts the programs together, as links, with their checksums.
    pub(crate) fn programs(&self) -> Result<(), Failed> {
        let folder = self.folder.join("binaries");
        fs::create_dir_all(&folder)?;
        for name in KUBERNETES {
            symlink(requirement::kubernetes().join(name), folder.join(name))?;
        }
        for name in OWN {
            symlink(binaries::own(name)?, folder.join(name))?;
        }
        let sums = File::create(folder.join("SHA256SUMS"))?;
        let mut names: Vec<_> = KUBERNETES.iter().chain(&OWN).copied().collect();
        if self.nodes {
            names.extend(node::programs(&folder)?);
        }
        let status = Command::new("sha256sum")
            .args(names)
            .current_dir(&folder)
            .stdout(sums)
            .status()?;
        if !status.success() {
            return Err("sha256sum failed".into());
        }
        Ok(())
    }

    /// Writes the description of a cluster on `boxes`, with `more` at its end.
    pub(crate) fn describe(&self, boxes: &[Box], more: &str) -> Result<(), Failed> {
        let mut text = format!(
            "apiVersion: sternpost/v1\nkind: Cluster\nname: lab\n\
             kubernetes: {{version: {}}}\n\
             endpoint: {{addresses: [\"{VIP}/24\"]}}\n{more}hosts:\n",
            lab::rig::version()?
        );
        for one in boxes {
            text.push_str(&format!(
                "- {{name: {}, addresses: [\"{}\"], roles: [{}], ssh: {{user: root}}}}\n",
                one.name,
                one.address(),
                one.roles
            ));
        }
        fs::write(self.folder.join("cluster.yaml"), text)?;
        Ok(())
    }

    /// The command that runs `sternpost` at the operator's place, in the folder of the
    /// description.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", self.operator.netns().name()])
            .arg(env!("CARGO_BIN_EXE_sternpost"))
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// Runs `sternpost` to its end.
    pub(crate) fn sternpost(&self, arguments: &[&str]) -> Result<Run, Failed> {
        let begun = Instant::now();
        let output = self.command(arguments).output()?;
        Ok(Run {
            code: output.status.code(),
            printed: String::from_utf8_lossy(&output.stdout).into_owned(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: begun.elapsed(),
        })
    }

    /// `sternpost apply`, with `more` arguments.
    pub(crate) fn apply(&self, more: &[&str]) -> Result<Run, Failed> {
        let first = [
            "apply",
            "--spec",
            "cluster.yaml",
            "--ssh-config",
            "ssh_config",
        ];
        let all: Vec<_> = first.iter().chain(more).copied().collect();
        self.sternpost(&all)
    }

    /// `sternpost apply`; `seen` is given every line that it says, and its process.
    pub(crate) fn watched(&self, mut seen: impl FnMut(&str, Pid)) -> Result<Run, Failed> {
        let begun = Instant::now();
        let mut command = self.command(&[
            "apply",
            "--spec",
            "cluster.yaml",
            "--ssh-config",
            "ssh_config",
        ]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        let lines = child.stderr.take().ok_or("no pipe")?;
        let mut said = String::new();
        for line in BufReader::new(lines).lines() {
            let line = line?;
            seen(&line, pid);
            said.push_str(&line);
            said.push('\n');
        }
        let output = child.wait_with_output()?;
        Ok(Run {
            code: output.status.code(),
            printed: String::from_utf8_lossy(&output.stdout).into_owned(),
            said,
            took: begun.elapsed(),
        })
    }

    /// Boots a machine again that has died, on its own disk.
    pub(crate) fn boot_again(&mut self, one: &Box) -> Result<(), Failed> {
        self.machines.retain(|machine| machine.name() != one.name);
        let machine = boot(&self.segment, one)?;
        self.machines.push(machine);
        self.greeted(one)
    }

    /// Where what runs on the machines logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.segment.logs().to_owned()
    }

    /// What machines and operator are plugged into.
    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    pub(crate) fn machine(&self, name: &str) -> Result<&Machine, Failed> {
        let mut all = self.machines.iter();
        let found = all.find(|machine| machine.name() == name);
        found.ok_or_else(|| format!("no machine {name}").into())
    }

    /// What a shell on a machine prints.
    pub(crate) fn on(&self, name: &str, script: &str) -> Result<String, Failed> {
        Ok(self.machine(name)?.output("/bin/sh", &["-c", script])?)
    }
}

impl Run {
    /// The run when it ended with `code`; all it said otherwise.
    pub(crate) fn ended(self, code: i32) -> Result<Self, Failed> {
        if self.code == Some(code) {
            return Ok(self);
        }
        let Self {
            code: got,
            printed,
            said,
            ..
        } = self;
        Err(format!("ended with {got:?}, not {code}:\n{printed}\n{said}").into())
    }
}

fn boot(segment: &Segment, one: &Box) -> Result<Machine, LabError> {
    Machine::boot_for(one.purpose(), segment, one.name, one.address())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
