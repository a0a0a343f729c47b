//! Which file of a machine holds what: kubeadm's layout.

use std::path::PathBuf;

use crate::{ControlPlaneSet, File, Issued, Kubeconfig, Mode, NodeSet};

impl ControlPlaneSet {
    /// The files of one master, as kubeadm lays them out below `/etc/kubernetes`:
    /// `pki/…`, `pki/etcd/…` and the kubeconfigs. The operator's kubeconfigs are not
    /// among them: see [`ControlPlaneSet::admin_kubeconfig`].
    #[must_use]
    pub fn files(&self, node: &NodeSet) -> Vec<File> {
        let mut files = self.authorities();
        files.extend(leaves(node));
        files.extend([
            kubeconfig(
                "controller-manager.conf",
                &self.controller_manager_kubeconfig(node),
            ),
            kubeconfig("scheduler.conf", &self.scheduler_kubeconfig(node)),
        ]);
        files
    }

    /// The operator's kubeconfig, through the address in front of all API servers.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> Kubeconfig {
        self.through_endpoint("kubernetes-admin", &self.admin)
    }

    /// The same for emergencies, and for a cluster without any binding yet.
    #[must_use]
    pub fn super_admin_kubeconfig(&self) -> Kubeconfig {
        self.through_endpoint("kubernetes-super-admin", &self.super_admin)
    }

    /// For kube-controller-manager, through the API server beside it.
    #[must_use]
    pub fn controller_manager_kubeconfig(&self, node: &NodeSet) -> Kubeconfig {
        self.beside(
            node,
            "system:kube-controller-manager",
            &node.controller_manager,
        )
    }

    /// For kube-scheduler, through the API server beside it.
    #[must_use]
    pub fn scheduler_kubeconfig(&self, node: &NodeSet) -> Kubeconfig {
        self.beside(node, "system:kube-scheduler", &node.scheduler)
    }

    fn through_endpoint(&self, user: &str, identity: &Issued) -> Kubeconfig {
        self.kubeconfig(&format!("https://{}", self.spec.endpoint), user, identity)
    }

    fn beside(&self, node: &NodeSet, user: &str, identity: &Issued) -> Kubeconfig {
        let own = node
            .node
            .addresses
            .first()
            .map_or(self.spec.endpoint, |address| {
                (*address, self.spec.apiserver_port).into()
            });
        self.kubeconfig(&format!("https://{own}"), user, identity)
    }

    fn kubeconfig(&self, server: &str, user: &str, identity: &Issued) -> Kubeconfig {
        let ca = self.kubernetes_ca.certificate_pem();
        Kubeconfig::new(&self.spec.cluster, server, ca, user, identity)
    }

    fn authorities(&self) -> Vec<File> {
        let mut files = Vec::new();
        for (name, authority) in [
            ("pki/ca", &self.kubernetes_ca),
            ("pki/etcd/ca", &self.etcd_ca),
            ("pki/front-proxy-ca", &self.front_proxy_ca),
        ] {
            let certificate_pem = authority.certificate_pem().to_owned();
            files.extend(pair(
                name,
                &Issued {
                    certificate_pem,
                    key_pem: authority.key_pem(),
                },
            ));
        }
        let key = &self.service_account;
        files.push(private("pki/sa.key", key.private_pem.expose()));
        files.push(public("pki/sa.pub", &key.public_pem));
        files
    }
}

fn leaves(node: &NodeSet) -> Vec<File> {
    let pairs = [
        ("pki/etcd/server", &node.etcd_server),
        ("pki/etcd/peer", &node.etcd_peer),
        ("pki/etcd/healthcheck-client", &node.etcd_healthcheck_client),
        ("pki/apiserver", &node.apiserver),
        ("pki/apiserver-etcd-client", &node.apiserver_etcd_client),
        (
            "pki/apiserver-kubelet-client",
            &node.apiserver_kubelet_client,
        ),
        ("pki/front-proxy-client", &node.front_proxy_client),
    ];
    pairs
        .iter()
        .flat_map(|(name, issued)| pair(name, issued))
        .collect()
}

fn pair(name: &str, issued: &Issued) -> [File; 2] {
    [
        public(&format!("{name}.crt"), &issued.certificate_pem),
        private(&format!("{name}.key"), issued.key_pem.expose()),
    ]
}

fn kubeconfig(path: &str, kubeconfig: &Kubeconfig) -> File {
    private(path, &kubeconfig.to_yaml())
}

fn public(path: &str, content: &str) -> File {
    File {
        path: PathBuf::from(path),
        mode: Mode::Public,
        content: content.to_owned(),
    }
}

fn private(path: &str, content: &str) -> File {
    File {
        path: PathBuf::from(path),
        mode: Mode::Private,
        content: content.to_owned(),
    }
}
