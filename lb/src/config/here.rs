//! Which addresses are this host's: a wildcard bind takes what is sent to any of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Addresses that no host has (RFC 1112 section 4, class E; RFC 6666): they can be bound
/// only where every address can.
const NOBODYS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(240, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1)),
];

/// Whether this host has the address. Asks the kernel without sending anything.
pub(super) fn is_ours(ip: IpAddr) -> bool {
    let binds_anything = NOBODYS
        .iter()
        .any(|nobodys| nobodys.is_ipv4() == ip.is_ipv4() && can_bind(*nobodys));
    ip.is_loopback()
        || if binds_anything {
            // ip_nonlocal_bind is set, as beside a keepalived.
            is_reached_from_itself(ip)
        } else {
            can_bind(ip)
        }
}

fn can_bind(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// A host speaks to its own address from that address.
fn is_reached_from_itself(ip: IpAddr) -> bool {
    let any = match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 1))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_host_and_of_others() {
        for (ip, expected) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("198.51.100.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_ours(ip.parse().unwrap()), expected, "{ip}");
        }
    }

    #[test]
    fn the_address_that_this_host_speaks_from_is_its_own() {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        // Without a route the host has no address but loopback, and nothing to tell apart.
        let source = socket
            .connect("198.51.100.1:1")
            .and_then(|()| socket.local_addr());
        let own = source.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |source| source.ip());
        assert!(is_ours(own), "{own}");
        assert!(is_reached_from_itself(own), "{own}");
        assert!(can_bind(own), "{own}");
        assert!(!is_reached_from_itself("198.51.100.1".parse().unwrap()));
    }
}
