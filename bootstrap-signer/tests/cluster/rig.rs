//! One cluster without nodes, in the namespace that its trial sits in.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use k8s_openapi::api::core::v1::Namespace;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use lab::requirement::kubernetes;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::servers::{APISERVER, REACHED, Running, apiserver, controller_manager, etcd};
use crate::wait::{Res, within};

/// Daemons listen above this port, each by its name.
const ADMIN: u16 = 9_000;

/// One cluster without nodes.
pub(crate) struct Cluster {
    folder: TempDir,
    set: pki::ControlPlaneSet,
    etcd: Running,
    apiserver: Running,
}

impl Cluster {
    pub(crate) async fn start() -> Res<Self> {
        Self::trusting("").await
    }

    /// One that trusts further roots.
    pub(crate) async fn trusting(roots: &str) -> Res<Self> {
        let folder = tempfile::tempdir()?;
        let spec = pki::ControlPlane {
            cluster: "test".into(),
            endpoint: SocketAddr::from((Ipv4Addr::LOCALHOST, APISERVER)),
            masters: vec![pki::Node {
                name: "m1".into(),
                addresses: vec![Ipv4Addr::LOCALHOST.into(), REACHED.into()],
            }],
            apiserver_port: APISERVER,
            service_networks: vec!["10.96.0.0/16".parse()?],
            cluster_domain: "cluster.local".into(),
            extra_names: Vec::new(),
        };
        let set = spec.issue(SystemTime::now())?;
        for node in &set.nodes {
            pki::write(folder.path(), &set.files(node))?;
        }
        let trusted = folder.path().join("pki/ca.crt");
        fs::write(&trusted, fs::read_to_string(&trusted)? + roots)?;
        let operator = folder.path().join("admin.conf");
        fs::write(operator, set.super_admin_kubeconfig().to_yaml())?;
        let etcd = etcd(folder.path()).await?;
        let mut apiserver = apiserver(folder.path())?;
        let client = admin(folder.path()).await?;
        let spaces: Api<Namespace> = Api::all(client);
        within("the API", Some(&mut apiserver), async || {
            let there = spaces.get_opt("kube-node-lease").await;
            let public = spaces.get_opt("default").await;
            matches!((there, public), (Ok(Some(_)), Ok(Some(_)))).then_some(())
        })
        .await?;
        let cluster = Self {
            folder,
            set,
            etcd,
            apiserver,
        };
        cluster.settle()?;
        Ok(cluster)
    }

    /// The processes of the API server and of etcd.
    pub(crate) fn servers(&self) -> [u32; 2] {
        [self.apiserver.id(), self.etcd.id()]
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The administrator, or whom he speaks for.
    pub(crate) async fn client(
        &self,
        speaks_for: Option<(&str, &[String])>,
    ) -> Res<Client> {
        let mut config = admin_config(self.folder.path()).await?;
        if let Some((user, groups)) = speaks_for {
            config.auth_info.impersonate = Some(user.to_owned());
            config.auth_info.impersonate_groups = Some(groups.to_vec());
        }
        Ok(Client::try_from(config)?)
    }

    /// Grants what the daemon prints.
    fn settle(&self) -> Res<()> {
        self.grant(&["approve"])?;
        self.let_everybody_ask()
    }

    /// Everybody may create requests, as no cluster would have it: what is then decided is
    /// the daemon's alone.
    fn let_everybody_ask(&self) -> Res<()> {
        let group = |name: &str| {
            json!({
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name,
            })
        };
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": { "name": "ask" },
                "rules": [{
                    "apiGroups": ["certificates.k8s.io"],
                    "resources": ["certificatesigningrequests"],
                    "verbs": ["create"],
                }],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": { "name": "ask" },
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "ask",
                },
                "subjects": [group("system:authenticated"), group("system:unauthenticated")],
            },
        ]});
        fs::write(self.path("ask.json"), list.to_string())?;
        self.apply("ask.json")
    }

    pub(crate) fn apply(&self, file: &str) -> Res<()> {
        let kubectl = kubernetes().join("kubectl");
        let output = Command::new(kubectl)
            .args(["--kubeconfig", "admin.conf", "apply", "-f", file])
            .current_dir(self.folder.path())
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
    }

    /// kubeadm's bindings: who may ask for client certificates.
    pub(crate) fn bind_rights(&self) -> Res<()> {
        let binding = |name: &str, role: &str, group: &str| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": { "name": name },
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                    "name": format!("system:certificates.k8s.io:certificatesigningrequests:{role}"),
                },
                "subjects": [{
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group,
                }],
            })
        };
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
            binding("node-client", "nodeclient", "system:bootstrappers"),
            binding("node-renewal", "selfnodeclient", "system:nodes"),
        ]});
        fs::write(self.path("rights.json"), list.to_string())?;
        self.apply("rights.json")
    }

    /// A kubeconfig of `user`.
    pub(crate) fn kubeconfig(&self, user: &str) -> Res<String> {
        let profile = pki::Profile::client(user, &[]);
        let issued = self.set.kubernetes_ca.issue(&profile, SystemTime::now())?;
        let server = format!("https://127.0.0.1:{APISERVER}");
        let ca = self.set.kubernetes_ca.certificate_pem();
        Ok(pki::Kubeconfig::new("test", &server, ca, user, &issued).to_yaml())
    }

    /// Where the daemon `name` finds its credentials.
    pub(crate) fn credentials(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.conf"))
    }

    /// Writes a configuration with `settings` added, and the credentials it names.
    pub(crate) fn config(&self, name: &str, settings: &str) -> Res<PathBuf> {
        let (kubeconfig, socket) = (self.credentials(name), self.socket(name));
        fs::write(&kubeconfig, self.kubeconfig("bootstrap-signer")?)?;
        let config = self.path(&format!("{name}.yaml"));
        let text = format!(
            "apiVersion: sternpost/v1\nkind: BootstrapSigner\n\
             kubernetes: {{kubeconfig: {}}}\nadmin: {{address: \"127.0.0.1:{}\"}}\n\
             socket: {}\ncluster: {{serviceNetworks: [\"10.96.0.0/16\"]}}\n{settings}",
            kubeconfig.display(),
            ADMIN + name.bytes().map(u16::from).sum::<u16>(),
            socket.display(),
        );
        fs::write(&config, text)?;
        Ok(config)
    }

    /// Who may bootstrap, and that the API server may read logs.
    pub(crate) fn bind_kubelets(&self) -> Res<()> {
        let binding = |role: &str, kind: &str, name: &str| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": { "name": name.replace(':', "-") },
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                    "name": role,
                },
                "subjects": [{
                    "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name,
                }],
            })
        };
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
            binding("system:node-bootstrapper", "Group", "system:bootstrappers"),
            binding("system:kubelet-api-admin", "User", "kube-apiserver-kubelet-client"),
        ]});
        fs::write(self.path("kubelets.json"), list.to_string())?;
        self.apply("kubelets.json")
    }

    /// A daemon with `settings` added to its configuration, once it has seen everything.
    pub(crate) async fn daemon(&self, name: &str, settings: &str) -> Res<Running> {
        self.daemon_at(name, settings, APISERVER).await
    }

    /// The same, which talks to the API at `port`.
    pub(crate) async fn daemon_at(
        &self,
        name: &str,
        settings: &str,
        port: u16,
    ) -> Res<Running> {
        let config = self.config(name, settings)?;
        let credentials = self.credentials(name);
        let text = fs::read_to_string(&credentials)?;
        let (old, new) = (format!(":{APISERVER}"), format!(":{port}"));
        fs::write(&credentials, text.replace(&old, &new))?;
        let arguments = ["run".to_owned(), format!("--config={}", config.display())];
        let running = self.began(name, &arguments)?;
        self.seeing(name, running).await
    }

    /// The binary, with a log of that name.
    pub(crate) fn began(&self, name: &str, arguments: &[String]) -> Res<Running> {
        let binary = Path::new(env!("CARGO_BIN_EXE_bootstrap-signer"));
        Running::start(binary, arguments, &self.path(&format!("{name}.log")))
    }

    /// `running`, once it has seen everything.
    pub(crate) async fn seeing(&self, name: &str, mut running: Running) -> Res<Running> {
        within("the daemon", Some(&mut running), async || {
            let status = self.status(name).await?;
            status
                .get("notSeenYet")?
                .as_array()?
                .is_empty()
                .then_some(())
        })
        .await?;
        Ok(running)
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.sock"))
    }

    /// What the daemon `name` says of itself.
    pub(crate) async fn status(&self, name: &str) -> Option<Value> {
        daemon::client::get(&self.socket(name), "/status")
            .await
            .ok()
    }

    /// Waits until the daemon `name` sees so many objects of each kind: what is decided
    /// earlier is decided on what was there before.
    pub(crate) async fn sees(&self, name: &str, objects: &Value) -> Res<()> {
        let what = format!("that {name} sees {objects}");
        within(&what, None, async || {
            (self.status(name).await?.get("objects")? == objects).then_some(())
        })
        .await
    }

    /// How often the daemon `name` found `reason`.
    pub(crate) async fn found(&self, name: &str, reason: &str) -> Option<u64> {
        let status = self.status(name).await?;
        let decisions = status.get("decisions")?.as_array()?;
        let of = decisions.iter().filter(|each| each["reason"] == reason);
        Some(of.filter_map(|each| each["count"].as_u64()).sum())
    }

    /// kube-controller-manager with these controllers alone, as fast as it can.
    pub(crate) async fn controller_manager(&self, controllers: &str) -> Res<Running> {
        controller_manager(self.folder.path(), controllers).await
    }

    /// The cluster's own authority.
    pub(crate) fn authority(&self) -> &pki::Authority {
        &self.set.kubernetes_ca
    }

    /// Grants what the daemon prints for these parts.
    pub(crate) fn grant(&self, parts: &[&str]) -> Res<()> {
        let printed = Command::new(env!("CARGO_BIN_EXE_bootstrap-signer"))
            .arg("rbac")
            .args(parts)
            .output()?;
        fs::write(self.path("rbac.yaml"), printed.stdout)?;
        self.apply("rbac.yaml")
    }

    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }
}

async fn admin_config(folder: &Path) -> Res<kube::Config> {
    let file = Kubeconfig::read_from(folder.join("admin.conf"))?;
    let options = KubeConfigOptions::default();
    Ok(kube::Config::from_custom_kubeconfig(file, &options).await?)
}

async fn admin(folder: &Path) -> Res<Client> {
    Ok(Client::try_from(admin_config(folder).await?)?)
}

/// The type of a request's condition, if it has one.
pub(crate) fn condition(csr: &Csr) -> Option<(String, String)> {
    let conditions = csr.status.as_ref()?.conditions.as_ref()?;
    let first = conditions.first()?;
    Some((
        first.type_.clone(),
        first.reason.clone().unwrap_or_default(),
    ))
}
