//! Booted machines, an operator who reaches them by ssh, and a description of them; for tests
//! of the installer and for the demo.

mod boxes;
mod families;
mod firewall;
mod nodes;
mod run;

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;
use nix::unistd::Pid;

use crate::command;
use crate::error::LabError;
use crate::host::{Host, NamespaceHost, six};
use crate::machine::Machine;
use crate::segment::Segment;
use crate::{binaries, requirement, wait};

pub use boxes::{Box, MASTERS, NODES, with_nodes};
pub use families::{Families, VIP, VIP_SIX};
pub use nodes::{completed, settings, settings_of};
pub use run::{Run, Running};

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

/// How every command finds the cluster and its hosts.
const WHERE: [&str; 4] = ["--spec", "cluster.yaml", "--ssh-config", "ssh_config"];

/// Machines that are up, and the operator's place.
#[derive(Debug)]
pub struct Rig {
    /// The machines, in no particular order once one was booted again.
    pub machines: Vec<Machine>,
    /// Where the operator sits, a host without masters' programs.
    pub operator: Arc<NamespaceHost>,
    /// The operator's folder: description, programs, keys of ssh.
    pub folder: PathBuf,
    sternpost: PathBuf,
    /// Whether there are hosts for Pods among the machines.
    nodes: bool,
    /// Goes last: machines and operator are plugged into it.
    segment: Segment,
}

impl Rig {
    /// Boots all of `boxes` at once and waits for their sshd. What runs there logs to the lab's
    /// folder `name`.
    ///
    /// # Errors
    /// When one does not come up, or `sternpost` has not been built.
    pub fn boot(name: &str, boxes: &[Box]) -> Result<Self, Failed> {
        Self::logged(&binaries::logs(name), boxes)
    }

    /// The same, with logs in another folder.
    ///
    /// # Errors
    /// When one does not come up, or `sternpost` has not been built.
    pub fn logged(logs: &Path, boxes: &[Box]) -> Result<Self, Failed> {
        let sternpost = binaries::own("sternpost")?;
        let segment = Segment::new(logs, &[OPERATOR])?;
        let folder = segment.files().join("operator");
        fs::create_dir_all(&folder)?;
        let public = keyed(&folder)?;
        for one in boxes {
            let upper = segment.files().join(format!("machine-{}/upper", one.name));
            if one.is_node() {
                nodes::prepare(&upper)?;
            }
            let home = upper.join("root");
            fs::create_dir_all(home.join(".ssh"))?;
            fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
            fs::write(home.join(".ssh/authorized_keys"), &public)?;
        }
        let machines = together(&segment, boxes)?;
        let operator = segment.host(OPERATOR.0)?.clone();
        let own = format!("{}/64", six(OPERATOR.1));
        operator.output("ip", &["address", "add", &own, "dev", "eth0"])?;
        let rig = Self {
            machines,
            operator,
            folder,
            sternpost,
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
    ///
    /// # Errors
    /// When one is not there.
    pub fn programs(&self) -> Result<(), Failed> {
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
            names.extend(nodes::programs(&folder)?);
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

    /// Writes the description of a cluster on `boxes`, with `more` in it, by their addresses of
    /// IPv4.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn describe(&self, boxes: &[Box], more: &str) -> Result<(), Failed> {
        self.described(Families::Four, boxes, more)
    }

    /// The same, by their addresses of some families.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn described(
        &self,
        families: Families,
        boxes: &[Box],
        more: &str,
    ) -> Result<(), Failed> {
        let mut text = format!(
            "apiVersion: sternpost/v1\nkind: Cluster\nname: lab\n\
             kubernetes: {{version: {}}}\n\
             endpoint: {{addresses: {}}}\n{more}hosts:\n",
            version()?,
            families.endpoint()
        );
        for one in boxes {
            text.push_str(&format!(
                "- {{name: {}, addresses: {}, roles: [{}], ssh: {{user: root}}}}\n",
                one.name,
                families.of(one),
                one.roles
            ));
        }
        fs::write(self.folder.join("cluster.yaml"), text)?;
        Ok(())
    }

    /// The command that runs `sternpost` at the operator's place, in the folder of the
    /// description.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", self.operator.netns().name()])
            .arg(&self.sternpost)
            .args(arguments)
            .current_dir(&self.folder)
            // What a run notes for its operator goes with this rig.
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .stdin(Stdio::null());
        command
    }

    /// Runs `sternpost` to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn sternpost(&self, arguments: &[&str]) -> Result<Run, Failed> {
        Run::whole(self.command(arguments))
    }

    /// A command of `sternpost` about the cluster that is described, to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn asked(&self, command: &str, more: &[&str]) -> Result<Run, Failed> {
        self.sternpost(&told(command, more))
    }

    /// `sternpost apply`, with `more` arguments, to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn apply(&self, more: &[&str]) -> Result<Run, Failed> {
        self.asked("apply", more)
    }

    /// `sternpost apply`; `seen` is given every line that it says, and its process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn watched(&self, seen: impl FnMut(&str, Pid)) -> Result<Run, Failed> {
        Run::watched(self.command(&told("apply", &[])), seen)
    }

    /// `sternpost apply` in the background, for whoever does something to it meanwhile.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn begun(&self) -> Result<Running, Failed> {
        Running::start(self.command(&told("apply", &[])))
    }

    /// Boots a machine again that has died, on its own disk.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn boot_again(&mut self, one: &Box) -> Result<(), Failed> {
        self.machines.retain(|machine| machine.name() != one.name);
        let machine = booted(&self.segment, one)?;
        self.machines.push(machine);
        self.greeted(one)
    }

    /// Waits until a machine that boots anew is there again.
    ///
    /// # Errors
    /// When it does not end, or does not come up.
    pub fn rebooted(&mut self, one: &Box) -> Result<(), Failed> {
        let mut all = self.machines.iter_mut();
        let machine = all.find(|machine| machine.name() == one.name);
        let machine = machine.ok_or_else(|| format!("no machine {}", one.name))?;
        machine.gone()?;
        self.boot_again(one)
    }

    /// What machines and operator are plugged into; where what runs on them logs.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// The machine of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn machine(&self, name: &str) -> Result<&Machine, Failed> {
        let mut all = self.machines.iter();
        let found = all.find(|machine| machine.name() == name);
        found.ok_or_else(|| format!("no machine {name}").into())
    }

    /// What a shell on a machine prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn on(&self, name: &str, script: &str) -> Result<String, Failed> {
        Ok(self.machine(name)?.output("/bin/sh", &["-c", script])?)
    }
}

/// A key for the operator, and how he reaches machines; what they are to know of it.
fn keyed(folder: &Path) -> Result<String, Failed> {
    let key = folder.join("id");
    command::run(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-f", &text(&key)],
    )?;
    let ssh = format!(
        "IdentityFile {}\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n\
         LogLevel ERROR\nUser root\n",
        key.display()
    );
    fs::write(folder.join("ssh_config"), ssh)?;
    Ok(fs::read_to_string(key.with_extension("pub"))?)
}

/// Each waits for its own machine; they boot beside each other.
fn together(segment: &Segment, boxes: &[Box]) -> Result<Vec<Machine>, Failed> {
    thread::scope(|scope| {
        let boots = boxes
            .iter()
            .map(|one| scope.spawn(move || booted(segment, one)));
        let boots: Vec<_> = boots.collect();
        let joined = boots.into_iter().map(|boot| {
            let booted = boot.join().map_err(|_| Failed::from("a boot panicked"))?;
            booted.map_err(Failed::from)
        });
        joined.collect()
    })
}

fn booted(segment: &Segment, one: &Box) -> Result<Machine, LabError> {
    Machine::boot_for(one.purpose(), segment, one.name, one.address())
}

/// The words of a command, with where it finds the cluster and its hosts.
fn told<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [[command].as_slice(), WHERE.as_slice(), more].concat()
}

/// Which Kubernetes the programs are, by their own word.
///
/// # Errors
/// When there are none.
pub fn version() -> Result<String, Failed> {
    let program = text(&requirement::kubernetes().join("kube-apiserver"));
    let said = command::run(&program, &["--version"])?;
    let version = said.trim().strip_prefix("Kubernetes v");
    Ok(version
        .ok_or_else(|| format!("{program} is {said}"))?
        .to_owned())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
