//! [`Flag`] and [`Inbox`] under every order in which threads can run. A lost ring is a
//! deadlock here, and the model checker finds it.

mod sync {
    pub(super) use loom::sync::Mutex;
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering};
    pub(super) use std::sync::PoisonError;
}

#[expect(clippy::duplicate_mod, reason = "the same code, with other types")]
#[path = "inbox.rs"]
mod inbox;

use inbox::{Flag, Inbox, Ring};
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

/// What a worker and those who hand over share; `wake` stands for the eventfd and the poll.
struct Desk {
    inbox: Inbox<u32>,
    flag: Flag,
    wake: Notify,
    open: AtomicU64,
}

impl Desk {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inbox: Inbox::default(),
            flag: Flag::default(),
            wake: Notify::new(),
            open: AtomicU64::new(0),
        })
    }

    fn hand(&self, one: u32, most: usize) -> Result<(), u32> {
        self.inbox.put(one, most, || {
            self.open.fetch_add(1, Ordering::Relaxed);
        })?;
        if self.flag.ring() == Ring::First {
            self.wake.notify();
        }
        Ok(())
    }
}

#[test]
fn no_ring_is_lost() {
    // All orders take half a minute; a ring that is lost needs two preemptions.
    let mut orders = loom::model::Builder::new();
    orders.preemption_bound = Some(3);
    orders.check(|| {
        let desk = Desk::new();
        for one in [1, 2] {
            let desk = Arc::clone(&desk);
            thread::spawn(move || desk.hand(one, 2).unwrap());
        }
        let (mut taken, mut got) = (Vec::new(), Vec::new());
        while got.len() < 2 {
            desk.wake.wait();
            desk.flag.heard();
            desk.inbox.take(&mut taken);
            // Counted before it can be taken, so the count never falls below none.
            let gone = taken.len() as u64;
            let before = desk.open.fetch_sub(gone, Ordering::Relaxed);
            assert!(before >= gone, "{before} {gone}");
            got.append(&mut taken);
        }
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn what_finds_no_room_comes_back_and_is_not_counted() {
    loom::model(|| {
        let desk = Desk::new();
        let other = Arc::clone(&desk);
        let other = thread::spawn(move || other.hand(1, 1).is_ok());
        let own = desk.hand(2, 1).is_ok();
        let other = other.join().unwrap();
        assert!(own ^ other, "{own} {other}");
        assert_eq!(desk.open.load(Ordering::Relaxed), 1);
    });
}
