//! A host of the lab that is a booted machine: systemd as process 1 on an overlay over one
//! root file system, plugged into a segment.
//!
//! It runs under systemd-nspawn in mount and process namespaces of its own, so that its overlay
//! and everything in it goes with it, however it ends, and it with the lab:
//!
//! ```text
//! lab ──pdeathsig──▶ unshare ──kill-child──▶ systemd-nspawn, process 1 of a namespace
//!                                                └─▶ systemd, process 1 of the machine's
//! ```
//! Its processes are reached through the namespaces of its process 1.

mod exposure;
mod groups;
pub(crate) mod possible;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::run;
use crate::error::{Doing, LabError};
use crate::host::{Host, NamespaceHost, six};
use crate::netns::{NAMES, Netns};
use crate::process::{Process, Program};
use crate::requirement;
use crate::segment::Segment;
use crate::wait;
use groups::Groups;

/// From the start until systemd says that it is up.
const BOOT: Duration = Duration::from_secs(180);
/// From the request to the end.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// How initramfs-tools mount /run, on Debian and Ubuntu.
const RUN: &str = "remount,bind,nosuid,nodev,noexec";

/// What a machine is booted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Services of its systemd.
    Services,
    /// A kubelet and its containers besides. Its files below /var/lib are not in
    /// [`Machine::own_files`], and it has control groups and a few kernel settings of its own.
    Containers,
}

/// A running machine; dropping it pulls its plug.
#[derive(Debug)]
pub struct Machine {
    name: String,
    address: Ipv4Addr,
    folder: PathBuf,
    /// systemd, and systemd-nspawn, as this system counts processes.
    leader: Pid,
    nspawn: Pid,
    wrapper: Process,
    /// Goes last: groups are removed when they are empty.
    _groups: Option<Groups>,
}

impl Machine {
    /// Boots a machine on `segment` and waits until systemd is up. `name` has at most 12
    /// bytes, since its port at the bridge is named after it.
    ///
    /// # Errors
    /// When the root file system or systemd-nspawn is not there, or it does not come up.
    pub fn boot(
        segment: &Segment,
        name: &str,
        address: Ipv4Addr,
    ) -> Result<Self, LabError> {
        Self::boot_for(Purpose::Services, segment, name, address)
    }

    /// Boots a machine for a purpose, otherwise as [`Machine::boot`].
    ///
    /// # Errors
    /// When the root file system or systemd-nspawn is not there, or it does not come up.
    pub fn boot_for(
        purpose: Purpose,
        segment: &Segment,
        name: &str,
        address: Ipv4Addr,
    ) -> Result<Self, LabError> {
        let folder = segment.files().join(format!("machine-{name}"));
        for part in ["upper/etc/systemd/network", "work", "root"] {
            fs::create_dir_all(folder.join(part)).doing(folder.display())?;
        }
        identify(&folder.join("upper/etc"), name, address)?;
        let stem = segment.bridge().name().to_owned();
        let (script, groups) = match purpose {
            Purpose::Services => (SERVICES, None),
            Purpose::Containers => {
                prepare(&folder.join("upper/etc"), address)?;
                (CONTAINERS, Some(Groups::new(&format!("{stem}-{name}"))?))
            }
        };
        let shell = Program::new(name, Path::new("/bin/sh"), segment.logs());
        let program = shell
            .args(["-c", OUTSIDE, script])
            .args([requirement::machine().display().to_string()])
            .args([folder.display().to_string()])
            .args([requirement::peer("systemd-nspawn").display().to_string()])
            .args([name])
            .args(groups.iter().flat_map(Groups::doors))
            // /proc/sys/net writable; all of /sys would make networkd wait for a udev.
            .env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network");
        unplugged(segment, name)?;
        let host = "machine".to_owned();
        let mut wrapper = segment
            .bridge()
            .run(move || program.spawn(&host, &stem))??;
        wrapper.ready(BOOT)?;
        wrapper.deafen()?;
        let nspawn = only_child(wrapper.pid())?;
        let leader = only_child(nspawn)?;
        let machine = Self {
            name: name.to_owned(),
            address,
            folder,
            leader,
            nspawn,
            wrapper,
            _groups: groups,
        };
        machine.output("mount", &["-o", RUN, "/run"])?;
        Ok(machine)
    }

    /// Shuts it down as its own administrator would, and waits for the end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn shut_down(mut self) -> Result<(), LabError> {
        // The wrapper itself takes no such order.
        let _ = kill(self.nspawn, Signal::SIGTERM);
        self.gone()
    }

    /// Has its own systemd boot it anew. As under a unit, systemd-nspawn ends with that:
    /// whoever started it starts it again.
    ///
    /// # Errors
    /// When it refuses.
    pub fn reboot(&self) -> Result<(), LabError> {
        self.output("systemctl", &["reboot", "--no-block"])
            .map(drop)
    }

    /// Waits until it has shut itself down.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn gone(&mut self) -> Result<(), LabError> {
        self.wrapper.ended(SHUTDOWN).map(drop)
    }

    /// What the lab started, and the machine's process 1: with the one goes the other.
    #[must_use]
    pub fn processes(&self) -> [Pid; 2] {
        [self.wrapper.pid(), self.leader]
    }

    /// The port at the bridge that it is plugged into, as the segment's cuts name it.
    #[must_use]
    pub fn port(&self) -> String {
        format!("vb-{}", self.name)
    }

    /// Its network as a host that instruments sit on. Held longer than the machine lasts, it
    /// still answers.
    ///
    /// # Errors
    /// When the machine has died.
    pub fn network(&self) -> Result<NamespaceHost, LabError> {
        NamespaceHost::of_machine(&self.name, self.address, &self.folder, self.leader)
    }

    /// The network of a Pod that runs there, by its address.
    ///
    /// # Errors
    /// When none has it.
    pub fn pod(&self, address: Ipv4Addr) -> Result<Netns, LabError> {
        let names = self.output("ls", &[NAMES])?;
        let has = |name: &&str| {
            let words = ["-n", name, "-o", "-4", "address", "show"];
            let said = self.output("ip", &words).unwrap_or_default();
            said.contains(&format!(" inet {address}/"))
        };
        let name = names.lines().find(has);
        let name = name.ok_or_else(|| {
            LabError::Missing(format!("a Pod with {address} on {}", self.name))
        })?;
        let path = format!("/proc/{}/root{NAMES}/{name}", self.leader);
        Netns::inside_machine(format!("{}-{address}", self.name), path.into())
    }

    /// What its files differ in from the root file system, on this machine's disk.
    #[must_use]
    pub fn own_files(&self) -> PathBuf {
        self.folder.join("upper")
    }

    fn inside(&self, program: &str) -> [String; 5] {
        let leader = self.leader.to_string();
        [
            "--target".into(),
            leader,
            "--all".into(),
            "--".into(),
            program.into(),
        ]
    }
}

impl Host for Machine {
    fn name(&self) -> &str {
        &self.name
    }

    fn address(&self) -> Ipv4Addr {
        self.address
    }

    fn start(&self, program: &Program) -> Result<Process, LabError> {
        let mut wrapped =
            Program::new(&program.name, Path::new("/usr/bin/nsenter"), &program.logs)
                .args(self.inside(&program.path.display().to_string()))
                .args(program.args.clone());
        wrapped.env.clone_from(&program.env);
        wrapped.spawn(&self.name, &self.leader.to_string())
    }

    fn output(&self, program: &str, args: &[&str]) -> Result<String, LabError> {
        let inside = self.inside(program);
        let all: Vec<&str> = inside
            .iter()
            .map(String::as_str)
            .chain(args.iter().copied())
            .collect();
        run("nsenter", &all)
    }

    fn kill_all(&self) {
        // It is process 1 of the namespace that all of the machine is in.
        let _ = kill(self.nspawn, Signal::SIGKILL);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The number of a process 1 that has ended may be another's by then.
        if self.wrapper.alive() {
            self.kill_all();
        }
    }
}

/// Runs the script that is its first argument where nobody else sees what it mounts, and as
/// process 1 of a namespace: when it ends, or the `unshare` before it, nothing of it is left.
const OUTSIDE: &str = r#"exec unshare --mount --propagation private --pid --fork --kill-child \
    --mount-proc /bin/sh -ec "$0" machine "$@""#;

/// Mounts the overlay and becomes systemd-nspawn, which tells the lab when the system inside
/// is up. `ip netns exec` would remount /sys and hide the control groups; a process that is
/// simply born in the bridge's namespace has them.
const SERVICES: &str = r#"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
exec "$3" --quiet --boot --notify-ready=yes --register=no --keep-unit --console=pipe \
    --network-bridge=br0 --capability=all --machine="$4" --directory="$2/root"
"#;
const CONTAINERS: &str = include_str!("containers.sh");
/// What a machine for containers does as it boots.
const INSIDE: &str = include_str!("inside.sh");
const INSIDE_UNIT: &str = "[Unit]\nDescription=What a machine of the lab does for containers\n\
     [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh /etc/lab/inside.sh\n";
/// No name server: Pods forward to it what is not theirs, and are told so at once
/// (192.0.2.0/24 is nobody's, RFC 5737).
const NO_RESOLVER: &str = "nameserver 192.0.2.1\n";

/// The service that makes a machine ready for containers.
fn prepare(etc: &Path, address: Ipv4Addr) -> Result<(), LabError> {
    let [a, b, c, _] = address.octets();
    // Nobody is there; a Service's address needs a route before it is another.
    let gateway = Ipv4Addr::new(a, b, c, 1);
    let gateway = format!("[Network]\nGateway={gateway}\nGateway={}\n", six(gateway));
    fs::create_dir_all(etc.join("lab")).doing(etc.display())?;
    for (file, text) in [
        ("lab/inside.sh", INSIDE),
        ("systemd/system/lab-inside.service", INSIDE_UNIT),
        ("resolv.conf", NO_RESOLVER),
        ("systemd/network/10-host0.network.d/gateway.conf", &gateway),
    ] {
        let path = etc.join(file);
        let folder = path.parent().unwrap_or(etc);
        fs::create_dir_all(folder).doing(folder.display())?;
        fs::write(&path, text).doing(path.display())?;
    }
    wanted(etc, "lab-inside.service", Path::new("/etc/systemd/system"))
}

/// Has a unit of the folder `units` started at boot; one that boots again has that.
fn wanted(etc: &Path, unit: &str, units: &Path) -> Result<(), LabError> {
    let wants = etc.join("systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).doing(wants.display())?;
    let link = wants.join(unit);
    if link.is_symlink() {
        return Ok(());
    }
    symlink(units.join(unit), link).doing(unit)
}

/// Name, identity, an address of each family, and the service that sets them. Nobody else can
/// have them: what is asked for before they are used would only be waited for.
fn identify(etc: &Path, name: &str, address: Ipv4Addr) -> Result<(), LabError> {
    let write = |file: &str, text: String| {
        let path = etc.join(file);
        fs::write(&path, text).doing(path.display())
    };
    write("hostname", format!("{name}\n"))?;
    // Those of one image would be each other's copies, down to the hardware addresses that
    // are made from it.
    let id = u32::from(address);
    write("machine-id", format!("{id:032x}\n"))?;
    write(
        "systemd/network/10-host0.network",
        format!(
            "[Match]\nName=host0\n[Network]\nAddress={address}/24\nKeepConfiguration=static\n\
             IPv6AcceptRA=no\n[Address]\nAddress={}/64\nDuplicateAddressDetection=none\n",
            six(address)
        ),
    )?;
    let units = Path::new("/lib/systemd/system");
    wanted(etc, "systemd-networkd.service", units)
}

/// Waits until a machine of that name has left its port, which the kernel removes some time after
/// the last of its processes has ended.
fn unplugged(segment: &Segment, name: &str) -> Result<(), LabError> {
    let (bridge, port) = (segment.bridge().name(), format!("vb-{name}"));
    wait::until(&format!("the end of {port}"), SHUTDOWN, || {
        let shown = run("ip", &["-n", bridge, "link", "show", "dev", &port]);
        shown.is_err().then_some(())
    })
}

fn only_child(of: Pid) -> Result<Pid, LabError> {
    let path = format!("/proc/{of}/task/{of}/children");
    let children = fs::read_to_string(&path).doing(&path)?;
    let child = children
        .split_whitespace()
        .next_back()
        .and_then(|pid| pid.parse().ok());
    let pid = child.ok_or_else(|| LabError::Missing("the machine's process 1".into()))?;
    Ok(Pid::from_raw(pid))
}
