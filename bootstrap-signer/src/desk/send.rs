//! What leaves the desk for the API server: questions about rights, decisions, Events.

use policy::{Access, Decision, Verdict};

use super::{Desk, Outcome, Rulebook, TELLING};
use crate::book::Seen;
use crate::config::Mode;
use crate::fair::AT_ONCE;
use crate::rights::Identity;

impl Desk {
    pub(super) fn queue(&mut self, name: &str, verdict: Verdict, rules: &Rulebook) {
        if rules.mode == Mode::Audit {
            return;
        }
        let Some(seen) = self.book.seen(name).cloned() else {
            return;
        };
        self.busy.insert(name.to_owned(), seen.version.clone());
        let who = seen.submitted.username.clone();
        let act = self.act(seen, verdict, &rules.settings);
        self.jobs.push(&who, act);
    }

    pub(super) fn review(&mut self, identity: Identity, seen: Seen, access: Access) {
        if !self.rights.ask(&identity) {
            return;
        }
        let writer = self.writer.clone();
        self.acts.spawn(async move {
            let answer = writer.review(&seen, access).await;
            Outcome::Reviewed(identity, seen.submitted.username, answer)
        });
    }

    pub(super) fn dispatch(&mut self) {
        while self.writing < AT_ONCE {
            let Some(act) = self.jobs.pop() else { break };
            self.writing += 1;
            if act.verdict.decision() == Decision::Approve {
                self.book.approving(&act.seen.submitted.name);
            }
            let writer = self.writer.clone();
            self.acts.spawn(async move {
                let done = writer.write(&act).await;
                Outcome::Wrote(Box::new(act), done)
            });
        }
        // Certificates first: what an Event says stands in the request already.
        while self.telling < TELLING && self.writing == 0 && !self.writer.is_signing() {
            let Some((seen, verdict)) = self.events.pop_front() else {
                break;
            };
            self.telling += 1;
            let writer = self.writer.clone();
            self.acts
                .spawn(async move { Outcome::Told(writer.tell(&seen, &verdict).await) });
        }
    }
}
