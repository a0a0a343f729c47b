//! `pki.authorities`: authorities that are there already, laid out as kubeadm does. One with its
//! key is taken over; one without is external: its keeper signs what is asked of him, and what
//! he has signed lies in `pki.requests`.
//!
//! ```text
//! AUTHORITIES/ca.crt, ca.key, etcd/ca.…, front-proxy-ca.…, sa.key, sa.pub
//! REQUESTS/HOST/NAME.key, NAME.csr (written by "sternpost requests"), NAME.crt (by the keeper)
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use config::KeyPath;
use pki::{AdoptError, Anchor};

use super::enclosed::Enclosure;
use super::file::Role;
use super::meant::{Cluster, Etcd};
use super::reader::Reader;
use crate::resource::Authority;

/// An authority that is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Its certificate, and its issuers behind it.
    pub certificate: Enclosure,
    /// Its key; nothing where somebody else keeps it.
    pub key: Option<Enclosure>,
}

/// A certificate that an external authority has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The certificate.
    pub certificate: Enclosure,
    /// Its key.
    pub key: Enclosure,
}

type Authorities = BTreeMap<Authority, Adopted>;

impl Reader<'_> {
    pub(super) fn authorities(&mut self, cluster: &Cluster) -> Option<Authorities> {
        let Some(folder) = &cluster.authorities else {
            return Some(BTreeMap::new());
        };
        let at = KeyPath::root().key("pki").key("authorities");
        let mut all = BTreeMap::new();
        for authority in Authority::ALL {
            let path = |end: &str| folder.join(format!("{}.{end}", authority.name()));
            let (certificate, key) = (path("crt"), path("key"));
            match (certificate.exists(), key.exists()) {
                (false, false) => {}
                (false, true) => {
                    let key = key.display();
                    let problem = format!(
                        "names a folder with {key} and without the certificate beside it"
                    );
                    return self.refuse(&at, problem);
                }
                (true, there) => {
                    let key = there.then_some(key.as_path());
                    let adopted = self.authority(&certificate, key, &at)?;
                    all.insert(authority, adopted);
                }
            }
        }
        if all.is_empty() {
            let problem = format!(
                "names {}, in which there is none of ca.crt, etcd/ca.crt and front-proxy-ca.crt",
                folder.display()
            );
            return self.refuse(&at, problem);
        }
        self.signers(cluster, &all, &at)?;
        Some(all)
    }

    /// One authority: what it is, and that the key is its own.
    fn authority(
        &mut self,
        certificate: &Path,
        key: Option<&Path>,
        at: &KeyPath,
    ) -> Option<Adopted> {
        let file = self.pem(certificate, at, "CERTIFICATE")?;
        let key = match key {
            Some(key) => Some(self.pem(key, at, "PRIVATE KEY")?),
            None => None,
        };
        let fits: Result<(), AdoptError> = match &key {
            Some(key) => pki::Authority::from_pem(&file.text, &key.text).map(drop),
            None => Anchor::from_pem(&file.text).map(drop),
        };
        if let Err(error) = fits {
            let problem = format!("names {}: {error}", certificate.display());
            return self.refuse(at, problem);
        }
        Some(Adopted {
            certificate: file,
            key,
        })
    }

    /// Kubelets get their certificates in the cluster, from whoever has the authority's key
    /// there.
    fn signers(
        &mut self,
        cluster: &Cluster,
        all: &Authorities,
        at: &KeyPath,
    ) -> Option<()> {
        let kubernetes = all.get(&Authority::Kubernetes);
        let external = kubernetes.is_some_and(|adopted| adopted.key.is_none());
        let node = cluster.with(Role::Node).next();
        if let (true, Some(node)) = (external, node) {
            let problem = format!(
                "has no ca.key, and the kubelet of {} needs a signer in the cluster; give an \
                 intermediate authority with its key as ca.crt and ca.key, its issuers behind it in \
                 ca.crt",
                node.name
            );
            return self.refuse(at, problem);
        }
        let etcd = all.contains_key(&Authority::Etcd) && cluster.etcd != Etcd::Hosts;
        if etcd {
            let problem = "has etcd/ca.crt, but etcd.external names a cluster with authorities of its own; keep one";
            return self.refuse(at, problem);
        }
        Some(())
    }

    /// `sa.key` and `sa.pub`: both or none, and of one pair.
    pub(super) fn service_accounts(
        &mut self,
        cluster: &Cluster,
    ) -> Option<(Enclosure, Enclosure)> {
        let folder = cluster.authorities.as_ref()?;
        let (key, public) = (folder.join("sa.key"), folder.join("sa.pub"));
        let at = KeyPath::root().key("pki").key("authorities");
        match (key.exists(), public.exists()) {
            (false, false) => None,
            (true, true) => {
                let key = self.pem(&key, &at, "PRIVATE KEY")?;
                let public = self.pem(&public, &at, "PUBLIC KEY")?;
                if pki::is_anothers(&public.text, &key.text) {
                    return self.refuse(
                        &at,
                        "has a sa.pub that is not sa.key's: no API server would believe a token; \
                         write it with: openssl pkey -in sa.key -pubout -out sa.pub",
                    );
                }
                Some((key, public))
            }
            (true, false) | (false, true) => self.refuse(
                &at,
                "has one of sa.key and sa.pub; tokens are signed with the one and checked with the other",
            ),
        }
    }

    /// What external authorities have signed, as far as it is there: what is missing is
    /// counted when hosts are to get it.
    pub(super) fn signed(
        &mut self,
        cluster: &Cluster,
        authorities: &Authorities,
    ) -> Option<BTreeMap<(String, String), Signed>> {
        let mut all = BTreeMap::new();
        if authorities.values().all(|adopted| adopted.key.is_some()) {
            return Some(all);
        }
        let at = KeyPath::root().key("pki").key("requests");
        for host in &cluster.hosts {
            let folder = cluster.requests.join(&host.name);
            for name in names(&folder) {
                let certificate = folder.join(format!("{name}.crt"));
                let key = folder.join(format!("{name}.key"));
                if !key.exists() {
                    let problem = format!(
                        "names a folder with {} and without its key beside it",
                        certificate.display()
                    );
                    return self.refuse(&at, problem);
                }
                let signed = Signed {
                    certificate: self.pem(&certificate, &at, "CERTIFICATE")?,
                    key: self.pem(&key, &at, "PRIVATE KEY")?,
                };
                all.insert((host.name.clone(), name), signed);
            }
        }
        Some(all)
    }
}

/// The names of the certificates in a host's folder, and of those of etcd in one below it.
fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for (folder, before) in [(folder.to_owned(), ""), (folder.join("etcd"), "etcd/")] {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let stems = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".crt")
                .map(|stem| format!("{before}{stem}"))
        });
        names.extend(stems);
    }
    names.sort();
    names
}
