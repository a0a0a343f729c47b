//! Sync groups: one driver, and another member whose stance the test sets; then two
//! drivers.

use super::heard::stranger;
use super::*;
use crate::sync::{Book, Stance};

struct Group {
    book: Arc<watch::Sender<Book>>,
}

impl Group {
    fn new() -> Self {
        let book = Arc::new(watch::Sender::<Book>::default());
        book.send_modify(|book| book.set_members(&["api".to_owned(), "web".to_owned()]));
        Self { book }
    }

    fn member(&self, name: &str) -> Bench {
        let seat = Seat::new("both", name, &self.book);
        bench_of(clear(), None, Some(seat))
    }

    /// How the other one stands.
    async fn other(&self, stance: Stance) {
        self.book.send_modify(|book| book.post("web", stance));
        settle().await;
    }
}

const READY: Stance = Stance {
    state: State::Backup,
    ready: true,
    ..Stance::ABSENT
};

const ACTIVE: Stance = Stance {
    state: State::Active,
    ..Stance::ABSENT
};

fn waits_for(bench: &Bench) -> Vec<String> {
    bench.record.borrow().waits_for.clone()
}

#[tokio::test(start_paused = true)]
async fn a_router_whose_time_has_come_waits_for_the_others_of_its_group() {
    let group = Group::new();
    let bench = group.member("api");
    bench.until(1000).await;
    assert_eq!(bench.deeds(), []);
    assert_eq!(bench.state(), State::Backup);
    assert_eq!(waits_for(&bench), ["web"]);
    group.other(READY).await;
    let timeline = [(1000, Advertise(200)), (1000, Acquire), (1000, Burst)];
    assert_eq!(bench.deeds(), timeline);
    assert_eq!(waits_for(&bench), [""; 0]);
    assert_eq!(group.book.borrow().state(), State::Backup);
    group.other(ACTIVE).await;
    assert_eq!(group.book.borrow().state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn one_that_waited_and_hears_an_active_is_ready_no_longer() {
    let group = Group::new();
    let bench = group.member("api");
    bench.until(400).await;
    assert_eq!(waits_for(&bench), ["web"]);
    bench.hears(250).await;
    assert_eq!(waits_for(&bench), [""; 0]);
    group.other(READY).await;
    bench.until(500).await;
    assert_eq!(bench.deeds(), []);
    assert_eq!(bench.state(), State::Backup);
}

#[tokio::test(start_paused = true)]
async fn what_one_loses_the_others_give_away() {
    let group = Group::new();
    let bench = group.member("api");
    group.other(ACTIVE).await;
    bench.until(400).await;
    assert_eq!(bench.state(), State::Active);
    bench.deeds();
    let fallen = Stance {
        state: State::Backup,
        falls: 1,
        ..Stance::ABSENT
    };
    group.other(fallen).await;
    assert_eq!(bench.deeds(), [(400, Advertise(0)), (400, Release)]);
    // It followed, and is not to be followed.
    assert_eq!(group.book.borrow().around("web").falls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_one_is_a_fault_of_all_until_it_is_over() {
    let group = Group::new();
    let bench = group.member("api");
    group.other(ACTIVE).await;
    bench.until(400).await;
    bench.deeds();
    let faulty = Stance {
        state: State::Fault,
        faulty: true,
        ..Stance::ABSENT
    };
    group.other(faulty).await;
    assert_eq!(bench.deeds(), [(400, Advertise(0)), (400, Release)]);
    assert_eq!(bench.state(), State::Fault);
    // Its own link is up: it is no reason for the other to stay.
    assert!(!group.book.borrow().around("web").faulty);
    group.other(READY).await;
    assert_eq!(bench.state(), State::Backup);
}

#[tokio::test(start_paused = true)]
async fn one_that_stays_out_keeps_the_others_out() {
    let group = Group::new();
    let bench = group.member("api");
    group.other(ACTIVE).await;
    bench.until(400).await;
    bench.deeds();
    let out = Stance {
        out: Some(Out::Released),
        ..ACTIVE
    };
    group.other(out).await;
    assert_eq!(bench.record.borrow().out, Some(Out::Together));
    let step_down = [(400, Advertise(1)), (400, Advertise(0)), (400, Release)];
    assert_eq!(bench.deeds(), step_down);
    assert_eq!(bench.state(), State::Backup);
    group.other(ACTIVE).await;
    assert_eq!(bench.record.borrow().out, None);
}

#[tokio::test(start_paused = true)]
async fn two_routers_rise_together_and_the_loss_of_one_takes_the_other_along() {
    let group = Group::new();
    let (api, web) = (group.member("api"), group.member("web"));
    web.until(200).await;
    // It hears an Active a little longer than the other does.
    web.hears(250).await;
    api.until(400).await;
    assert_eq!((api.state(), web.state()), (State::Backup, State::Backup));
    api.until(600).await;
    assert_eq!((api.state(), web.state()), (State::Active, State::Active));
    web.hears(250).await;
    assert_eq!((api.state(), web.state()), (State::Backup, State::Backup));
    // Priority 0 from the one that follows, nothing from the one that was displaced.
    assert!(api.deeds().iter().any(|(_, deed)| *deed == Advertise(0)));
    assert!(!web.deeds().iter().any(|(_, deed)| *deed == Advertise(0)));
}

/// To leave the addresses of a healthy network nowhere would help nobody on the other.
#[tokio::test(start_paused = true)]
async fn a_stranger_on_one_network_keeps_nobody_from_the_other() {
    let group = Group::new();
    let (api, web) = (group.member("api"), group.member("web"));
    for at in [50, 150, 250] {
        web.until(at).await;
        stranger(&web, 150).await;
    }
    // 300 ms and the skew of 21.9 ms, for either; for web, counted from the stranger's last.
    api.until(322).await;
    assert_eq!((api.state(), web.state()), (State::Active, State::Backup));
    web.until(571).await;
    assert_eq!(web.state(), State::Backup);
    web.until(572).await;
    assert_eq!((api.state(), web.state()), (State::Active, State::Active));
}

/// And whoever came second to a stranger gives its own addresses back, not the others'.
#[tokio::test(start_paused = true)]
async fn a_stranger_that_was_first_takes_nobody_along() {
    let group = Group::new();
    let (api, web) = (group.member("api"), group.member("web"));
    web.until(400).await;
    assert_eq!((api.state(), web.state()), (State::Active, State::Active));
    stranger(&web, 150).await;
    assert_eq!((api.state(), web.state()), (State::Active, State::Backup));
    for at in [500, 600, 700, 800] {
        web.until(at).await;
        stranger(&web, 150).await;
    }
    api.until(850).await;
    assert_eq!((api.state(), web.state()), (State::Active, State::Backup));
}
