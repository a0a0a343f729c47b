//! The relay against a simple reference: two queues of bytes and a kernel that reports edges.
//!
//! The reference knows only what each side was sent, what it should have got, and who closed
//! how. The kernel is as unhelpful as the real one: it reports readiness once, reads stop
//! short when a pipe is out of slots, destinations block anywhere. Whatever happens, when
//! no more event comes, everything that could be delivered has been delivered.

mod world;

use proptest::prelude::*;

use super::*;
use world::{Deed, World};

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (any::<bool>(), 1u32..40).prop_map(|(client, len)| Deed::Sends { client, len }),
        1 => any::<bool>().prop_map(|client| Deed::Ends { client }),
        4 => (any::<bool>(), 1u32..60).prop_map(|(client, len)| Deed::TakesMore { client, len }),
        6 => (0u8..12).prop_map(|steps| Deed::Turn { steps }),
        1 => (any::<bool>(), 1u32..4).prop_map(|(client, calls)| Deed::Starves { client, calls }),
        1 => Just(Deed::Freeze),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_was_sent_in_order_arrives_in_order(
        deeds in prop::collection::vec(deed(), 0..60),
        read in 1u32..20,
    ) {
        let mut world = World::new(read);
        for deed in &deeds {
            world.perform(deed);
        }
        world.settle();
        world.check();
        // Both peers take everything and end: nothing may stay behind.
        for client in [true, false] {
            world.perform(&Deed::TakesMore { client, len: 10_000 });
            world.perform(&Deed::Ends { client });
        }
        world.settle();
        world.check();
        prop_assert!(world.over.is_some());
    }

    #[test]
    fn a_reset_ends_it_and_never_looks_orderly(
        before in prop::collection::vec(deed(), 0..40),
        client in any::<bool>(),
        after in prop::collection::vec(deed(), 0..20),
        read in 1u32..20,
    ) {
        let mut world = World::new(read);
        for deed in &before {
            world.perform(deed);
        }
        world.settle();
        prop_assume!(world.over.is_none());
        let half_closed = world.client.fin || world.server.fin;
        world.perform(&Deed::Resets { client });
        for deed in &after {
            world.perform(deed);
        }
        for client in [true, false] {
            world.perform(&Deed::TakesMore { client, len: 10_000 });
        }
        world.settle();
        world.check();
        let by = if client { Side::Client } else { Side::Server };
        let over = world.over;
        prop_assert!(over.is_some(), "a reset is lost: {world:?}");
        prop_assert!(
            over == Some(Over::Broken { by, fault: Fault::Reset }) || half_closed,
            "{over:?}"
        );
    }
}

#[test]
fn a_flow_turns_bulk_after_full_reads_and_back_after_small_ones() {
    let mut relay = Relay::new();
    let ready = Ready {
        readable: true,
        writable: true,
        ..Ready::default()
    };
    relay.ready(Side::Client, ready);
    relay.ready(
        Side::Server,
        Ready {
            writable: true,
            ..Ready::default()
        },
    );
    let via = |relay: &Relay| match relay.next() {
        Step::Carry { via, .. } => via,
        other @ (Step::Flush(_)
        | Step::Shut(_)
        | Step::Inquire(_)
        | Step::Wait
        | Step::Rest
        | Step::Over(_)) => panic!("{other:?}"),
    };
    let read = |relay: &mut Relay, len, full| {
        let way = via(relay);
        relay.carried(Flow::Up, way, Took::Bytes { len, full }, Gave::All);
        relay.ready(Side::Client, ready);
    };
    read(&mut relay, 65_536, true);
    assert_eq!(via(&relay), Via::Copy);
    read(&mut relay, 65_535, false);
    read(&mut relay, 65_536, true);
    assert_eq!(
        via(&relay),
        Via::Copy,
        "one full read in a row is not enough"
    );
    read(&mut relay, 65_536, true);
    assert_eq!(via(&relay), Via::Pipe);
    for _ in 1..SMALL_AFTER {
        read(&mut relay, SMALL_SPLICE - 1, false);
    }
    assert_eq!(via(&relay), Via::Pipe);
    read(&mut relay, SMALL_SPLICE, false);
    for _ in 1..SMALL_AFTER {
        read(&mut relay, SMALL_SPLICE - 1, false);
    }
    assert_eq!(
        via(&relay),
        Via::Pipe,
        "a large read starts the count again"
    );
    read(&mut relay, SMALL_SPLICE - 1, false);
    assert_eq!(via(&relay), Via::Copy);
}
