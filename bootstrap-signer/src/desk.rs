//! The task that decides: changes come in from the watches, decisions go out to the API
//! server. It owns the book; acts run beside it and report back. Ends when told to.

mod outcome;
mod prepare;
mod send;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use policy::{Access, Decision, Inventory, Known, Reason, Settings, Signer, Verdict};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::act::{Act, ActError, Done, Writer};
use crate::book::{Book, Change, Kind, Seen};
use crate::config::Mode;
use crate::fair::Fair;
use crate::rights::{ASK_AGAIN, Identity, Rights, identity};
use crate::shown::Shown;
use crate::signing::Plan;
use crate::tokens::Duties;

/// Decisions between two looks at what came in.
const BATCH: usize = 256;
/// After another one was faster: as long as a watch takes to tell.
const SOON: Duration = Duration::from_millis(50);
/// After an act that failed: the API server is back, or another one answers.
const RETRY: Duration = Duration::from_millis(500);
/// Events on their way at a time: few, since decisions go first.
const TELLING: usize = 2;
/// Events that wait. Those beyond are dropped, and counted: an Event is a courtesy.
const EVENTS: usize = 1_024;
/// The desk looks at the clock at least so often, for a clock that is set.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// Between two readings of what there was no room for.
const PACE: Duration = Duration::from_secs(1);

/// What time it is: the world's, or a test's.
pub type Clock = fn() -> SystemTime;

/// What decisions are made by; replaced as one by a reload.
#[derive(Debug, Clone)]
pub struct Rulebook {
    /// The policy's settings.
    pub settings: Settings,
    /// The inventory file.
    pub inventory: Option<Inventory>,
    /// Whether decisions are written.
    pub mode: Mode,
    /// Who signs.
    pub signing: Plan,
    /// What is looked after of tokens.
    pub tokens: Duties,
}

enum Outcome {
    Reviewed(Identity, String, Result<bool, ActError>),
    Wrote(Box<Act>, Result<Done, ActError>),
    Told(Result<(), ActError>),
}

/// The desk.
pub struct Desk {
    book: Book,
    rules: watch::Receiver<Arc<Rulebook>>,
    writer: Writer,
    rights: Rights,
    jobs: Fair<Act>,
    events: VecDeque<(Seen, Verdict)>,
    /// Requests whose decision is queued or on its way.
    busy: BTreeMap<String, String>,
    /// What was said last of each pending request, and when it was first seen.
    told: BTreeMap<String, (Reason, Instant)>,
    acts: JoinSet<Outcome>,
    writing: usize,
    telling: usize,
    shown: Arc<Shown>,
    clock: Clock,
    /// Tells the watch to read again what there was no room for.
    again: Arc<Notify>,
    /// When it was told last.
    read: Option<tokio::time::Instant>,
    /// Requesters of whom not all is held.
    crowded: usize,
}

impl Desk {
    /// A desk with nothing on it.
    pub fn new(
        rules: watch::Receiver<Arc<Rulebook>>,
        writer: Writer,
        shown: Arc<Shown>,
        clock: Clock,
    ) -> Self {
        Self {
            book: Book::default(),
            rules,
            writer,
            rights: Rights::default(),
            jobs: Fair::default(),
            events: VecDeque::new(),
            busy: BTreeMap::new(),
            told: BTreeMap::new(),
            acts: JoinSet::new(),
            writing: 0,
            telling: 0,
            shown,
            clock,
            again: Arc::default(),
            read: None,
            crowded: 0,
        }
    }

    /// Notified when requests that were left in the API server are to be read again.
    #[must_use]
    pub fn again(&self) -> Arc<Notify> {
        Arc::clone(&self.again)
    }

    /// Works until `stop`; what is on its way to the API server is finished.
    pub async fn work(
        mut self,
        mut changes: mpsc::Receiver<Change>,
        mut stop: oneshot::Receiver<()>,
    ) {
        loop {
            self.decide_some();
            self.dispatch();
            // Also what a place that came free in a quota lets in.
            let more = self.book.asks();
            self.read_again();
            self.shown.standing(&self.book);
            let sleep = self.sleep();
            tokio::select! {
                biased;
                _ = &mut stop => break,
                Some(outcome) = self.acts.join_next(), if !self.acts.is_empty() => {
                    self.finish(outcome);
                }
                change = changes.recv() => match change {
                    Some(change) => self.take(change, &mut changes),
                    None => break,
                },
                Ok(()) = self.rules.changed() => self.book.ask_everything(),
                () = tokio::task::yield_now(), if more => {}
                () = tokio::time::sleep(sleep), if !more => {
                    let now = self.now();
                    self.book.wake(now);
                }
            }
        }
        while let Some(outcome) = self.acts.join_next().await {
            self.finish(outcome);
        }
    }

    fn now(&self) -> SystemTime {
        (self.clock)()
    }

    fn take(&mut self, change: Change, changes: &mut mpsc::Receiver<Change>) {
        self.apply(change);
        for _ in 0..BATCH {
            match changes.try_recv() {
                Ok(change) => self.apply(change),
                Err(_) => return,
            }
        }
    }

    fn apply(&mut self, change: Change) {
        let mut stranger = None;
        match &change {
            Change::Gone(Kind::Requests, name) => _ = self.told.remove(name),
            Change::Gone(Kind::Nodes, node) => self.shown.node_gone(node),
            Change::Whole(Kind::Nodes, nodes) => self.shown.only_nodes(nodes),
            Change::Request(seen) | Change::Again(seen) => {
                stranger = self.strange(seen);
            }
            Change::ReadAgain
            | Change::Gone(Kind::Leases | Kind::Tokens, _)
            | Change::Whole(Kind::Requests | Kind::Leases | Kind::Tokens, _)
            | Change::Node(..)
            | Change::Renewed(..)
            | Change::Token(..) => {}
        }
        let issued = match &change {
            Change::Request(seen) | Change::Again(seen) => seen.issued.map(|validity| {
                let submitted = &seen.submitted;
                let signer = Signer::named(&submitted.signer);
                (submitted.name.clone(), signer, validity)
            }),
            Change::ReadAgain
            | Change::Node(..)
            | Change::Renewed(..)
            | Change::Token(..)
            | Change::Gone(..)
            | Change::Whole(..) => None,
        };
        self.book.apply(change);
        if let Some((name, who)) = stranger {
            self.notice(&name, &who);
        }
        if let Some((name, Some(signer), validity)) = issued
            && let Some(node) = self.book.node(&name)
        {
            self.shown.issued(signer, node, validity);
        }
    }

    /// Which request another program decided about, and who, where that is news.
    fn strange(&self, seen: &Seen) -> Option<(String, String)> {
        let before = self.book.seen(&seen.submitted.name);
        let known = before.is_some_and(|before| before.stranger.is_some());
        let who = seen.stranger.as_ref().filter(|_| !known)?;
        Some((seen.submitted.name.clone(), who.clone()))
    }

    /// Another program decided: once for each request that is held.
    fn notice(&self, request: &str, approver: &str) {
        if self.book.seen(request).is_some() {
            self.shown.stranger(approver);
            tracing::warn!(
                request,
                approver,
                "somebody else decided; `check --cluster` says more"
            );
        }
    }

    /// Where requests can be read again for which there is room by now. Paced, since each
    /// reading is one of all that there are.
    fn read_again(&mut self) {
        let crowded = self.book.crowded();
        if crowded > self.crowded {
            tracing::warn!(
                requesters = crowded,
                "more requests of one requester than are held; the rest is read later"
            );
        }
        self.crowded = crowded;
        let now = tokio::time::Instant::now();
        let rested = self.read.is_none_or(|at| now.duration_since(at) >= PACE);
        if rested && self.book.wants_again() {
            self.read = Some(now);
            self.again.notify_one();
        }
    }

    fn sleep(&self) -> Duration {
        let until = self.book.due().map_or(LONGEST_SLEEP, |at| {
            at.duration_since(self.now()).unwrap_or_default()
        });
        let longest = if self.crowded > 0 {
            PACE
        } else {
            LONGEST_SLEEP
        };
        until.min(longest)
    }

    /// Decides on a batch.
    fn decide_some(&mut self) {
        let rules = Arc::clone(&self.rules.borrow());
        for _ in 0..BATCH {
            let Some(name) = self.book.pop() else {
                return;
            };
            self.decide(&name, &rules);
        }
    }

    fn decide(&mut self, name: &str, rules: &Rulebook) {
        if self.busy.contains_key(name) {
            return;
        }
        let now = self.now();
        let rights = &self.rights;
        let access = |seen: &Seen, access| rights.get(&identity(seen, access), now);
        let inventory = rules.inventory.as_ref();
        let decided = self
            .book
            .decide(name, &rules.settings, inventory, access, now);
        let Some((verdict, asks)) = decided else {
            return;
        };
        self.say(name, &verdict);
        match verdict.decision() {
            Decision::Approve | Decision::Deny => self.queue(name, verdict, rules),
            Decision::Wait => self.wait(name, &verdict, asks, now),
            Decision::Ignore => {}
        }
    }

    /// A log line and a count for each new reason of a request, not for each look at it.
    fn say(&mut self, name: &str, verdict: &Verdict) {
        let Some(seen) = self.book.seen(name) else {
            return;
        };
        let said = self.told.get(name);
        if said.is_some_and(|(reason, _)| *reason == verdict.reason) {
            return;
        }
        let since = said.map_or_else(Instant::now, |(_, since)| *since);
        self.told.insert(name.to_owned(), (verdict.reason, since));
        let signer = seen.submitted.signer.as_str();
        self.shown.decided(signer, verdict);
        tracing::info!(
            request = name,
            requester = seen.submitted.username,
            signer,
            decision = verdict.decision().name(),
            reason = verdict.reason.name(),
            detail = verdict.detail,
            "decided"
        );
    }

    fn wait(
        &mut self,
        name: &str,
        verdict: &Verdict,
        asks: Option<Access>,
        now: SystemTime,
    ) {
        if let Some(at) = verdict.again {
            self.book.again_at(name, at);
        }
        // A flood that waits for its quota asks the API server nothing.
        if verdict.reason == Reason::QuotaExceeded {
            self.book.hold(name);
            return;
        }
        let Some(access) = asks else { return };
        let Some(seen) = self.book.seen(name).cloned() else {
            return;
        };
        let identity = identity(&seen, access);
        match self.rights.get(&identity, now) {
            Known::Known(true) => {}
            Known::Known(false) => self.book.again_at(name, now + ASK_AGAIN),
            Known::Unknown(_) => self.review(identity, seen, access),
        }
    }
}
