//! The conversion of `channel` and `addressProtocol`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use config::KeyPath;

use super::file;
use super::reader::Reader;
use crate::channel::message::{KEY, Key, Name};
use crate::channel::{PORT, Settings};
use crate::linux::PROTOCOL;

/// `IFAPROT_KERNEL_LO` to `IFAPROT_KERNEL_LL` of linux/if_addr.h.
const KERNEL_S: std::ops::RangeInclusive<u8> = 1..=3;

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT);

impl Reader<'_> {
    /// `addressProtocol`: 0 is no mark.
    pub(super) fn mark(&mut self, number: Option<i64>) -> Option<u8> {
        let at = KeyPath::root().key("addressProtocol");
        let mark = self.number(number, 0..=255, PROTOCOL.into(), &at)?;
        if KERNEL_S.contains(&mark) {
            return self.refuse(
                &at,
                "is one the kernel marks its own addresses with; allowed: 0 (no mark), \
                 4 to 255",
            );
        }
        Some(mark).filter(|mark| *mark != 0)
    }

    pub(super) fn channel(
        &mut self,
        file: &file::Channel,
        at: &KeyPath,
    ) -> Option<Settings> {
        let name = self.node(&file.name, &at.key("name"));
        let key = self.key(file, &at.key("keyFile"));
        let peers_at = at.key("peers");
        if file.peers.is_empty() {
            self.warn(&peers_at, "is empty: nobody is told first");
        }
        let mut peers = BTreeMap::new();
        for (position, peer) in file.peers.iter().enumerate() {
            let at = peers_at.index(position);
            let Some((known, address)) = self.peer(peer, &at) else {
                continue;
            };
            if Some(&known) == name.as_ref() {
                self.refuse::<()>(&at.key("name"), "is this node itself");
            } else if peers.insert(known, address).is_some() {
                self.refuse::<()>(&at.key("name"), "is the name of another peer");
            }
        }
        Some(Settings {
            name: name?,
            listen: file.listen.map_or(ANY, |listen| listen.0),
            key: key?,
            peers,
        })
    }

    fn peer(&mut self, peer: &file::Peer, at: &KeyPath) -> Option<(Name, SocketAddr)> {
        let name = self.node(&peer.name, &at.key("name"));
        let default = i64::from(PORT);
        let port = self.number(peer.port, 1..=65535, default, &at.key("port"));
        let address = match peer.address.parse::<IpAddr>() {
            Ok(address) => Some(address),
            Err(_) => self.refuse(
                &at.key("address"),
                "is not an IP address; write it like \"192.168.220.101\"",
            ),
        };
        Some((name?, SocketAddr::new(address?, port?)))
    }

    fn node(&mut self, name: &str, at: &KeyPath) -> Option<Name> {
        match Name::new(name) {
            Some(name) => Some(name),
            None => {
                self.refuse(at, "is not a name; allowed: 1 to 32 of a-z A-Z 0-9 - _ .")
            }
        }
    }

    fn key(&mut self, file: &file::Channel, at: &KeyPath) -> Option<Key> {
        let text = self.secret(&file.key_file, at)?;
        match Key::new(text.trim().as_bytes()) {
            Some(key) => Some(key),
            None => self.refuse(
                at,
                format!(
                    "holds fewer than {KEY} bytes; make one with \"openssl rand -hex 32\", \
                     the same on every node"
                ),
            ),
        }
    }
}
