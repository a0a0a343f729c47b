//! Tables and properties of rotation, pick and dialling.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::worker::End;

const DIAL: Dial = Dial {
    connect: Duration::from_millis(250),
    time: Duration::from_secs(5),
    attempts: 6,
};

fn backend(servers: &[(State, u16)]) -> Backend {
    let server = |(at, &(state, weight)): (usize, &(State, u16))| {
        let server = Server {
            id: ServerId(u32::try_from(at).unwrap()),
            name: format!("s{at}").into(),
            address: ([127, 0, 0, 1], 6443).into(),
            weight,
            terms: Terms::default(),
            counters: Arc::default(),
        };
        (Arc::new(server), state)
    };
    let tcp = Tcp {
        keepalive: None,
        user_timeout: None,
    };
    let servers = servers.iter().enumerate().map(server).collect();
    Backend::new("b".into(), DIAL, tcp, None, Arc::default(), servers)
}

fn picks(backend: &Backend, turns: u64, tried: &[u32]) -> Vec<u32> {
    let tried: Vec<ServerId> = tried.iter().map(|&id| ServerId(id)).collect();
    (0..turns)
        .filter_map(|turn| Some(backend.pick(turn, &tried)?.id.0))
        .collect()
}

#[test]
fn the_best_tier_that_has_somebody_is_used() {
    use State::{Disabled, Draining, Hung, Unknown, Unreachable, Up};
    for (states, expected) in [
        ([Up, Up, Up], vec![0, 1, 2, 0]),
        ([Up, Draining, Up], vec![0, 2, 0, 2]),
        ([Draining, Hung, Draining], vec![0, 2, 0, 2]),
        ([Draining, Unknown, Unreachable], vec![0; 4]),
        // Panic: nothing looks well, so everybody is asked.
        ([Hung, Unknown, Unreachable], vec![0, 1, 2, 0]),
        ([Hung, Disabled, Unreachable], vec![0, 2, 0, 2]),
        ([Disabled, Disabled, Up], vec![2; 4]),
        ([Disabled, Disabled, Disabled], vec![]),
    ] {
        let backend = backend(&states.map(|state| (state, 1)));
        assert_eq!(picks(&backend, 4, &[]), expected, "{states:?}");
    }
}

#[test]
fn what_was_tried_is_passed_over_and_then_the_next_tier_asked() {
    let backend = backend(&[
        (State::Up, 1),
        (State::Up, 1),
        (State::Draining, 1),
        (State::Unreachable, 1),
        (State::Disabled, 1),
    ]);
    for (tried, expected) in [
        (&[0][..], vec![1, 1]),
        (&[1], vec![0, 0]),
        (&[0, 1], vec![2, 2]),
        (&[0, 1, 2], vec![3, 3]),
        (&[2, 3], vec![0, 1]),
        (&[0, 1, 2, 3], vec![]),
    ] {
        assert_eq!(picks(&backend, 2, tried), expected, "{tried:?}");
    }
}

#[test]
fn a_heavy_servers_turns_are_spread() {
    let backend = backend(&[(State::Up, 5), (State::Up, 1), (State::Up, 1)]);
    assert_eq!(picks(&backend, 7, &[]), [0, 0, 1, 0, 2, 0, 0]);
}

proptest! {
    /// Over any run of whole cycles, wherever it begins, each server gets its weight.
    #[test]
    fn exact_over_a_cycle(weights in prop::collection::vec(1_u16..=256, 1..8), start in 0..u64::MAX / 2) {
        let servers: Vec<_> = weights.iter().map(|&weight| (State::Up, weight)).collect();
        let backend = backend(&servers);
        let rotation = Rotation::new(weights.iter().copied().enumerate());
        let cycle = u64::try_from(rotation.len()).unwrap();
        let mut counts = vec![0_u64; weights.len()];
        for turn in start..start + cycle {
            counts[usize::try_from(backend.pick(turn, &[]).unwrap().id.0).unwrap()] += 1;
        }
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        for (count, weight) in counts.iter().zip(&weights) {
            prop_assert_eq!(count * total, u64::from(*weight) * cycle);
        }
    }

    /// No two turns of a server are further apart than its share asks for, twice.
    #[test]
    fn smooth(weights in prop::collection::vec(1_u16..=16, 2..6)) {
        let rotation = Rotation::new(weights.iter().copied().enumerate());
        let turns: Vec<usize> = rotation.from(0).chain(rotation.from(0)).collect();
        for (at, &weight) in weights.iter().enumerate() {
            let total: usize = weights.iter().map(|&weight| usize::from(weight)).sum();
            let fair = total.div_ceil(usize::from(weight));
            let places: Vec<usize> = (0..turns.len()).filter(|&i| turns[i] == at).collect();
            for pair in places.windows(2) {
                prop_assert!(pair[1] - pair[0] <= 2 * fair, "{:?} {:?}", weights, turns);
            }
        }
    }

    /// Many threads, one cursor: no turn is given twice and none is left out.
    #[test]
    fn one_cursor_for_all(threads in 1_usize..5, each in 1_usize..200) {
        let cursor = Cursor::default();
        let mut turns: Vec<u64> = std::thread::scope(|scope| {
            let take = || (0..each).map(|_| cursor.take()).collect::<Vec<_>>();
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
            all.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        turns.sort_unstable();
        let expected: Vec<u64> = (0..u64::try_from(threads * each).unwrap()).collect();
        prop_assert_eq!(turns, expected);
    }

    /// A server is never given while a better tier has one that was not tried.
    #[test]
    fn never_a_worse_tier(
        states in prop::collection::vec(0_usize..6, 1..8),
        tried in prop::collection::vec(0_u32..8, 0..4),
        turn in 0_u64..100,
    ) {
        let states: Vec<State> = states.into_iter().map(|at| State::ALL[at]).collect();
        let servers: Vec<_> = states.iter().map(|&state| (state, 1)).collect();
        let tried: Vec<ServerId> = tried.into_iter().map(ServerId).collect();
        let left = states.iter().enumerate().filter_map(|(at, state)| {
            let is_left = !tried.contains(&ServerId(u32::try_from(at).unwrap()));
            state.tier().filter(|_| is_left)
        });
        let picked = backend(&servers).pick(turn, &tried).map(|server| server.id.0);
        let tier = picked.and_then(|id| states[usize::try_from(id).unwrap()].tier());
        prop_assert_eq!(tier, left.min());
    }
}

/// Dials until the end: (server, timeout in ms) each, `took` ms apart.
fn dials(backend: &Backend, failures: &[Failure], took: u64) -> (Vec<(u32, u128)>, End) {
    let mut dialling = Dialling::default();
    let mut made = Vec::new();
    loop {
        let so_far = u64::try_from(made.len()).unwrap();
        match dialling.next(backend, 0, Duration::from_millis(so_far * took)) {
            Err(Refusal::Over(end)) => return (made, end),
            Err(Refusal::Full) => panic!("nobody has a limit"),
            Ok(attempt) => {
                let id = attempt.server.id;
                made.push((id.0, attempt.timeout.as_millis()));
                dialling.failed(id, failures[usize::try_from(id.0).unwrap()]);
            }
        }
    }
}

#[test]
fn when_all_refuse_each_is_asked_once() {
    let backend = backend(&[(State::Up, 1), (State::Draining, 1), (State::Hung, 1)]);
    let (made, end) = dials(&backend, &[Failure::Refused; 3], 0);
    assert_eq!(
        (made, end),
        (vec![(0, 250), (1, 250), (2, 250)], End::DialFailed)
    );
}

#[test]
fn one_that_is_only_slow_gets_another_round_with_twice_the_time() {
    let backend = backend(&[(State::Up, 1), (State::Up, 1)]);
    let (made, end) = dials(&backend, &[Failure::Refused, Failure::TimedOut], 250);
    let rounds = vec![(0, 250), (1, 250), (0, 500), (1, 500), (0, 1000), (1, 1000)];
    assert_eq!((made, end), (rounds, End::DialBudget));
}

#[test]
fn the_time_of_the_budget_cuts_the_last_attempt_short() {
    let backend = backend(&[(State::Up, 1), (State::Up, 1)]);
    let (made, end) = dials(&backend, &[Failure::TimedOut; 2], 2_400);
    assert_eq!(
        (made, end),
        (vec![(0, 250), (1, 250), (0, 200)], End::DialBudget)
    );
}

#[test]
fn a_budget_of_no_time_and_a_backend_of_nobody() {
    let disabled = backend(&[(State::Disabled, 1)]);
    assert_eq!(dials(&disabled, &[], 0), (vec![], End::NoServer));
    let up = backend(&[(State::Up, 1)]);
    let mut dialling = Dialling::default();
    let just = DIAL.time - Duration::from_nanos(1);
    assert_eq!(
        dialling.next(&up, 0, DIAL.time).unwrap_err(),
        Refusal::Over(End::DialBudget)
    );
    assert_eq!(
        dialling.next(&up, 0, just).unwrap().timeout,
        Duration::from_nanos(1)
    );
    assert_eq!(dialling.attempts(), 1);
}

#[test]
fn every_end_has_its_place_and_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> =
        End::ALL.iter().map(|end| end.name()).collect();
    assert_eq!(names.len(), End::ALL.len());
    for (place, end) in End::ALL.into_iter().enumerate() {
        assert_eq!(end.index(), place);
        let counters = Counters::default();
        counters.opened();
        counters.closed(end);
        let counted = End::ALL.map(|other| counters.ended(other));
        assert_eq!(counted.iter().sum::<u64>(), 1);
        assert_eq!(counted[place], 1);
    }
}
