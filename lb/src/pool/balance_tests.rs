//! Tables and properties of leastconn, source, backups, places and slow start.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;

use super::ramp::{self, Rising};
use super::*;

/// One server of a test: id, state, weight, terms.
type Row = (u32, State, u16, Terms);

const UP: State = State::Up;
const PLAIN: Terms = Terms {
    rank: Rank::Regular,
    max_connections: None,
};
const BACKUP: Terms = Terms {
    rank: Rank::Backup,
    max_connections: None,
};

fn at_most(max: u32) -> Terms {
    Terms {
        max_connections: NonZeroU32::new(max),
        ..PLAIN
    }
}

fn backend(balance: Balance, rows: &[Row]) -> Backend {
    let server = |&(id, state, weight, terms): &Row| {
        let server = Server {
            id: ServerId(id),
            name: format!("s{id}").into(),
            address: SocketAddr::from(([10, 0, 0, 1], u16::try_from(id).unwrap())),
            weight,
            terms,
            counters: Arc::default(),
        };
        (Arc::new(server), state)
    };
    let dial = Dial {
        connect: Duration::from_millis(250),
        time: Duration::from_secs(5),
        attempts: 6,
    };
    let tcp = Tcp {
        keepalive: None,
        user_timeout: None,
    };
    let servers = rows.iter().map(server).collect();
    Backend::new("b".into(), dial, tcp, None, Arc::default(), servers)
        .balanced(balance, Queue::default())
}

fn ip(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(number))
}

fn chosen(backend: &Backend, client: u32) -> u32 {
    backend.pick(backend.lot(ip(client)), &[]).unwrap().id.0
}

/// Takes a place for each of so many clients, and keeps it.
fn seated(backend: &Backend, clients: u32) -> (Vec<u32>, Vec<Seat>) {
    (0..clients)
        .map(|client| {
            let seat = backend.seat(backend.lot(ip(client)), &[]).unwrap();
            (seat.id.0, seat)
        })
        .unzip()
}

#[test]
fn leastconn_goes_where_the_fewest_are_by_weight() {
    for (loads, weights, expected) in [
        ([0, 0, 0], [1, 1, 1], vec![0, 1, 2, 0]),
        // Of equals the one whose turn it is.
        ([5, 0, 1], [1, 1, 1], vec![1, 1, 2, 1]),
        ([2, 2, 2], [1, 1, 4], vec![2, 2, 2, 2]),
        // Of two connections to each of weight 1, weight 2 may have four.
        ([0, 0, 0], [2, 1, 1], vec![0, 0, 1, 2]),
    ] {
        let rows: Vec<Row> = (0..3)
            .map(|n| (n, UP, weights[usize::try_from(n).unwrap()], PLAIN))
            .collect();
        let backend = backend(Balance::Leastconn, &rows);
        for ((server, _), load) in backend.servers().iter().zip(loads) {
            server.counters.seats.store(load, Ordering::Relaxed);
        }
        let (mut order, _kept) = seated(&backend, 4);
        // Equals are taken in turn, whose it is depends on the ones before.
        if loads == [0, 0, 0] && weights == [2, 1, 1] {
            order.sort_unstable();
        }
        assert_eq!(order, expected, "{loads:?} {weights:?}");
    }
}

#[test]
fn a_place_is_given_back() {
    let backend = backend(Balance::Leastconn, &[(0, UP, 1, PLAIN), (1, UP, 1, PLAIN)]);
    let (_, seats) = seated(&backend, 10);
    let load = |at: usize| {
        backend.servers()[at]
            .0
            .counters
            .seats
            .load(Ordering::Relaxed)
    };
    assert_eq!((load(0), load(1)), (5, 5));
    drop(seats);
    assert_eq!((load(0), load(1)), (0, 0));
}

#[test]
fn a_full_server_is_passed_over_and_a_full_tier_is_waited_for() {
    for balance in [Balance::Roundrobin, Balance::Leastconn, Balance::Source] {
        let backend = backend(
            balance,
            &[
                (0, UP, 1, at_most(1)),
                (1, UP, 9, at_most(2)),
                (2, UP, 1, BACKUP),
                (3, State::Draining, 1, PLAIN),
            ],
        );
        let (mut order, mut seats) = seated(&backend, 3);
        order.sort_unstable();
        assert_eq!(order, [0, 1, 1], "{balance:?}");
        let full = |tried: &[u32]| {
            let tried: Vec<ServerId> = tried.iter().map(|&id| ServerId(id)).collect();
            backend.seat(0, &tried).map(|seat| seat.id.0)
        };
        assert_eq!(full(&[]), Err(Vacancy::Full));
        // One was dialled in vain; the other is up, and full.
        assert_eq!(full(&[0]), Err(Vacancy::Full));
        // None that is up is left: now the backup, and then the worse tier.
        assert_eq!(full(&[0, 1]), Ok(2));
        assert_eq!(full(&[0, 1, 2]), Ok(3));
        assert_eq!(full(&[0, 1, 2, 3]), Err(Vacancy::Nobody));
        seats.pop();
        assert!(full(&[]).is_ok());
    }
}

#[test]
fn backups_stand_in_for_their_tier_and_all_of_them_do() {
    use State::{Disabled, Draining, Hung, Up};
    for (states, expected) in [
        // Two regular ones, then two backups.
        ([Up, Up, Up, Up], vec![0, 1, 0, 1]),
        ([Up, Hung, Up, Up], vec![0; 4]),
        ([Hung, Disabled, Up, Up], vec![2, 3, 2, 3]),
        // One that is up is better than one that goes away, backup or not.
        ([Draining, Draining, Up, Hung], vec![2; 4]),
        ([Draining, Hung, Draining, Hung], vec![0; 4]),
        ([Hung, Hung, Draining, Hung], vec![2; 4]),
        ([Hung, Disabled, Hung, Hung], vec![0; 4]),
    ] {
        let terms = [PLAIN, PLAIN, BACKUP, BACKUP];
        let rows: Vec<Row> = (0..4)
            .map(|n| {
                let at = usize::try_from(n).unwrap();
                (n, states[at], 1, terms[at])
            })
            .collect();
        let backend = backend(Balance::Roundrobin, &rows);
        let picked: Vec<u32> = (0..4).map(|client| chosen(&backend, client)).collect();
        assert_eq!(picked, expected, "{states:?}");
    }
}

#[test]
fn an_ipv4_client_is_the_same_within_ipv6() {
    let four: IpAddr = "10.1.2.3".parse().unwrap();
    let six: IpAddr = "::ffff:10.1.2.3".parse().unwrap();
    assert_eq!(source::client(four), source::client(six));
}

#[test]
fn source_keeps_to_the_weights() {
    let rows = [(0, UP, 1, PLAIN), (1, UP, 2, PLAIN), (2, UP, 5, PLAIN)];
    let backend = backend(Balance::Source, &rows);
    let mut counts = [0_u32; 3];
    for client in 0..8_000 {
        counts[usize::try_from(chosen(&backend, 0x0a00_0000 + client)).unwrap()] += 1;
    }
    for (count, weight) in counts.into_iter().zip([1, 2, 5]) {
        let fair = weight * 1_000;
        // Five times what chance alone makes of the smallest share.
        assert!(count.abs_diff(fair) < 150 + fair / 20, "{counts:?}");
    }
}

proptest! {
    /// A server that leaves moves only its own clients; all others stay where they are.
    #[test]
    fn source_moves_only_the_share_of_one_that_leaves(
        weights in prop::collection::vec(1_u16..=256, 2..8),
        gone in any::<prop::sample::Index>(),
        clients in prop::collection::vec(any::<u32>(), 1..200),
    ) {
        let rows: Vec<Row> = (0u32..)
            .zip(&weights)
            .map(|(id, &weight)| (id, UP, weight, PLAIN))
            .collect();
        let gone = gone.index(rows.len());
        let mut left = rows.clone();
        let (lost, ..) = left.remove(gone);
        let (before, after) = (
            backend(Balance::Source, &rows),
            backend(Balance::Source, &left),
        );
        for client in clients {
            let (was, is) = (chosen(&before, client), chosen(&after, client));
            prop_assert_ne!(is, lost);
            prop_assert!(was == lost || was == is, "{client}: {was} then {is}");
        }
    }

    /// The order of the configuration and the names say nothing to `source`.
    #[test]
    fn source_is_the_same_on_every_master(
        ids in prop::collection::btree_set(0_u32..1000, 1..8),
        clients in prop::collection::vec(any::<u32>(), 1..50),
    ) {
        let row = |id| (id, UP, 1, PLAIN);
        let here: Vec<Row> = ids.iter().copied().map(row).collect();
        let there: Vec<Row> = ids.iter().rev().copied().map(row).collect();
        let (here, there) = (
            backend(Balance::Source, &here),
            backend(Balance::Source, &there),
        );
        for client in clients {
            prop_assert_eq!(chosen(&here, client), chosen(&there, client));
        }
    }

    /// However many workers take places at the same time, none has more than it may.
    #[test]
    fn no_server_has_more_than_it_may(most in 1_u32..20, threads in 1_usize..5) {
        let backend = backend(Balance::Roundrobin, &[(0, UP, 1, at_most(most))]);
        let take = || -> Vec<Seat> {
            (0..20).filter_map(|_| backend.seat(0, &[]).ok()).collect()
        };
        let taken: usize = std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
            let seats: Vec<Vec<Seat>> =
                all.into_iter().map(|one| one.join().unwrap()).collect();
            seats.iter().map(Vec::len).sum()
        });
        prop_assert!(taken <= usize::try_from(most).unwrap());
        prop_assert!(taken > 0);
        let (server, _) = &backend.servers()[0];
        prop_assert_eq!(server.counters.seats.load(Ordering::Relaxed), 0);
    }

    /// A server never loses weight as it rises, and ends with all of it.
    #[test]
    fn a_ramp_only_rises(weight in 1_u16..=256, mut ages in prop::collection::vec(0_u64..12_000, 2..20)) {
        ages.sort_unstable();
        let slow = Duration::from_secs(10);
        let step = |age: &u64| ramp::step(Some(Duration::from_millis(*age)), slow);
        prop_assert!(ages.windows(2).all(|pair| step(&pair[0]) <= step(&pair[1])));
        let old = Rising { weight, up_for: Some(slow) };
        prop_assert_eq!(ramp::weights(&[old], slow), [weight]);
    }
}

#[test]
fn steps_of_a_slow_start() {
    let slow = Duration::from_secs(10);
    for (up_for, step, next) in [
        (0, 1, Some(1_000)),
        (999, 1, Some(1)),
        (1_000, 2, Some(1_000)),
        (5_500, 6, Some(500)),
        (9_999, 10, Some(1)),
        (10_000, 10, None),
        (20_000, 10, None),
    ] {
        let rising = Rising {
            weight: 3,
            up_for: Some(Duration::from_millis(up_for)),
        };
        assert_eq!(ramp::step(rising.up_for, slow), step, "{up_for}");
        let change = ramp::next_change(&[rising], slow);
        assert_eq!(change, next.map(Duration::from_millis), "{up_for}");
    }
    assert_eq!(ramp::step(None, slow), ramp::STEPS);
    let warm = Rising {
        weight: 3,
        up_for: None,
    };
    let fresh = Rising {
        up_for: Some(Duration::ZERO),
        ..warm
    };
    assert_eq!(ramp::weights(&[warm, warm], slow), [3, 3]);
    assert_eq!(ramp::weights(&[warm, fresh], slow), [30, 3]);
    assert_eq!(ramp::weights(&[warm, fresh], Duration::ZERO), [3, 3]);
}

#[test]
fn the_queue_is_bounded() {
    let cursor = Cursor::default();
    assert!(!cursor.wait(0));
    assert!(cursor.wait(2) && cursor.wait(2) && !cursor.wait(2));
    assert_eq!(cursor.waiting(), 2);
    cursor.waited();
    assert!(cursor.wait(2));
}
