//! Booted machines, an operator who reaches them by ssh, and a description of them.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use crate::command::run;
use crate::host::{Host, NamespaceHost};
use crate::machine::Machine;
use crate::segment::Segment;
use crate::{binaries, requirement, wait};

/// The virtual address.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 100);
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
pub const MASTERS: [Box; 3] = [
    Box::new("m1", 11, BOTH),
    Box::new("m2", 12, BOTH),
    Box::new("m3", 13, BOTH),
];

/// A machine to boot.
#[derive(Clone, Copy, Debug)]
pub struct Box {
    /// Its name.
    pub name: &'static str,
    /// The last octet of its address.
    pub last: u8,
    /// Its roles, as a description lists them.
    pub roles: &'static str,
}

impl Box {
    /// A machine of that name, address and roles.
    #[must_use]
    pub const fn new(name: &'static str, last: u8, roles: &'static str) -> Self {
        Self { name, last, roles }
    }

    /// Its own address on the segment.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 79, 0, self.last)
    }
}

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
    /// Goes last: machines and operator are plugged into it.
    segment: Segment,
}

/// How a run of `sternpost` ended.
#[derive(Debug)]
pub struct Run {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub printed: String,
    /// Its standard error.
    pub said: String,
    /// From its start to its end.
    pub took: Duration,
}

impl Rig {
    /// Boots all of `boxes` at once and waits for their sshd.
    ///
    /// # Errors
    /// When one does not come up, or `sternpost` has not been built.
    pub fn boot(logs: &Path, boxes: &[Box]) -> Result<Self, Failed> {
        let sternpost = binaries::own("sternpost")?;
        let segment = Segment::new(logs, &[OPERATOR])?;
        let folder = segment.files().join("operator");
        fs::create_dir_all(&folder)?;
        let key = folder.join("id");
        run(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", &text(&key)],
        )?;
        let public = fs::read_to_string(key.with_extension("pub"))?;
        for one in boxes {
            let home = segment
                .files()
                .join(format!("machine-{}/upper/root", one.name));
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
                    scope.spawn(move || Machine::boot(segment, one.name, one.address()))
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
            sternpost,
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
        let names: Vec<_> = KUBERNETES.iter().chain(&OWN).collect();
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
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn describe(&self, boxes: &[Box], more: &str) -> Result<(), Failed> {
        let mut text = format!(
            "apiVersion: sternpost/v1\nkind: Cluster\nname: lab\n\
             kubernetes: {{version: {}}}\n\
             endpoint: {{addresses: [\"{VIP}/24\"]}}\n{more}hosts:\n",
            version()?
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
        let begun = Instant::now();
        let output = self.command(arguments).output()?;
        Ok(Run {
            code: output.status.code(),
            printed: String::from_utf8_lossy(&output.stdout).into_owned(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: begun.elapsed(),
        })
    }

    /// What machines and operator are plugged into.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.segment
    }
}

impl Run {
    /// The run when it ended with `code`; all it said otherwise.
    ///
    /// # Errors
    /// When it ended otherwise.
    pub fn ended(self, code: i32) -> Result<Self, Failed> {
        if self.code == Some(code) {
            return Ok(self);
        }
        let Self {
            code: got,
            printed,
            said,
            ..
        } = self;
        Err(format!("ended with {got:?}, not {code}:\n{said}\n{printed}").into())
    }
}

/// Which Kubernetes the programs are, by their own word.
///
/// # Errors
/// When there are none.
pub fn version() -> Result<String, Failed> {
    let program = text(&requirement::kubernetes().join("kube-apiserver"));
    let said = run(&program, &["--version"])?;
    let version = said.trim().strip_prefix("Kubernetes v");
    Ok(version
        .ok_or_else(|| format!("{program} is {said}"))?
        .to_owned())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
