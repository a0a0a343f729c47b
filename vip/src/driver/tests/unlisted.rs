//! Unicast adverts of senders that nobody has listed: they hear nothing of us.

use vrrp::packet::Advert;

use super::*;
use crate::config::Unlisted;

/// An address below ours; PEER's is above it.
const BELOW: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 55, 0, 10));
const LISTED: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 55, 0, 13));
/// What no router has been between.
const NEAR: u8 = 255;

fn unicast(unlisted: Unlisted) -> Router {
    let travel = Travel::Unicast {
        source: None,
        peers: vec![LISTED],
        unlisted,
    };
    Router { travel, ..router() }
}

fn starts(router: &Router) -> Bench {
    bench_as(router, Checksum::PseudoHeader, clear(), None, None)
}

async fn hears(bench: &Bench, from: IpAddr, ttl: u8, priority: u8) {
    let group = datagram(priority);
    let advert: Advert = parse(&group.payload, &group.envelope).unwrap().advert;
    let envelope = Envelope {
        ttl,
        ..Envelope::unicast(from, OURS)
    };
    let payload = emit(&advert, &envelope, Checksum::PseudoHeader);
    let unicast = Datagram { envelope, payload };
    bench.adverts.send(Ok(unicast)).await.unwrap();
    settle().await;
}

fn held_back_by(bench: &Bench) -> Option<IpAddr> {
    let record = bench.record.borrow();
    record.held_back_by(Instant::now()).map(|it| it.from)
}

/// Who would yield to us if it heard us does not; who would not is given way to.
#[tokio::test(start_paused = true)]
async fn who_goes_before_us_is_obeyed_and_who_does_not_is_left_alone() {
    use State::{Active, Backup};
    for (from, priority, of_active) in [
        (PEER, 201, Backup),
        (PEER, 200, Backup),
        (BELOW, 200, Active),
        (PEER, 199, Active),
    ] {
        let bench = starts(&unicast(Unlisted::Accept));
        bench.until(1000).await;
        assert_eq!(bench.state(), Active);
        hears(&bench, from, NEAR, priority).await;
        assert_eq!(bench.state(), of_active, "{from} {priority}");
        assert!(bench.record.borrow().alarm(Instant::now()).is_some());
    }
    for (from, priority, rival) in [
        (PEER, 200, None),
        (BELOW, 200, None),
        (PEER, 199, Some(PEER)),
    ] {
        let bench = starts(&unicast(Unlisted::Accept));
        bench.until(300).await;
        hears(&bench, from, NEAR, priority).await;
        bench.until(600).await;
        assert_eq!(bench.state(), Backup, "{from} {priority}");
        assert_eq!(held_back_by(&bench), rival, "{from} {priority}");
    }
}

/// Ours is 21.9 ms behind the release; who is not followed gives nothing up.
#[tokio::test(start_paused = true)]
async fn the_release_of_who_is_followed_is_believed() {
    let bench = starts(&unicast(Unlisted::Accept));
    hears(&bench, PEER, NEAR, 250).await;
    bench.until(100).await;
    hears(&bench, BELOW, NEAR, 0).await;
    bench.until(200).await;
    assert_eq!(bench.state(), State::Backup);
    hears(&bench, PEER, NEAR, 0).await;
    bench.until(221).await;
    assert_eq!(bench.state(), State::Backup);
    bench.until(222).await;
    assert_eq!(bench.state(), State::Active);
}

/// Its checks have failed meanwhile: it is held back from, and of its kind a Backup would be here
/// 99.6 ms after its end.
#[tokio::test(start_paused = true)]
async fn the_release_of_who_was_followed_and_fell_below_us_is_believed() {
    let bench = starts(&unicast(Unlisted::Accept));
    hears(&bench, PEER, NEAR, 250).await;
    bench.until(100).await;
    hears(&bench, PEER, NEAR, 150).await;
    assert_eq!(held_back_by(&bench), Some(PEER));
    bench.until(200).await;
    hears(&bench, PEER, NEAR, 0).await;
    assert_eq!(held_back_by(&bench), None);
    bench.until(330).await;
    assert_eq!(bench.state(), State::Active);
}

/// Anybody who is routed to us can say that it has our addresses; it is named and keeps them
/// from nobody. Who is listed may be far away, and configured otherwise.
#[tokio::test(start_paused = true)]
async fn nobody_beyond_a_router_is_held_back_from() {
    let peers = Router {
        version: Version::V2,
        interval: AdvertInterval::new(Version::V2, Duration::from_secs(1)).unwrap(),
        ..unicast(Unlisted::Accept)
    };
    for (router, from, rival) in [
        (router(), PEER, None),
        (unicast(Unlisted::Refuse), PEER, None),
        (unicast(Unlisted::Accept), PEER, None),
        (peers, LISTED, Some(LISTED)),
    ] {
        let bench = starts(&router);
        hears(&bench, from, NEAR - 1, 250).await;
        assert!(bench.record.borrow().alarm(Instant::now()).is_some());
        assert_eq!(held_back_by(&bench), rival, "{router:?}");
        bench.until(322).await;
        let state = match rival {
            None => State::Active,
            Some(_) => State::Backup,
        };
        assert_eq!(bench.state(), state, "{router:?}");
    }
}
