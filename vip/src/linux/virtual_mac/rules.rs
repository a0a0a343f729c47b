//! What the router's own interface does with ARP beside a virtual hardware address, and what
//! it did before: that stands in the alias of the macvlan, where a start after a crash finds
//! it.

use crate::linux::macvlan::{ArpRules, Macvlan, Setting};
use crate::linux::netlink::{Netlink, RequestError};

/// How the alias of each of ours begins.
pub(super) const MARK: &str = "sternpost vip-daemon";

/// Answer only for addresses of this interface; ask only in the name of one of them.
pub(super) const STRICT: ArpRules = ArpRules {
    ignore: 1,
    announce: 2,
};

/// What an interface did with ARP before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Earlier {
    /// The number of the interface.
    pub(super) base: u32,
    /// What it did.
    pub(super) rules: ArpRules,
}

/// What the router's own interface did with ARP before; nothing where that stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Before(pub(super) Option<Earlier>);

impl Before {
    /// What is known of this interface; one that was made anew has settings of its own.
    pub(super) fn of(self, base: u32) -> Option<ArpRules> {
        let known = self.0.filter(|earlier| earlier.base == base);
        known.map(|earlier| earlier.rules)
    }
}

/// Is it one of ours?
pub(super) fn is_marked(macvlan: &Macvlan) -> bool {
    let alias = macvlan.alias.as_ref();
    alias.is_some_and(|alias| alias.starts_with(MARK))
}

/// The alias of one of ours.
pub(super) fn alias(before: ArpRules) -> String {
    let ArpRules { ignore, announce } = before;
    format!("{MARK} arp_ignore={ignore} arp_announce={announce}")
}

/// What stands in the alias.
pub(super) fn written(macvlan: &Macvlan) -> Option<Earlier> {
    let values = macvlan.alias.as_ref()?.strip_prefix(MARK)?;
    let value = |name: &str| {
        let mut words = values.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    };
    let rules = ArpRules {
        ignore: value("arp_ignore")?,
        announce: value("arp_announce")?,
    };
    let base = macvlan.base?;
    Some(Earlier { base, rules })
}

/// What the interface did before the first of ours came.
pub(super) fn remembered(all: &[Macvlan], base: u32) -> Option<ArpRules> {
    let mut all = all.iter().filter_map(written);
    let here = all.find(|earlier| earlier.base == base);
    here.map(|earlier| earlier.rules)
}

/// Has it do what a virtual hardware address on its wire asks for. What is stricter already
/// stays as it is.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn tighten(
    netlink: &mut Netlink,
    base: u32,
    before: ArpRules,
) -> Result<(), RequestError> {
    rule(netlink, base, strict(before))
}

/// Has it do what it did, when none of ours is left on it.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn restore(
    netlink: &mut Netlink,
    earlier: Earlier,
) -> Result<(), RequestError> {
    let Earlier { base, rules } = earlier;
    // Asked now: other routers may have removed theirs at the same time as this one, and
    // whoever is the last sees nobody.
    let shared = remembered(&netlink.macvlans()?, base).is_some();
    // Whoever has changed it meanwhile meant that.
    if !shared && netlink.arp_rules(base)? == Some(strict(rules)) {
        rule(netlink, base, rules)?;
    }
    Ok(())
}

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

    const RULES: ArpRules = ArpRules {
        ignore: 0,
        announce: 1,
    };

    fn with(base: Option<u32>, alias: Option<&str>) -> Macvlan {
        Macvlan {
            index: 9,
            name: "vrrp.51".to_owned(),
            base,
            mac: None,
            private: true,
            alias: alias.map(str::to_owned),
            up: false,
        }
    }

    #[test]
    fn the_alias_says_what_was_before() {
        let it = with(Some(2), Some(&alias(RULES)));
        let earlier = Earlier {
            base: 2,
            rules: RULES,
        };
        assert_eq!(written(&it), Some(earlier));
        let all = [it];
        assert_eq!(remembered(&all, 2), Some(RULES));
        assert_eq!(remembered(&all, 3), None);
        for text in [None, Some(MARK), Some("arp_ignore=0 arp_announce=0")] {
            assert_eq!(written(&with(Some(2), text)), None, "{text:?}");
        }
        assert_eq!(written(&with(None, Some(&alias(RULES)))), None);
    }

    #[test]
    fn what_is_known_of_one_interface_is_not_said_of_another() {
        let before = Before(written(&with(Some(2), Some(&alias(RULES)))));
        assert_eq!(before.of(2), Some(RULES));
        assert_eq!(before.of(3), None);
        assert_eq!(Before::default().of(2), None);
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
