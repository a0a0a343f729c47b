//! From the file to the cluster. Every error is kept, so that one run names them all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Document, Errors, KeyPath, suggest};
use pki::KeyKind;

use super::component::Component;
use super::enclosed::Enclosed;
use super::file::{self, File};
use super::meant::{Cluster, Etcd, Generation};
use super::reader::Reader;
use super::{Spec, lint};
use crate::versions::Version;

const NAME: &str = "kubernetes";
const REQUESTS: &str = "requests";

/// Converts, or says everything that is wrong. `folder` is what paths are relative to.
pub(super) fn convert(document: &Document<File>, folder: &Path) -> Result<Spec, Errors> {
    let mut reader = Reader {
        source: &document.source,
        errors: Errors::new(),
        warnings: Vec::new(),
        advice: Vec::new(),
    };
    let cluster = reader.cluster(&document.file, folder);
    if let Some(cluster) = &cluster {
        lint::lint(cluster, &mut reader);
    }
    let Reader {
        errors,
        warnings,
        advice,
        ..
    } = reader;
    match cluster {
        Some(cluster) if errors.is_empty() => Ok(Spec {
            cluster,
            warnings,
            advice,
        }),
        Some(_) | None => Err(errors),
    }
}

impl Reader<'_> {
    fn cluster(&mut self, file: &File, folder: &Path) -> Option<Cluster> {
        let at = KeyPath::root();
        let hosts = self.hosts(&file.hosts, &at.key("hosts"));
        let version = self.version(&file.kubernetes, &at.key("kubernetes"));
        let networks = self.networks(&file.networks, &at.key("networks"));
        let endpoint = self.endpoint(file, &hosts, &at);
        let etcd = self.etcd(&file.etcd, folder, &at.key("etcd"));
        let containerd = self.containerd(&file.runtime, &at.key("runtime"));
        let mirrors = &at.key("runtime").key("mirrors");
        let mirrors = self.mirrors(&file.runtime.mirrors, mirrors);
        let flags = self.flags(&file.flags, &at.key("flags"));
        let extra_names = self.extra_names(&file.pki, &at.key("pki"));
        let name = self.name(file.name.as_deref(), &at.key("name"));
        let key_kind = self.key_kind(&file.pki, &at.key("pki").key("keyType"));
        let requests = file.pki.requests.as_deref();
        let (endpoint, balancer) = endpoint?;
        let version = version?;
        let binaries =
            self.binaries(&file.binaries, version, folder, &at.key("binaries"));
        Some(Cluster {
            name: name?,
            version,
            endpoint,
            balancer,
            networks: networks?,
            hosts,
            etcd: etcd?,
            extra_names,
            trusted_files: within(folder, &file.pki.trusted_files),
            containerd: containerd?,
            mirrors,
            key_kind: key_kind?,
            authorities: file.pki.authorities.as_ref().map(|path| folder.join(path)),
            requests: folder.join(requests.unwrap_or(Path::new(REQUESTS))),
            binaries,
            flags,
            manifests: file.manifests.as_ref().map(|path| folder.join(path)),
            enclosed: Enclosed::default(),
        })
    }

    fn name(&mut self, name: Option<&str>, at: &KeyPath) -> Option<String> {
        match name {
            None => Some(NAME.to_owned()),
            Some(name) => self.dns_name(name, at),
        }
    }

    fn key_kind(&mut self, file: &file::Pki, at: &KeyPath) -> Option<KeyKind> {
        let Some(text) = &file.key_type else {
            return Some(KeyKind::default());
        };
        match text.parse::<KeyKind>() {
            Ok(kind) => Some(kind),
            Err(error) => self.refuse(at, error),
        }
    }

    fn version(&mut self, file: &file::Kubernetes, at: &KeyPath) -> Option<Version> {
        match file.version.parse() {
            Ok(version) => Some(version),
            Err(error) => {
                let error: crate::versions::VersionError = error;
                self.refuse(&at.key("version"), error)
            }
        }
    }

    fn etcd(&mut self, file: &file::Etcd, folder: &Path, at: &KeyPath) -> Option<Etcd> {
        let Some(external) = &file.external else {
            return Some(Etcd::Hosts);
        };
        let at = at.key("external").key("endpoints");
        if external.endpoints.is_empty() {
            return self
                .refuse(&at, "is empty; write https://ADDRESS:2379 of each member");
        }
        let endpoints = self.each(&external.endpoints, &at, |reader, text, at| {
            let rest = text.strip_prefix("https://");
            match rest.and_then(|rest| rest.rsplit_once(':')) {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Some(text.to_owned())
                }
                Some(_) | None if text.starts_with("http://") => reader.refuse(
                    at,
                    "is without TLS: everybody who reaches it owns the cluster; write https://",
                ),
                Some(_) | None => {
                    reader.refuse(at, "is no endpoint; write \"https://ADDRESS:2379\"")
                }
            }
        });
        for (place, text) in external.endpoints.iter().enumerate() {
            if external.endpoints.iter().take(place).any(|one| one == text) {
                self.refuse::<()>(
                    &at.index(place),
                    "is there twice; write each member once",
                );
            }
        }
        Some(Etcd::External {
            endpoints,
            ca_file: folder.join(&external.ca_file),
            cert_file: folder.join(&external.cert_file),
            key_file: folder.join(&external.key_file),
        })
    }

    fn containerd(&mut self, file: &file::Runtime, at: &KeyPath) -> Option<Generation> {
        match file.containerd {
            Some(1) => Some(Generation::One),
            Some(2) | None => Some(Generation::Two),
            Some(_) => self.refuse(
                &at.key("containerd"),
                "is no generation of containerd that is laid down; write 1 or 2",
            ),
        }
    }

    fn flags(
        &mut self,
        file: &BTreeMap<String, BTreeMap<String, String>>,
        at: &KeyPath,
    ) -> BTreeMap<Component, BTreeMap<String, String>> {
        let mut all = BTreeMap::new();
        for (name, flags) in file {
            let at = at.key(name);
            let Ok(component) = name.parse::<Component>() else {
                let names = Component::ALL.map(Component::name);
                let problem = format!("is no component; {}", suggest(name, names));
                self.refuse::<()>(&at, problem);
                continue;
            };
            for (flag, value) in flags {
                self.flag(component, flag, value, &at.key(flag));
            }
            all.insert(component, flags.clone());
        }
        all
    }

    fn flag(&mut self, component: Component, flag: &str, value: &str, at: &KeyPath) {
        if let Some(bare) = flag.strip_prefix('-') {
            let bare = bare.trim_start_matches('-');
            let problem = format!("is written with its dashes; write \"{bare}\"");
            self.refuse::<()>(at, problem);
        } else if let Some(instead) = component.refuses(flag) {
            self.refuse::<()>(at, format!("as a flag of {component} {instead}"));
        } else if let Some(why) = component.refuses_value(flag, value) {
            self.refuse::<()>(at, format!("as a flag of {component} {why}"));
        } else if value.contains(char::is_control) {
            self.refuse::<()>(at, "has a control character, which no unit can carry");
        }
    }

    fn extra_names(&mut self, file: &file::Pki, at: &KeyPath) -> Vec<pki::Name> {
        self.each(
            &file.extra_names,
            &at.key("extraNames"),
            |reader, text, at| {
                if let Ok(address) = text.parse() {
                    return Some(pki::Name::Address(address));
                }
                // As kubeadm's: a certificate may be for all names of a domain.
                let (any, domain) = match text.strip_prefix("*.") {
                    Some(domain) => ("*.", domain),
                    None => ("", text),
                };
                let name = reader.dns_name(domain, at)?;
                Some(pki::Name::Dns(format!("{any}{name}")))
            },
        )
    }
}

fn within(folder: &Path, paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().map(|path| folder.join(path)).collect()
}
