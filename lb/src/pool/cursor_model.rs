//! [`Cursor`] under every order in which threads can run, not only those that a test meets.

mod atomics {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
}

#[expect(clippy::duplicate_mod, reason = "the same code, with other types")]
#[expect(unreachable_pub, reason = "public where it is compiled for use")]
#[path = "cursor.rs"]
mod cursor;

use cursor::Cursor;
use loom::sync::Arc;
use loom::thread;

#[test]
fn each_turn_is_taken_once_and_none_is_left_out() {
    loom::model(|| {
        let cursor = Arc::new(Cursor::default());
        cursor.go_on(7);
        let others = Arc::clone(&cursor);
        let other = thread::spawn(move || [others.take(), others.take()]);
        let mut turns = vec![cursor.take(), cursor.take()];
        turns.extend(other.join().unwrap());
        turns.sort_unstable();
        assert_eq!(turns, [7, 8, 9, 10]);
        assert_eq!(cursor.turn(), 11);
    });
}

#[test]
fn no_more_wait_than_there_is_room_for_and_none_is_counted_twice() {
    loom::model(|| {
        let cursor = Arc::new(Cursor::default());
        let others = Arc::clone(&cursor);
        let other = thread::spawn(move || others.wait(1));
        let own = cursor.wait(1);
        let other = other.join().unwrap();
        assert!(own ^ other, "{own} {other}");
        assert_eq!(cursor.waiting(), 1);
        cursor.waited();
        assert_eq!(cursor.waiting(), 0);
    });
}

/// One waits and leaves while two come: the place is somebody's.
#[test]
fn who_is_turned_away_takes_no_room_from_another() {
    loom::model(|| {
        let cursor = Arc::new(Cursor::default());
        assert!(cursor.wait(1));
        let others = Arc::clone(&cursor);
        let other = thread::spawn(move || others.wait(1));
        cursor.waited();
        let own = cursor.wait(1);
        let other = other.join().unwrap();
        assert!(own ^ other, "{own} {other}");
        assert_eq!(cursor.waiting(), 1);
    });
}
