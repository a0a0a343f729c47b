//! `routers[].addresses[]`: a text, or a mapping that says more.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::Scope;

/// One virtual address as written.
#[derive(Debug, Clone)]
pub enum VirtualAddress {
    /// `"192.168.220.224/24"`.
    Bare(String),
    /// `{address: "192.168.220.224/24", device: eth1}`.
    Placed(Placed),
}

/// One with its place.
///
/// Whoever reads a mapping for a type that may be a text is not told its keys, so unknown
/// ones are refused here.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Placed {
    /// The address.
    pub address: String,
    /// The interface it is put on.
    pub device: Option<String>,
    /// The kernel's label.
    pub label: Option<String>,
    /// How far it is valid.
    pub scope: Option<Scope>,
    /// The broadcast address.
    pub broadcast: Option<String>,
}

impl<'de> Deserialize<'de> for VirtualAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Form)
    }
}

struct Form;

impl<'de> Visitor<'de> for Form {
    type Value = VirtualAddress;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an address; write it like \"192.168.220.224/24\", or \
             {address: \"192.168.220.224/24\", device: eth1}",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<VirtualAddress, E> {
        Ok(VirtualAddress::Bare(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VirtualAddress, A::Error> {
        Placed::deserialize(MapAccessDeserializer::new(map)).map(VirtualAddress::Placed)
    }
}
