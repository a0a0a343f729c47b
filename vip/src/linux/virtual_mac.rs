//! The interface that has a router's virtual hardware address (RFC 9568 section 7.3): a
//! macvlan on the router's own, up only while the router is Active.
//!
//! A Backup must not take frames that go to that address (RFC 9568 section 6.4.2). While the
//! interface is down it is not there for the wire: nothing is answered, forwarded or sent
//! from it, and the adverts of the Active, which come from the same hardware address, arrive
//! at the router's own interface like any others. While it is up, such frames arrive here.
//!
//! The router's own interface must neither answer ARP for the virtual addresses nor ask in
//! their name: that would tell neighbours its own hardware address ([`rules`]).

mod lower;
mod rules;

use vrrp::Family;

use super::links::Link;
use super::macvlan::{Macvlan, Setting, Turn};
use super::netlink::{Netlink, RequestError};
use super::open::{self, OpenError};
use crate::config::{Router, VirtualMac};
use rules::{Earlier, MARK, STRICT, alias, is_marked, remembered, written};

pub(super) use lower::lower;
pub use rules::Before;

/// How the names begin that keepalived gives: `vrrp.VRID`, also over IPv6 while it is free,
/// `vrrp6.VRID`, and with a number behind that where both are taken.
const KEEPALIVED_S: &str = "vrrp";

/// What becomes of what is there.
#[derive(Debug, PartialEq, Eq)]
enum Find {
    /// There is nothing.
    Nothing,
    /// It is what is wanted, left by a run before, or by a keepalived.
    Wanted,
    /// A run before with another configuration has left it, or a keepalived under another
    /// name.
    Stale(Macvlan),
    /// It is somebody else's.
    Taken,
}

/// Makes the interface, or takes over the one that is there. It is down afterwards, unless
/// an address of ours is on it. `known`: what was before, if this is not the first time; the
/// alias is gone with an interface that somebody has deleted.
///
/// # Errors
/// [`OpenError::Taken`], [`OpenError::Netlink`].
pub(super) fn prepare(
    netlink: &mut Netlink,
    router: &Router,
    wanted: &VirtualMac,
    known: Before,
) -> Result<Before, OpenError> {
    let base = open::find(netlink, router, &router.interface)?;
    let found = check(netlink, router, wanted, &base)?;
    // Asked first: another router that makes its own beside this one writes down what was
    // before, and only then changes it.
    let rules = netlink.arp_rules(base.index)?.unwrap_or_default();
    let before = remembered(&netlink.macvlans()?, base.index).or(known.of(base.index));
    let mac = router.virtual_mac_address();
    match found {
        Find::Wanted => {}
        Find::Nothing | Find::Taken => {
            netlink.make_macvlan(base.index, &wanted.name, mac)?;
        }
        Find::Stale(stale) => {
            discard(netlink, &stale, known)?;
            netlink.make_macvlan(base.index, &wanted.name, mac)?;
        }
    }
    let made = open::find(netlink, router, &wanted.name)?;
    let before = match router.family() {
        Family::V6 => {
            netlink.mark(made.index, MARK)?;
            None
        }
        Family::V4 => {
            let before = before.unwrap_or(rules);
            netlink.mark(made.index, &alias(before))?;
            netlink.set_inet(
                made.index,
                &[
                    (Setting::ArpIgnore, STRICT.ignore),
                    (Setting::ArpAnnounce, STRICT.announce),
                    // Whoever asks is reached through the router's own interface.
                    (Setting::RpFilter, 0),
                    (Setting::AcceptLocal, 1),
                    (Setting::PromoteSecondaries, 1),
                ],
            )?;
            rules::tighten(netlink, base.index, before)?;
            let base = base.index;
            Some(Earlier {
                base,
                rules: before,
            })
        }
    };
    let present = netlink.addresses(made.index)?;
    if made.up && !present.iter().any(|there| there.ours) {
        netlink.turn(made.index, Turn::Down)?;
    }
    Ok(Before(before))
}

/// Deletes the interface, and gives the router's own back what it did with ARP when this was
/// the last one on it. `known`: what [`prepare`] returned, for when somebody has deleted it.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn remove(
    router: &Router,
    wanted: &VirtualMac,
    known: Before,
) -> Result<(), RequestError> {
    let mut netlink = Netlink::open()?;
    let all = netlink.macvlans()?;
    let mac = Some(router.virtual_mac_address());
    let is_ours =
        |it: &&Macvlan| it.name == wanted.name && it.mac == mac && is_marked(it);
    match (all.iter().find(is_ours), known.0) {
        (Some(ours), _) => discard(&mut netlink, ours, known),
        (None, Some(earlier)) => rules::restore(&mut netlink, earlier),
        (None, None) => Ok(()),
    }
}

/// Deletes what runs with other configurations have left. One daemon runs in a network
/// namespace, so what carries our mark and belongs to none of its routers is nobody's.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn sweep(routers: &[Router]) -> Result<(), RequestError> {
    let mut netlink = Netlink::open()?;
    let all = netlink.macvlans()?;
    let links = netlink.links()?;
    for stray in all.iter().filter(|it| is_stray(it, routers, &links)) {
        let interface = &stray.name;
        tracing::info!(
            interface,
            "deleted: left by a run with another configuration"
        );
        discard(&mut netlink, stray, Before::default())?;
    }
    Ok(())
}

/// Is it ours, and of none of these routers?
fn is_stray(macvlan: &Macvlan, routers: &[Router], links: &[Link]) -> bool {
    let of = |router: &Router| {
        let mut links = links.iter();
        let base = links.find(|link| link.name == router.interface);
        let wanted = router.virtual_mac.as_ref();
        wanted.is_some_and(|wanted| wanted.name == macvlan.name)
            && macvlan.mac == Some(router.virtual_mac_address())
            && base.is_some_and(|base| macvlan.base == Some(base.index))
    };
    is_marked(macvlan) && !routers.iter().any(of)
}

/// Deletes one, and has the interface it was on do what it did, if this was the last there.
fn discard(
    netlink: &mut Netlink,
    macvlan: &Macvlan,
    known: Before,
) -> Result<(), RequestError> {
    netlink.delete_link(macvlan.index)?;
    match written(macvlan).or(known.0) {
        Some(earlier) => rules::restore(netlink, earlier),
        None => Ok(()),
    }
}

/// Whether [`prepare`] would do. Changes nothing.
///
/// # Errors
/// [`OpenError::Taken`], [`OpenError::Netlink`].
pub(super) fn would_do(
    netlink: &mut Netlink,
    router: &Router,
    wanted: &VirtualMac,
) -> Result<(), OpenError> {
    let base = open::find(netlink, router, &router.interface)?;
    check(netlink, router, wanted, &base).map(drop)
}

fn check(
    netlink: &mut Netlink,
    router: &Router,
    wanted: &VirtualMac,
    base: &Link,
) -> Result<Find, OpenError> {
    let all = netlink.macvlans()?;
    let names = netlink.links()?;
    let named = names.iter().any(|link| link.name == wanted.name);
    let mac = router.virtual_mac_address();
    match find(&all, named, base.index, &wanted.name, mac) {
        Find::Taken => Err(OpenError::Taken {
            router: router.name.clone(),
            interface: wanted.name.clone(),
        }),
        found @ (Find::Nothing | Find::Wanted | Find::Stale(_)) => Ok(found),
    }
}

/// `named`: there is an interface of that name, of whatever kind.
fn find(all: &[Macvlan], named: bool, base: u32, name: &str, mac: [u8; 6]) -> Find {
    let is_wanted = |it: &Macvlan| it.base == Some(base) && it.mac == Some(mac);
    match all.iter().find(|it| it.name == name) {
        // Without our mark, one as keepalived makes them; others are made by hand.
        Some(it) if is_wanted(it) && it.private => return Find::Wanted,
        Some(it) if is_marked(it) => return Find::Stale(it.clone()),
        Some(_) => return Find::Taken,
        None if named => return Find::Taken,
        None => {}
    }
    // Two with one hardware address cannot be up on one wire.
    let is_old =
        |it: &Macvlan| is_marked(it) || (it.private && it.name.starts_with(KEEPALIVED_S));
    let mut same = all.iter().filter(|it| is_wanted(it) && is_old(it));
    same.next()
        .map_or(Find::Nothing, |it| Find::Stale(it.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::linux::nd::Role;
    use crate::linux::order::Succession;

    const MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 51];

    fn there(name: &str, base: u32, mac: [u8; 6], alias: Option<&str>) -> Macvlan {
        Macvlan {
            index: 9,
            name: name.to_owned(),
            base: Some(base),
            mac: Some(mac),
            private: true,
            alias: alias.map(str::to_owned),
            up: false,
        }
    }

    #[test]
    fn what_is_there_is_taken_over_replaced_or_left_alone() {
        enum Becomes {
            Wanted,
            Stale,
            Taken,
            Nothing,
        }
        use Becomes::{Nothing, Stale, Taken, Wanted};
        let other = [2, 0, 0, 0, 0, 1];
        for (there, becomes) in [
            (there("vrrp.51", 2, MAC, Some(MARK)), Wanted),
            // Of a keepalived that was here.
            (there("vrrp.51", 2, MAC, None), Wanted),
            (there("vrrp.51", 3, MAC, Some(MARK)), Stale),
            (there("vrrp.51", 2, other, Some(MARK)), Stale),
            (there("vrrp.51", 2, other, None), Taken),
            (there("vrrp.51", 2, other, Some("a friend's")), Taken),
            // Of a run with another name in the file.
            (there("virtual", 2, MAC, Some(MARK)), Stale),
            // Of a keepalived that found the first name taken.
            (there("vrrp.51.1", 2, MAC, None), Stale),
            (there("virtual", 2, MAC, None), Nothing),
            (there("virtual", 3, MAC, Some(MARK)), Nothing),
        ] {
            let named = there.name == "vrrp.51";
            let all = [there.clone()];
            let found = match becomes {
                Wanted => Find::Wanted,
                Stale => Find::Stale(there),
                Taken => Find::Taken,
                Nothing => Find::Nothing,
            };
            assert_eq!(find(&all, named, 2, "vrrp.51", MAC), found, "{all:?}");
        }
    }

    #[test]
    fn what_is_made_by_hand_is_left_alone() {
        for alias in [None, Some(MARK)] {
            let mut by_hand = there("vrrp.51", 2, MAC, alias);
            by_hand.private = false;
            let found = match alias {
                None => Find::Taken,
                Some(_) => Find::Stale(by_hand.clone()),
            };
            assert_eq!(find(&[by_hand], true, 2, "vrrp.51", MAC), found);
        }
        let by_hand = Macvlan {
            private: false,
            ..there("vrrp.51.1", 2, MAC, None)
        };
        assert_eq!(find(&[by_hand], false, 2, "vrrp.51", MAC), Find::Nothing);
        assert_eq!(
            find(&[], true, 2, "vrrp.51", MAC),
            Find::Taken,
            "no macvlan"
        );
    }

    #[test]
    fn what_no_router_has_is_a_stray() {
        let text = "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n\
                    - {name: api, interface: eth0, vrid: 51, virtualMac: {}, \
                       addresses: [\"10.55.0.100/24\"]}\n\
                    - {name: web, interface: eth0, vrid: 52, \
                       addresses: [\"10.55.0.101/24\"]}\n";
        let routers = Config::parse("test.yaml", text).unwrap().routers;
        let links = [Link {
            index: 2,
            name: "eth0".to_owned(),
            mac: None,
            up: true,
            running: true,
            role: Role::Host,
            succession: Succession::Lost,
        }];
        let another = [0, 0, 0x5e, 0, 1, 52];
        for (there, stray) in [
            (there("vrrp.51", 2, MAC, Some(MARK)), false),
            // On another interface, under another name, of another router.
            (there("vrrp.51", 3, MAC, Some(MARK)), true),
            (there("virtual", 2, MAC, Some(MARK)), true),
            (there("vrrp.51", 2, another, Some(MARK)), true),
            // One that has no virtual hardware address any more.
            (there("vrrp.52", 2, another, Some(MARK)), true),
            (there("vrrp.52", 2, another, None), false),
        ] {
            assert_eq!(is_stray(&there, &routers, &links), stray, "{there:?}");
            let without = there.alias.is_some();
            assert_eq!(is_stray(&there, &[], &links), without, "{there:?}");
        }
    }
}
