//! A master below a folder: real files, recorded services, and a wire that can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sternpost::agent::{Agent, Answer, Order, Services, ServicesError};
use sternpost::apply::{ApplyError, Material, Target, Transport, TransportError};
use sternpost::architecture::Architecture;
use sternpost::checksums::Checksums;
use sternpost::facts::Unit;
use sternpost::plan::{Plan, Step};
use sternpost::render::{self, Known, Newcomers};
use sternpost::resource::Resource;
use sternpost::spec::{self, Cluster};
use sternpost::stock::Programs;
use tempfile::TempDir;

use crate::Tried;

/// Services that keep what they were told. One may refuse to come up, one to stay.
#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) units: BTreeMap<String, Unit>,
    pub(crate) calls: Vec<String>,
    pub(crate) broken: Option<String>,
    /// One that comes up and dies, again and again.
    pub(crate) unsteady: Option<String>,
    /// Those that do so for as long as a word stands in a file.
    pub(crate) refused: Vec<Refused>,
}

/// A unit, and what it dies of: a word in a file.
pub(crate) struct Refused {
    pub(crate) unit: &'static str,
    pub(crate) file: PathBuf,
    pub(crate) word: &'static str,
}

impl Refused {
    fn stands(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|text| text.contains(self.word))
    }
}

impl Recorded {
    pub(crate) fn unit(&mut self, name: &str) -> &mut Unit {
        self.units.entry(name.to_owned()).or_insert(Unit {
            enabled: false,
            active: false,
            state: String::new(),
        })
    }

    fn dies(&self, unit: &str) -> bool {
        let mut refused = self.refused.iter();
        refused.any(|one| one.unit == unit && one.stands())
    }

    fn up(&mut self, call: &str, name: &str) -> Result<(), ServicesError> {
        self.calls.push(format!("{call} {name}"));
        if self.broken.as_deref() == Some(name) {
            return Err(ServicesError::Failed {
                command: format!("systemctl {call} {name}"),
                said: "it failed".to_owned(),
            });
        }
        self.unit(name).active = true;
        Ok(())
    }
}

impl Services for &mut Recorded {
    fn look(&mut self, unit: &str) -> Result<Option<Unit>, ServicesError> {
        let found = self.units.get(unit).cloned();
        // One that dies again and again is not active, whatever it is at the moment.
        let dies = self.dies(unit);
        Ok(found.map(|found| Unit {
            active: found.active && !dies,
            ..found
        }))
    }
    fn settle(&mut self) -> Result<(), ServicesError> {
        self.calls.push("settle".to_owned());
        Ok(())
    }
    fn enable(&mut self, unit: &str) -> Result<(), ServicesError> {
        self.unit(unit).enabled = true;
        Ok(())
    }
    fn start(&mut self, unit: &str) -> Result<(), ServicesError> {
        self.up("start", unit)
    }
    fn restart(&mut self, unit: &str) -> Result<(), ServicesError> {
        self.up("restart", unit)
    }
    fn stays(&mut self, unit: &str) -> Result<(), ServicesError> {
        if self.unsteady.as_deref() != Some(unit) && !self.dies(unit) {
            return Ok(());
        }
        Err(ServicesError::Dies {
            unit: unit.to_owned(),
            times: 5,
            state: "activating/auto-restart (exit-code)".to_owned(),
        })
    }
    fn stop(&mut self, unit: &str) -> Result<(), ServicesError> {
        self.calls.push(format!("stop {unit}"));
        self.unit(unit).active = false;
        Ok(())
    }
    fn disable(&mut self, unit: &str) -> Result<(), ServicesError> {
        self.unit(unit).enabled = false;
        Ok(())
    }
    fn reread(&mut self) -> Result<(), ServicesError> {
        self.calls.push("reread".to_owned());
        Ok(())
    }
    fn reload(&mut self, unit: &str) -> Result<(), ServicesError> {
        self.up("reload", unit)
    }
    fn said(&mut self, unit: &str) -> Vec<String> {
        vec![format!("{unit} said this")]
    }
}

/// Orders travel as the lines they would be on a wire; after so many the wire is cut.
pub(crate) struct Wire<'a> {
    pub(crate) agent: Agent<&'a mut Recorded>,
    pub(crate) left: usize,
}

impl Transport for Wire<'_> {
    fn bring(&mut self, program: &Path) -> Result<PathBuf, TransportError> {
        Ok(program.to_owned())
    }

    fn ask(&mut self, order: Order) -> Result<Answer, TransportError> {
        let gone = |error: &dyn std::fmt::Display| TransportError(error.to_string());
        self.left = self.left.checked_sub(1).ok_or_else(|| gone(&"cut"))?;
        let line = serde_json::to_vec(&order).map_err(|error| gone(&error))?;
        let mut answer = Vec::new();
        self.agent
            .serve(line.as_slice(), &mut answer)
            .map_err(|error| gone(&error))?;
        serde_json::from_slice(&answer).map_err(|error| gone(&error))
    }
}

/// A master below a folder, with programs that are no programs but have checksums.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) cluster: Cluster,
    pub(crate) wanted: Vec<Resource>,
    pub(crate) programs: Programs,
    pub(crate) services: Recorded,
    pub(crate) now: SystemTime,
}

fn rendered(cluster: &Cluster) -> Vec<Resource> {
    let known = Known {
        interface: "eth0".to_owned(),
        resolv_conf: None,
        newcomers: Newcomers::Expected,
        dials: None,
    };
    render::host(cluster, &cluster.hosts[0], &known)
}

fn names(wanted: &[Resource]) -> impl Iterator<Item = &str> {
    let programs = wanted.iter().filter_map(Resource::program);
    programs.map(|program| program.name.as_str())
}

/// The programs of a folder, as they are there.
fn brought(binaries: &Path, wanted: &[Resource]) -> Tried<Programs> {
    let mut lines = String::new();
    for name in names(wanted) {
        let content = fs::read(binaries.join(name))?;
        let sum = ring::digest::digest(&ring::digest::SHA256, &content);
        let sum = sum.as_ref().iter().map(|octet| format!("{octet:02x}"));
        lines.push_str(&format!("{}  {name}\n", sum.collect::<String>()));
    }
    let sums = Checksums::parse(Path::new("SHA256SUMS"), &lines)?;
    Ok(Programs::of_folder(binaries, &sums, Architecture::Amd64))
}

pub(crate) const FOREVER: usize = usize::MAX;

impl World {
    pub(crate) fn new() -> Tried<Self> {
        // Every write is synced, which memory does at once.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        Self::of(folder, include_str!("../spec/whole.yaml"))
    }

    /// The first host of a description, in a folder with what it names.
    pub(crate) fn of(folder: TempDir, text: &str) -> Tried<Self> {
        fs::write(folder.path().join("cluster.yaml"), text)?;
        let cluster = spec::read(&folder.path().join("cluster.yaml"))?.cluster;
        let wanted = rendered(&cluster);
        let binaries = folder.path().join("binaries");
        fs::create_dir_all(&binaries)?;
        for name in names(&wanted) {
            fs::write(binaries.join(name), format!("this is {name}"))?;
        }
        let programs = brought(&binaries, &wanted)?;
        let users = [
            "root:x:0",
            "etcd:x:301",
            "kubernetes:x:302",
            "bootstrap-signer:x:303",
            "vip-daemon:x:304",
        ];
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("etc"))?;
        fs::create_dir_all(root.join("var/lib"))?;
        fs::write(root.join("etc/passwd"), users.join("\n"))?;
        Ok(Self {
            folder,
            cluster,
            wanted,
            programs,
            services: Recorded::default(),
            now: SystemTime::now(),
        })
    }

    /// What its host is to hold, of another description.
    pub(crate) fn describe(&mut self, text: &str) -> Tried {
        let path = self.folder.path().join("cluster.yaml");
        fs::write(&path, text)?;
        self.cluster = spec::read(&path)?.cluster;
        self.wanted = rendered(&self.cluster);
        Ok(())
    }

    /// Another version of a program.
    pub(crate) fn bring(&mut self, program: &str, text: &str) -> Tried {
        let binaries = self.folder.path().join("binaries");
        fs::write(binaries.join(program), text)?;
        self.programs = brought(&binaries, &self.wanted)?;
        Ok(())
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Plans and applies; the wire is cut after `orders`.
    pub(crate) fn apply(
        &mut self,
        material: &Material,
        orders: usize,
    ) -> Result<Plan, ApplyError> {
        self.done(material, orders, |_| ControlFlow::Continue(()))
    }

    /// The same, stopped before the first step of which `at` says so.
    pub(crate) fn stopped(
        &mut self,
        material: &Material,
        mut at: impl FnMut(&Step) -> bool,
    ) -> Result<Plan, ApplyError> {
        self.done(material, FOREVER, |step| match at(step) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    }

    fn done(
        &mut self,
        material: &Material,
        orders: usize,
        about: impl FnMut(&Step) -> ControlFlow<()>,
    ) -> Result<Plan, ApplyError> {
        let target = Target {
            cluster: &self.cluster,
            host: "m1",
            wanted: &self.wanted,
            programs: &self.programs,
            now: self.now,
        };
        let mut wire = Wire {
            agent: Agent::new(&self.folder.path().join("root"), &mut self.services),
            left: orders,
        };
        let plan = target.plan(material, &mut wire)?;
        target.apply(&plan, material, &mut wire, about)?;
        Ok(plan)
    }

    /// Every file below the root with what is in it, and the links, but the journal and what
    /// holds a key or a serial number of its own.
    pub(crate) fn listing(&self) -> Tried<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let about = fs::symlink_metadata(&path)?;
                let mode = about.permissions().mode();
                let name = path.strip_prefix(self.root())?.display().to_string();
                let own = name.contains("/pki/") || name.ends_with("journal.jsonl");
                let content = if about.is_file() && !own {
                    fs::read_to_string(&path)?
                } else {
                    String::new()
                };
                all.insert(format!("{name} {mode:o} {} {content}", about.uid()));
                if about.is_dir() {
                    folders.push(path);
                }
            }
        }
        Ok(all)
    }
}
