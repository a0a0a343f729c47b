//! The latest transitions as JSON, for `vip-daemon events`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use daemon::rfc3339;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::moved::{Move, Subject};

/// Events that are kept for who asks later.
const EVENTS: usize = 256;

/// The latest events, numbered from 1.
#[derive(Debug)]
pub struct Events {
    kept: Mutex<VecDeque<(u64, Value)>>,
    newest: watch::Sender<u64>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            newest: watch::Sender::new(0),
        }
    }
}

impl Events {
    pub(super) fn add(&self, moved: &Move, at: SystemTime) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *self.newest.borrow() + 1;
        let key = match moved.subject {
            Subject::Router(_) => "router",
            Subject::Group(_) => "syncGroup",
        };
        let (_, name) = moved.subject.named();
        let event = json!({
            "event": number, "at": rfc3339(at), key: name,
            "from": moved.from.name(), "to": moved.to.name(),
            "reason": moved.reason.name(), "priority": moved.priority.get(),
        });
        kept.push_back((number, event));
        if kept.len() > EVENTS {
            kept.pop_front();
        }
        drop(kept);
        self.newest.send_replace(number);
    }

    /// The events after number `after`; where there are none, those that come within
    /// `patience`.
    pub async fn after(&self, after: u64, patience: Duration) -> Vec<Value> {
        let mut newest = self.newest.subscribe();
        // Nothing new in time is an answer, too.
        let _ = timeout(patience, newest.wait_for(|newest| *newest > after)).await;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let new = kept.iter().filter(|(number, _)| *number > after);
        new.map(|(_, event)| event.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::moved::tests::moved;
    use super::*;
    use vrrp::State;

    #[tokio::test]
    async fn events_are_numbered_bounded_and_waited_for() {
        let events = Events::default();
        assert!(events.after(0, Duration::ZERO).await.is_empty());
        for _ in 0..EVENTS + 3 {
            events.add(&moved(State::Active, 101), SystemTime::UNIX_EPOCH);
        }
        let all = events.after(0, Duration::ZERO).await;
        assert_eq!(all.len(), EVENTS);
        assert_eq!(all[0]["event"], 4);
        let last = events.after(EVENTS as u64 + 2, Duration::ZERO).await;
        assert_eq!(last.len(), 1);
        assert_eq!(last[0]["to"], "active");
    }
}
