//! Giving the addresses away on purpose: a successor is told first, where there is a
//! channel, and everybody is told with priority 0 in any case.
//!
//! While a successor is asked (some milliseconds), nothing changes: the addresses stay and
//! adverts go on. When it accepts: priority 0, the addresses are let go of, and only then
//! the successor hears `Go`. When none does, priority 0 alone, as without a channel.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use vrrp::State;
use vrrp::fsm::Event;

use super::{Driver, Effects, Ended};
use crate::channel::message::Name;
use crate::channel::{Ask, Declined, Go};
use crate::track::{Out, Standing};

/// How a handover that was asked for ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handed {
    /// This node was told first, and has them.
    To(Name),
    /// Nobody was; everybody heard priority 0.
    Released(Declined),
    /// The router does not hold the addresses; nothing was done.
    NotActive,
    /// The node that was named did not accept; nothing was done.
    Kept(Declined),
}

/// What somebody wants of an Active.
#[derive(Debug)]
pub struct Yield {
    /// Only to this node.
    pub to: Option<Name>,
    /// How long a lower Active is then left alone.
    pub hold: Duration,
    /// Told how it ended.
    pub done: oneshot::Sender<Handed>,
}

/// Why the addresses are given away, and what follows.
#[derive(Debug)]
pub(super) enum Cause {
    /// The router ends; somebody may wait for it.
    Stop(Option<oneshot::Sender<()>>),
    /// Somebody asked for it.
    Asked(Yield),
    /// The router is to stay out: with or without a successor.
    Out,
    /// Another router of its sync group has lost its addresses: with or without one.
    Together,
    /// Its priority has fallen: only to a higher one, which takes over anyway.
    Lower,
}

impl Cause {
    /// Which of two goes on: the one that leaves less choice.
    fn rank(&self) -> u8 {
        match self {
            Self::Lower => 0,
            Self::Asked(_) => 1,
            Self::Out | Self::Together => 2,
            Self::Stop(_) => 3,
        }
    }
}

/// Tells whoever waits for a cause that gave way to another. A second stop waits for the
/// end of the first: its answer comes with the end of the driver.
fn refuse(cause: Cause) {
    match cause {
        Cause::Asked(asked) => {
            // Whoever asked may have stopped waiting.
            let _ = asked.done.send(Handed::Kept(Declined::NotAccepted));
        }
        Cause::Stop(_) | Cause::Out | Cause::Together | Cause::Lower => {}
    }
}

/// A handover that waits for the channel's answer.
#[derive(Debug)]
pub(super) struct Handing {
    answer: oneshot::Receiver<Result<Go, Declined>>,
    cause: Cause,
    begun: Instant,
}

/// The channel's answer; for ever while nothing is asked.
pub(super) async fn answered(handing: &mut Option<Handing>) -> Result<Go, Declined> {
    match handing {
        // Its task has ended: as if nobody had accepted.
        Some(handing) => (&mut handing.answer)
            .await
            .unwrap_or(Err(Declined::NotAccepted)),
        None => std::future::pending().await,
    }
}

impl<E: Effects> Driver<E> {
    /// What tracking makes of the priority has changed.
    pub(super) fn stand(&mut self, own: Standing) {
        let earlier = std::mem::replace(&mut self.own, own);
        if earlier.able != own.able {
            self.tell_priority(own.able);
        }
        let standing = self.beside_others(own);
        let before = std::mem::replace(&mut self.standing, standing);
        if (before.priority, before.out) == (standing.priority, standing.out) {
            return self.tell_checked();
        }
        let router = &self.name;
        let out = standing.out.map(Out::name);
        tracing::info!(router, priority = %standing.priority, ?out, "standing changed");
        // Priority 1 first: the skew it brings is the head start of everybody else.
        self.handle(Event::Priority(standing.priority));
        let went_out = before.out.is_none() && standing.out.is_some();
        let cause = match (went_out, standing.priority < before.priority) {
            (true, _) => Cause::Out,
            (false, true) => Cause::Lower,
            (false, false) => return,
        };
        if self.machine.state() == State::Active {
            // Only a stop ends the driver.
            let _ = self.hand_over(cause);
        } else if went_out {
            self.handle(Event::Yield {
                hold: Duration::ZERO,
            });
        }
    }

    /// Begins to give the addresses away; ends the driver at once where there is nothing
    /// to give and the cause is a stop.
    pub(super) fn hand_over(&mut self, cause: Cause) -> Option<Ended> {
        if self.machine.state() != State::Active {
            return self.handed(cause, Err(Handed::NotActive));
        }
        if let Some(before) = self.handing.take() {
            if before.cause.rank() >= cause.rank() {
                // What is under way does what the new cause asks for, and more.
                self.handing = Some(before);
                refuse(cause);
                return None;
            }
            refuse(before.cause);
        }
        let (answer, answered) = oneshot::channel();
        let ask = Ask {
            groups: self.groups.clone(),
            to: match &cause {
                Cause::Asked(asked) => asked.to.clone(),
                Cause::Stop(_) | Cause::Out | Cause::Together | Cause::Lower => None,
            },
            above: match &cause {
                Cause::Lower => Some(self.standing.priority.get()),
                Cause::Stop(_) | Cause::Asked(_) | Cause::Out | Cause::Together => None,
            },
            answer,
        };
        let asked = match &self.channel {
            None => Err(Declined::NoChannel),
            Some(channel) if channel.ask(ask) => Ok(()),
            Some(_) => Err(Declined::NotAccepted),
        };
        match asked {
            Ok(()) => {
                self.handing = Some(Handing {
                    answer: answered,
                    cause,
                    begun: Instant::now(),
                });
                None
            }
            Err(declined) => self.declined(cause, declined),
        }
    }

    /// The channel has answered what was asked for last.
    pub(super) fn settle(&mut self, answer: Result<Go, Declined>) -> Option<Ended> {
        let handing = self.handing.take()?;
        // It may have yielded to a higher one meanwhile, and then has nothing to give.
        if self.machine.state() != State::Active {
            return self.handed(handing.cause, Err(Handed::NotActive));
        }
        match answer {
            Ok(go) => self.give(handing, &go),
            Err(declined) => self.declined(handing.cause, declined),
        }
    }

    fn give(&mut self, handing: Handing, go: &Go) -> Option<Ended> {
        self.handle(match &handing.cause {
            Cause::Asked(asked) => Event::Yield { hold: asked.hold },
            Cause::Together => Event::Fall,
            Cause::Stop(_) | Cause::Out | Cause::Lower => Event::Yield {
                hold: Duration::ZERO,
            },
        });
        let sent = go.send();
        let (router, successor) = (&self.name, &go.successor);
        let asked = handing.begun.elapsed();
        match sent {
            Ok(()) => {
                tracing::info!(router, %successor, ?asked, "handed the addresses over");
            }
            Err(error) => {
                tracing::warn!(router, %successor, "the successor is not told: {error}");
            }
        }
        self.count_handover("accepted");
        self.handed(handing.cause, Ok(go.successor.clone()))
    }

    fn declined(&mut self, cause: Cause, declined: Declined) -> Option<Ended> {
        self.count_handover(declined.name());
        match &cause {
            Cause::Asked(asked) if asked.to.is_some() => {
                return self.handed(cause, Err(Handed::Kept(declined)));
            }
            Cause::Asked(asked) => self.handle(Event::Yield { hold: asked.hold }),
            Cause::Out => self.handle(Event::Yield {
                hold: Duration::ZERO,
            }),
            Cause::Together => self.handle(Event::Fall),
            // The peers take over by themselves, if one of them is higher.
            Cause::Lower | Cause::Stop(_) => {}
        }
        self.handed(cause, Err(Handed::Released(declined)))
    }

    /// It is done: whoever waits is told, and a stop stops.
    fn handed(&mut self, cause: Cause, how: Result<Name, Handed>) -> Option<Ended> {
        match cause {
            Cause::Stop(done) => return Some(self.stopped(done)),
            Cause::Asked(asked) => {
                let how = match how {
                    Ok(name) => Handed::To(name),
                    Err(how) => how,
                };
                // Whoever asked may have stopped waiting.
                let _ = asked.done.send(how);
            }
            Cause::Out | Cause::Together | Cause::Lower => {}
        }
        None
    }

    fn count_handover(&self, how: &'static str) {
        self.keep(|record| {
            *record.counts.handovers.entry(how).or_default() += 1;
        });
    }
}
