//! Requests going into the book and out of it, and everything they are found by: their
//! turn, their requester's quota, their key, their node.

use std::collections::{BTreeMap, BTreeSet};

use policy::{Request, Signer, State, Submitted, Unreadable};

use super::{At, Book, Entry, Seen, Who};

impl Book {
    pub(super) fn put_request(&mut self, seen: Seen) {
        let name = seen.submitted.name.clone();
        let old = self.take_out(&name);
        let turn = old.as_ref().map_or(self.turns, |old| old.turn);
        self.turns += 1;
        let uid = &seen.submitted.uid;
        let old = old.filter(|old| old.seen.submitted.uid == *uid);
        let made = old.as_ref().map(|old| old.made);
        // What was changed while it was pending, a person changed; it goes to the end.
        let made = made.unwrap_or_else(|| seen.version.parse().unwrap_or(u64::MAX));
        // A request's content never changes.
        let request = old.and_then(|old| old.request);
        if counts(&seen) {
            let counting = self.counting.entry(seen.submitted.username.clone());
            counting.or_default().insert((turn, name.clone()));
        } else {
            self.make_room(&seen.submitted.username);
        }
        if seen.submitted.state == State::Pending {
            self.pending.insert((turn, name.clone()));
        }
        let entry = Entry {
            seen,
            turn,
            request: None,
            again: None,
            made,
        };
        self.requests.insert(name.clone(), entry);
        match request {
            Some(request) => self.index(&name, request),
            // Also those that wait for their quota: they stand in line for their names.
            None => self.read(&name),
        }
        self.ask(&name);
    }

    /// `name` waits for its requester's quota.
    pub fn hold(&mut self, name: &str) {
        if let Some(entry) = self.requests.get(name) {
            let submitted = &entry.seen.submitted;
            let held = self.held.entry(submitted.username.clone()).or_default();
            held.insert((entry.turn, name.to_owned()));
        }
    }

    /// One less counts: the first that waits for it may pass.
    pub(super) fn make_room(&mut self, who: &str) {
        let Some(held) = self.held.get_mut(who) else {
            return;
        };
        let first = held.pop_first();
        if held.is_empty() {
            self.held.remove(who);
        }
        if let Some((_, name)) = first {
            self.ask(&name);
        }
    }

    pub(super) fn read(&mut self, name: &str) {
        let Some(entry) = self.requests.get(name) else {
            return;
        };
        if entry.request.is_none() {
            let request = Request::read(&entry.seen.pem);
            self.index(name, request);
        }
    }

    fn index(&mut self, name: &str, request: Result<Request, Unreadable>) {
        let Some(entry) = self.requests.get_mut(name) else {
            return;
        };
        if let Ok(read) = &request
            && let Some(node) = read.node()
        {
            if !entry.seen.denied {
                let users = self.keys.entry(read.key_id.clone()).or_default();
                users
                    .entry(node.to_owned())
                    .or_default()
                    .insert(name.to_owned());
            }
            if entry.seen.submitted.state == State::Pending
                && let Some(key) = sibling_key(&entry.seen, read)
            {
                let siblings = self.siblings.entry(key).or_default();
                siblings.insert(made(&entry.seen.submitted));
            }
            if entry.seen.submitted.signer == Signer::Client.name() {
                let line = self.lines.entry(node.to_owned()).or_default();
                line.join((entry.made, name.to_owned()), &entry.seen);
            }
        }
        entry.request = Some(request);
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
        if let Some(Ok(request)) = &entry.request {
            if let Some(key) = sibling_key(&entry.seen, request) {
                drop_from(&mut self.siblings, &key, &made(&entry.seen.submitted));
            }
            self.leave_line(&entry, request, name);
            if let (Some(node), Some(users)) =
                (request.node(), self.keys.get_mut(&request.key_id))
            {
                drop_from(users, &node.to_owned(), &name.to_owned());
                if users.is_empty() {
                    self.keys.remove(&request.key_id);
                }
            }
        }
        Some(entry)
    }
}

fn made(submitted: &Submitted) -> At {
    (submitted.created, submitted.name.clone())
}

fn counts(seen: &Seen) -> bool {
    seen.submitted.state == State::Pending || seen.denied
}

pub(super) fn sibling_key(
    seen: &Seen,
    request: &Request,
) -> Option<(Who, String, String)> {
    let submitted = &seen.submitted;
    let node = request.node()?.to_owned();
    Some((submitted.username.clone(), submitted.signer.clone(), node))
}

fn drop_from<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(values) = map.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            map.remove(key);
        }
    }
}
