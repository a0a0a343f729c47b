//! What became of acts: a decision that stands, one that somebody else overtook, facts that
//! are other than a watch had told, and failures, which are tried again.

use policy::Decision;

use super::{Desk, EVENTS, Outcome, RETRY, SOON};
use crate::act::{Act, ActError, Done};
use crate::book::{Change, Kind};
use crate::rights::Identity;

impl Desk {
    pub(super) fn finish(&mut self, outcome: Result<Outcome, tokio::task::JoinError>) {
        match outcome {
            Err(error) => tracing::error!(%error, "an act ended by itself"),
            Ok(Outcome::Reviewed(identity, who, answer)) => {
                self.answer(&identity, &who, answer);
            }
            Ok(Outcome::Wrote(act, done)) => {
                self.writing = self.writing.saturating_sub(1);
                self.wrote(*act, done);
            }
            Ok(Outcome::Told(done)) => {
                self.telling = self.telling.saturating_sub(1);
                if let Err(error) = done {
                    self.failed("event", &error);
                }
            }
        }
    }

    fn answer(&mut self, who: &Identity, user: &str, answer: Result<bool, ActError>) {
        let now = self.now();
        match answer {
            Ok(granted) => self.rights.answered(who, Some(granted), now),
            Err(error) => {
                self.failed("review", &error);
                self.rights.answered(who, None, now);
                self.book.again_all_of(user, now + RETRY);
                return;
            }
        }
        self.book.ask_all_of(user);
    }

    fn wrote(&mut self, act: Act, done: Result<Done, ActError>) {
        let name = act.seen.submitted.name.as_str();
        self.jobs.done(&act.seen.submitted.username);
        let version = self.busy.remove(name);
        if !matches!(done, Ok(Done::Written)) {
            self.book.not_approved(name);
        }
        match done {
            Ok(Done::Written) => self.written(act),
            Ok(Done::Overtaken) => {
                // What it is like now may have been seen while this was on its way.
                let seen = self.book.seen(name).map(|seen| &seen.version);
                if seen != version.as_ref() {
                    self.book.ask(name);
                }
                // Another request used the token first; the watch is about to say so.
                if act.claim.is_some() {
                    self.book.again_at(name, self.now() + SOON);
                }
            }
            Ok(Done::NodeIs(node)) => {
                if let Some(join) = act.join {
                    self.book.apply(Change::Node(join.node, *node));
                }
                // Where the book knew it by now, nothing changed.
                self.book.again_at(name, self.now() + SOON);
            }
            Ok(Done::TokenIs(held)) => {
                if let Some(token) = act.token {
                    self.book.apply(match held.map(|held| *held) {
                        Some((now, ledger)) => Change::Token(token.id, now, ledger),
                        None => Change::Gone(Kind::Tokens, token.id),
                    });
                }
                // Where the book knew it by now, nothing changed.
                self.book.again_at(name, self.now() + SOON);
            }
            Err(error) => {
                self.failed("decision", &error);
                self.book.again_at(name, self.now() + RETRY);
            }
        }
    }

    fn written(&mut self, act: Act) {
        let name = act.seen.submitted.name.as_str();
        let denied = act.verdict.decision() == Decision::Deny;
        let since = self.told.remove(name).map(|(_, since)| since);
        self.shown.written(since);
        let now = self.now();
        self.book.decided(name, denied, now);
        if self.events.len() >= EVENTS {
            self.events.pop_front();
            self.shown.dropped_event();
        }
        self.events.push_back((act.seen, act.verdict));
    }

    fn failed(&self, act: &'static str, error: &ActError) {
        self.shown.failed(act);
        tracing::warn!(act, error = daemon::chain(error), "not done, tried again");
    }
}
