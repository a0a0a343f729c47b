//! The description of a cluster: [`File`] as it is written, [`Cluster`] as it is meant.
//!
//! ```text
//! cluster.yaml ──config──▶ File ──convert──▶ Cluster
//!                                  │  hosts, endpoint, networks, flags: each key by itself
//!                                  └▶ lint: keys against each other
//! ```

mod adopted;
mod binaries;
mod component;
mod convert;
mod enclosed;
mod endpoint;
mod file;
mod hosts;
mod lint;
mod meant;
mod mirrors;
mod networks;
mod reader;
mod schema;

use std::path::Path;

use config::{Document, Errors};

pub use adopted::{Adopted, Signed};
pub use component::Component;
pub use enclosed::{Enclosed, Enclosure, EtcdFiles};
pub(crate) use endpoint::APISERVER_PORT;
pub use file::{BalancerMode, BetweenPods, File, ProxyMode, Role};
pub use meant::{
    Balancer, Binaries, Cluster, Endpoint, Etcd, Folder, Form, Generation, Holds, Host,
    Leases, Networks, Notify, Place, Source, Ssh, VirtualRouter,
};
pub use mirrors::Mirror;
pub(crate) use mirrors::is_loopback;
pub use schema::schema;

/// What `kind` must say.
pub const KIND: &str = "Cluster";

/// The address that the Service `kubernetes` takes in a network of Services.
pub(crate) fn api_address(network: &ipnet::IpNet) -> Option<std::net::IpAddr> {
    networks::nth(network, 1)
}

/// A good description, with what is odd about it.
#[derive(Debug)]
pub struct Spec {
    /// The cluster.
    pub cluster: Cluster,
    /// What an operator should look at twice: `cluster.yaml:14: …`.
    pub warnings: Vec<String>,
    /// What a good cluster may well be without, for who asks whether all is well.
    pub advice: Vec<String>,
}

/// Reads a file, and the files that it points to. Paths in it are relative to its folder.
///
/// # Errors
/// All that is wrong with it.
pub fn read(path: &Path) -> Result<Spec, Errors> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let document: Document<File> = config::read(path, KIND)?;
    let mut spec = convert::convert(&document, folder)?;
    let mut reader = reader::Reader {
        source: &document.source,
        errors: Errors::new(),
        warnings: Vec::new(),
        advice: Vec::new(),
    };
    match reader.enclosed(&spec.cluster) {
        Some(enclosed) if reader.errors.is_empty() => {
            spec.cluster.enclosed = enclosed;
            spec.warnings.extend(reader.warnings);
            Ok(spec)
        }
        Some(_) | None => Err(reader.errors),
    }
}

/// Reads a text, which errors call `name`, and no file.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(name: &str, text: &str) -> Result<Spec, Errors> {
    convert::convert(&config::parse(name, text, KIND)?, Path::new("."))
}
