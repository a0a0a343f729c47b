//! All that was seen of the cluster, and which requests it makes worth a decision.
//! Without clock, client or runtime: changes go in, questions come out.

mod content;
mod facts;
mod index;
mod keys;
mod line;
mod quota;
mod seen;
mod shelf;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use policy::{Node, Nodes, State, Token};

use self::content::Content;
use self::keys::Keys;
use self::line::Line;
pub use self::seen::{Change, Kind, Ledger, Seen};
use self::shelf::Shelf;
pub use self::shelf::{FEW, IN_ALL, OF_ONE};

struct Entry {
    seen: Seen,
    /// The order in which requests were first seen. Their own times are whole seconds.
    turn: u64,
    content: Content,
    /// What it takes on the shelf.
    weight: usize,
    again: Option<SystemTime>,
    /// Where the API server put it among all changes: the order in which requests were
    /// made, the same for all who see it.
    made: u64,
}

/// Who asks, as quotas and queues count them.
pub type Who = String;
/// A request in the order it came.
type Turn = (u64, String);
/// A request in the order of times.
type At = (SystemTime, String);

/// The book.
#[derive(Default)]
pub struct Book {
    requests: BTreeMap<String, Entry>,
    nodes: Nodes,
    leases: BTreeMap<String, SystemTime>,
    tokens: BTreeMap<String, (Token, Ledger)>,
    whole: BTreeSet<Kind>,
    /// Of each requester, in the order they were made, what counts for its quota.
    counting: BTreeMap<Who, BTreeSet<Turn>>,
    keys: Keys,
    /// Pending requests for the same signer and node by the same requester.
    siblings: BTreeMap<(Who, String, String), BTreeSet<At>>,
    /// Of each node, the client requests for it that are pending, in the order they were
    /// made, and those that were approved.
    lines: BTreeMap<String, Line>,
    /// Of each requester, those that wait for its quota.
    held: BTreeMap<Who, BTreeSet<Turn>>,
    pending: BTreeSet<Turn>,
    again: BTreeSet<At>,
    dirty: BTreeSet<Turn>,
    turns: u64,
    shelf: Shelf,
    /// A request that is held whole, whatever becomes of it.
    kept: Option<String>,
}

impl Book {
    /// A book in which the request `name` is always held, and whole.
    #[must_use]
    pub fn about(name: &str) -> Self {
        Self {
            kept: Some(name.to_owned()),
            ..Self::default()
        }
    }

    /// Takes a change in.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Request(seen) => self.put_request(*seen),
            Change::ReadAgain => self.shelf.read_again(),
            Change::Again(seen) => {
                // The watch says what became of those that are known.
                if !self.requests.contains_key(&seen.submitted.name) {
                    self.put_request(*seen);
                }
            }
            Change::Node(name, mut node) => {
                if let Some(renewed) = self.leases.get(&name) {
                    node.renewed = node.renewed.max(*renewed);
                }
                let news = self.nodes.get(&name).is_none_or(|old| {
                    let renewed = old.renewed;
                    *old != Node {
                        renewed,
                        ..node.clone()
                    }
                });
                self.nodes.insert(&name, node);
                // A heartbeat changes no decision.
                if news {
                    self.ask_all();
                }
            }
            Change::Renewed(name, at) => self.renew(name, at),
            Change::Token(id, token, ledger) => {
                let known = self.tokens.get(&id).map(|(token, _)| token);
                let changed = known != Some(&token);
                self.tokens.insert(id, (token, ledger));
                if changed {
                    self.ask_all();
                }
            }
            Change::Gone(kind, name) => self.remove(kind, &name),
            Change::Whole(kind, names) => self.forget_all_but(kind, &names),
        }
    }

    /// Whether there is room for requests that were left in the API server; asked once.
    pub fn wants_again(&mut self) -> bool {
        self.shelf.take_again()
    }

    /// Requesters of whom more requests are there than are held.
    pub fn crowded(&self) -> usize {
        self.shelf.crowded()
    }

    /// Whether everything was seen once.
    pub fn is_whole(&self) -> bool {
        self.whole.len() == Kind::ALL.len()
    }

    /// What was not seen yet.
    pub fn missing(&self) -> Vec<&'static str> {
        let missing = Kind::ALL.iter().filter(|kind| !self.whole.contains(kind));
        missing.map(|kind| kind.name()).collect()
    }

    /// How many objects of a kind are known.
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Requests => self.requests.len(),
            Kind::Nodes => self.nodes.len(),
            Kind::Leases => self.leases.len(),
            Kind::Tokens => self.tokens.len(),
        }
    }

    /// The names of all objects of a kind.
    pub fn names(&self, kind: Kind) -> BTreeSet<String> {
        match kind {
            Kind::Requests => self.requests.keys().cloned().collect(),
            Kind::Nodes => self.nodes.names().map(str::to_owned).collect(),
            Kind::Leases => self.leases.keys().cloned().collect(),
            Kind::Tokens => self.tokens.keys().cloned().collect(),
        }
    }

    /// How many requests are pending, and when the oldest was made.
    pub fn pending(&self) -> (usize, Option<SystemTime>) {
        let first = self.pending.first();
        let oldest = first.and_then(|(_, name)| self.requests.get(name));
        let created = oldest.map(|entry| entry.seen.submitted.created);
        (self.pending.len(), created)
    }

    /// Whether there is a request to decide on.
    pub fn asks(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The next request to decide on, oldest first.
    pub fn pop(&mut self) -> Option<String> {
        self.dirty.pop_first().map(|(_, name)| name)
    }

    /// When the clock makes a request worth asking about again.
    pub fn due(&self) -> Option<SystemTime> {
        self.again.first().map(|(at, _)| *at)
    }

    /// Asks again what is due.
    pub fn wake(&mut self, now: SystemTime) {
        while let Some((at, name)) = self.again.first().cloned() {
            if at > now {
                return;
            }
            self.again.pop_first();
            if let Some(entry) = self.requests.get_mut(&name) {
                entry.again = None;
            }
            self.ask(&name);
        }
    }

    /// Asks about `name` again at `at`, or earlier when something changes.
    pub fn again_at(&mut self, name: &str, at: SystemTime) {
        if let Some(entry) = self.requests.get_mut(name) {
            if let Some(old) = entry.again.replace(at) {
                self.again.remove(&(old, name.to_owned()));
            }
            self.again.insert((at, name.to_owned()));
        }
    }

    /// Asks about `name` again, now.
    pub fn ask(&mut self, name: &str) {
        if let Some(entry) = self.requests.get(name)
            && entry.seen.submitted.state == State::Pending
        {
            self.dirty.insert((entry.turn, name.to_owned()));
        }
    }

    /// Asks about every request of a requester that waits for its quota or its rights.
    pub fn ask_all_of(&mut self, who: &str) {
        let names = self.counting.get(who).into_iter().flatten();
        let names: Vec<String> = names.map(|(_, name)| name.clone()).collect();
        names.iter().for_each(|name| self.ask(name));
    }

    /// Asks about every request of a requester again at `at`.
    pub fn again_all_of(&mut self, who: &str, at: SystemTime) {
        let names = self.counting.get(who).into_iter().flatten();
        let names: Vec<String> = names.map(|(_, name)| name.clone()).collect();
        names.iter().for_each(|name| self.again_at(name, at));
    }

    /// Asks about everything: the rules changed.
    pub fn ask_everything(&mut self) {
        self.ask_all();
    }

    fn ask_all(&mut self) {
        self.dirty.extend(self.pending.iter().cloned());
    }

    /// What was seen of `name`.
    pub fn seen(&self, name: &str) -> Option<&Seen> {
        self.requests.get(name).map(|entry| &entry.seen)
    }

    /// The node `name` asks for.
    pub fn node(&self, name: &str) -> Option<&str> {
        self.requests.get(name)?.content.node()
    }

    /// The Node called `node`.
    pub fn node_called(&self, node: &str) -> Option<&Node> {
        self.nodes.get(node)
    }

    /// A token with its ledger.
    pub fn token(&self, id: &str) -> Option<&(Token, Ledger)> {
        self.tokens.get(id)
    }

    /// A decision was written; until the watch says so, it is as good as seen.
    pub fn decided(&mut self, name: &str, denied: bool, now: SystemTime) {
        if let Some(entry) = self.requests.get(name) {
            let mut seen = entry.seen.clone();
            seen.submitted.state = State::Decided;
            seen.denied = denied;
            seen.approved = (!denied).then_some(now);
            self.put_request(seen);
        }
    }

    fn renew(&mut self, name: String, at: SystemTime) {
        if let Some(node) = self.nodes.get(&name)
            && node.renewed < at
        {
            let node = Node {
                renewed: at,
                ..node.clone()
            };
            self.nodes.insert(&name, node);
        }
        self.leases.insert(name, at);
    }

    fn remove(&mut self, kind: Kind, name: &str) {
        match kind {
            Kind::Requests => self.changing(name, |book| {
                if let Some(entry) = book.take_out(name) {
                    let who = &entry.seen.submitted.username;
                    book.shelf.give(who, entry.weight);
                }
            }),
            Kind::Nodes => {
                self.nodes.remove(name);
                self.ask_all();
            }
            Kind::Leases => _ = self.leases.remove(name),
            Kind::Tokens => {
                self.tokens.remove(name);
                self.ask_all();
            }
        }
    }

    fn forget_all_but(&mut self, kind: Kind, names: &BTreeSet<String>) {
        let gone =
            |known: Vec<String>| known.into_iter().filter(|name| !names.contains(name));
        gone(self.names(kind).into_iter().collect())
            .for_each(|name| self.remove(kind, &name));
        if self.whole.insert(kind) {
            self.ask_all();
        }
    }
}
