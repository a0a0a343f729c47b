//! What a session borrows from its worker for a turn, and how long a turn is.

use std::time::Duration;

use super::pending::Stores;

/// Bytes a session may move before others get their turn, while small requests are about:
/// little enough that it delays one by some ten microseconds.
const TURN: u32 = 128 * 1024;
/// Bytes that all sessions of the queue together move before the poll is looked at again,
/// while small requests are about.
const ROUND: u32 = TURN;
/// The same where all is bulk: enough that one call takes all that a socket has received.
const TURN_OF_BULK: u32 = 4 * 1024 * 1024;
/// How long small requests are about after one was seen.
const COMPANY: Duration = Duration::from_millis(100);

/// What a session borrows from its worker for a turn.
#[derive(Debug)]
pub(super) struct Tools {
    /// What is read into.
    pub(super) scratch: Box<[u8]>,
    /// Pipes and buffers.
    pub(super) stores: Stores,
    /// The worker's clock.
    pub(super) now: Duration,
    /// When a small request was last carried.
    pub(super) small: Option<Duration>,
    /// Bytes that the queue may still move in this round.
    pub(super) round: u32,
}

impl Tools {
    /// A round of the queue begins.
    pub(super) fn begin_round(&mut self) {
        self.round = if self.has_company() { ROUND } else { u32::MAX };
    }

    /// Bytes that a session may move in one turn.
    pub(super) fn turn(&self) -> u32 {
        if self.has_company() {
            TURN
        } else {
            TURN_OF_BULK
        }
    }

    /// Whether small requests are about.
    fn has_company(&self) -> bool {
        let since = self.small.map(|small| self.now.saturating_sub(small));
        since.is_some_and(|since| since < COMPANY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(now: Duration, small: Option<Duration>) -> Tools {
        Tools {
            scratch: Box::default(),
            stores: Stores::new(crate::engine::pipes::Pipes::new(0)),
            now,
            small,
            round: 0,
        }
    }

    #[test]
    fn turns_and_rounds_are_short_in_the_company_of_small_requests() {
        let now = COMPANY * 3;
        for (small, turn, round) in [
            (None, TURN_OF_BULK, u32::MAX),
            (Some(now), TURN, ROUND),
            (Some(now - COMPANY + Duration::from_nanos(1)), TURN, ROUND),
            (Some(now - COMPANY), TURN_OF_BULK, u32::MAX),
        ] {
            let mut tools = tools(now, small);
            tools.begin_round();
            assert_eq!((tools.turn(), tools.round), (turn, round), "{small:?}");
        }
    }
}
