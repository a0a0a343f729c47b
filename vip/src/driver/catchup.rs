//! What waits in the sockets is read before anything is done that was due: after a stall it
//! may be the reason not to act.
//!
//! A driver that is late has been told nothing meanwhile, and nor have its feeders: they run
//! when it yields, and it yields until they bring nothing more. Where they cannot bring all,
//! because a queue is full, whoever took over may be in what is missing.

use std::time::Duration;

use tokio::task::yield_now;
use vrrp::fsm::Event;
use vrrp::{Refusal, State};

use super::{ADVERTS, CLAIMANTS, Datagram, Driver, Effects, Inputs, OVERFLOW};

/// Adverts taken in at once before the clock is looked at again.
pub(super) const BATCH: usize = 32;

/// Adverts on their way from the queue to the machine.
pub(super) type Batch = Vec<Result<Datagram, Refusal>>;

/// Above what a thread that waits its turn is late by now and then, below what a rival needs to
/// be heard.
const PUNCTUAL: Duration = Duration::from_millis(5);

/// What was left in the sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// More than is read in one go.
    More,
}

impl<E: Effects> Driver<E> {
    /// Reads what waits, as much as being `late` demands.
    pub(super) async fn catch_up(
        &mut self,
        inputs: &mut Inputs,
        batch: &mut Batch,
        late: Duration,
    ) {
        if late <= PUNCTUAL {
            // An Active on time has been told all it needs; its receiver has just waited too.
            if self.machine.state() != State::Active {
                yield_now().await;
            }
            self.take_in(inputs, batch);
            self.overflown = self.overflow();
            return;
        }
        let left = self.read_dry(inputs, batch).await;
        for _ in 0..CLAIMANTS {
            match inputs.claimants.try_recv() {
                Ok(claimant) => self.claimed(claimant),
                Err(_) => break,
            }
        }
        let overflown = self.overflow();
        let before = std::mem::replace(&mut self.overflown, overflown);
        if self.machine.state() == State::Active
            && (left == Left::More || overflown != before)
        {
            self.handle(Event::Foreign);
        }
    }

    /// Is it so late that others may have acted meanwhile?
    pub(super) fn is_late(&self) -> bool {
        self.late() > PUNCTUAL
    }

    async fn read_dry(&mut self, inputs: &mut Inputs, batch: &mut Batch) -> Left {
        let mut read = 0;
        while read < ADVERTS {
            yield_now().await;
            match self.take_in(inputs, batch) {
                0 => return Left::Nothing,
                some => read += some,
            }
        }
        Left::More
    }

    /// Hears one batch; how many there were.
    fn take_in(&mut self, inputs: &mut Inputs, batch: &mut Batch) -> usize {
        while batch.len() < BATCH
            && let Ok(advert) = inputs.adverts.try_recv()
        {
            batch.push(advert);
        }
        let read = batch.len();
        self.hear(batch);
        read
    }

    /// Adverts that were lost to a full queue, since the start.
    fn overflow(&self) -> u64 {
        let record = self.record.borrow();
        record
            .counts
            .refused
            .get(OVERFLOW)
            .copied()
            .unwrap_or_default()
    }
}
