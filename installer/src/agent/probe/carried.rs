//! What the firewall of this machine has yet to be told so that it hands on packets of Pods. It is
//! asked for what it was told, which is nobody's but its own to know; nothing is changed.

use std::fs;
use std::path::Path;

use super::filter;
use crate::agent::files::below;
use crate::flows::firewall::{Firewall, Words};
use crate::flows::{Carried, Carrying, Listing, Verdict, ufw};

/// Rules of ufw by whoever knows how, before and after its own.
const BY_HAND: [&str; 4] = [
    "/etc/ufw/before.rules",
    "/etc/ufw/before6.rules",
    "/etc/ufw/after.rules",
    "/etc/ufw/after6.rules",
];

/// What becomes of packets of a network without a command line.
type Judge<'a> = Box<dyn Fn(&str, &Words) -> Verdict + 'a>;

/// What is missing, and what may be.
pub(in crate::agent) fn carried(root: &Path, pods: &Carrying) -> Carried {
    let firewall = filter::look(root);
    let mut all = Carried::default();
    let judge: Judge<'_> = match firewall {
        Firewall::Firewalld(_) => Box::new(firewalld(root, pods)),
        Firewall::Ufw | Firewall::OldUfw => Box::new(of_ufw(root, pods)),
        Firewall::None | Firewall::Iptables | Firewall::Nftables(_) => {
            all.doubtful = of_others(root, pods);
            return all;
        }
    };
    for (net, words) in firewall.carry(&pods.networks) {
        match judge(net, &words) {
            Verdict::Passes => {}
            Verdict::Perhaps => all.doubtful.push(words),
            Verdict::Kept => all.unsaid.push(words),
        }
    }
    all
}

/// What rules by hand, or Docker's, drop of what is handed on, unless they name the network; which
/// rules of theirs let it through all the same is not understood.
fn of_others(root: &Path, pods: &Carrying) -> Vec<Words> {
    let drops = filter::drops(root).into_iter();
    let all = drops.flat_map(|chain| {
        let table = ["list", "table", &*chain.family, &*chain.table];
        let rules = filter::said(root, "nft", &table).unwrap_or_default();
        let fits = pods.networks.iter().filter(|net| chain.sees(net));
        let lines = fits.flat_map(|net| chain.hand_on(net, &rules));
        lines.collect::<Vec<_>>()
    });
    all.collect()
}

/// A firewalld has two memories: what holds now, and what its next start brings.
fn firewalld<'a>(
    root: &Path,
    pods: &'a Carrying,
) -> impl Fn(&str, &Words) -> Verdict + 'a {
    let said = |arguments: &[&str]| filter::said(root, "firewall-cmd", arguments);
    let text = |arguments: &[&str]| said(arguments).unwrap_or_default();
    let default = text(&["--get-default-zone"]);
    let memory = |which: &[&str]| {
        let of = |what: &[&str]| text(&[which, what].concat());
        [
            of(&["--list-all-zones"]),
            of(&["--list-all-policies"]),
            of(&["--direct", "--get-all-rules"]),
        ]
    };
    let (now, kept) = (memory(&[]), memory(&["--permanent"]));
    move |net, words| {
        let lasts = words.get(1).is_some_and(|word| word == "--permanent");
        let [zones, policies, direct] = if lasts { &kept } else { &now };
        let (zones, policies, direct) = (zones, policies, direct);
        let listing = Listing {
            zones,
            policies,
            direct,
            default: &default,
        };
        listing.judge(net, pods)
    }
}

fn of_ufw<'a>(root: &Path, pods: &'a Carrying) -> impl Fn(&str, &Words) -> Verdict + 'a {
    let read = |path: &str| fs::read_to_string(below(root, path)).unwrap_or_default();
    let policies = read("/etc/default/ufw");
    let by_hand: Vec<_> = BY_HAND.iter().map(|path| read(path)).collect();
    let by_hand = by_hand.join("\n");
    let added = filter::said(root, "ufw", &["show", "added"]).unwrap_or_default();
    move |_, words| {
        let policy = match words.get(1).is_some_and(|word| word == "route") {
            true => "DEFAULT_FORWARD_POLICY",
            false => "DEFAULT_INPUT_POLICY",
        };
        match accepts(&policies, policy) {
            true => Verdict::Passes,
            false => ufw(words, pods, &added, &by_hand),
        }
    }
}

/// Whether ufw lets everything pass there: `DEFAULT_FORWARD_POLICY="ACCEPT"`.
fn accepts(policies: &str, policy: &str) -> bool {
    let mut set = policies
        .lines()
        .filter_map(|line| line.trim().split_once('='));
    let value = set
        .find(|(name, _)| *name == policy)
        .map(|(_, value)| value);
    value.is_some_and(|value| value.trim_matches(['"', '\'']) == "ACCEPT")
}
