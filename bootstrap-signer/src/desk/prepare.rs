//! What a decision writes besides itself: the name it gives away, the token it uses up.

use policy::{Decision, Known, Reason, Requester, Settings, Uses, Verdict};

use super::Desk;
use crate::act::{Act, Believed, Claim, Join};
use crate::book::Seen;

impl Desk {
    pub(super) fn act(&self, seen: Seen, verdict: Verdict, settings: &Settings) -> Act {
        let approves = verdict.decision() == Decision::Approve;
        Act {
            join: (verdict.reason == Reason::NewNode)
                .then(|| self.join(&seen))
                .flatten(),
            token: approves.then(|| self.believed(&seen, settings)).flatten(),
            claim: approves.then(|| self.claim(&seen, settings)).flatten(),
            seen,
            verdict,
        }
    }

    fn join(&self, seen: &Seen) -> Option<Join> {
        let node = self.book.node(&seen.submitted.name)?;
        Some(Join {
            node: node.to_owned(),
            seen: self.book.node_called(node).cloned(),
        })
    }

    /// The token that asks, as the decision saw it.
    fn believed(&self, seen: &Seen, settings: &Settings) -> Option<Believed> {
        let Requester::Token(id) = Requester::of(&seen.submitted, settings) else {
            return None;
        };
        let (token, _) = self.book.token(id)?;
        Some(Believed {
            id: id.to_owned(),
            seen: token.clone(),
        })
    }

    /// A token with limits is claimed before it is used: two of us may decide at once. Uses
    /// are told apart by uid: names come again, and are the requester's own.
    fn claim(&self, seen: &Seen, settings: &Settings) -> Option<Claim> {
        let Requester::Token(id) = Requester::of(&seen.submitted, settings) else {
            return None;
        };
        let (token, ledger) = self.book.token(id)?;
        let Known::Known(limits) = &token.limits else {
            return None;
        };
        if limits.max_nodes.is_none() && limits.uses == Uses::Many {
            return None;
        }
        let node = self.book.node(&seen.submitted.name)?;
        let own = format!("{node}/{}", seen.submitted.uid);
        let mut uses: Vec<&str> = ledger
            .used_by
            .split(',')
            .filter(|each| !each.is_empty())
            .collect();
        if uses.contains(&own.as_str()) {
            return None;
        }
        // The same name again is no further use: without this, nodes that are made anew for
        // years would fill the annotation.
        let named = |each: &&str| each.split('/').next() == Some(node);
        if limits.uses == Uses::Many && uses.iter().any(named) {
            return None;
        }
        uses.push(&own);
        Some(Claim {
            id: id.to_owned(),
            version: ledger.version.clone(),
            used_by: uses.join(","),
        })
    }
}
