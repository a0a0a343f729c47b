//! What a description points to on the operator's machine, read once, with the line of the
//! key for what cannot be.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use config::KeyPath;

use super::adopted::{Adopted, Signed};
use super::meant::{Cluster, Etcd};
use super::reader::Reader;
use crate::judge;
use crate::resource::Authority;

/// What manifests end in.
const MANIFESTS: [&str; 3] = ["json", "yaml", "yml"];

/// The files of a description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enclosed {
    /// What is shown to an etcd that is there already, and whom to trust.
    pub etcd: Option<EtcdFiles>,
    /// Certificates that registries are trusted by.
    pub trusted: Vec<Enclosure>,
    /// Manifests in the order in which they are applied.
    pub manifests: Vec<Enclosure>,
    /// Authorities that are there already.
    pub authorities: BTreeMap<Authority, Adopted>,
    /// The key pair of service accounts that is there already: private, public.
    pub service_accounts: Option<(Enclosure, Enclosure)>,
    /// What authorities whose keys are kept elsewhere have signed, by host and name.
    pub signed: BTreeMap<(String, String), Signed>,
}

/// The files of `etcd.external`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdFiles {
    /// Who signed what the members show.
    pub authority: Enclosure,
    /// What the API servers show.
    pub certificate: Enclosure,
    /// Its key.
    pub key: Enclosure,
}

/// A file. `Debug` shows its name alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Enclosure {
    /// Its name, without its folder.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl fmt::Debug for Enclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Enclosure({})", self.name)
    }
}

impl Reader<'_> {
    pub(super) fn enclosed(&mut self, cluster: &Cluster) -> Option<Enclosed> {
        let at = KeyPath::root();
        let etcd = match &cluster.etcd {
            Etcd::Hosts => None,
            Etcd::External {
                ca_file,
                cert_file,
                key_file,
                ..
            } => {
                let at = at.key("etcd").key("external");
                let authority = self.pem(ca_file, &at.key("caFile"), "CERTIFICATE");
                let shown = self.pem(cert_file, &at.key("certFile"), "CERTIFICATE");
                let key = self.pem(key_file, &at.key("keyFile"), "PRIVATE KEY");
                if let (Some(shown), Some(key)) = (&shown, &key) {
                    self.shown(shown, key, &at);
                }
                authority
                    .zip(shown)
                    .zip(key)
                    .map(|((authority, certificate), key)| EtcdFiles {
                        authority,
                        certificate,
                        key,
                    })
            }
        };
        let trusted = at.key("pki").key("trustedFiles");
        let files = cluster.trusted_files.iter().enumerate();
        let files: Vec<_> = files
            .map(|(place, path)| self.pem(path, &trusted.index(place), "CERTIFICATE"))
            .collect();
        self.names(&files, &trusted);
        let manifests = match &cluster.manifests {
            Some(folder) => self.manifests(folder, &at.key("manifests")),
            None => Some(Vec::new()),
        };
        let authorities = self.authorities(cluster)?;
        Some(Enclosed {
            etcd,
            trusted: files.into_iter().collect::<Option<_>>()?,
            manifests: manifests?,
            service_accounts: self.service_accounts(cluster),
            signed: self.signed(cluster, &authorities)?,
            authorities,
        })
    }

    /// They lie beside each other on the hosts, and beside the file that names them.
    fn names(&mut self, files: &[Option<Enclosure>], at: &KeyPath) {
        let name = |file: &Option<Enclosure>| file.as_ref().map(|file| file.name.clone());
        for (place, file) in files.iter().enumerate() {
            let taken = files.iter().take(place).any(|one| name(one) == name(file));
            let own = name(file).is_some_and(|name| name == "hosts.toml");
            if file.is_some() && (taken || own) {
                let problem =
                    "has the name of another file beside it on the hosts; rename it";
                self.refuse::<()>(&at.index(place), problem);
            }
        }
    }

    /// What API servers show to an etcd of others.
    fn shown(&mut self, shown: &Enclosure, key: &Enclosure, at: &KeyPath) {
        if !pki::key_fits(&shown.text, &key.text) {
            self.refuse::<()>(
                &at.key("keyFile"),
                "is not the key of certFile: no member would let an API server in",
            );
            return;
        }
        // Where it has ended, everything but a start of API servers still works.
        let left = judge::left(&shown.text, SystemTime::now());
        if left.is_none_or(|seconds| seconds < 0) {
            self.warn(
                &at.key("certFile"),
                "has ended: no member lets an API server in; have another signed",
            );
        }
    }

    pub(super) fn pem(
        &mut self,
        path: &Path,
        at: &KeyPath,
        what: &str,
    ) -> Option<Enclosure> {
        let file = self.enclosure(path, at)?;
        let is_one = file.text.lines().any(|line| {
            let line = line.strip_prefix("-----BEGIN ");
            line.is_some_and(|rest| rest.ends_with(&format!("{what}-----")))
        });
        if is_one {
            return Some(file);
        }
        let problem = format!(
            "names {}, which holds no {what} in PEM form",
            path.display()
        );
        self.refuse(at, problem)
    }

    fn manifests(&mut self, folder: &Path, at: &KeyPath) -> Option<Vec<Enclosure>> {
        let names = || -> io::Result<Vec<_>> {
            let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
            let paths = entries.into_iter().map(|entry| entry.path());
            let end = |path: &Path| path.extension()?.to_str().map(str::to_owned);
            let ours = |path: &std::path::PathBuf| {
                end(path).is_some_and(|end| MANIFESTS.contains(&end.as_str()))
            };
            let mut paths: Vec<_> = paths.filter(ours).collect();
            paths.sort();
            Ok(paths)
        };
        match names() {
            Ok(paths) if paths.is_empty() => {
                let problem = format!(
                    "names {}, in which no file ends in .yaml, .yml or .json",
                    folder.display()
                );
                self.refuse(at, problem)
            }
            Ok(paths) => paths.iter().map(|path| self.manifest(path, at)).collect(),
            Err(error) => self.unreadable(folder, at, &error),
        }
    }

    fn manifest(&mut self, path: &Path, at: &KeyPath) -> Option<Enclosure> {
        let file = self.enclosure(path, at)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if file.name.chars().all(plain) {
            return Some(file);
        }
        let problem = format!(
            "holds {:?}; the name of a manifest is of letters, digits, dashes and dots",
            file.name
        );
        self.refuse(at, problem)
    }

    pub(super) fn enclosure(&mut self, path: &Path, at: &KeyPath) -> Option<Enclosure> {
        let name = path.file_name().unwrap_or_default();
        match fs::read_to_string(path) {
            Ok(text) => Some(Enclosure {
                name: name.to_string_lossy().into_owned(),
                text,
            }),
            Err(error) => self.unreadable(path, at, &error),
        }
    }

    fn unreadable<T>(
        &mut self,
        path: &Path,
        at: &KeyPath,
        error: &io::Error,
    ) -> Option<T> {
        let problem = format!("names {}, which cannot be read: {error}", path.display());
        self.refuse(at, problem)
    }
}
