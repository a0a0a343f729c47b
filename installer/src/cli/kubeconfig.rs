//! `sternpost kubeconfig`: an administrator's, with an identity that is issued for it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use daemon::{chain, exit};
use pki::{Kubeconfig as Document, Mode, Profile};

use super::Sentence;
use super::reach::{self, Reach};
use crate::apply::{Material, PLACE};
use crate::certs::{self, Line};
use crate::kubeconfig::{self, merged};
use crate::plan::Trust;
use crate::resource::Authority;
use crate::spec::{Cluster, Role};

/// A person's own, by its usual name.
pub(super) const OWN: &str = "~/.kube/config";

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Kubeconfig {
    #[command(flatten)]
    reach: Reach,
    /// Add it to this file, by default ~/.kube/config, instead of printing it. What is in the
    /// file already stays; what another cluster has there by the same name is refused.
    #[arg(long, num_args = 0..=1, value_name = "FILE")]
    merge: Option<Option<PathBuf>>,
    /// What the cluster is called in it, by default as in the description. The entry of the
    /// user is called USER@NAME.
    #[arg(long)]
    name: Option<String>,
    /// What is dialled, as https://HOST:PORT, by default the cluster's endpoint; where each
    /// host has a balancer of its own (balancer.mode: local), the first master's API server. The
    /// API servers' certificates must have HOST.
    #[arg(long)]
    server: Option<String>,
    /// The user that the certificate names.
    #[arg(long, default_value = "kubernetes-admin")]
    user: String,
    /// The user's groups.
    #[arg(long, default_value = "kubeadm:cluster-admins")]
    group: Vec<String>,
}

impl Kubeconfig {
    /// The kubeconfig, or a word about the file that it was added to.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        let material = self.material(&cluster)?;
        let text = self.issued(&cluster, &material)?;
        let Some(merge) = &self.merge else {
            return Ok((text.trim_end().to_owned(), exit::DONE));
        };
        let path = match merge {
            Some(path) => path.clone(),
            None => own_file()?,
        };
        add(&path, &text)?;
        Ok((format!("{}: merged", path.display()), exit::DONE))
    }

    /// The authorities, from the first master that has them.
    fn material(&self, cluster: &Cluster) -> Result<Material, Sentence> {
        let masters = |host: &crate::spec::Host| host.is(Role::ControlPlane);
        let answers = self.reach.each(cluster, masters, |_, way| {
            reach::fetched(way, vec![PLACE.to_owned()])
        });
        let mut silent = Vec::new();
        for (host, answer) in answers {
            match answer {
                Ok(mut files) => match files.remove(PLACE) {
                    Some(text) => {
                        return Material::read(&text).map_err(|error| chain(&error));
                    }
                    None => silent.push(format!("{host} has none")),
                },
                Err(error) => silent.push(format!("{host}: {error}")),
            }
        }
        Err(format!(
            "no master gives the cluster's authorities; {}",
            silent.join("; ")
        ))
    }

    fn issued(&self, cluster: &Cluster, material: &Material) -> Result<String, Sentence> {
        let groups: Vec<&str> = self.group.iter().map(String::as_str).collect();
        let profile = Profile::client(&self.user, &groups);
        let authority = material.authority(Authority::Kubernetes);
        let trust = material.certificate(Authority::Kubernetes);
        let (Some(authority), Some(trust)) = (authority, trust) else {
            return Err("the key of the cluster's authority is kept elsewhere, so nothing is signed \
                        here; have its keeper sign one, or copy /etc/kubernetes/admin.conf of a master"
                .to_owned());
        };
        let identity = authority
            .issue_of_kind(&profile, cluster.key_kind, SystemTime::now())
            .map_err(|error| chain(&error))?;
        let name = self.name.as_ref().unwrap_or(&cluster.name);
        let elsewhere = || cluster.server_from_elsewhere();
        let server = self.server.clone().unwrap_or_else(elsewhere);
        let document = Document::new(name, &server, trust, &self.user, &identity);
        Ok(document.to_yaml())
    }
}

/// The certificates that this person's own file shows to the cluster, as far as it can be read.
pub(super) fn own(cluster: &Cluster, now: SystemTime) -> Vec<Line> {
    let text = own_file()
        .ok()
        .and_then(|path| fs::read_to_string(path).ok());
    let server = cluster.server_from_elsewhere();
    let shown = kubeconfig::shown(&text.unwrap_or_default(), &server);
    let lines = shown
        .iter()
        .map(|(user, pem)| certs::person(user, pem, now));
    lines.collect()
}

fn own_file() -> Result<PathBuf, Sentence> {
    let home = std::env::var_os("HOME");
    let home = home.ok_or("HOME is not set; write --merge=FILE")?;
    Ok(Path::new(&home).join(".kube/config"))
}

/// The file, whole or as it was: for its owner alone.
fn add(path: &Path, text: &str) -> Result<(), Sentence> {
    let there = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        there => there.map_err(|error| format!("{}: {error}", path.display()))?,
    };
    let content = merged(&there, text)
        .map_err(|error| format!("{}: {}", path.display(), chain(&error)))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = pki::File {
        path: path.file_name().unwrap_or_default().into(),
        mode: Mode::Private,
        content,
    };
    pki::write(folder, &[file]).map_err(|error| chain(&error))
}
