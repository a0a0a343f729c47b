//! What the policy is asked about a request, and with which facts.

use std::collections::BTreeSet;
use std::time::SystemTime;

use policy::{
    Access, Explanation, Facts, Inventory, Known, Question, Requester, Settings, Verdict,
};

use super::index::sibling_key;
use super::{Book, Entry, Kind, Seen, Turn};

impl Book {
    /// Decides about `name` with `access` as the answer of the API, if it was asked.
    pub fn decide(
        &self,
        name: &str,
        settings: &Settings,
        inventory: Option<&Inventory>,
        access: impl FnOnce(&Seen, Access) -> Known<bool>,
        now: SystemTime,
    ) -> Option<(Verdict, Option<Access>)> {
        self.question(name, settings, inventory, access, now, |question| {
            (policy::decide(question), question.access())
        })
    }

    /// The same with what every rule finds.
    pub fn explain(
        &self,
        name: &str,
        settings: &Settings,
        inventory: Option<&Inventory>,
        access: impl FnOnce(&Seen, Access) -> Known<bool>,
        now: SystemTime,
    ) -> Option<Explanation> {
        self.question(name, settings, inventory, access, now, policy::explain)
    }

    fn question<T>(
        &self,
        name: &str,
        settings: &Settings,
        inventory: Option<&Inventory>,
        access: impl FnOnce(&Seen, Access) -> Known<bool>,
        now: SystemTime,
        then: impl FnOnce(&Question<'_>) -> T,
    ) -> Option<T> {
        let entry = self.requests.get(name)?;
        let request = entry.content.whole()?;
        let submitted = &entry.seen.submitted;
        let mut question = Question {
            submitted,
            request,
            facts: self.facts(entry, settings, inventory, now),
            settings,
            now,
        };
        question.facts.access = match question.access() {
            Some(which) => access(&entry.seen, which),
            None => Known::Unknown("not asked"),
        };
        Some(then(&question))
    }

    fn facts<'a>(
        &'a self,
        entry: &'a Entry,
        settings: &Settings,
        inventory: Option<&'a Inventory>,
        now: SystemTime,
    ) -> Facts<'a> {
        let seen = |kind: Kind| self.whole.contains(&kind);
        let submitted = &entry.seen.submitted;
        let others = seen(Kind::Requests) && !self.shelf.hides(&submitted.username);
        let unseen = if seen(Kind::Requests) {
            "the requester has more than are held"
        } else {
            "not all requests were seen yet"
        };
        let token = match Requester::of(submitted, settings) {
            Requester::Token(id) => self.tokens.get(id).map(|(token, _)| token),
            Requester::Node(_)
            | Requester::Bootstrapper(_)
            | Requester::Incomplete(_)
            | Requester::Unknown => None,
        };
        let known_nodes = seen(Kind::Nodes) && seen(Kind::Leases);
        Facts {
            nodes: known(known_nodes, &self.nodes, "not all Nodes were seen yet"),
            token: known(seen(Kind::Tokens), token, "not all tokens were seen yet"),
            access: Known::Unknown("not asked"),
            key_users: known(others, self.key_users(entry), unseen),
            ahead: known(
                seen(Kind::Requests),
                self.ahead(entry, settings, now),
                "not all requests were seen yet",
            ),
            superseded_by: self.superseded_by(entry),
            rivals: known(others, self.rivals(entry, settings), unseen),
            inventory,
        }
    }

    /// The nodes for which its key was used before it.
    fn key_users(&self, entry: &Entry) -> BTreeSet<&str> {
        let key = entry.content.key();
        key.map_or_else(BTreeSet::new, |key| self.keys.before(key, entry.turn))
    }

    /// Those that came before it, newest first, and no further than the quota: a flood
    /// must not cost a look at all of it each time.
    fn ahead(&self, entry: &Entry, settings: &Settings, now: SystemTime) -> usize {
        let since = now.checked_sub(settings.quota.window);
        let since = since.unwrap_or(SystemTime::UNIX_EPOCH);
        let submitted = &entry.seen.submitted;
        let own: Turn = (entry.turn, submitted.name.clone());
        let Some(counting) = self.counting.get(&submitted.username) else {
            return 0;
        };
        let ahead = counting.range(..own).rev();
        ahead
            .filter_map(|(_, name)| self.requests.get(name))
            .take_while(|other| other.seen.submitted.created >= since)
            .take(settings.quota.requests)
            .count()
    }

    fn superseded_by(&self, entry: &Entry) -> Option<&str> {
        let key = sibling_key(&entry.seen, entry.content.node()?);
        let siblings = self.siblings.get(&key)?;
        let (created, name) = siblings.last()?;
        // Times are whole seconds: which of two of one second is the newer is not known.
        (*created > entry.seen.submitted.created).then_some(name.as_str())
    }
}

fn known<T>(is_known: bool, fact: T, why: &'static str) -> Known<T> {
    if is_known {
        Known::Known(fact)
    } else {
        Known::Unknown(why)
    }
}
