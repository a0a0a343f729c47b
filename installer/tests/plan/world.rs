//! A host of values: what it is to hold, and what is found on it when it holds it all.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use pki::Issued;
use sternpost::facts::{self, Entry, Facts, Kind};
use sternpost::plan::{Inputs, Plan, Trust, plan};
use sternpost::render::{self, Known, Newcomers};
use sternpost::resource::{Authority, Owner, Resource};
use sternpost::spec::{self, Cluster};

/// A host, what it is to hold, and the authorities that signed for it.
pub(crate) struct World {
    pub(crate) wanted: Vec<Resource>,
    pub(crate) authorities: BTreeMap<Authority, pki::Authority>,
    pub(crate) now: SystemTime,
}

impl Trust for World {
    fn certificate(&self, authority: Authority) -> Option<&str> {
        Some(self.authorities[&authority].certificate_pem())
    }
}

pub(crate) struct Bare;

impl Trust for Bare {
    fn certificate(&self, _: Authority) -> Option<&str> {
        None
    }
}

/// What is found of a file with this content.
fn seen(content: &str) -> Kind {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), content).unwrap();
    let wanted = facts::Wanted {
        paths: vec!["/f".into()],
        ..Default::default()
    };
    let seen = facts::look(folder.path(), &wanted).unwrap();
    seen.entries["/f"].kind.clone()
}

impl World {
    pub(crate) fn new(spec: &str, host: &str) -> Self {
        Self::dialling(spec, host, None)
    }

    /// One whose kubelet has joined, and looks for the API there.
    pub(crate) fn dialling(spec: &str, host: &str, dials: Option<&str>) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/spec/{spec}.yaml"));
        Self::of(&spec::read(&path).unwrap().cluster, host, dials)
    }

    pub(crate) fn described(text: &str, host: &str) -> Self {
        Self::of(
            &spec::parse("cluster.yaml", text).unwrap().cluster,
            host,
            None,
        )
    }

    fn of(cluster: &Cluster, host: &str, dials: Option<&str>) -> Self {
        let host = cluster.hosts.iter().find(|one| one.name == host).unwrap();
        let known = Known {
            interface: "eth0".into(),
            resolv_conf: None,
            newcomers: Newcomers::Expected,
            dials: dials.map(str::to_owned),
        };
        let now = SystemTime::now();
        let made =
            |one: Authority| (one, pki::Authority::new(one.common_name(), now).unwrap());
        Self {
            wanted: render::host(cluster, host, &known),
            authorities: Authority::ALL.into_iter().map(made).collect(),
            now,
        }
    }

    pub(crate) fn plan(&self, facts: &Facts) -> Plan {
        self.plan_at(facts, self.now)
    }

    pub(crate) fn plan_at(&self, facts: &Facts, now: SystemTime) -> Plan {
        plan(Inputs {
            host: "m1",
            wanted: &self.wanted,
            facts,
            programs: &|name| Some(format!("sum of {name}")),
            trust: self,
            now,
        })
    }

    /// What is found on a host that holds it all.
    pub(crate) fn done(&self) -> Facts {
        let mut facts = Facts::default();
        for resource in &self.wanted {
            self.have(resource, &mut facts);
        }
        facts
    }

    pub(crate) fn have(&self, resource: &Resource, facts: &mut Facts) {
        let mut put = |path: &str, kind, mode, owner: Owner| {
            let owner = owner.name().to_owned();
            facts
                .entries
                .insert(path.to_owned(), Entry { kind, mode, owner });
        };
        let opaque = |sum: &str| Kind::File {
            sha256: sum.to_owned(),
            text: None,
        };
        match resource {
            Resource::Folder(folder) => {
                put(&folder.path, Kind::Folder, folder.mode, folder.owner)
            }
            Resource::Block(block) => {
                let file = sternpost::resource::File::public(
                    block.path.clone(),
                    block.within("127.0.0.1 localhost\n"),
                );
                self.have(&Resource::File(file), facts);
            }
            Resource::File(file) => {
                put(&file.path, seen(&file.content), file.mode, file.owner);
            }
            Resource::Shared(shared) => {
                for (path, mode) in shared.paths() {
                    let owner = if mode == 0o644 {
                        Owner::Root
                    } else {
                        shared.owner()
                    };
                    put(&path, opaque("any"), mode, owner);
                }
            }
            Resource::Program(program) => {
                let path = program.path();
                put(
                    &path,
                    opaque(&format!("sum of {}", program.name)),
                    0o755,
                    Owner::Root,
                );
            }
            Resource::Certificate(certificate) => {
                let authority = &self.authorities[&certificate.authority];
                let Issued {
                    certificate_pem, ..
                } = authority.issue(&certificate.profile, self.now).unwrap();
                let found = facts::Certificate {
                    pem: certificate_pem,
                    key_fits: true,
                    key_owner: Some(certificate.owner.name().to_owned()),
                };
                facts.certificates.insert(certificate.name.clone(), found);
            }
            Resource::Unit(unit) => {
                let found = facts::Unit {
                    enabled: true,
                    active: true,
                    state: "active/running".into(),
                };
                facts.units.insert(unit.name.clone(), found);
            }
        }
    }
}
