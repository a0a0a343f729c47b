//! What happens to the interface and its addresses: hands of others, links, the source.

use super::*;

#[tokio::test(start_paused = true)]
async fn m10_an_address_that_is_taken_away_is_put_back_without_an_election() {
    let bench = bench(clear());
    bench.until(430).await;
    bench.deeds();
    bench.notices(Notice::AddressGone(present())).await;
    assert_eq!(bench.deeds(), [(430, Acquire), (430, Burst)]);
    assert_eq!(bench.record.borrow().counts.addresses_lost, 1);
}

#[tokio::test(start_paused = true)]
async fn a_notice_about_a_moment_that_has_passed_is_ignored() {
    let bench = bench(clear());
    bench.until(430).await;
    bench.deeds();
    bench.survey(held());
    bench.notices(Notice::AddressGone(present())).await;
    let elsewhere = Present {
        interface: ANOTHER,
        ..present()
    };
    bench.notices(Notice::AddressGone(elsewhere)).await;
    assert_eq!(bench.deeds(), []);
}

#[tokio::test(start_paused = true)]
async fn m11_without_a_link_it_is_at_fault_and_comes_back_as_backup() {
    let bench = bench(clear());
    bench.until(430).await;
    bench.deeds();
    bench.survey(Survey {
        link: Some(link(false)),
        ..clear()
    });
    bench.notices(Notice::Link(link(false))).await;
    bench.until(500).await;
    // Told again, it does not wait anew.
    bench.notices(Notice::Link(link(false))).await;
    bench.until(629).await;
    bench.deeds();
    assert_eq!(bench.state(), State::Active);
    bench.until(630).await;
    // No advert: it would be delivered when the link is back.
    assert_eq!(bench.deeds(), [(630, Release)]);
    assert_eq!(*bench.world.greetings.lock().unwrap(), 1);
    assert_eq!(bench.state(), State::Fault);
    bench.until(3000).await;
    assert_eq!(bench.deeds(), []);
    bench.notices(Notice::Link(link(true))).await;
    assert_eq!(bench.state(), State::Backup);
    assert_eq!(*bench.world.greetings.lock().unwrap(), 2);
    bench.until(3330).await;
    let back = [(3322, Advertise(200)), (3322, Acquire), (3322, Burst)];
    assert_eq!(bench.deeds(), back);
}

#[tokio::test(start_paused = true)]
async fn m11_a_link_that_is_back_within_two_intervals_costs_nothing() {
    let bench = bench(clear());
    bench.until(430).await;
    bench.deeds();
    bench.survey(held());
    bench.notices(Notice::Link(link(false))).await;
    bench.until(540).await;
    // What would be sent now would be delivered when the link is back.
    assert_eq!(bench.deeds(), [(522, Burst)]);
    bench.notices(Notice::Link(link(true))).await;
    assert_eq!(bench.deeds(), [(540, Burst)]);
    bench.until(630).await;
    let after = [(560, Burst), (572, Renew), (622, Advertise(200))];
    assert_eq!(bench.deeds(), after);
    assert_eq!(bench.state(), State::Active);
    assert_eq!(*bench.world.greetings.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn m11_a_source_address_that_is_back_within_a_second_costs_nothing() {
    let bench = bench(clear());
    bench.until(630).await;
    bench.deeds();
    bench.survey(Survey {
        source: false,
        ..held()
    });
    bench.notices(Notice::AddressGone(source())).await;
    bench.until(730).await;
    assert_eq!(bench.deeds(), [(722, Advertise(200))]);
    bench.survey(held());
    bench.notices(Notice::Address(source())).await;
    // Put behind it, where it has taken its place, and announced.
    assert_eq!(bench.deeds(), [(730, Acquire), (730, Burst)]);
    bench.until(2000).await;
    assert_eq!(bench.state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn m11_a_backup_without_its_source_address_does_not_wait() {
    let bench = bench(clear());
    bench.until(30).await;
    bench.survey(Survey {
        source: false,
        ..clear()
    });
    bench.notices(Notice::AddressGone(source())).await;
    assert_eq!(bench.task.await.unwrap(), Ended::Lost(Lost::Source));
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_refuses_the_address_is_a_fault_for_a_while() {
    let bench = bench(clear());
    *bench.world.refuses.lock().unwrap() = true;
    bench.until(330).await;
    assert_eq!(bench.state(), State::Fault);
    let deeds: Vec<_> = bench.deeds().into_iter().map(|(_, deed)| deed).collect();
    assert_eq!(deeds, [Advertise(200), Acquire, Advertise(0), Release]);
    assert!(bench.record.borrow().failing.contains_key("acquire"));
    *bench.world.refuses.lock().unwrap() = false;
    bench.until(5700).await;
    assert_eq!(bench.state(), State::Active);
    assert!(bench.record.borrow().failing.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_is_gone_ends_the_driver() {
    let bench = bench(clear());
    bench.until(430).await;
    bench.survey(Survey {
        link: Some(link(false)),
        ..clear()
    });
    bench
        .notices
        .send(Notice::LinkGone(link(false)))
        .await
        .unwrap();
    assert_eq!(bench.task.await.unwrap(), Ended::Lost(Lost::Interface));
}

/// Those that its addresses are on, as its own.
#[tokio::test(start_paused = true)]
async fn an_address_on_another_interface_is_put_back_and_announced_from_there() {
    let bench = bench(clear());
    bench.until(430).await;
    bench.deeds();
    let elsewhere = Present {
        interface: ANOTHER,
        ..present()
    };
    bench.notices(Notice::AddressGone(elsewhere)).await;
    assert_eq!(bench.deeds(), [(430, Acquire), (430, Burst)]);
    let another = |up, last| Link {
        index: ANOTHER,
        name: "eth1".to_owned(),
        mac: Some([2, 0, 0, 0, 0, last]),
        up,
        ..link(up)
    };
    bench.survey(held());
    bench.notices(Notice::Link(another(true, 1))).await;
    assert_eq!(bench.deeds(), [(430, Burst)], "another hardware address");
    bench.notices(Notice::Link(another(false, 1))).await;
    assert_eq!(bench.deeds(), [], "down, and nothing is missing");
    bench.survey(clear());
    bench.notices(Notice::Link(another(false, 1))).await;
    assert_eq!(
        bench.deeds(),
        [(430, Acquire), (430, Burst)],
        "it answers nobody"
    );
}

#[tokio::test(start_paused = true)]
async fn without_another_interface_of_its_addresses_it_is_opened_anew() {
    let another = |name: &str| Link {
        index: ANOTHER,
        name: name.to_owned(),
        ..link(true)
    };
    for notice in [
        Notice::LinkGone(another("eth1")),
        Notice::Link(another("eth2")),
    ] {
        let bench = bench(clear());
        bench.until(430).await;
        bench.deeds();
        bench.notices.send(notice).await.unwrap();
        let world = Arc::clone(&bench.world);
        assert_eq!(bench.task.await.unwrap(), Ended::Lost(Lost::Home));
        let deeds = std::mem::take(&mut *world.deeds.lock().unwrap());
        assert_eq!(deeds, [(430, Advertise(0)), (430, Release)]);
    }
}

/// What is lost shows in the survey, after notices about it were lost too.
#[tokio::test(start_paused = true)]
async fn m11_what_went_unnoticed_is_found_when_notices_were_missed() {
    let another = Link {
        name: "eth1".to_owned(),
        ..link(true)
    };
    let gone = |link, source| Survey {
        link,
        source,
        ..held()
    };
    let homeless = Survey {
        homeless: true,
        ..held()
    };
    for (survey, lost) in [
        (homeless, Lost::Home),
        (gone(None, false), Lost::Interface),
        (gone(Some(another), true), Lost::Interface),
        (gone(Some(link(true)), false), Lost::Source),
    ] {
        let bench = bench(clear());
        bench.until(430).await;
        bench.deeds();
        bench.survey(survey);
        bench.notices(Notice::Missed).await;
        match lost {
            // It cannot be told to anybody.
            Lost::Interface => assert_eq!(bench.deeds(), [(430, Release)]),
            Lost::Home => {
                assert_eq!(bench.deeds(), [(430, Advertise(0)), (430, Release)]);
            }
            // It may come back within a second.
            Lost::Source | Lost::Feeder => {
                bench.until(1429).await;
                let stayed = bench
                    .deeds()
                    .into_iter()
                    .all(|(_, deed)| matches!(deed, Advertise(200) | Renew | Burst));
                assert!(stayed);
                bench.until(1430).await;
                let left = [(1430, Advertise(0)), (1430, Release)];
                assert_eq!(bench.deeds(), left);
            }
        }
        assert_eq!(bench.task.await.unwrap(), Ended::Lost(lost));
    }
}

/// The address that adverts come from.
fn source() -> Present {
    Present {
        address: Address {
            ip: OURS,
            prefix: 24,
        },
        ours: false,
        secondary: false,
        ..present()
    }
}

#[tokio::test(start_paused = true)]
async fn m11_a_source_address_that_is_taken_away_ends_the_driver() {
    let bench = bench(clear());
    bench.until(430).await;
    bench.survey(Survey {
        source: false,
        ..held()
    });
    bench.notices(Notice::AddressGone(source())).await;
    assert_eq!(bench.task.await.unwrap(), Ended::Lost(Lost::Source));
}

#[tokio::test(start_paused = true)]
async fn an_interface_of_another_name_ends_the_driver() {
    let bench = bench(clear());
    bench.until(430).await;
    let renamed = Link {
        name: "eth1".to_owned(),
        ..link(true)
    };
    bench.notices(Notice::Link(renamed)).await;
    assert_eq!(bench.task.await.unwrap(), Ended::Lost(Lost::Interface));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_failed_ends_the_driver() {
    let bench = bench(clear());
    bench.until(430).await;
    drop(bench.adverts);
    settle().await;
    assert_eq!(bench.task.await.unwrap(), Ended::Lost(Lost::Feeder));
}

#[tokio::test(start_paused = true)]
async fn another_hardware_address_is_announced_while_active() {
    let bench = bench(clear());
    let other = |last| Link {
        mac: Some([2, 0, 0, 0, 0, last]),
        ..link(true)
    };
    bench.notices(Notice::Link(other(1))).await;
    bench.until(430).await;
    bench.deeds();
    for (last, deeds) in [(2, &[(430, Burst)][..]), (2, &[])] {
        bench.notices(Notice::Link(other(last))).await;
        assert_eq!(bench.deeds(), deeds);
    }
}
