//! The book: what changes make which request worth a decision, and which facts it gets.
//!
//! Leaves to `tests/cluster`: that the API server sends such changes.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot make its request has failed"
)]

mod made;

use std::collections::BTreeSet;

use bootstrap_signer::book::{Book, Change, Kind, Ledger, Seen};
use policy::{Known, Node, Reason, Settings, State, Token};
use rcgen::KeyPair;

use made::{START, at, drain, pem, put, reason, seen, whole};

#[test]
fn nothing_is_decided_before_everything_was_seen() {
    let key = KeyPair::generate().unwrap();
    let mut book = Book::default();
    put(&mut book, seen("a", pem("new-1", &key), at(0)));
    assert_eq!(reason(&mut book, "a", at(0)), Reason::FactsUnknown);
    let token = Token::default();
    book.apply(Change::Token("abc123".to_owned(), token, Ledger::default()));
    let all = |name: &str| BTreeSet::from([name.to_owned()]);
    book.apply(Change::Whole(Kind::Requests, all("a")));
    book.apply(Change::Whole(Kind::Tokens, all("abc123")));
    book.apply(Change::Whole(Kind::Nodes, BTreeSet::new()));
    assert_eq!(book.missing(), ["leases"]);
    assert_eq!(reason(&mut book, "a", at(0)), Reason::FactsUnknown);
    drain(&mut book);
    book.apply(Change::Whole(Kind::Leases, BTreeSet::new()));
    assert!(book.is_whole());
    assert_eq!(drain(&mut book), ["a"]);
    assert_eq!(reason(&mut book, "a", at(0)), Reason::NewNode);
}

#[test]
fn a_change_asks_again_and_a_heartbeat_does_not() {
    let key = KeyPair::generate().unwrap();
    let mut book = whole();
    put(&mut book, seen("a", pem("new-1", &key), at(0)));
    assert_eq!(drain(&mut book), ["a"]);
    let node = Node::new(true, at(0));
    book.apply(Change::Node("new-1".to_owned(), node.clone()));
    assert_eq!(drain(&mut book), ["a"]);
    assert_eq!(reason(&mut book, "a", at(1)), Reason::NodeTaken);
    book.apply(Change::Node("new-1".to_owned(), node));
    book.apply(Change::Renewed("new-1".to_owned(), at(100)));
    assert!(drain(&mut book).is_empty());
    let gone = Node::new(false, START);
    book.apply(Change::Node("new-1".to_owned(), gone));
    assert_eq!(drain(&mut book), ["a"]);
    assert_eq!(reason(&mut book, "a", at(1)), Reason::NodeExists);
    book.apply(Change::Gone(Kind::Nodes, "new-1".to_owned()));
    assert_eq!(drain(&mut book), ["a"]);
    book.apply(Change::Gone(Kind::Tokens, "abc123".to_owned()));
    assert_eq!(drain(&mut book), ["a"]);
    assert_eq!(reason(&mut book, "a", at(1)), Reason::TokenUnknown);
}

#[test]
fn the_clock_asks_again_once() {
    let key = KeyPair::generate().unwrap();
    let mut book = whole();
    put(&mut book, seen("a", pem("new-1", &key), at(0)));
    drain(&mut book);
    book.again_at("a", at(10));
    book.again_at("a", at(5));
    assert_eq!(book.due(), Some(at(5)));
    book.wake(at(4));
    assert!(drain(&mut book).is_empty());
    book.wake(at(5));
    assert_eq!(drain(&mut book), ["a"]);
    assert_eq!(book.due(), None);
    book.again_at("a", at(10));
    book.apply(Change::Gone(Kind::Requests, "a".to_owned()));
    assert_eq!(book.due(), None);
}

/// The names fall where the turns rise: the order they came in counts.
#[test]
fn a_flood_is_held_and_let_in_one_by_one() {
    let key = KeyPair::generate().unwrap();
    let mut book = whole();
    let name = |turn: usize| format!("csr-{}", 99 - turn);
    for turn in 0..30 {
        put(&mut book, seen(&name(turn), b"bad".to_vec(), at(0)));
    }
    drain(&mut book);
    for turn in 0..30 {
        let reason = reason(&mut book, &name(turn), at(1));
        let held = reason == Reason::QuotaExceeded;
        assert_eq!(held, turn >= 20, "turn {turn}: {reason}");
        if held {
            book.hold(&name(turn));
        }
    }
    // Denied: it counts on.
    book.decided(&name(0), true, at(0));
    assert!(drain(&mut book).is_empty());
    // Approved or gone: one more may pass, and that is the first that waits.
    book.decided(&name(1), false, at(0));
    assert_eq!(drain(&mut book), [name(20)]);
    assert_eq!(reason(&mut book, &name(20), at(1)), Reason::PemInvalid);
    assert_eq!(reason(&mut book, &name(21), at(1)), Reason::QuotaExceeded);
    // What is older than the window counts no longer.
    assert_eq!(reason(&mut book, &name(29), at(601)), Reason::PemInvalid);
    // Others do not notice.
    let mut other = seen("other", pem("new-1", &key), at(1));
    other.submitted.username = "kubelet-bootstrap".to_owned();
    put(&mut book, other);
    assert_eq!(reason(&mut book, "other", at(1)), Reason::NewNode);
}

/// What is about to be approved lets the next one in, once; where that fails, it counts again.
#[test]
fn an_approval_on_its_way_counts_no_more() {
    let mut book = whole();
    let name = |turn: usize| format!("csr-{turn:02}");
    for turn in 0..22 {
        let key = KeyPair::generate().unwrap();
        let pem = pem(&format!("new-{turn}"), &key);
        put(&mut book, seen(&name(turn), pem, at(0)));
    }
    drain(&mut book);
    for turn in [20, 21] {
        assert_eq!(reason(&mut book, &name(turn), at(1)), Reason::QuotaExceeded);
        book.hold(&name(turn));
    }
    book.approving(&name(3));
    assert_eq!(drain(&mut book), [name(20)]);
    assert_eq!(reason(&mut book, &name(20), at(1)), Reason::NewNode);
    assert_eq!(reason(&mut book, &name(21), at(1)), Reason::QuotaExceeded);
    book.approving(&name(3));
    book.decided(&name(3), false, at(1));
    assert!(drain(&mut book).is_empty());
    book.approving(&name(4));
    assert_eq!(drain(&mut book), [name(21)]);
    assert_eq!(reason(&mut book, &name(21), at(1)), Reason::NewNode);
    book.not_approved(&name(4));
    assert_eq!(reason(&mut book, &name(21), at(1)), Reason::QuotaExceeded);
    // Somebody else approved it meanwhile.
    book.approving(&name(5));
    book.decided(&name(5), false, at(1));
    book.not_approved(&name(5));
    assert_eq!(reason(&mut book, &name(21), at(1)), Reason::NewNode);
}

#[test]
fn the_older_of_two_is_superseded() {
    let key = KeyPair::generate().unwrap();
    let mut book = whole();
    put(&mut book, seen("b", pem("new-1", &key), at(0)));
    put(&mut book, seen("a", pem("new-1", &key), at(0)));
    for name in ["a", "b"] {
        assert_eq!(
            reason(&mut book, name, at(0)),
            Reason::NewNode,
            "same second"
        );
    }
    put(&mut book, seen("c", pem("new-1", &key), at(1)));
    assert_eq!(reason(&mut book, "c", at(1)), Reason::NewNode);
    assert_eq!(reason(&mut book, "a", at(1)), Reason::Superseded);
    book.apply(Change::Gone(Kind::Requests, "c".to_owned()));
    assert_eq!(reason(&mut book, "a", at(1)), Reason::NewNode);
}

#[test]
fn a_key_is_of_the_first_node_that_used_it() {
    let key = KeyPair::generate().unwrap();
    let mut book = whole();
    put(&mut book, seen("a", pem("new-1", &key), at(0)));
    assert_eq!(reason(&mut book, "a", at(0)), Reason::NewNode);
    book.decided("a", false, at(0));
    put(&mut book, seen("b", pem("new-2", &key), at(1)));
    assert_eq!(reason(&mut book, "b", at(1)), Reason::KeyUsedByOtherNode);
    // Also where it was approved before we came.
    let mut later = whole();
    let mut old = seen("a", pem("new-1", &key), at(0));
    old.submitted.state = State::Issued;
    put(&mut later, old);
    put(&mut later, seen("b", pem("new-2", &key), at(1)));
    assert_eq!(reason(&mut later, "b", at(1)), Reason::KeyUsedByOtherNode);
    put(&mut book, seen("c", pem("new-1", &key), at(1)));
    book.decided("b", true, at(0));
    assert_eq!(reason(&mut book, "c", at(1)), Reason::NewNode);
}

#[test]
fn what_a_new_list_lacks_is_gone() {
    let key = KeyPair::generate().unwrap();
    let mut book = whole();
    book.apply(Change::Node("new-1".to_owned(), Node::new(true, at(0))));
    put(&mut book, seen("a", pem("new-1", &key), at(0)));
    put(&mut book, seen("b", pem("new-2", &key), at(0)));
    book.apply(Change::Whole(Kind::Nodes, BTreeSet::new()));
    assert_eq!(reason(&mut book, "a", at(0)), Reason::NewNode);
    book.apply(Change::Whole(
        Kind::Requests,
        BTreeSet::from(["b".to_owned()]),
    ));
    assert!(book.seen("a").is_none());
    assert_eq!(book.pending(), (1, Some(at(0))));
}

/// Two keys ask for one name. The one that the API server took first gets it, also where
/// the other one was seen first; the other waits until it had time to register.
#[test]
fn a_name_goes_to_the_first_in_line() {
    let mut book = whole();
    let keys = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
    let asks = |name: &str, key: &KeyPair, version: &str, user: &str| {
        let mut seen = seen(name, pem("new-1", key), at(0));
        seen.version = version.to_owned();
        seen.submitted.username = format!("system:bootstrap:{user}");
        seen
    };
    for id in ["abc123", "def456"] {
        let token = Change::Token(id.to_owned(), Token::default(), Ledger::default());
        book.apply(token);
    }
    let second = asks("second", &keys[1], "12", "def456");
    put(&mut book, second.clone());
    put(&mut book, asks("first", &keys[0], "11", "abc123"));
    let reason = |book: &mut Book, name: &str, now| {
        let yes = |_: &Seen, _| Known::Known(true);
        let decided = book.decide(name, &Settings::default(), None, yes, now);
        decided.unwrap().0.reason
    };
    assert_eq!(reason(&mut book, "first", at(1)), Reason::NewNode);
    assert_eq!(reason(&mut book, "second", at(1)), Reason::NameHeld);
    while book.pop().is_some() {}
    book.decided("first", false, at(2));
    assert_eq!(book.pop().as_deref(), Some("second"), "the next one's turn");
    assert_eq!(reason(&mut book, "second", at(121)), Reason::NameHeld);
    assert_eq!(reason(&mut book, "second", at(122)), Reason::NewNode);
    // The same key is the same kubelet, whatever it asks by.
    put(&mut book, asks("again", &keys[0], "13", "def456"));
    book.apply(Change::Gone(Kind::Requests, "second".to_owned()));
    assert_eq!(reason(&mut book, "again", at(3)), Reason::NewNode);
    // One that is gone stands in nobody's way.
    put(&mut book, second);
    book.apply(Change::Gone(Kind::Requests, "first".to_owned()));
    book.apply(Change::Gone(Kind::Requests, "again".to_owned()));
    assert_eq!(reason(&mut book, "second", at(3)), Reason::NewNode);
}

/// As many as fill a requester's room, and as many again.
const FLOOD: usize = 5_000;

#[test]
fn a_flood_fills_its_own_room_and_no_more() {
    let key = KeyPair::generate().unwrap();
    let mut book = whole();
    let text = pem("flood", &key);
    let name = |i: usize| format!("flood-{i}");
    for i in 0..FLOOD {
        put(&mut book, seen(&name(i), text.clone(), at(0)));
    }
    let held = book.count(Kind::Requests);
    assert!(held > 1_000 && held < bootstrap_signer::book::OF_ONE / text.len() / 4);
    assert_eq!((book.crowded(), book.wants_again()), (1, false));
    let mut other = seen("other", pem("new-1", &KeyPair::generate().unwrap()), at(0));
    other.submitted.username = "system:bootstrap:def456".to_owned();
    put(&mut book, other);
    assert!(book.seen("other").is_some());
    // It is said once that there is room for more.
    let mut gone = 0;
    while !book.wants_again() {
        book.apply(Change::Gone(Kind::Requests, name(gone)));
        gone += 1;
    }
    assert_eq!((gone, book.wants_again()), (held.div_ceil(2), false));
    book.apply(Change::ReadAgain);
    assert_eq!(book.crowded(), 0);
    for i in gone..FLOOD {
        let again = seen(&name(i), text.clone(), at(0));
        book.apply(Change::Again(Box::new(again)));
    }
    assert_eq!((book.count(Kind::Requests), book.crowded()), (held + 1, 1));
    for i in 0..FLOOD {
        book.apply(Change::Gone(Kind::Requests, name(i)));
    }
    book.apply(Change::ReadAgain);
    assert_eq!((book.count(Kind::Requests), book.crowded()), (1, 0));
}

/// What was read again is what was there when the reading began: what a watch said since is
/// newer.
#[test]
fn what_is_known_is_not_read_again() {
    let key = KeyPair::generate().unwrap();
    let mut book = whole();
    let mut now = seen("a", pem("new-1", &key), at(0));
    let before = now.clone();
    now.submitted.state = State::Decided;
    put(&mut book, now);
    book.apply(Change::Again(Box::new(before)));
    assert_eq!(book.pending().0, 0);
}

/// Keys and names of what is decided count for what comes later.
#[test]
fn who_has_more_decided_than_is_held_waits() {
    let mut book = whole();
    let text = pem("old", &KeyPair::generate().unwrap());
    for i in 0..2 * FLOOD {
        let mut old = seen(&format!("old-{i}"), text.clone(), at(0));
        old.submitted.state = State::Issued;
        old.approved = Some(at(0));
        put(&mut book, old);
    }
    assert!(book.count(Kind::Requests) < 2 * FLOOD);
    for i in 0..10 {
        book.apply(Change::Gone(Kind::Requests, format!("old-{i}")));
    }
    let new = |name: &str| pem(name, &KeyPair::generate().unwrap());
    put(&mut book, seen("a", new("new-1"), at(0)));
    assert_eq!(reason(&mut book, "a", at(0)), Reason::FactsUnknown);
    let mut other = seen("b", new("new-2"), at(0));
    other.submitted.username = "system:bootstrap:def456".to_owned();
    let token = Token::default();
    book.apply(Change::Token("def456".to_owned(), token, Ledger::default()));
    put(&mut book, other);
    assert_eq!(reason(&mut book, "b", at(0)), Reason::NewNode);
}
