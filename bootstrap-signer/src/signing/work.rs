//! The task that signs: takes orders from the tray, a bounded number at a time, and
//! writes certificates. Ends when told to; what is on its way is finished.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pki::IssueError;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::issue::Act;
use super::tray::{Next, Order, Tray};
use super::write::Pen;
use super::{Authorities, Refusal};
use crate::act::ActError;
use crate::desk::Rulebook;
use crate::shown::Shown;

/// Certificates on their way at a time; as with decisions, more would wait there.
const AT_ONCE: usize = 64;
/// After somebody else was faster: as long as a watch takes to tell.
const RETRY: Duration = Duration::from_millis(500);
/// Where no authority may sign: a person has to do something. Files that change are
/// seen earlier.
const NO_AUTHORITY: Duration = Duration::from_secs(30);
/// As long as a watch may take to tell.
const SEEN_BY: Duration = Duration::from_secs(60);
/// What nobody signs is looked at again.
const AUDITED: Duration = Duration::from_secs(10 * 60);
/// Events on their way: few, since certificates go first.
const TELLING: usize = 2;
/// Events that wait. Those beyond are dropped, and counted.
const EVENTS: usize = 1_024;

/// How signing a request ended.
#[derive(Debug)]
pub enum Ended {
    /// The certificate is in the API.
    Issued,
    /// It is not signed, and says so in a condition `Failed`.
    Refused(Refusal),
    /// Somebody else wrote to it first, as another one of us who signed it.
    Overtaken,
    /// No authority may sign now.
    NoAuthority,
    /// It could not be made.
    NotMade(IssueError),
    /// The thread that makes it ended.
    Unfinished,
    /// It could not be written.
    NotWritten(ActError),
    /// Audit mode: nothing is written.
    Audited,
}

impl Ended {
    /// As metrics name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Refused(_) => "refused",
            Self::Overtaken => "overtaken",
            Self::NoAuthority => "noAuthority",
            Self::NotMade(_) => "notMade",
            Self::Unfinished => "unfinished",
            Self::NotWritten(_) => "notWritten",
            Self::Audited => "audited",
        }
    }
}

enum Outcome {
    Ended(Arc<Order>, Ended),
    Looked(String),
    Told,
}

/// What signs.
pub struct Worker {
    tray: Arc<Tray>,
    rules: watch::Receiver<Arc<Rulebook>>,
    authorities: watch::Receiver<Arc<Authorities>>,
    pen: Pen,
    acts: JoinSet<Outcome>,
    signing: usize,
    telling: usize,
    events: VecDeque<(Arc<Order>, Refusal)>,
    shown: Arc<Shown>,
}

impl Worker {
    /// Signs what comes into `tray`.
    pub fn new(
        tray: Arc<Tray>,
        rules: watch::Receiver<Arc<Rulebook>>,
        authorities: watch::Receiver<Arc<Authorities>>,
        pen: Pen,
        shown: Arc<Shown>,
    ) -> Self {
        let worker = Self {
            tray,
            rules,
            authorities,
            pen,
            acts: JoinSet::new(),
            signing: 0,
            telling: 0,
            events: VecDeque::new(),
            shown,
        };
        // Before the watch shows its first list.
        worker.serve();
        worker
    }

    /// Works until `stop`.
    pub async fn work(mut self, mut stop: oneshot::Receiver<()>) {
        loop {
            let due = self.begin();
            self.tray.busy(self.signing);
            let sleep = due.map_or(SEEN_BY, |at| at.saturating_duration_since(now()));
            tokio::select! {
                biased;
                _ = &mut stop => break,
                Some(outcome) = self.acts.join_next(), if !self.acts.is_empty() => {
                    self.finish(outcome);
                }
                Ok(()) = self.authorities.changed() => {
                    if self.serve() {
                        self.look_at_everything();
                    }
                    self.tray.look_at_all(now());
                }
                () = self.tray.news() => {}
                () = tokio::time::sleep(sleep), if self.signing < AT_ONCE => {}
            }
        }
        while let Some(outcome) = self.acts.join_next().await {
            self.finish(outcome);
        }
    }

    /// Whether there is a signer that was not there before.
    fn serve(&self) -> bool {
        let authorities = self.authorities.borrow();
        self.shown.signing.signs(&authorities, &self.tray);
        self.tray.serve(authorities.signers())
    }

    /// The watch has shown what was approved for a signer that is new, and was not heard.
    fn look_at_everything(&mut self) {
        self.signing += 1;
        let (tray, pen) = (Arc::clone(&self.tray), self.pen.clone());
        self.acts.spawn(async move {
            if let Err(error) = pen.every(|csr| tray.see(csr, now())).await {
                let error = daemon::chain(&error);
                tracing::warn!(error, "what was approved before is not known");
            }
            Outcome::Looked("all".to_owned())
        });
    }

    /// Begins what there is room for; when there is more to do without news.
    fn begin(&mut self) -> Option<Instant> {
        while self.telling < TELLING
            && let Some((order, why)) = self.events.pop_front()
        {
            self.telling += 1;
            let pen = self.pen.clone();
            self.acts.spawn(async move {
                // A courtesy; the request itself says the same.
                let _ = pen.tell(&order, &why).await;
                Outcome::Told
            });
        }
        while self.signing < AT_ONCE {
            match self.tray.next(now()) {
                Next::Nothing(due) => return due,
                Next::Look(name) => self.look(name),
                Next::Sign(order) => self.sign(order),
            }
            self.signing += 1;
        }
        None
    }

    fn look(&mut self, name: String) {
        let (tray, pen) = (Arc::clone(&self.tray), self.pen.clone());
        self.acts.spawn(async move {
            let found = pen.look(&name).await;
            match found {
                Ok(Some(csr)) => tray.looked(&name, Some(&csr), now()),
                Ok(None) => tray.gone(&name),
                Err(_) => tray.looked(&name, None, now()),
            }
            Outcome::Looked(name)
        });
    }

    fn sign(&mut self, order: Box<Order>) {
        let act = Act {
            rules: Arc::clone(&self.rules.borrow()),
            authorities: Arc::clone(&self.authorities.borrow()),
            pen: self.pen.clone(),
        };
        let order = Arc::new(*order);
        self.acts.spawn(async move {
            let ended = act.sign(Arc::clone(&order)).await;
            Outcome::Ended(order, ended)
        });
    }

    fn finish(&mut self, outcome: Result<Outcome, tokio::task::JoinError>) {
        match outcome {
            Err(error) => tracing::error!(%error, "an act of signing ended by itself"),
            Ok(Outcome::Told) => self.telling = self.telling.saturating_sub(1),
            Ok(Outcome::Looked(request)) => {
                self.signing = self.signing.saturating_sub(1);
                tracing::debug!(request, "looked at again");
            }
            Ok(Outcome::Ended(order, ended)) => {
                self.signing = self.signing.saturating_sub(1);
                let after = now().saturating_duration_since(order.since);
                self.shown.signing.ended(order.signer, &ended, after);
                self.ended(&order, &ended);
                // Who was issued a certificate has it, and says so in its status.
                if let Ended::Refused(why) = ended {
                    self.tell(order, why);
                }
            }
        }
    }

    fn tell(&mut self, order: Arc<Order>, why: Refusal) {
        if self.events.len() >= EVENTS {
            self.events.pop_front();
            self.shown.dropped_event();
        }
        self.events.push_back((order, why));
    }

    fn ended(&self, order: &Order, ended: &Ended) {
        let request = order.submitted.name.as_str();
        match ended {
            Ended::Issued => self.tray.done(order, now() + SEEN_BY),
            Ended::Refused(why) => {
                tracing::warn!(request, %why, "approved, and not signed");
                self.tray.done(order, now() + SEEN_BY);
            }
            Ended::Overtaken => self.tray.again(order, now() + RETRY),
            Ended::NoAuthority => {
                tracing::error!(request, "approved, and no authority may sign now");
                self.tray.again(order, now() + NO_AUTHORITY);
            }
            Ended::NotMade(error) => {
                let error = daemon::chain(error);
                tracing::error!(request, error, "no certificate was made, tried again");
                self.tray.failed(order, now());
            }
            Ended::Unfinished => self.tray.failed(order, now()),
            Ended::NotWritten(error) => {
                let error = daemon::chain(error);
                tracing::warn!(request, error, "not written, tried again");
                self.tray.failed(order, now());
            }
            Ended::Audited => self.tray.done(order, now() + AUDITED),
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
