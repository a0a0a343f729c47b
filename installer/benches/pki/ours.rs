//! What is made, and how `apply` makes it.

use std::time::SystemTime;

use pki::KeyKind;
use sternpost::apply::Material;
use sternpost::render::{self, Known, Newcomers};
use sternpost::resource::{Authority, Certificate};
use sternpost::spec::{self, Cluster};

pub(crate) type Failure = Box<dyn std::error::Error>;

const SPEC: &str = include_str!("../../tests/spec/whole.yaml");
const SECOND: &str = "- {name: n2, addresses: [\"192.168.220.201\"], roles: [node]}\n";

/// Three masters and two nodes.
pub(crate) fn cluster() -> Result<Cluster, Failure> {
    Ok(spec::parse("cluster.yaml", &format!("{SPEC}{SECOND}"))?.cluster)
}

/// Every certificate of every host.
pub(crate) fn certificates(cluster: &Cluster) -> Vec<Certificate> {
    let known = Known {
        interface: "eth0".to_owned(),
        resolv_conf: None,
        newcomers: Newcomers::None,
        dials: None,
    };
    let hosts = cluster.hosts.iter();
    let all = hosts.flat_map(|host| render::host(cluster, host, &known));
    all.filter_map(|resource| resource.certificate().cloned())
        .collect()
}

/// Three authorities, the key of service accounts, and the certificates: on one thread, from
/// nothing, as `apply` makes them.
pub(crate) fn ours(cluster: &Cluster, kind: KeyKind) -> Result<usize, Failure> {
    let now = SystemTime::now();
    let material = Material::made(&cluster.enclosed, kind, now)?;
    let certificates = certificates(cluster);
    for certificate in &certificates {
        let authority = material
            .authority(certificate.authority)
            .ok_or("no authority")?;
        authority.issue_of_kind(&certificate.profile, kind, now)?;
    }
    Ok(certificates.len() + Authority::ALL.len() + 1)
}
