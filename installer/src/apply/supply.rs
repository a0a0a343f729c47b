//! What is in the files that are not rendered: the cluster's own, and what this run makes.

use pki::KeyKind;

use super::join::{self, Join};
use super::{Material, Target};
use crate::layout;
use crate::plan::Trust;
use crate::render;
use crate::resource::{Authority, Shared};
use crate::spec::Signed;

/// The contents for one host.
#[derive(Debug)]
pub(super) struct Supply<'a> {
    target: Target<'a>,
    material: &'a Material,
}

impl<'a> Supply<'a> {
    pub(super) fn new(target: Target<'a>, material: &'a Material) -> Self {
        Self { target, material }
    }

    fn join(&self) -> Option<Join<'a>> {
        let authority = self.material.certificate(Authority::Kubernetes)?;
        // Whoever has this key can be anybody already: the token tells him nothing.
        let key = self.material.file(&layout::key("sa"))?;
        let Target { cluster, now, .. } = self.target;
        Some(Join::new(cluster, authority, key, now))
    }
}

impl Trust for Supply<'_> {
    fn key_kind(&self, authority: Authority) -> Option<KeyKind> {
        let cluster = self.target.cluster;
        (!cluster.is_external(authority)).then_some(cluster.key_kind)
    }

    fn signed(&self, name: &str) -> Option<&Signed> {
        let key = (self.target.host.to_owned(), name.to_owned());
        self.target.cluster.enclosed.signed.get(&key)
    }

    fn certificate(&self, authority: Authority) -> Option<&str> {
        self.material.certificate(authority)
    }

    fn content(&self, shared: Shared, path: &str) -> Option<String> {
        match shared {
            Shared::Trust(_)
            | Shared::Signing(_)
            | Shared::ServiceAccounts
            | Shared::Encryption => self.material.file(path).map(str::to_owned),
            Shared::Authorities => Some(self.material.text()),
            Shared::ExternalEtcd | Shared::FlannelEtcd => {
                let files = self.target.cluster.enclosed.etcd.as_ref()?;
                let all = [&files.authority, &files.certificate, &files.key];
                let mut all = shared.paths().into_iter().zip(all);
                let found = all.find(|((place, _), _)| place == path);
                found.map(|(_, file)| file.text.clone())
            }
            Shared::Channel => {
                let key = self.material.file(&layout::key("sa"))?;
                Some(join::channel_key(key))
            }
            Shared::Token => Some(self.join()?.objects()),
            Shared::Join => {
                let Target { cluster, host, .. } = self.target;
                let host = cluster.hosts.iter().find(|one| one.name == host)?;
                Some(self.join()?.kubeconfig(&render::server(cluster, host)))
            }
        }
    }
}
