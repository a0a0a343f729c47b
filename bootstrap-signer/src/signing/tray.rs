//! What is to be signed: put in by the watch and by approvals, taken out by the worker.
//! Holds one entry for each request that is approved and has no certificate, which the
//! API server bounds as it bounds requests; an entry ends when its certificate is seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest as Csr, CertificateSigningRequestCondition as Condition,
};
use policy::{Signer, Submitted};
use tokio::sync::Notify;

use crate::api;

#[cfg(test)]
mod tests;

/// Whoever approved signs at once. All the others of us see the approval too, and sign
/// only when the certificate is not there after so long: that one may have died.
const GRACE: Duration = Duration::from_millis(300);

/// After a try that failed, doubled with each up to the longest: another API server answers
/// by then, and where a right is missing nobody is flooded with refusals.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An approved request.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its signer.
    pub signer: Signer,
    /// What the policy looks at.
    pub submitted: Submitted,
    /// The PEM text.
    pub pem: Vec<u8>,
    /// `metadata.resourceVersion`: what the certificate is written onto.
    pub version: String,
    /// `metadata.uid`.
    pub uid: String,
    /// Its conditions, which stay when one is added.
    pub conditions: Vec<Condition>,
    /// When its approval was seen.
    pub since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// In the queue, or to be looked at later.
    Waiting,
    /// With the worker.
    Busy,
    /// Its certificate was written, and not seen yet.
    Done,
}

#[derive(Debug)]
struct Entry {
    order: Order,
    stage: Stage,
    due: Option<Instant>,
    /// Tries that failed, one after the other.
    failed: u32,
}

#[derive(Debug, Default)]
struct Inner {
    signers: BTreeSet<Signer>,
    entries: BTreeMap<String, Entry>,
    ready: VecDeque<String>,
    due: BTreeSet<(Instant, String)>,
}

/// The tray.
#[derive(Debug, Default)]
pub struct Tray {
    inner: Mutex<Inner>,
    busy: AtomicUsize,
    news: Notify,
}

/// What the tray has for the worker.
#[derive(Debug)]
pub enum Next {
    /// To be signed.
    Sign(Box<Order>),
    /// Too long in here: what it is like now is to be asked.
    Look(String),
    /// Nothing, until then or until there is something new.
    Nothing(Option<Instant>),
}

impl Tray {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Whole after every statement.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in requests for these signers only; whether one of them is new.
    pub fn serve(&self, signers: impl Iterator<Item = Signer>) -> bool {
        let mut inner = self.inner();
        let before = std::mem::replace(&mut inner.signers, signers.collect());
        let is_new = !inner.signers.is_subset(&before);
        let Inner {
            signers, entries, ..
        } = &mut *inner;
        entries.retain(|_, entry| signers.contains(&entry.order.signer));
        is_new
    }

    /// A request as the watch shows it at `now`.
    pub fn see(&self, csr: &Csr, now: Instant) {
        self.take(csr, now, now.checked_add(GRACE));
    }

    /// A request that was approved here, as the API server answered.
    pub fn approved(&self, csr: &Csr, now: Instant) {
        self.take(csr, now, None);
    }

    /// There is no such request.
    pub fn gone(&self, name: &str) {
        self.inner().remove(name);
    }

    /// Without `due`, it is signed at once.
    fn take(&self, csr: &Csr, now: Instant, due: Option<Instant>) {
        let Some(signer) = Signer::named(&csr.spec.signer_name) else {
            return;
        };
        let Some(name) = csr.metadata.name.as_deref() else {
            return;
        };
        let mut inner = self.inner();
        if !inner.signers.contains(&signer) {
            return;
        }
        let Some(order) = order(signer, csr, now) else {
            inner.remove(name);
            return;
        };
        if inner.put(name, order, due) {
            drop(inner);
            self.news.notify_one();
        }
    }

    /// What is next at `now`.
    pub fn next(&self, now: Instant) -> Next {
        self.inner().next(now)
    }

    /// Waits for something new.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Signing ended, and is over: the watch is about to show it.
    pub fn done(&self, order: &Order, look: Instant) {
        self.inner()
            .settle(&order.submitted.name, &order.uid, Stage::Done, look);
    }

    /// Signing failed, and is to be tried again, the later the more often it failed.
    pub fn failed(&self, order: &Order, now: Instant) {
        let mut inner = self.inner();
        let name = &order.submitted.name;
        let pause = inner.pause(name);
        inner.settle(name, &order.uid, Stage::Waiting, now + pause);
    }

    /// Signing ended, and is to be tried on what it is like at `again`, or on what the
    /// watch shows until then.
    pub fn again(&self, order: &Order, again: Instant) {
        let mut inner = self.inner();
        let name = &order.submitted.name;
        let newer = inner.entries.get(name);
        let newer = newer.is_some_and(|entry| entry.order.version != order.version);
        if newer {
            inner.queue(name);
            drop(inner);
            self.news.notify_one();
        } else {
            inner.settle(name, &order.uid, Stage::Waiting, again);
        }
    }

    /// A request as it is, after a look at it; `None`: it could not be looked at, and is
    /// to be later.
    pub fn looked(&self, name: &str, csr: Option<&Csr>, now: Instant) {
        let mut inner = self.inner();
        let Some(entry) = inner.entries.get_mut(name) else {
            return;
        };
        let Some(csr) = csr else {
            entry.stage = Stage::Waiting;
            let pause = inner.pause(name);
            inner.put_off(name, now + pause);
            return;
        };
        match order(entry.order.signer, csr, entry.order.since.min(now)) {
            Some(order) => {
                entry.order = order;
                inner.queue(name);
            }
            None => inner.remove(name),
        }
    }

    /// Everything that waits is to be looked at anew: who signs has changed.
    pub fn look_at_all(&self, now: Instant) {
        let mut inner = self.inner();
        let waiting = inner.entries.iter();
        let waiting = waiting.filter(|(_, entry)| entry.stage == Stage::Waiting);
        let names: Vec<String> = waiting.map(|(name, _)| name.clone()).collect();
        for name in names {
            inner.put_off(&name, now);
        }
        drop(inner);
        self.news.notify_one();
    }

    /// So many are being signed.
    pub fn busy(&self, signing: usize) {
        self.busy.store(signing, Ordering::Relaxed);
    }

    /// Whether something is being signed: courtesies are to wait.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    /// How many are approved and wait for their certificate.
    pub fn waiting(&self) -> usize {
        let inner = self.inner();
        let entries = inner.entries.values();
        entries.filter(|entry| entry.stage != Stage::Done).count()
    }
}

impl Inner {
    /// How long to wait after one more failure.
    fn pause(&mut self, name: &str) -> Duration {
        let Some(entry) = self.entries.get_mut(name) else {
            return FIRST_PAUSE;
        };
        let doubled = 1 << entry.failed.min(16);
        entry.failed = entry.failed.saturating_add(1);
        FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
    }

    fn remove(&mut self, name: &str) {
        if let Some(entry) = self.entries.remove(name)
            && let Some(at) = entry.due
        {
            self.due.remove(&(at, name.to_owned()));
        }
    }

    /// Whether the worker has something new to look at.
    fn put(&mut self, name: &str, order: Order, due: Option<Instant>) -> bool {
        if let Some(known) = self.entries.get_mut(name)
            && known.order.uid == order.uid
        {
            let order = Order {
                since: known.order.since,
                ..order
            };
            match known.stage {
                Stage::Done => return false,
                Stage::Busy => {
                    known.order = order;
                    return false;
                }
                Stage::Waiting => {
                    let changed = known.order.version != order.version;
                    known.order = order;
                    if !changed && due.is_some() {
                        return false;
                    }
                }
            }
        } else {
            self.remove(name);
            let entry = Entry {
                order,
                stage: Stage::Waiting,
                due: None,
                failed: 0,
            };
            self.entries.insert(name.to_owned(), entry);
        }
        match due {
            None => self.queue(name),
            Some(at) => self.put_off(name, at),
        }
        true
    }

    fn queue(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.stage = Stage::Waiting;
            if let Some(at) = entry.due.take() {
                self.due.remove(&(at, name.to_owned()));
            }
            self.ready.push_back(name.to_owned());
        }
    }

    fn put_off(&mut self, name: &str, at: Instant) {
        if let Some(entry) = self.entries.get_mut(name) {
            if let Some(old) = entry.due.replace(at) {
                self.due.remove(&(old, name.to_owned()));
            }
            self.due.insert((at, name.to_owned()));
        }
    }

    fn settle(&mut self, name: &str, uid: &str, stage: Stage, at: Instant) {
        if let Some(entry) = self.entries.get_mut(name)
            && entry.order.uid == uid
        {
            entry.stage = stage;
            self.put_off(name, at);
        }
    }

    fn next(&mut self, now: Instant) -> Next {
        while let Some(name) = self.ready.pop_front() {
            if let Some(entry) = self.entries.get_mut(&name)
                && entry.stage == Stage::Waiting
            {
                entry.stage = Stage::Busy;
                return Next::Sign(Box::new(entry.order.clone()));
            }
        }
        while let Some((at, name)) = self.due.first().cloned() {
            if at > now {
                return Next::Nothing(Some(at));
            }
            self.due.pop_first();
            let Some(entry) = self.entries.get_mut(&name) else {
                continue;
            };
            entry.due = None;
            // What is with the worker comes back by itself.
            if entry.stage != Stage::Busy {
                entry.stage = Stage::Busy;
                return Next::Look(name);
            }
        }
        Next::Nothing(None)
    }
}

/// What is to be signed of a request; `None` when nothing is, or no more.
fn order(signer: Signer, csr: &Csr, now: Instant) -> Option<Order> {
    let status = csr.status.as_ref()?;
    let issued = status.certificate.as_ref();
    if issued.is_some_and(|bytes| !bytes.0.is_empty()) {
        return None;
    }
    let conditions = status.conditions.clone().unwrap_or_default();
    let has = |kind: &str| {
        let mut conditions = conditions.iter();
        conditions.any(|each| each.type_ == kind && each.status == "True")
    };
    if !has("Approved") || has("Denied") || has("Failed") {
        return None;
    }
    if csr.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let (submitted, pem) = api::request(csr);
    Some(Order {
        signer,
        submitted,
        pem,
        version: csr.metadata.resource_version.clone()?,
        uid: csr.metadata.uid.clone()?,
        conditions,
        since: now,
    })
}
