//! What comes off the wire: garbage, misconfigured peers, others with our addresses.

use super::*;

#[tokio::test(start_paused = true)]
async fn garbage_is_counted_by_reason_and_changes_nothing() {
    let bench = bench(clear());
    let mut broken = datagram(150);
    broken.payload[6] ^= 1;
    let mut other = router();
    other.vrid = Vrid::new(52).unwrap();
    let short = Datagram {
        payload: vec![0x31],
        ..datagram(150)
    };
    for input in [Ok(broken), Ok(short), Err(Refusal::IpFragment)] {
        bench.adverts.send(input).await.unwrap();
    }
    bench.until(330).await;
    let refused = bench.record.borrow().counts.refused.clone();
    let expected = [("checksum", 1), ("ipFragment", 1), ("truncated", 1)];
    assert_eq!(refused.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(bench.state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn a_peer_configured_otherwise_raises_an_alarm() {
    let bench = bench(clear());
    stranger(&bench, 150).await;
    let said = || {
        let record = bench.record.borrow();
        record.alarm(Instant::now()).map(|it| it.what.clone())
    };
    let alarm = "10.55.0.12: unicast advert, multicast is configured";
    assert_eq!(said().as_deref(), Some(alarm));
    // Set right, the peer says nothing of the kind again.
    for at in [30_000, 59_990] {
        bench.until(at).await;
        bench.hears(150).await;
        assert_eq!(said().as_deref(), Some(alarm), "{at}");
    }
    bench.until(60_000).await;
    assert_eq!(said(), None);
}

/// One every 30 s is not over after a minute.
#[tokio::test(start_paused = true)]
async fn an_alarm_lasts_for_four_intervals_of_whoever_it_is_about() {
    let bench = bench(clear());
    let mut rare = datagram(150);
    let mut advert = parse(&rare.payload, &rare.envelope).unwrap().advert;
    advert.interval = AdvertInterval::new(Version::V3, Duration::from_secs(30)).unwrap();
    rare.payload = emit(&advert, &rare.envelope, Checksum::PseudoHeader);
    bench.adverts.send(Ok(rare)).await.unwrap();
    for (at, alarmed) in [(1, true), (119_000, true), (120_001, false)] {
        bench.until(at).await;
        let record = bench.record.borrow().clone();
        assert_eq!(record.alarm(Instant::now()).is_some(), alarmed, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn c6_what_is_configured_is_sent_and_what_is_heard_is_counted() {
    use crate::config::Checksum as Style;
    let (pseudo, message) = (Checksum::PseudoHeader, Checksum::Message);
    for (style, heard, sent) in [
        (Style::Auto, None, pseudo),
        (Style::Auto, Some(message), message),
        (Style::Pseudo, Some(message), pseudo),
        (Style::Rfc9568, None, message),
        (Style::Rfc9568, Some(pseudo), message),
    ] {
        let router = Router {
            checksum: style,
            ..router()
        };
        // Whatever is sent is compared with it.
        let bench = bench_as(&router, sent, clear(), None, None);
        if let Some(checksum) = heard {
            let mut lower = datagram(150);
            let advert = parse(&lower.payload, &lower.envelope).unwrap().advert;
            lower.payload = emit(&advert, &lower.envelope, checksum);
            bench.adverts.send(Ok(lower)).await.unwrap();
        }
        bench.until(700).await;
        assert_eq!(bench.state(), State::Active, "{style:?} {heard:?}");
        let counted = bench.record.borrow().checksums.get(&PEER).copied();
        let expected = heard.map(|heard| Checksums {
            pseudo: u64::from(heard == pseudo),
            pseudo_of_group: 0,
            rfc9568: u64::from(heard == message),
        });
        assert_eq!(counted, expected, "{style:?} {heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_active_that_hears_another_host_answer_announces_again() {
    let bench = bench(clear());
    bench.until(630).await;
    bench.deeds();
    bench.claims(OUR_MAC).await;
    assert_eq!(
        bench.deeds(),
        [],
        "our own announcement, heard by ourselves"
    );
    bench.claims([2, 0, 0, 0, 0, 0x66]).await;
    assert_eq!(bench.deeds(), [(630, Burst)]);
    let record = bench.record.borrow().clone();
    assert_eq!(record.counts.conflicts, 1);
    let said = record.conflict.map(|(what, _)| what);
    let wanted = "another host has our address: 02:00:00:00:00:66";
    assert_eq!(said.as_deref(), Some(wanted));
    // And so that ours is the last word.
    bench.until(660).await;
    assert_eq!(bench.deeds(), [(650, Burst)]);
    for _ in 0..20 {
        bench.claims([2, 0, 0, 0, 0, 0x66]).await;
    }
    assert_eq!(bench.deeds(), [], "frames are answered once a second");
}

#[tokio::test(start_paused = true)]
async fn a_backup_asks_now_and_then_and_counts_the_answers() {
    let bench = bench(clear());
    for (at, answers, conflicts) in [(10_000, 1, 0), (21_000, 2, 1), (32_000, 0, 1)] {
        while bench.world.began.elapsed().as_millis() < at - 100 {
            bench.hears(201).await;
            advance(Duration::from_millis(50)).await;
        }
        bench.until(u64::try_from(at).unwrap()).await;
        let asked = bench.deeds();
        assert_eq!(asked, [(at, Probe)], "asked once");
        for last in 0..answers {
            bench.claims([2, 0, 0, 0, 0, last]).await;
            bench.claims([2, 0, 0, 0, 0, last]).await;
        }
        for _ in 0..21 {
            bench.hears(201).await;
            advance(Duration::from_millis(50)).await;
        }
        assert_eq!(bench.record.borrow().counts.conflicts, conflicts, "{at}");
    }
}

/// Hears an Active for so long.
async fn follows(bench: &Bench, until: u128) {
    while bench.world.began.elapsed().as_millis() < until {
        bench.hears(201).await;
        advance(Duration::from_millis(50)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_says_when_nobody_answers_twice_for_what_an_active_advertises() {
    let bench = bench(clear());
    let unanswered = || bench.record.borrow().unanswered.clone();
    // Asked at 10, 21 and 32 s; the answers are looked at a second later.
    for (until, silent) in [
        (20_900, &[][..]),
        (22_200, &[VIRTUAL]),
        (32_100, &[VIRTUAL]),
    ] {
        follows(&bench, until).await;
        assert_eq!(unanswered(), silent, "{until}");
    }
    bench.claims([2, 0, 0, 0, 0, 0x66]).await;
    follows(&bench, 33_200).await;
    assert!(unanswered().is_empty());
}

/// It gives the addresses up: nobody is held back from.
#[tokio::test(start_paused = true)]
async fn w7_the_release_of_a_peer_that_is_configured_otherwise_is_believed() {
    let bench = bench(clear());
    let rival = || {
        let record = bench.record.borrow();
        record.held_back_by(Instant::now()).map(|it| it.from)
    };
    bench.until(300).await;
    stranger(&bench, 150).await;
    assert_eq!(rival(), Some(PEER));
    stranger(&bench, 0).await;
    assert_eq!(rival(), None);
    // 99.6 ms for a Backup of its kind, and our skew of 21.9 ms.
    bench.until(421).await;
    assert_eq!(bench.state(), State::Backup);
    bench.until(422).await;
    assert_eq!(bench.state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn w7_a_peer_with_our_addresses_that_is_configured_otherwise_is_left_alone() {
    let bench = bench(clear());
    for _ in 0..20 {
        stranger(&bench, 150).await;
        advance(Duration::from_millis(100)).await;
    }
    assert_eq!(bench.deeds(), []);
    let record = || bench.record.borrow().clone();
    assert!(record().alarm(Instant::now()).is_some());
    let rival = record().held_back_by(Instant::now()).map(|it| it.from);
    assert_eq!(rival, Some(PEER));
    bench.until(2500).await;
    assert_eq!(bench.state(), State::Active, "it is silent");
    assert!(record().held_back_by(Instant::now()).is_none());
}

/// A neighbour's group with our VRID: to follow it would leave our addresses nowhere.
#[tokio::test(start_paused = true)]
async fn w8_a_list_without_any_of_ours_changes_nothing() {
    let other = VIRTUAL.to_string().replace("100", "200").parse().unwrap();
    let bench = bench(clear());
    for state in [State::Backup, State::Active, State::Active] {
        let stranger = datagram_with(250, vec![other]);
        bench.adverts.send(Ok(stranger)).await.unwrap();
        settle().await;
        assert_eq!(bench.state(), state);
        advance(Duration::from_millis(330)).await;
        settle().await;
    }
    let record = bench.record.borrow().clone();
    assert!(record.holding);
    assert_eq!(record.counts.refused.get("otherGroup"), Some(&3));
    let alarm = &record.alarm(Instant::now()).unwrap().what;
    assert!(alarm.contains("another group has our VRID"), "{alarm}");
    // With one of ours among them it is a peer, and the higher one.
    let peer = datagram_with(250, vec![other, VIRTUAL]);
    bench.adverts.send(Ok(peer)).await.unwrap();
    settle().await;
    assert_eq!(bench.state(), State::Backup);
}

/// Hears our addresses from a peer that sends to us alone, where the group is configured.
pub(super) async fn stranger(bench: &Bench, priority: u8) {
    let group = datagram(priority);
    let advert = parse(&group.payload, &group.envelope).unwrap().advert;
    let envelope = Envelope::unicast(PEER, OURS);
    let payload = emit(&advert, &envelope, Checksum::PseudoHeader);
    let unicast = Datagram { envelope, payload };
    bench.adverts.send(Ok(unicast)).await.unwrap();
    settle().await;
}
