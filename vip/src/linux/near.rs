//! Whether virtual addresses lie in a network of their interface, asked before anything
//! runs. What the kernel says goes in, sentences come out.

use std::net::IpAddr;

use super::addresses::Present;
use super::links::Link;
use super::netlink::{Netlink, RequestError};
use crate::config::{Router, VirtualAddress};

/// A sentence for each virtual address of `routers` that lies in no network which its
/// interface has on this machine. Interfaces that are not there say nothing.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn remote(routers: &[Router]) -> Result<Vec<String>, RequestError> {
    let mut netlink = Netlink::open()?;
    let (links, present) = (netlink.links()?, netlink.all_addresses()?);
    Ok(sentences(routers, &links, &present))
}

fn sentences(routers: &[Router], links: &[Link], present: &[Present]) -> Vec<String> {
    // One that is held already is in a network of its own.
    let held = |ip: IpAddr| {
        let all = routers.iter().flat_map(Router::held);
        all.map(VirtualAddress::ip).any(|known| known == ip)
    };
    let own = |link: &Link| {
        let here = present.iter().filter(|there| there.interface == link.index);
        here.filter(|there| !held(there.address.ip))
            .map(|there| there.address)
            .collect::<Vec<_>>()
    };
    let mut sentences = Vec::new();
    for router in routers {
        for what in router.held() {
            let device = what.device.as_deref().filter(|it| *it != router.home());
            let name = device.unwrap_or(&router.interface);
            // What has no neighbours is reached by a route in any case.
            let link = links
                .iter()
                .find(|link| link.name == name && link.mac.is_some());
            let Some(link) = link else { continue };
            if !own(link).iter().any(|own| own.covers(what.ip())) {
                let router = &router.name;
                sentences.push(format!(
                    "router {router}: {what} lies in no network of {name}: neighbours \
                     reach it only where a route leads there"
                ));
            }
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::guard::Held;
    use crate::linux::{Role, Succession};

    fn link(index: u32, name: &str, mac: Option<[u8; 6]>) -> Link {
        Link {
            index,
            name: name.to_owned(),
            mac,
            up: true,
            running: true,
            role: Role::Host,
            succession: Succession::Promoted,
        }
    }

    fn present(interface: u32, address: &str) -> Present {
        let address = address.parse().unwrap();
        Present::shown(Held { interface, address }, None, 1)
    }

    #[test]
    fn an_address_outside_every_network_of_its_interface_is_named() {
        let links = [
            link(1, "lo", None),
            link(2, "eth0", Some([2; 6])),
            link(3, "eth1", Some([3; 6])),
        ];
        let there = [
            present(2, "10.0.0.11/24"),
            present(3, "10.9.0.11/24"),
            present(3, "fe80::1/64"),
            // Held, from a run that goes on.
            present(2, "192.0.2.1/32"),
        ];
        for (address, more, remote) in [
            ("10.0.0.100", "", None),
            ("10.0.0.100/24", "", None),
            ("10.9.0.100", "", Some("eth0")),
            ("10.9.0.100/24", "", Some("eth0")),
            ("192.0.2.1", "", Some("eth0")),
            ("{address: 10.9.0.100, device: eth1}", "", None),
            ("{address: 10.0.0.100, device: eth1}", "", Some("eth1")),
            ("{address: 10.7.0.100, device: lo}", "", None),
            ("{address: 10.7.0.100, device: eth9}", "", None),
            ("10.0.0.100", ", virtualMac: {}", None),
            ("10.9.0.100", ", virtualMac: {}", Some("eth0")),
        ] {
            let config = Config::parse(
                "test",
                &format!(
                    "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n\
                     - {{name: a, interface: eth0, vrid: 51, \
                     addresses: [{address}]{more}}}\n"
                ),
            );
            let config = config.unwrap();
            let said = sentences(&config.routers, &links, &there);
            assert_eq!(
                said.len(),
                usize::from(remote.is_some()),
                "{address}: {said:?}"
            );
            let of = format!("in no network of {}:", remote.unwrap_or_default());
            assert!(said.iter().all(|said| said.contains(&of)), "{said:?}");
        }
    }
}
