//! What most likely is behind it: a function of what was collected.

use std::collections::BTreeMap;

use crate::agent::Pieces;
use crate::apply::cause;
use crate::preflight::{Finding, Weight};
use crate::status::Trouble;

/// Lines of a unit's journal that are looked at: its last words before it ended.
const LAST: usize = 40;

/// What is known of a cluster.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// What `status` says is not as it is to be.
    pub troubles: &'a [Trouble],
    /// What `preflight` says of the machines.
    pub findings: &'a [Finding],
    /// What was collected of each host.
    pub pieces: &'a BTreeMap<String, Pieces>,
}

/// A line for everything that is wrong, with its likely cause where it is known; what is
/// behind others comes first.
#[must_use]
pub fn causes(seen: &Seen<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let blocks = seen.findings.iter();
    let blocks = blocks.filter(|one| one.what.weight() == Weight::Blocks);
    all.extend(
        blocks
            .map(|Finding { host, what }| format!("{host}: {what}; {}", what.way_out())),
    );
    let silent = |one: &&Trouble| matches!(one, Trouble::Silent { .. });
    let (silent, others): (Vec<_>, Vec<_>) = seen.troubles.iter().partition(silent);
    all.extend(silent.into_iter().map(ToString::to_string));
    all.extend(others.into_iter().map(|trouble| match trouble {
        Trouble::Unit { host, unit, .. } => match last_words(seen, host, unit) {
            Some(cause) => format!("{trouble}; likely: {cause}"),
            None => trouble.to_string(),
        },
        Trouble::Silent { .. }
        | Trouble::Mute { .. }
        | Trouble::Nobody { .. }
        | Trouble::Several { .. }
        | Trouble::Server { .. }
        | Trouble::Node { .. }
        | Trouble::Leaderless { .. }
        | Trouble::Clusters { .. }
        | Trouble::Keeper { .. }
        | Trouble::Certificate { .. } => trouble.to_string(),
    }));
    all
}

/// The cause that the end of a unit's journal leads to.
fn last_words(seen: &Seen<'_>, host: &str, unit: &str) -> Option<&'static str> {
    let text = seen.pieces.get(host)?.get(&format!("units/{unit}.log"))?;
    let mut lines: Vec<_> = text.lines().rev().take(LAST).map(str::to_owned).collect();
    lines.reverse();
    cause(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::What;

    #[test]
    fn a_cause_is_named_where_the_last_words_lead_to_one() {
        let unit = |unit: &str| Trouble::Unit {
            host: "m1".to_owned(),
            unit: unit.to_owned(),
            state: "failed/failed".to_owned(),
        };
        let silent = Trouble::Silent {
            host: "m2".to_owned(),
            error: "no route to host".to_owned(),
        };
        let old = "mmap: no space left on device\n".to_owned() + &"x\n".repeat(LAST);
        let pieces = BTreeMap::from([(
            "m1".to_owned(),
            Pieces::from([
                (
                    "units/etcd.service.log".to_owned(),
                    "bind: address already in use\n".to_owned(),
                ),
                ("units/kubelet.service.log".to_owned(), old),
            ]),
        )]);
        let findings = [Finding {
            host: "m1".to_owned(),
            what: What::OtherMachine("192.0.2.1".to_owned()),
        }];
        let troubles = [unit("etcd.service"), unit("kubelet.service"), silent];
        let said = causes(&Seen {
            troubles: &troubles,
            findings: &findings,
            pieces: &pieces,
        });
        assert!(said[0].starts_with("m1: none of its interfaces has 192.0.2.1"));
        assert_eq!(said[1], "m2: it does not answer: no route to host");
        assert_eq!(
            said[2],
            "m1: etcd.service: failed/failed; likely: another program has its port; \
             \"ss -ltnp\" on that host names it"
        );
        assert_eq!(said[3], "m1: kubelet.service: failed/failed");
        assert_eq!(said.len(), 4);
    }
}
