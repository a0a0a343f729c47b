//! A folder with a description and a cache, a server beside it, and what `sternpost fetch` makes
//! of them.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use sternpost::render::{self, Known, Newcomers};
use sternpost::resource::Resource;
use sternpost::spec;
use tempfile::TempDir;

use crate::Tried;
use crate::archives::tar;
use crate::server::Server;

const HOST: &str = "apiVersion: sternpost/v1\nkind: Cluster\nkubernetes: {version: 1.36.3}\n\
                    balancer: {mode: none}\nnetworks: {betweenPods: none}\nmanifests: .\nhosts:\n\
                    - {name: m1, addresses: [\"192.0.2.1\"], roles: [etcd, controlPlane]}\n";

/// A folder with a description, a cache, and a server.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) server: Server,
    /// The programs that the host is to hold.
    pub(crate) names: BTreeSet<String>,
}

impl World {
    pub(crate) fn new() -> Tried<Self> {
        let cluster = spec::parse("cluster.yaml", HOST)?.cluster;
        let known = Known {
            interface: "eth0".to_owned(),
            resolv_conf: None,
            newcomers: Newcomers::None,
            dials: None,
        };
        let host = cluster.hosts.first().ok_or("no host")?;
        let resources = render::host(&cluster, host, &known);
        let names = resources.into_iter().filter_map(|one| match one {
            Resource::Program(program) => Some(program.name),
            Resource::Folder(_)
            | Resource::File(_)
            | Resource::Block(_)
            | Resource::Certificate(_)
            | Resource::Shared(_)
            | Resource::Unit(_) => None,
        });
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("10-none.yaml"), "{}")?;
        Ok(Self {
            folder,
            server: Server::start()?,
            names: names.collect(),
        })
    }

    /// Runs `sternpost fetch` on a description with these binaries.
    pub(crate) fn fetch(&self, binaries: &str, more: &[&str]) -> Tried<Output> {
        let text = format!("{HOST}binaries:\n{binaries}");
        fs::write(self.path("cluster.yaml"), text)?;
        Ok(Command::new(env!("CARGO_BIN_EXE_sternpost"))
            .arg("fetch")
            .arg("--spec")
            .arg(self.path("cluster.yaml"))
            .arg("--cache")
            .arg(self.path("cache"))
            .args(more)
            .env("no_proxy", "*")
            .output()?)
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Every file in the cache that is whole.
    pub(crate) fn kept(&self) -> Tried<Vec<String>> {
        let mut names = Vec::new();
        let mut folders = vec![self.path("cache")];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    names.push(path.display().to_string());
                }
            }
        }
        Ok(names)
    }

    /// A tar with every program that is wanted, below `bin`.
    pub(crate) fn tar(&self, about: &str) -> Tried<Vec<u8>> {
        let members = self.names.iter();
        let members = members.map(|name| (format!("./bin/{name}"), content(name, about)));
        tar(members)
    }

    /// `members` of all programs below `bin`.
    pub(crate) fn members(&self) -> String {
        let pairs = self.names.iter().map(|name| format!("{name}: bin/{name}"));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
    }
}

pub(crate) fn content(name: &str, about: &str) -> Vec<u8> {
    format!("{name} {about}\n").repeat(1000).into_bytes()
}

pub(crate) fn sum(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let octets = digest.as_ref().iter();
    octets.map(|octet| format!("{octet:02x}")).collect()
}

pub(crate) fn ended(output: &Output, code: i32) -> Tried<String> {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.code() != Some(code) {
        return Err(format!("not {code}: {output:?}").into());
    }
    Ok(printed)
}

pub(crate) fn holds(text: &str, wanted: &str) -> Tried {
    match text.contains(wanted) {
        true => Ok(()),
        false => Err(format!("no {wanted:?} in\n{text}").into()),
    }
}
