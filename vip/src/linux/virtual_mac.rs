//! The interface that has a router's virtual hardware address (RFC 9568 section 7.3): a
//! macvlan on the router's own, up only while the router is Active.
//!
//! A Backup must not take frames that go to that address (RFC 9568 section 6.4.2). While the
//! interface is down it is not there for the wire: nothing is answered, forwarded or sent
//! from it, and the adverts of the Active, which come from the same hardware address, arrive
//! at the router's own interface like any others. While it is up, such frames arrive here.
//!
//! The router's own interface must neither answer ARP for the virtual addresses nor ask in
//! their name: that would tell neighbours its own hardware address. What it did before
//! stands in the alias of the macvlan, where a start after a crash finds it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use vrrp::Family;

use super::links::Link;
use super::macvlan::{ArpRules, Macvlan, Setting, Turn};
use super::netlink::{Netlink, RequestError};
use super::open::{self, OpenError};
use crate::config::{Router, VirtualMac};

/// How long after the addresses the interface goes. Longer than they take to be held
/// elsewhere, shorter than anybody looks.
const SETTLE: Duration = Duration::from_millis(500);

/// How the alias of each begins.
const MARK: &str = "sternpost vip-daemon";

/// Answer only for addresses of this interface; ask only in the name of one of them.
const STRICT: ArpRules = ArpRules {
    ignore: 1,
    announce: 2,
};

/// What becomes of what is there.
#[derive(Debug, PartialEq, Eq)]
enum Find {
    /// There is nothing.
    Nothing,
    /// It is what is wanted, left by a run before, or by a keepalived.
    Wanted(u32),
    /// A run before with another configuration has left it.
    Stale(u32),
    /// It is somebody else's.
    Taken,
}

/// What the router's own interface did with ARP before; nothing where that stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Before(Option<ArpRules>);

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
    let before = remembered(&netlink.macvlans()?, base.index).or(known.0);
    let mac = router.virtual_mac_address();
    match found {
        Find::Wanted(_) => {}
        Find::Nothing | Find::Taken => {
            netlink.make_macvlan(base.index, &wanted.name, mac)?;
        }
        Find::Stale(index) => {
            netlink.delete_link(index)?;
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
            let now = netlink.arp_rules(base.index)?.unwrap_or_default();
            let before = before.unwrap_or(now);
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
            rule(netlink, base.index, strict(before))?;
            Some(before)
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
    let ours = all.iter().find(is_ours);
    if let Some(ours) = ours {
        netlink.delete_link(ours.index)?;
    }
    let base = netlink.link(&router.interface)?.map(|link| link.index);
    let (Some(base), Some(before)) = (base, ours.and_then(before).or(known.0)) else {
        return Ok(());
    };
    // Asked now: other routers may have removed theirs at the same time as this one, and
    // whoever is the last sees nobody.
    let left = netlink.macvlans()?;
    let mut others = left
        .iter()
        .filter(|it| Some(it.index) != ours.map(|it| it.index));
    let shared = others.any(|it| it.base == Some(base) && remembers(it));
    // Whoever has changed it meanwhile meant that.
    if !shared && netlink.arp_rules(base)? == Some(strict(before)) {
        rule(&mut netlink, base, before)?;
    }
    Ok(())
}

/// Sets the interface down when it is not wanted any more, a while after the addresses have
/// left it. The kernel waits for every CPU then, some twenty milliseconds in which nothing
/// else can be asked of it: not while the addresses are on their way to another node, and not
/// on the adverts' thread. Ends when `wanted` does.
pub(super) async fn lower(index: u32, family: Family, mut wanted: watch::Receiver<Turn>) {
    let settle = match family {
        Family::V4 => SETTLE,
        // The kernel says again and again that it leaves the address's group (RFC 3810
        // section 6.1), which tells switches that the hardware address is here.
        Family::V6 => Duration::ZERO,
    };
    loop {
        let is_down = |turn: &Turn| *turn == Turn::Down;
        if wanted.wait_for(is_down).await.is_err() {
            return;
        }
        let again = wanted.wait_for(|turn| !is_down(turn));
        match timeout(settle, again).await {
            Ok(Ok(_)) => continue,
            Ok(Err(_)) => return,
            Err(_) => {}
        }
        let seen = wanted.clone();
        // What fails is tried again with the next move. It is up, and holds no address.
        drop(spawn_blocking(move || lowered(index, &seen)).await);
        if wanted.wait_for(|turn| !is_down(turn)).await.is_err() {
            return;
        }
    }
}

fn lowered(index: u32, wanted: &watch::Receiver<Turn>) -> Result<(), RequestError> {
    let mut netlink = Netlink::open()?;
    netlink.turn(index, Turn::Down)?;
    // The addresses have come back meanwhile.
    match *wanted.borrow() {
        Turn::Up => netlink.turn(index, Turn::Up),
        Turn::Down => Ok(()),
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
        found @ (Find::Nothing | Find::Wanted(_) | Find::Stale(_)) => Ok(found),
    }
}

/// `named`: there is an interface of that name, of whatever kind.
fn find(all: &[Macvlan], named: bool, base: u32, name: &str, mac: [u8; 6]) -> Find {
    let is_wanted = |it: &Macvlan| it.base == Some(base) && it.mac == Some(mac);
    match all.iter().find(|it| it.name == name) {
        // Without our mark, one as keepalived makes them; others are made by hand.
        Some(it) if is_wanted(it) && it.private => return Find::Wanted(it.index),
        Some(it) if is_marked(it) => return Find::Stale(it.index),
        Some(_) => return Find::Taken,
        None if named => return Find::Taken,
        None => {}
    }
    // Two with one hardware address cannot be up on one wire.
    let mut same = all.iter().filter(|it| is_wanted(it) && is_marked(it));
    same.next()
        .map_or(Find::Nothing, |it| Find::Stale(it.index))
}

fn is_marked(macvlan: &Macvlan) -> bool {
    let alias = macvlan.alias.as_ref();
    alias.is_some_and(|alias| alias.starts_with(MARK))
}

fn alias(before: ArpRules) -> String {
    let ArpRules { ignore, announce } = before;
    format!("{MARK} arp_ignore={ignore} arp_announce={announce}")
}

/// What stands in the alias.
fn before(macvlan: &Macvlan) -> Option<ArpRules> {
    let values = macvlan.alias.as_ref()?.strip_prefix(MARK)?;
    let value = |name: &str| {
        let mut words = values.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    };
    Some(ArpRules {
        ignore: value("arp_ignore")?,
        announce: value("arp_announce")?,
    })
}

fn remembers(macvlan: &Macvlan) -> bool {
    before(macvlan).is_some()
}

/// What the interface did before the first of ours came.
fn remembered(all: &[Macvlan], base: u32) -> Option<ArpRules> {
    let here = all.iter().filter(|it| it.base == Some(base));
    here.filter_map(before).next()
}

/// What is stricter already stays as it is.
fn strict(before: ArpRules) -> ArpRules {
    ArpRules {
        ignore: before.ignore.max(STRICT.ignore),
        announce: before.announce.max(STRICT.announce),
    }
}

fn rule(netlink: &mut Netlink, index: u32, rules: ArpRules) -> Result<(), RequestError> {
    netlink.set_inet(
        index,
        &[
            (Setting::ArpIgnore, rules.ignore),
            (Setting::ArpAnnounce, rules.announce),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let other = [2, 0, 0, 0, 0, 1];
        for (there, found) in [
            (there("vrrp.51", 2, MAC, Some(MARK)), Find::Wanted(9)),
            // Of a keepalived that was here.
            (there("vrrp.51", 2, MAC, None), Find::Wanted(9)),
            (there("vrrp.51", 3, MAC, Some(MARK)), Find::Stale(9)),
            (there("vrrp.51", 2, other, Some(MARK)), Find::Stale(9)),
            (there("vrrp.51", 2, other, None), Find::Taken),
            (there("vrrp.51", 2, other, Some("a friend's")), Find::Taken),
            // Of a run with another name in the file.
            (there("virtual", 2, MAC, Some(MARK)), Find::Stale(9)),
            (there("virtual", 2, MAC, None), Find::Nothing),
            (there("virtual", 3, MAC, Some(MARK)), Find::Nothing),
        ] {
            let named = there.name == "vrrp.51";
            let all = [there];
            assert_eq!(find(&all, named, 2, "vrrp.51", MAC), found, "{all:?}");
        }
        for (alias, found) in [(None, Find::Taken), (Some(MARK), Find::Stale(9))] {
            let mut by_hand = there("vrrp.51", 2, MAC, alias);
            by_hand.private = false;
            assert_eq!(
                find(&[by_hand], true, 2, "vrrp.51", MAC),
                found,
                "{alias:?}"
            );
        }
        assert_eq!(
            find(&[], true, 2, "vrrp.51", MAC),
            Find::Taken,
            "no macvlan"
        );
    }

    #[test]
    fn the_alias_says_what_was_before() {
        let rules = ArpRules {
            ignore: 0,
            announce: 1,
        };
        let it = there("vrrp.51", 2, MAC, Some(&alias(rules)));
        assert_eq!(before(&it), Some(rules));
        let all = [it];
        assert_eq!(remembered(&all, 2), Some(rules));
        assert_eq!(remembered(&all, 3), None);
        for text in [None, Some(MARK), Some("arp_ignore=0 arp_announce=0")] {
            assert_eq!(before(&there("vrrp.51", 2, MAC, text)), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_stricter_already_stays() {
        for (ignore, announce, wanted) in [(0, 0, (1, 2)), (2, 1, (2, 2)), (8, 2, (8, 2))]
        {
            let ArpRules { ignore, announce } = strict(ArpRules { ignore, announce });
            assert_eq!((ignore, announce), wanted);
        }
    }
}
