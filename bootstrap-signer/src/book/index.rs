//! Requests going into the book and out of it, and everything they are found by: their
//! turn, their requester's quota, their key, their node.

use std::collections::{BTreeMap, BTreeSet};

use policy::{Signer, State, Submitted};

use super::keys::Use;
use super::quota::counts;
use super::{At, Book, Content, Entry, Seen, Who};

impl Book {
    /// A request is there, or is different.
    pub(super) fn put_request(&mut self, seen: Seen) {
        let name = seen.submitted.name.clone();
        self.changing(&name, |book| book.place(seen));
    }

    fn place(&mut self, mut seen: Seen) {
        let name = seen.submitted.name.clone();
        let old = self.take_out(&name);
        let turn = old.as_ref().map_or(self.turns, |old| old.turn);
        self.turns += 1;
        let kept = self.kept.as_ref() == Some(&name);
        let before = self.make_way(old.as_ref(), &seen);
        let uid = &seen.submitted.uid;
        let old = old.filter(|old| old.seen.submitted.uid == *uid);
        let made = old.as_ref().map(|old| old.made);
        // What was changed while it was pending, a person changed; it goes to the end.
        let made = made.unwrap_or_else(|| seen.version.parse().unwrap_or(u64::MAX));
        let room = self.shelf.take(&seen, before);
        if room.is_none() && !kept {
            return;
        }
        // A request's content never changes. Also those that wait for their quota are read:
        // they stand in line for their names.
        let read = old.map(|old| old.content);
        let content = read.unwrap_or_else(|| Content::read(&seen.pem));
        let pending = seen.submitted.state == State::Pending;
        let content = if pending || kept {
            content
        } else {
            seen.submitted.usages = Vec::new();
            seen.extra.clear();
            content.digest()
        };
        seen.pem = Vec::new();
        if counts(&seen) {
            self.count_in(&seen.submitted.username, (turn, name.clone()));
        }
        if pending {
            self.pending.insert((turn, name.clone()));
        }
        let entry = Entry {
            seen,
            turn,
            content,
            weight: room.unwrap_or_default(),
            again: None,
            made,
        };
        self.index(&name, &entry);
        self.requests.insert(name.clone(), entry);
        self.ask(&name);
    }

    /// What of the requester's own is free again where `old` was. A name can come again, and
    /// be another requester's.
    fn make_way(&mut self, old: Option<&Entry>, seen: &Seen) -> usize {
        let Some(old) = old else { return 0 };
        let who = &old.seen.submitted.username;
        if *who == seen.submitted.username {
            return old.weight;
        }
        self.shelf.give(who, old.weight);
        0
    }

    fn index(&mut self, name: &str, entry: &Entry) {
        let (content, seen) = (&entry.content, &entry.seen);
        let Some((node, key)) = content.node().zip(content.key()) else {
            return;
        };
        if !seen.denied {
            self.keys.put(key, node, key_use(name, entry));
        }
        if seen.submitted.state == State::Pending {
            let siblings = self.siblings.entry(sibling_key(seen, node)).or_default();
            siblings.insert(made(&seen.submitted));
        }
        if seen.submitted.signer == Signer::Client.name() {
            let line = self.lines.entry(node.to_owned()).or_default();
            line.join((entry.made, name.to_owned()), seen);
        }
    }

    /// Takes a request out of everything.
    pub(super) fn take_out(&mut self, name: &str) -> Option<Entry> {
        let entry = self.requests.remove(name)?;
        let own = (entry.turn, name.to_owned());
        self.dirty.remove(&own);
        self.pending.remove(&own);
        drop_from(&mut self.held, &entry.seen.submitted.username, &own);
        if let Some(at) = entry.again {
            self.again.remove(&(at, name.to_owned()));
        }
        drop_from(&mut self.counting, &entry.seen.submitted.username, &own);
        if let Some((node, key)) = entry.content.node().zip(entry.content.key()) {
            let siblings = sibling_key(&entry.seen, node);
            drop_from(&mut self.siblings, &siblings, &made(&entry.seen.submitted));
            self.leave_line(&entry, name);
            self.keys.take(key, node, &key_use(name, &entry));
        }
        Some(entry)
    }
}

fn made(submitted: &Submitted) -> At {
    (submitted.created, submitted.name.clone())
}

fn key_use(name: &str, entry: &Entry) -> Use {
    Use {
        is_pending: entry.seen.submitted.state == State::Pending,
        turn: entry.turn,
        name: name.to_owned(),
    }
}

pub(super) fn sibling_key(seen: &Seen, node: &str) -> (Who, String, String) {
    let submitted = &seen.submitted;
    let (who, signer) = (submitted.username.clone(), submitted.signer.clone());
    (who, signer, node.to_owned())
}

pub(super) fn drop_from<K: Ord, V: Ord>(
    map: &mut BTreeMap<K, BTreeSet<V>>,
    key: &K,
    value: &V,
) {
    if let Some(values) = map.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            map.remove(key);
        }
    }
}
