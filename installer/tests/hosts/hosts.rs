//! Hosts that are folders, and an operator's machine that is one as well.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use sternpost::render::{self, Known, Newcomers};
use sternpost::resource::Resource;
use sternpost::spec::{self, Cluster};
use tempfile::TempDir;

use super::Tried;
use super::played::{
    ADDRESS, BALANCER, ETCDCTL, JOURNALCTL, KUBECTL, ON, SSH, SYSTEMCTL,
};

/// Names and addresses, as the manual's first cluster has them.
pub(super) const HOSTS: [(&str, &str); 4] = [
    ("m1", "192.0.2.11"),
    ("m2", "192.0.2.12"),
    ("m3", "192.0.2.13"),
    ("n1", "192.0.2.21"),
];
/// The words that describe it.
pub(super) const INIT: [&str; 13] = [
    "init",
    "--name",
    "prod",
    "--master",
    "m1=192.0.2.11",
    "--master",
    "m2=192.0.2.12",
    "--master",
    "m3=192.0.2.13",
    "--node",
    "n1=192.0.2.21",
    "--address",
    "192.0.2.9/24",
];
/// Folders of the system that each host has to itself.
const OWN: [&str; 5] = ["etc", "var", "run", "opt", "usr/local"];

/// The operator's folder, and the hosts.
pub(super) struct Hosts {
    folder: TempDir,
    neighbour: Option<Neighbour>,
}

/// Another machine on the segment of the hosts' interface `seg0`. It ends with what it reads.
pub(super) struct Neighbour(Child);

impl Neighbour {
    /// One that has an address.
    fn with(address: &str) -> Tried<Self> {
        let script = format!(
            "ip link set lo up && ip address add {address}/32 dev lo && echo up && exec cat"
        );
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", &script]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let said = child.stdout.as_mut().ok_or("no pipe")?;
        let mut up = [0; 3];
        said.read_exact(&mut up)?;
        Ok(Self(child))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // Gone already, or it goes with its input.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Hosts {
    /// Bare hosts, and the description of a cluster of them with its programs.
    pub(super) fn new() -> Tried<Self> {
        // Every write is synced, which memory does at once.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        let neighbour = None;
        let hosts = Self { folder, neighbour };
        for (_, address) in HOSTS {
            hosts.add(address)?;
        }
        hosts.systems()?;
        hosts.run(&INIT)?.ended(0)?;
        hosts.programs()?;
        Ok(hosts)
    }

    /// Where the operator's own files lie.
    pub(super) fn desk(&self) -> PathBuf {
        self.folder.path().join("desk")
    }

    /// These hosts are down, and no others.
    pub(super) fn down(&self, addresses: &[&str]) -> Tried {
        let all = self.folder.path().join("hosts");
        for (_, address) in HOSTS {
            let (up, away) = (all.join(address), all.join(format!("{address}.away")));
            match addresses.contains(&address) {
                true if up.exists() => fs::rename(up, away)?,
                false if away.exists() => fs::rename(away, up)?,
                true | false => {}
            }
        }
        let ports = |at: &&str| format!("{at}:2379\n{at}:6443\n");
        let dead: String = addresses.iter().map(ports).collect();
        Ok(fs::write(self.folder.path().join("dead"), dead)?)
    }

    /// An address on the hosts' segment is somebody else's, or nobody's.
    pub(super) fn taken(&mut self, address: Option<&str>) -> Tried {
        self.neighbour = address.map(Neighbour::with).transpose()?;
        Ok(())
    }

    /// Somebody takes connections at this address and port, beside every later command.
    pub(super) fn serve(&self, at: &str) -> Tried {
        Ok(fs::write(self.folder.path().join("served"), at)?)
    }

    /// What the members of etcd say when they are asked for their list.
    pub(super) fn members(&self, list: &str) -> Tried {
        Ok(fs::write(self.folder.path().join("members"), list)?)
    }

    /// Where something is that the scripts share.
    pub(super) fn shared(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A host's root.
    pub(super) fn root(&self, address: &str) -> PathBuf {
        self.folder.path().join("hosts").join(address)
    }

    /// One that has nothing but its system's users.
    fn add(&self, address: &str) -> Tried {
        let root = self.root(address);
        for folder in OWN {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::create_dir_all(root.join("var/lib"))?;
        for (path, text) in [
            ("swaps", "Filename\n"),
            ("cgroup/cgroup.controllers", "cpu io\n"),
            ("usr/local/sbin/nft", ""),
        ] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&root))?;
            fs::write(path, text)?;
        }
        let users = [
            "root:x:0",
            "etcd:x:301",
            "kubernetes:x:302",
            "bootstrap-signer:x:303",
            "vip-daemon:x:304",
            "api-lb:x:305",
        ];
        fs::write(root.join("etc/passwd"), users.join("\n"))?;
        Ok(fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n")?)
    }

    /// What stands for the programs of a system, before those that are there.
    fn systems(&self) -> Tried {
        fs::create_dir_all(self.desk())?;
        let system = self.folder.path().join("system");
        for (name, script) in [
            ("ssh", SSH),
            ("on", ON),
            ("systemctl", SYSTEMCTL),
            ("journalctl", JOURNALCTL),
            ("systemd-sysusers", "#!/bin/sh\n"),
            ("systemd-tmpfiles", "#!/bin/sh\n"),
            ("sysctl", "#!/bin/sh\n"),
            (
                "df",
                "#!/bin/sh\nprintf 'Avail\\n99999999\\n99999999\\n99999999\\n'\n",
            ),
        ] {
            self.script(&system.join(name), script)?;
        }
        Ok(())
    }

    /// Writes a script that anybody may run.
    pub(super) fn script(&self, path: &Path, text: &str) -> Tried {
        let text = text.replace("FOLDER", &self.folder.path().display().to_string());
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(path, text)?;
        Ok(fs::set_permissions(
            path,
            fs::Permissions::from_mode(0o755),
        )?)
    }

    /// A script for each program that a host is to hold, and their checksums.
    fn programs(&self) -> Tried {
        let cluster = self.cluster()?;
        let known = Known {
            interface: "lo".to_owned(),
            resolv_conf: None,
            newcomers: Newcomers::Expected,
            dials: None,
        };
        let binaries = self.desk().join("binaries");
        for host in &cluster.hosts {
            let resources = render::host(&cluster, host, &known);
            for program in resources.iter().filter_map(Resource::program) {
                let other = format!("#!/bin/sh\n# {}\n", program.name);
                let text = match program.name.as_str() {
                    "etcdctl" => ETCDCTL,
                    "kubectl" => KUBECTL,
                    "api-lb" => BALANCER,
                    "vip-daemon" => ADDRESS,
                    _ => &other,
                };
                self.script(&binaries.join(&program.name), text)?;
            }
        }
        self.listed()
    }

    fn listed(&self) -> Tried {
        let line = "cd binaries && rm -f SHA256SUMS && sha256sum * > SHA256SUMS";
        self.shell(line)?.ended(0).map(drop)
    }

    /// The cluster as it is described.
    pub(super) fn cluster(&self) -> Tried<Cluster> {
        Ok(spec::read(&self.desk().join("cluster.yaml"))?.cluster)
    }

    /// Adds lines to the description.
    pub(super) fn describe(&self, lines: &str) -> Tried {
        let path = self.desk().join("cluster.yaml");
        let text = fs::read_to_string(&path)?;
        Ok(fs::write(path, format!("{text}\n{lines}\n"))?)
    }

    /// Replaces parts of the description.
    pub(super) fn replace(&self, pairs: &[(&str, &str)]) -> Tried {
        let path = self.desk().join("cluster.yaml");
        let mut text = fs::read_to_string(&path)?;
        for (from, to) in pairs {
            if !text.contains(from) {
                return Err(format!("no {from} in\n{text}").into());
            }
            text = text.replace(from, to);
        }
        self.log()?;
        Ok(fs::write(path, text)?)
    }

    /// Gives another program, and writes the list anew.
    pub(super) fn give(&self, name: &str, script: &str) -> Tried {
        self.script(&self.desk().join("binaries").join(name), script)?;
        self.listed()
    }

    /// What the hosts have noted that was asked and started, since the last time.
    pub(super) fn log(&self) -> Tried<Vec<String>> {
        let path = self.folder.path().join("log");
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, "")?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Runs the command.
    pub(super) fn run(&self, words: &[&str]) -> Tried<Run> {
        let program = env!("CARGO_BIN_EXE_sternpost");
        let words: Vec<_> = [program].iter().chain(words).copied().collect();
        self.within(&words)
    }

    /// Runs a line of a manual.
    pub(super) fn shell(&self, line: &str) -> Tried<Run> {
        self.within(&["sh", "-c", line])
    }

    /// In a network where every host's address is somebody's.
    fn command(&self, words: &[&str]) -> Command {
        let script = "ip link set lo up; for at in $ADDRESSES; do ip address add \"$at/32\" \
                      dev lo; done; if [ -n \"$NEIGHBOUR\" ]; then \
                      ip link add seg0 type veth peer name p$$ netns \"$NEIGHBOUR\" && \
                      ip link set seg0 up && \
                      nsenter --net --target \"$NEIGHBOUR\" ip link set p$$ up || exit 99; fi; \
                      [ -n \"$SERVED\" ] || exec \"$@\"; \
                      ip address add \"${SERVED%:*}/32\" dev lo; perl -MIO::Socket::INET -e '
                          my $all = IO::Socket::INET->new(Listen => 9, LocalAddr => shift) or die;
                          while (my $one = $all->accept) { close $one }
                      ' \"$SERVED\" & \"$@\"; code=$?; kill $!; exit $code";
        let neighbour = self.neighbour.as_ref();
        let neighbour = neighbour.map(|Neighbour(one)| one.id().to_string());
        let served = fs::read_to_string(self.folder.path().join("served"));
        let program = Path::new(env!("CARGO_BIN_EXE_sternpost"));
        let own = program.parent().unwrap_or(Path::new("/"));
        let path = format!(
            "{}/system:{}:/usr/sbin:/usr/bin:/sbin:/bin",
            self.folder.path().display(),
            own.display()
        );
        let mut command = Command::new("unshare");
        command
            .args(["--net", "sh", "-c", script, "sh"])
            .args(words)
            .current_dir(self.desk())
            .env("ADDRESSES", HOSTS.map(|(_, address)| address).join(" "))
            .env("NEIGHBOUR", neighbour.unwrap_or_default())
            .env("PATH", path)
            .env("SERVED", served.unwrap_or_default())
            .env("HOME", self.folder.path())
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("KUBECONFIG");
        command
    }

    fn within(&self, words: &[&str]) -> Tried<Run> {
        Ok(Run {
            line: words.join(" "),
            output: self.command(words).output()?,
        })
    }

    /// Begins the command, which is read while it runs. It hears of an interrupt also where
    /// whoever runs the tests does not, as jobs of a shell in the background.
    pub(super) fn begin(&self, words: &[&str]) -> Tried<Child> {
        let program = env!("CARGO_BIN_EXE_sternpost");
        let heard = ["env", "--default-signal=INT", program];
        let words: Vec<_> = heard.iter().chain(words).copied().collect();
        Ok(self.command(&words).stdout(Stdio::piped()).spawn()?)
    }

    /// What the operator's side has noted of its runs.
    pub(super) fn record(&self) -> Tried<String> {
        let name = self.cluster()?.name;
        let folder = self.folder.path().join(".local/state/sternpost");
        Ok(fs::read_to_string(folder.join(format!("{name}.jsonl")))?)
    }
}

/// A command that has ended.
pub(super) struct Run {
    line: String,
    output: Output,
}

impl Run {
    /// All that it said, when it has ended so.
    pub(super) fn ended(&self, code: i32) -> Tried<String> {
        let said = self.said();
        match self.output.status.code() {
            Some(found) if found == code => Ok(said),
            other => Err(format!("{}: {other:?}, not {code}:\n{said}", self.line).into()),
        }
    }

    /// What it said where it was asked for.
    pub(super) fn answer(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// All that it said.
    pub(super) fn said(&self) -> String {
        let told = String::from_utf8_lossy(&self.output.stderr);
        format!("{}{told}", self.answer())
    }
}
