//! Who holds the addresses: elections, stops, leftovers, what tracking does.

use super::*;

#[tokio::test(start_paused = true)]
async fn alone_it_takes_the_address_after_a_down_interval_and_keeps_it_alive() {
    let bench = bench(clear());
    bench.until(1000).await;
    // 300 ms and a skew of 56/256 x 100 ms.
    let timeline = [
        (322, Advertise(200)),
        (322, Acquire),
        (322, Burst),
        (342, Burst),
        (422, Advertise(200)),
        (522, Advertise(200)),
        (522, Burst),
        (572, Renew),
        (622, Advertise(200)),
        (722, Advertise(200)),
        (822, Advertise(200)),
        (822, Renew),
        (922, Advertise(200)),
    ];
    assert_eq!(bench.deeds(), timeline);
    bench.until(5400).await;
    let bursts: Vec<_> = bench
        .deeds()
        .into_iter()
        .filter(|(_, deed)| *deed == Burst)
        .collect();
    assert_eq!(bursts, [(5322, Burst)]);
    assert!(bench.record.borrow().holding);
}

#[tokio::test(start_paused = true)]
async fn m4_a_higher_priority_takes_it_at_once_and_nothing_renews_it_after() {
    let bench = bench(clear());
    bench.until(400).await;
    bench.deeds();
    bench.hears(201).await;
    assert_eq!(bench.deeds(), [(400, Release)]);
    assert_eq!(bench.state(), State::Backup);
    for at in (450..2000).step_by(100) {
        bench.until(at).await;
        bench.hears(201).await;
    }
    assert_eq!(bench.deeds(), []);
    assert!(!bench.record.borrow().holding);
}

#[tokio::test(start_paused = true)]
async fn m8_stop_sends_priority_0_and_removes_the_address() {
    let bench = bench(clear());
    bench.until(400).await;
    bench.deeds();
    let (done, answer) = oneshot::channel();
    bench.commands.send(Command::Stop(done)).await.unwrap();
    answer.await.unwrap();
    assert_eq!(bench.deeds(), [(400, Advertise(0)), (400, Release)]);
    assert_eq!(bench.task.await.unwrap(), Ended::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_backup_stops_without_a_word() {
    let bench = bench(clear());
    bench.until(100).await;
    let (done, answer) = oneshot::channel();
    bench.commands.send(Command::Stop(done)).await.unwrap();
    answer.await.unwrap();
    assert_eq!(bench.deeds(), []);
}

#[tokio::test(start_paused = true)]
async fn k7_a_fault_steps_down_and_comes_back_only_when_nobody_else_does() {
    let bench = bench(clear());
    bench.until(400).await;
    bench.deeds();
    bench.stands(1, Some(Out::Fault)).await;
    let stepping = [(400, Advertise(1)), (400, Advertise(0)), (400, Release)];
    assert_eq!(bench.deeds(), stepping);
    // 300 ms and the skew of priority 1, 255/256 x 100 ms: never nowhere.
    bench.until(850).await;
    let alone = [
        (800, Advertise(1)),
        (800, Acquire),
        (800, Burst),
        (820, Burst),
    ];
    assert_eq!(bench.deeds(), alone);
    assert_eq!(bench.state(), State::Active);
    // The check goes on failing: the address does not blink.
    bench.stands(1, Some(Out::Fault)).await;
    assert_eq!(bench.deeds(), []);
    // The check passes again.
    bench.stands(200, None).await;
    assert_eq!(bench.deeds(), [(850, Advertise(200))]);
}

#[tokio::test(start_paused = true)]
async fn k7_a_node_at_fault_leaves_the_address_with_whoever_took_it() {
    let bench = bench(clear());
    bench.until(400).await;
    bench.stands(1, Some(Out::Fault)).await;
    bench.deeds();
    for at in (460..2000).step_by(100) {
        bench.until(at).await;
        bench.hears(1).await;
    }
    assert_eq!(bench.deeds(), []);
    assert_eq!(bench.state(), State::Backup);
}

#[tokio::test(start_paused = true)]
async fn a_weight_lowers_the_priority_and_keeps_the_address() {
    let bench = bench(clear());
    bench.until(410).await;
    bench.deeds();
    bench.stands(80, None).await;
    assert_eq!(bench.deeds(), [(410, Advertise(80))]);
    assert_eq!(bench.state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn m12_a_leftover_is_kept_when_nobody_else_is_heard() {
    let bench = bench(held());
    bench.until(330).await;
    let kept = [
        (0, Renew),
        (250, Renew),
        (322, Advertise(200)),
        (322, Acquire),
        (322, Burst),
    ];
    assert_eq!(bench.deeds(), kept);
}

#[tokio::test(start_paused = true)]
async fn m12_a_leftover_is_removed_when_somebody_else_is_active() {
    let bench = bench(held());
    bench.until(50).await;
    bench.hears(150).await;
    assert_eq!(bench.deeds(), [(0, Renew), (50, Release)]);
    bench.until(300).await;
    assert_eq!(bench.deeds(), []);
}

#[tokio::test(start_paused = true)]
async fn m12_a_leftover_that_is_taken_away_is_not_renewed() {
    let bench = bench(held());
    bench.until(50).await;
    bench.survey(clear());
    bench.notices(Notice::AddressGone(present())).await;
    bench.hears(150).await;
    assert_eq!(bench.deeds(), [(0, Renew), (50, Release)]);
    bench.until(300).await;
    assert_eq!(bench.deeds(), []);
}

#[tokio::test(start_paused = true)]
async fn t11_a_stall_ends_the_claim_before_anything_is_renewed() {
    let bench = bench(clear());
    bench.until(430).await;
    bench.deeds();
    // Nothing runs for 1.2 s; the peer has taken over meanwhile and says so.
    bench.adverts.try_send(Ok(datagram(150))).unwrap();
    advance(Duration::from_millis(1200)).await;
    settle().await;
    let deeds = bench.deeds();
    assert_eq!(deeds, [(1630, Release)]);
    assert_eq!(bench.state(), State::Backup);
}

#[tokio::test(start_paused = true)]
async fn t11_a_stall_in_which_nobody_took_over_costs_nothing() {
    // Longer than any peer waits, shorter than an address lives.
    let stall = Duration::from_millis(500);
    let bench = bench(clear());
    bench.until(430).await;
    bench.deeds();
    advance(stall).await;
    settle().await;
    let deeds = [(930, Advertise(200)), (930, Burst), (930, Renew)];
    assert_eq!(bench.deeds(), deeds);
    assert_eq!(bench.state(), State::Active);
    // What waits in the socket is read before anything is said.
    bench.adverts.try_send(Ok(datagram(150))).unwrap();
    advance(stall).await;
    settle().await;
    assert_eq!(bench.deeds(), [(1430, Release)]);
    assert_eq!(bench.state(), State::Backup);
}

/// A driver that is Active at 430, and what it does after a stall of 500 ms: longer than any
/// peer waits, shorter than an address lives.
async fn after_a_stall(bench: &Bench) -> Vec<(u128, Deed)> {
    bench.deeds();
    advance(Duration::from_millis(500)).await;
    settle().await;
    bench.deeds()
}

#[tokio::test(start_paused = true)]
async fn t11_a_stall_ends_with_all_that_was_said_in_it() {
    let bench = bench(clear());
    bench.until(430).await;
    // More than two batches, and the peer that has taken over comes last.
    for _ in 0..200 {
        bench.adverts.try_send(Ok(of_another_group())).unwrap();
    }
    bench.adverts.try_send(Ok(datagram(150))).unwrap();
    assert_eq!(after_a_stall(&bench).await, [(930, Release)]);
    assert_eq!(bench.state(), State::Backup);
}

#[tokio::test(start_paused = true)]
async fn t11_a_stall_in_which_only_other_groups_spoke_costs_nothing() {
    let bench = bench(clear());
    bench.until(430).await;
    for _ in 0..200 {
        bench.adverts.try_send(Ok(of_another_group())).unwrap();
    }
    let deeds = [(930, Advertise(200)), (930, Burst), (930, Renew)];
    assert_eq!(after_a_stall(&bench).await, deeds);
    assert_eq!(bench.state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn t11_in_what_a_stall_has_lost_somebody_may_have_taken_over() {
    let bench = bench(clear());
    bench.until(430).await;
    let one_more = |record: &mut Record| {
        *record.counts.refused.entry(OVERFLOW).or_default() += 1;
    };
    // One that was lost before is no sign.
    bench.publish.send_modify(one_more);
    bench.until(630).await;
    bench.deeds();
    let deeds = after_a_stall(&bench).await;
    assert_eq!(deeds.first(), Some(&(1130, Advertise(200))), "{deeds:?}");
    bench.publish.send_modify(one_more);
    assert_eq!(after_a_stall(&bench).await, [(1630, Release)]);
    assert_eq!(bench.state(), State::Backup);
}

#[tokio::test(start_paused = true)]
async fn t11_a_stall_ends_with_whoever_says_to_have_the_address() {
    let bench = bench(clear());
    bench.until(430).await;
    bench.deeds();
    // Answered, and not answered again within a second.
    bench.claims([2, 0, 0, 0, 0, 0x22]).await;
    assert_eq!(bench.deeds(), [(430, Burst)]);
    for _ in 0..=BATCH {
        bench.adverts.try_send(Ok(of_another_group())).unwrap();
    }
    let claimant = Claimant {
        ip: VIRTUAL,
        mac: [2, 0, 0, 0, 0, 0x22],
    };
    bench.claimants.try_send(claimant).unwrap();
    assert_eq!(after_a_stall(&bench).await, [(930, Release)]);
    assert_eq!(bench.state(), State::Backup);
}

#[tokio::test(start_paused = true)]
async fn t11_nothing_that_may_have_run_out_is_claimed() {
    let bench = bench(clear());
    // Given a lifetime of a second at 322, the next advert is due at 622.
    bench.until(560).await;
    bench.deeds();
    advance(Duration::from_millis(770)).await;
    settle().await;
    assert_eq!(bench.deeds(), [(1330, Release)]);
    assert_eq!(bench.state(), State::Backup);
}
