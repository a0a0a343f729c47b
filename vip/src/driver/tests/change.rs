//! A router that another file describes otherwise, while it runs.

use super::*;
use crate::config::{Unlisted, VirtualAddress};

/// A second address, other announcements, no preemption.
fn other() -> Router {
    let second = Address {
        ip: "10.55.0.101".parse().unwrap(),
        prefix: 24,
    };
    Router {
        addresses: vec![virtual_address().into(), VirtualAddress::from(second)],
        preempt: Preempt::Never,
        announce: Announce {
            refresh: Some(Duration::from_secs(1)),
            ..router().announce
        },
        misconfigured_peer: MisconfiguredPeer::Ignore,
        ..router()
    }
}

async fn becomes(bench: &Bench, router: Router) {
    let (done, changed) = oneshot::channel();
    let change = Change { router, done };
    let command = Command::Change(Box::new(change));
    bench.commands.send(command).await.unwrap();
    assert!(changed.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_active_goes_on_with_other_addresses_and_makes_no_election() {
    let bench = bench(clear());
    bench.until(700).await;
    assert_eq!(bench.state(), State::Active);
    let since = bench.record.borrow().since;
    bench.deeds();
    becomes(&bench, other()).await;
    assert_eq!(
        bench.deeds(),
        [(700, ReleaseBut(2)), (700, Acquire), (700, Burst)]
    );
    bench.until(1799).await;
    let bursts = bench.deeds();
    assert!(bursts.contains(&(1700, Burst)), "refreshed: {bursts:?}");
    assert!(!bursts.iter().any(|(_, deed)| *deed == Release));
    let record = bench.record.borrow().clone();
    assert_eq!((record.state, record.since), (State::Active, since));
    // A peer that has taken the change on, and one that has not: both are of the group.
    let second = "10.55.0.101".parse().unwrap();
    for addresses in [vec![VIRTUAL, second], vec![VIRTUAL]] {
        let lower = datagram_with(100, addresses);
        bench.adverts.send(Ok(lower)).await.unwrap();
        settle().await;
    }
    let counts = bench.record.borrow().counts.clone();
    assert_eq!((counts.accepted, counts.refused.len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_may_no_more_preempt_follows_a_lower_active() {
    for (router, state) in [(router(), State::Active), (other(), State::Backup)] {
        let bench = bench(clear());
        bench.hears(100).await;
        bench.until(50).await;
        becomes(&bench, router).await;
        assert_eq!(bench.deeds(), [], "it holds nothing");
        for at in (100..1000).step_by(100) {
            bench.until(at).await;
            if bench.state() == State::Backup {
                bench.hears(100).await;
            }
        }
        assert_eq!(bench.state(), state);
    }
}

/// What a run before has left stays, and nothing is announced: somebody else may be Active.
#[tokio::test(start_paused = true)]
async fn what_a_run_before_has_left_is_not_put_anew_by_a_change() {
    let missing = Survey {
        missing: vec![virtual_address()],
        ..held()
    };
    for (found, more) in [(held(), None), (missing, Some((50, Release)))] {
        let bench = bench(held());
        bench.until(50).await;
        bench.survey(found);
        bench.deeds();
        becomes(&bench, other()).await;
        let mut deeds = vec![(50, ReleaseBut(2))];
        deeds.extend(more);
        assert_eq!(bench.deeds(), deeds);
        assert_eq!(bench.state(), State::Backup);
    }
}

/// Nobody is told to send to an address that is not here.
#[tokio::test(start_paused = true)]
async fn a_change_that_the_kernel_refuses_gives_the_addresses_away() {
    let bench = bench(clear());
    bench.until(700).await;
    bench.deeds();
    *bench.world.refuses.lock().unwrap() = true;
    becomes(&bench, other()).await;
    let deeds = [ReleaseBut(2), Acquire, Advertise(0), Release];
    assert_eq!(bench.deeds(), deeds.map(|deed| (700, deed)));
    assert_eq!(bench.state(), State::Fault);
    let failing = bench.record.borrow().failing.clone();
    assert!(failing.contains_key("acquire"), "{failing:?}");
}

/// Two peers that compute checksums differently, until one of them is none.
#[tokio::test(start_paused = true)]
async fn who_is_a_peer_no_more_has_no_say_in_how_checksums_are_computed() {
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 55, 0, 13));
    let among = |peers: &[IpAddr]| Router {
        travel: Travel::Unicast {
            source: Some(OURS),
            peers: peers.to_vec(),
            unlisted: Unlisted::Accept,
        },
        ..router()
    };
    // Whatever is sent is compared with it.
    let sent = Checksum::Message;
    let bench = bench_as(&among(&[PEER, OTHER]), sent, clear(), None, None);
    for (from, checksum) in [(PEER, Checksum::PseudoHeader), (OTHER, sent)] {
        let group = datagram(250);
        let advert = parse(&group.payload, &group.envelope).unwrap().advert;
        let envelope = Envelope::unicast(from, OURS);
        let payload = emit(&advert, &envelope, checksum);
        let heard = Datagram { envelope, payload };
        bench.adverts.send(Ok(heard)).await.unwrap();
    }
    settle().await;
    becomes(&bench, among(&[OTHER])).await;
    bench.until(700).await;
    assert_eq!(bench.state(), State::Active);
    let known = bench.record.borrow().checksums.clone();
    assert_eq!(known.into_keys().collect::<Vec<_>>(), [OTHER]);
}
