//! All that was seen of the cluster, and which requests it makes worth a decision.
//! Without clock, client or runtime: changes go in, questions come out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use policy::{
    Access, Facts, Inventory, Known, Node, Nodes, Question, Request, Requester, Settings,
    State, Submitted, Token, Unreadable, Verdict,
};

/// What can be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// CertificateSigningRequests.
    Requests,
    /// Nodes.
    Nodes,
    /// Leases of nodes.
    Leases,
    /// Secrets of bootstrap tokens.
    Tokens,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Requests, Self::Nodes, Self::Leases, Self::Tokens];

    /// As logs and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Nodes => "nodes",
            Self::Leases => "leases",
            Self::Tokens => "tokens",
        }
    }
}

/// A request as it stands in the API.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What the policy looks at.
    pub submitted: Submitted,
    /// The PEM text.
    pub pem: Vec<u8>,
    /// `metadata.resourceVersion`: what a decision is about.
    pub version: String,
    /// `metadata.uid`.
    pub uid: String,
    /// It was denied.
    pub denied: bool,
    /// Further names of the requester that a SubjectAccessReview must carry.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What a token's Secret says of its uses, and which version of it says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// `metadata.resourceVersion`.
    pub version: String,
    /// The annotation, as it is written.
    pub used_by: String,
}

/// Something that was seen.
#[derive(Debug)]
pub enum Change {
    /// A request is there, or is different.
    Request(Box<Seen>),
    /// A Node is there, or is different.
    Node(String, Node),
    /// A node renewed its lease.
    Renewed(String, SystemTime),
    /// A token is there, or is different; with what its Secret says of its uses.
    Token(String, Token, Ledger),
    /// The object of that name is gone.
    Gone(Kind, String),
    /// All there is was seen, and it is this.
    Whole(Kind, BTreeSet<String>),
}

struct Entry {
    seen: Seen,
    /// The order in which requests were first seen. Their own times are whole seconds.
    turn: u64,
    request: Option<Result<Request, Unreadable>>,
    again: Option<SystemTime>,
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
    /// Nodes by key, with the requests that say so.
    keys: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// Pending requests for the same signer and node by the same requester.
    siblings: BTreeMap<(Who, String, String), BTreeSet<At>>,
    /// Of each requester, those that wait for its quota.
    held: BTreeMap<Who, BTreeSet<Turn>>,
    pending: BTreeSet<Turn>,
    again: BTreeSet<At>,
    dirty: BTreeSet<Turn>,
    turns: u64,
}

impl Book {
    /// Takes a change in.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Request(seen) => self.put_request(*seen),
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

    /// How many requests are pending, and when the oldest was made.
    pub fn pending(&self) -> (usize, Option<SystemTime>) {
        let first = self.pending.first();
        let oldest = first.and_then(|(_, name)| self.requests.get(name));
        let created = oldest.map(|entry| entry.seen.submitted.created);
        (self.pending.len(), created)
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

    /// The node `name` asks for, once it was decided about.
    pub fn node(&self, name: &str) -> Option<&str> {
        let request = self.requests.get(name)?.request.as_ref()?;
        request.as_ref().ok()?.node()
    }

    /// A token with its ledger.
    pub fn token(&self, id: &str) -> Option<&(Token, Ledger)> {
        self.tokens.get(id)
    }

    /// A decision was written; until the watch says so, it is as good as seen.
    pub fn decided(&mut self, name: &str, denied: bool) {
        if let Some(entry) = self.requests.get(name) {
            let mut seen = entry.seen.clone();
            seen.submitted.state = State::Decided;
            seen.denied = denied;
            self.put_request(seen);
        }
    }

    /// Decides about `name` with `access` as the answer of the API, if it was asked.
    pub fn decide(
        &mut self,
        name: &str,
        settings: &Settings,
        inventory: Option<&Inventory>,
        access: impl FnOnce(&Seen, Access) -> Known<bool>,
        now: SystemTime,
    ) -> Option<(Verdict, Option<Access>)> {
        self.read(name);
        let entry = self.requests.get(name)?;
        let request = entry.request.as_ref()?;
        let submitted = &entry.seen.submitted;
        let mut question = Question {
            submitted,
            request,
            facts: self.facts(entry, settings, inventory, now),
            settings,
            now,
        };
        let asks = question.access();
        question.facts.access = match asks {
            Some(which) => access(&entry.seen, which),
            None => Known::Unknown("not asked"),
        };
        Some((policy::decide(&question), asks))
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
            key_users: known(
                seen(Kind::Requests),
                self.key_users(entry),
                "not all requests were seen yet",
            ),
            ahead: known(
                seen(Kind::Requests),
                self.ahead(entry, settings, now),
                "not all requests were seen yet",
            ),
            superseded_by: self.superseded_by(entry),
            inventory,
        }
    }

    fn key_users(&self, entry: &Entry) -> BTreeSet<&str> {
        let key = entry.request.as_ref().and_then(|read| read.as_ref().ok());
        let users = key.and_then(|request| self.keys.get(&request.key_id));
        users
            .into_iter()
            .flat_map(|users| users.keys())
            .map(String::as_str)
            .collect()
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
        let request = entry.request.as_ref()?.as_ref().ok()?;
        let siblings = self.siblings.get(&sibling_key(&entry.seen, request)?)?;
        let (created, name) = siblings.last()?;
        // Times are whole seconds: which of two of one second is the newer is not known.
        (*created > entry.seen.submitted.created).then_some(name.as_str())
    }

    fn put_request(&mut self, seen: Seen) {
        let name = seen.submitted.name.clone();
        let old = self.take_out(&name);
        let turn = old.as_ref().map_or(self.turns, |old| old.turn);
        self.turns += 1;
        let same = old.as_ref().is_some_and(|old| old.seen.pem == seen.pem);
        let request = old.filter(|_| same).and_then(|old| old.request);
        if counts(&seen) {
            let counting = self.counting.entry(seen.submitted.username.clone());
            counting.or_default().insert((turn, name.clone()));
        } else {
            self.make_room(&seen.submitted.username);
        }
        if seen.submitted.state == State::Pending {
            self.pending.insert((turn, name.clone()));
        }
        // What was approved before we came says whose its key is.
        let uses_key = seen.submitted.state != State::Pending && !seen.denied;
        let entry = Entry {
            seen,
            turn,
            request: None,
            again: None,
        };
        self.requests.insert(name.clone(), entry);
        match request {
            Some(request) => self.index(&name, request),
            None if uses_key => self.read(&name),
            None => {}
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
    fn make_room(&mut self, who: &str) {
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

    fn read(&mut self, name: &str) {
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
        }
        entry.request = Some(request);
    }

    /// Takes a request out of everything.
    fn take_out(&mut self, name: &str) -> Option<Entry> {
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
            Kind::Requests => {
                if let Some(entry) = self.take_out(name) {
                    self.make_room(&entry.seen.submitted.username);
                }
            }
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
        let known: Vec<String> = match kind {
            Kind::Requests => self.requests.keys().cloned().collect(),
            Kind::Nodes => self.nodes.names().map(str::to_owned).collect(),
            Kind::Leases => self.leases.keys().cloned().collect(),
            Kind::Tokens => self.tokens.keys().cloned().collect(),
        };
        gone(known).for_each(|name| self.remove(kind, &name));
        if self.whole.insert(kind) {
            self.ask_all();
        }
    }
}

fn known<T>(is_known: bool, fact: T, why: &'static str) -> Known<T> {
    if is_known {
        Known::Known(fact)
    } else {
        Known::Unknown(why)
    }
}

fn made(submitted: &Submitted) -> At {
    (submitted.created, submitted.name.clone())
}

fn counts(seen: &Seen) -> bool {
    seen.submitted.state == State::Pending || seen.denied
}

fn sibling_key(seen: &Seen, request: &Request) -> Option<(Who, String, String)> {
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

/// How soon a request is asked about again that waits for a right, which no watch tells:
/// an answer of yes is acted on within half a second.
pub const ASK_AGAIN: Duration = Duration::from_millis(400);
