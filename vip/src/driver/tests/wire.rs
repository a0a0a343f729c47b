//! What comes off the wire and from the kernel, made up.

use vrrp::Family;
use vrrp::packet::{Addresses, Advert};

use super::*;

pub(super) fn datagram(priority: u8) -> Datagram {
    datagram_of(router().vrid, priority)
}

/// Of another group on the same network.
pub(super) fn of_another_group() -> Datagram {
    datagram_of(Vrid::new(52).unwrap(), 150)
}

fn datagram_of(vrid: Vrid, priority: u8) -> Datagram {
    datagram_about(vrid, priority, vec![VIRTUAL])
}

pub(super) fn datagram_with(priority: u8, addresses: Vec<IpAddr>) -> Datagram {
    datagram_about(router().vrid, priority, addresses)
}

fn datagram_about(vrid: Vrid, priority: u8, addresses: Vec<IpAddr>) -> Datagram {
    let router = router();
    let envelope = Envelope::multicast(PEER);
    let advert = Advert {
        version: router.version,
        vrid,
        priority: Priority::new(priority),
        interval: router.interval,
        auth: Auth::None,
        addresses: Addresses::new(addresses).unwrap(),
    };
    let payload = emit(&advert, &envelope, Checksum::PseudoHeader);
    assert_eq!(Family::of(PEER), Family::V4);
    Datagram { envelope, payload }
}

pub(super) fn link(running: bool) -> Link {
    Link {
        index: INTERFACE,
        name: "eth0".to_owned(),
        mac: None,
        up: running,
        running,
        role: Role::Host,
        succession: Succession::Promoted,
    }
}

pub(super) fn present() -> Present {
    let held = Held {
        interface: INTERFACE,
        address: virtual_address(),
    };
    Present {
        ours: true,
        secondary: true,
        label: Some("eth0".to_owned()),
        ..Present::shown(held, Some(86), 1)
    }
}
