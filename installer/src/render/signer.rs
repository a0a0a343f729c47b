//! bootstrap-signer: the one that approves kubelets' certificates, on every control-plane
//! host, through the API server beside it.

use pki::Profile;
use serde_json::json;

use super::{balancer, kubeconfig, server, yaml};
use crate::layout;
use crate::resource::{Authority, Certificate, File, Owner, Resource};
use crate::spec::{Cluster, Host, Role};

const UNIT: &str = include_str!("../../../packaging/systemd/bootstrap-signer.service");
const IDENTITY: &str = "bootstrap-signer";
/// The nodes that there are to be: no other is let in.
pub(crate) const INVENTORY: &str = "/etc/sternpost/nodes.yaml";

pub(super) fn resources(cluster: &Cluster, host: &Host) -> Vec<Resource> {
    let path = format!("{}/bootstrap-signer.yaml", layout::STERNPOST);
    let kubeconfig = kubeconfig::kubeconfig(cluster, &server(cluster, host), IDENTITY);
    let masters: Vec<_> = cluster
        .with(Role::ControlPlane)
        .map(|master| json!({"name": master.name, "addresses": master.addresses}))
        .collect();
    let services: Vec<_> = cluster
        .networks
        .services
        .iter()
        .map(ToString::to_string)
        .collect();
    let addresses = cluster.endpoint.addresses.iter().map(ToString::to_string);
    let endpoints: Vec<_> = cluster
        .endpoint
        .name
        .iter()
        .cloned()
        .chain(addresses)
        .collect();
    let config = json!({
        "apiVersion": config::API_VERSION,
        "kind": "BootstrapSigner",
        "kubernetes": {"kubeconfig": kubeconfig.path},
        "cluster": {"domain": cluster.networks.domain, "serviceNetworks": services},
        "controlPlane": {"endpoints": endpoints, "nodes": masters},
        "inventory": {"file": INVENTORY, "use": "both"},
    });
    let nodes: Vec<_> = cluster
        .with(Role::Node)
        .map(|node| {
            json!({
                "name": node.name,
                "controlPlane": node.is(Role::ControlPlane),
                "addresses": node.addresses,
            })
        })
        .collect();
    let inventory = json!({
        "apiVersion": config::API_VERSION,
        "kind": "NodeInventory",
        "nodes": nodes,
    });
    let mut all = vec![
        Certificate {
            name: IDENTITY.into(),
            owner: Owner::BootstrapSigner,
            authority: Authority::Kubernetes,
            profile: Profile::client("bootstrap-signer", &[]),
        }
        .into(),
        kubeconfig.into(),
        File::public(INVENTORY, yaml::yaml(&inventory)).into(),
        File::public(path.clone(), yaml::yaml(&config)).into(),
    ];
    all.extend(balancer::daemon(IDENTITY, UNIT, path));
    all
}
