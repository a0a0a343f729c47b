//! The inventory file: the nodes there are to be, in a small schema of its own, so that
//! whoever sets a cluster up can write down what it set up.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use config::{Document, Errors, KeyPath};
use policy::{Inventory, Listed, dns_name, is_node_name};
use serde::Deserialize;

/// What `kind` says.
pub const KIND: &str = "NodeInventory";

#[derive(Debug, Deserialize)]
struct File {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    name: String,
    #[serde(default)]
    control_plane: bool,
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
}

/// Reads the file at `path`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(path: &Path) -> Result<Inventory, Errors> {
    convert(&config::read(path, KIND)?)
}

/// The same for a text that errors call `name`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(name: &str, text: &str) -> Result<Inventory, Errors> {
    convert(&config::parse(name, text, KIND)?)
}

fn convert(document: &Document<File>) -> Result<Inventory, Errors> {
    let mut errors = Errors::new();
    let mut nodes = BTreeMap::new();
    let list = KeyPath::root().key("nodes");
    for (place, node) in document.file.nodes.iter().enumerate() {
        let at = list.index(place);
        let mut refuse = |at: &KeyPath, problem: &str| {
            errors.push(document.source.error(at, problem));
        };
        if !is_node_name(&node.name) {
            refuse(
                &at.key("name"),
                "is not a node's name; allowed: a DNS subdomain in lower case, at most 253 characters",
            );
        }
        let mut listed = Listed {
            control_plane: node.control_plane,
            ..Listed::default()
        };
        for (place, text) in node.addresses.iter().enumerate() {
            match text.parse::<IpAddr>() {
                Ok(address) => _ = listed.addresses.insert(address.to_canonical()),
                Err(_) => refuse(
                    &at.key("addresses").index(place),
                    "is not an IP address; write names under \"names\"",
                ),
            }
        }
        for (place, text) in node.names.iter().enumerate() {
            match dns_name(text) {
                Some(name) => _ = listed.names.insert(name),
                None => refuse(&at.key("names").index(place), "is not a DNS name"),
            }
        }
        if nodes.insert(node.name.clone(), listed).is_some() {
            refuse(&at.key("name"), "stands twice in nodes; names are unique");
        }
    }
    errors.or(Inventory { nodes })
}
