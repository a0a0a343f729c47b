//! Who gets the address: the peer that would become Active anyway.

use std::time::{Duration, Instant};

use super::Group;
use super::message::{Name, Ready, Standing};

/// A peer that was not heard for so long is not asked: four of its Hellos.
pub const SILENT: Duration = Duration::from_secs(2);

/// What is known of one peer.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its name.
    pub name: Name,
    /// When it said so.
    pub heard: Instant,
    /// How its routers stand.
    pub routers: Vec<Standing>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The group whose addresses move, by all its names.
    pub groups: &'a [Group],
    /// Only this node.
    pub to: Option<&'a Name>,
    /// Only a priority above this one.
    pub above: Option<u8>,
}

/// The peers to ask, best first: the highest priority, then the lowest name; each with what it
/// calls the group.
#[must_use]
pub fn successors(
    known: &[Known],
    wanted: Wanted<'_>,
    now: Instant,
) -> Vec<(Name, Group)> {
    let standing = |peer: &Known| {
        let fresh = now.saturating_duration_since(peer.heard) < SILENT;
        let named = wanted.to.is_none_or(|to| *to == peer.name);
        let mut routers = peer.routers.iter().filter(|_| fresh && named);
        routers
            .find(|router| {
                wanted.groups.contains(&router.group)
                    && router.ready == Ready::Yes
                    && wanted.above.is_none_or(|above| router.priority > above)
            })
            .map(|router| {
                let first = std::cmp::Reverse(router.priority);
                (first, peer.name.clone(), router.group)
            })
    };
    let mut found: Vec<_> = known.iter().filter_map(standing).collect();
    found.sort();
    found
        .into_iter()
        .map(|(_, name, group)| (name, group))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: Group = Group {
        vrid: 51,
        address: std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
    };

    fn peer(name: &str, heard: Instant, priority: u8, ready: Ready) -> Known {
        Known {
            name: Name::new(name).unwrap(),
            heard,
            routers: vec![Standing {
                group: GROUP,
                priority,
                ready,
            }],
        }
    }

    #[test]
    fn the_highest_that_is_ready_and_there_comes_first() {
        let start = Instant::now();
        let now = start + SILENT;
        let just = start + Duration::from_millis(1);
        let known = [
            peer("low", now, 50, Ready::Yes),
            peer("out", now, 250, Ready::No),
            peer("gone", start, 240, Ready::Yes),
            peer("high", just, 150, Ready::Yes),
            peer("also", now, 150, Ready::Yes),
        ];
        let to = Name::new("low");
        let other = Group { vrid: 52, ..GROUP };
        for (group, to, above, expected) in [
            (GROUP, None, None, "also high low"),
            (GROUP, None, Some(50), "also high"),
            (GROUP, None, Some(49), "also high low"),
            (GROUP, None, Some(150), ""),
            (GROUP, to.as_ref(), None, "low"),
            (GROUP, to.as_ref(), Some(50), ""),
            (other, None, None, ""),
        ] {
            let groups = &[group];
            let wanted = Wanted { groups, to, above };
            let found = successors(&known, wanted, now);
            let found: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(found.join(" "), expected, "{wanted:?}");
        }
    }
    /// A new address that was put in front here, or another order there, is the same group, by
    /// the name that both have for it.
    #[test]
    fn lists_that_share_an_address_are_one_group() {
        let named = |last: u8| Group {
            address: [10, 0, 0, last].into(),
            ..GROUP
        };
        let now = Instant::now();
        let mut known = [peer("m2", now, 100, Ready::Yes)];
        for (ours, theirs, called) in [
            (&[1, 2][..], &[1, 2][..], Some(1)),
            (&[9, 1], &[1], Some(1)),
            (&[1], &[9, 1], Some(1)),
            (&[1, 2], &[2, 1], Some(2)),
            (&[1, 2], &[3, 4], None),
        ] {
            let standing = known[0].routers[0];
            let told = theirs.iter().map(|last| Standing {
                group: named(*last),
                ..standing
            });
            known[0].routers = told.collect();
            let groups: Vec<_> = ours.iter().map(|last| named(*last)).collect();
            let wanted = Wanted {
                groups: &groups,
                to: None,
                above: None,
            };
            let found = successors(&known, wanted, now);
            let found = found.first().map(|(_, group)| *group);
            assert_eq!(found, called.map(named), "{ours:?} {theirs:?}");
        }
    }
}
