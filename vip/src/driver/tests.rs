//! The driver on a paused clock with recorded effects: exact timelines in no time. What
//! the kernel and the wire make of the effects is left to the tests in namespaces.
//!
//! Tokio's timers tick in milliseconds and round up, and so do these times.

mod handover;

use std::net::Ipv4Addr;
use std::sync::Mutex;

use tokio::task::JoinHandle;
use tokio::time::advance;
use vrrp::packet::{Addresses, Advert, Auth, Envelope, emit, parse};
use vrrp::{AdvertInterval, Family, Priority, State, Version, Vrid};

use super::*;
use crate::config::{Address, Announce, Preempt, Travel};
use crate::linux::{Link, Present, Role, Succession};

const INTERFACE: u32 = 7;
const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 55, 0, 11));
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 55, 0, 12));
const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x11];
const VIRTUAL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 55, 0, 100));

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Advertise(u8),
    Acquire,
    Renew,
    Release,
    Announce,
    Probe,
}
use Deed::{Acquire, Advertise, Announce as Burst, Probe, Release, Renew};

struct World {
    deeds: Mutex<Vec<(u128, Deed)>>,
    survey: Mutex<Survey>,
    refuses: Mutex<bool>,
    greetings: Mutex<u32>,
    began: Instant,
}

/// And the hardware address it knows.
struct Recorded(Arc<World>, Option<[u8; 6]>);

impl Recorded {
    fn record(&self, deed: Deed) {
        let at = self.0.began.elapsed().as_millis();
        self.0.deeds.lock().unwrap().push((at, deed));
    }
}

impl Effects for Recorded {
    fn advertise(
        &mut self,
        priority: Priority,
        checksum: Checksum,
    ) -> Result<(), Failure> {
        assert_eq!(checksum, Checksum::PseudoHeader);
        self.record(Advertise(priority.get()));
        Ok(())
    }

    fn acquire(&mut self) -> Result<(), Failure> {
        self.record(Acquire);
        match *self.0.refuses.lock().unwrap() {
            false => Ok(()),
            true => Err(Failure::Send(std::io::ErrorKind::PermissionDenied.into())),
        }
    }

    fn renew(&mut self) -> Result<(), Failure> {
        self.record(Renew);
        Ok(())
    }

    fn release(&mut self) -> Result<(), Failure> {
        self.record(Release);
        Ok(())
    }

    fn announce(&mut self) -> Result<(), Failure> {
        self.record(Burst);
        Ok(())
    }

    /// Asked when nothing else happens: left out of the timelines.
    fn greet(&mut self) -> Result<(), Failure> {
        *self.0.greetings.lock().unwrap() += 1;
        Ok(())
    }

    fn probe(&mut self) -> Result<(), Failure> {
        self.record(Probe);
        Ok(())
    }

    fn is_us(&self, mac: [u8; 6]) -> bool {
        mac == OUR_MAC
    }

    fn follow(&mut self, link: &Link) -> bool {
        let before = std::mem::replace(&mut self.1, link.mac);
        link.mac != before
    }

    fn survey(&mut self) -> Result<Survey, Failure> {
        Ok(self.0.survey.lock().unwrap().clone())
    }
}

/// A driver at work, and every string to pull.
struct Bench {
    world: Arc<World>,
    adverts: mpsc::Sender<Result<Datagram, Refusal>>,
    notices: mpsc::Sender<Notice>,
    claimants: mpsc::Sender<Claimant>,
    standing: watch::Sender<Standing>,
    commands: mpsc::Sender<Command>,
    record: watch::Receiver<Record>,
    task: JoinHandle<Ended>,
}

fn router() -> Router {
    let interval = Duration::from_millis(100);
    Router {
        name: "api".to_owned(),
        interface: "eth0".to_owned(),
        vrid: Vrid::new(51).unwrap(),
        version: Version::V3,
        priority: Priority::new(200),
        interval: AdvertInterval::new(Version::V3, interval).unwrap(),
        travel: Travel::Multicast,
        addresses: vec![virtual_address()],
        preempt: Preempt::After(Duration::ZERO),
        misconfigured_peer: MisconfiguredPeer::HoldBack,
        auth: Auth::None,
        announce: Announce {
            burst: 5,
            again: Some(Duration::from_secs(5)),
            refresh: None,
        },
        notify: crate::config::Notify::default(),
        tracks: Vec::new(),
    }
}

fn virtual_address() -> Address {
    Address {
        ip: VIRTUAL,
        prefix: 24,
    }
}

fn bench(survey: Survey) -> Bench {
    bench_with(survey, None)
}

fn bench_with(survey: Survey, channel: Option<Client>) -> Bench {
    let router = router();
    let world = Arc::new(World {
        deeds: Mutex::default(),
        survey: Mutex::new(survey),
        refuses: Mutex::new(false),
        greetings: Mutex::new(0),
        began: Instant::now(),
    });
    let fit = Standing {
        priority: router.priority,
        out: None,
    };
    let (adverts, advert_inputs) = mpsc::channel(ADVERTS);
    let (notices, notice_inputs) = mpsc::channel(NOTICES);
    let (claimants, claimant_inputs) = mpsc::channel(CLAIMANTS);
    let (standing, standing_input) = watch::channel(fit);
    let (commands, command_inputs) = mpsc::channel(COMMANDS);
    let (publish, record) = watch::channel(Record::new(fit.priority, Instant::now()));
    let setup = Setup {
        router: &router,
        interface: INTERFACE,
        source: OURS,
        standing: fit,
        record: publish,
        channel,
        flight: Arc::default(),
        moves: None,
        lateness: Arc::new(Histogram::new(daemon::metrics::NETWORK)),
    };
    let driver = Driver::new(setup, Recorded(Arc::clone(&world), None)).unwrap();
    let mut inputs = Inputs {
        adverts: advert_inputs,
        notices: notice_inputs,
        claimants: claimant_inputs,
        standing: standing_input,
        commands: command_inputs,
    };
    let task = tokio::spawn(async move { driver.run(&mut inputs).await });
    Bench {
        world,
        adverts,
        notices,
        claimants,
        standing,
        commands,
        record,
        task,
    }
}

fn clear() -> Survey {
    Survey {
        link: Some(link(true)),
        source: true,
        foreign: Vec::new(),
        ours: Vec::new(),
        missing: vec![virtual_address()],
    }
}

fn held() -> Survey {
    Survey {
        link: Some(link(true)),
        source: true,
        foreign: Vec::new(),
        ours: vec![virtual_address()],
        missing: Vec::new(),
    }
}

impl Bench {
    /// Lets time pass up to `millis` after the start, with everything that happens in it.
    async fn until(&self, millis: u64) {
        tokio::time::sleep_until(self.world.began + Duration::from_millis(millis)).await;
        settle().await;
    }

    /// What was done since the last call.
    fn deeds(&self) -> Vec<(u128, Deed)> {
        std::mem::take(&mut *self.world.deeds.lock().unwrap())
    }

    fn survey(&self, survey: Survey) {
        *self.world.survey.lock().unwrap() = survey;
    }

    async fn hears(&self, priority: u8) {
        self.adverts.send(Ok(datagram(priority))).await.unwrap();
        settle().await;
    }

    async fn claims(&self, mac: [u8; 6]) {
        let claimant = Claimant { ip: VIRTUAL, mac };
        self.claimants.send(claimant).await.unwrap();
        settle().await;
    }

    async fn notices(&self, notice: Notice) {
        self.notices.send(notice).await.unwrap();
        settle().await;
    }

    async fn stands(&self, priority: u8, out: Option<Out>) {
        let standing = Standing {
            priority: Priority::new(priority),
            out,
        };
        self.standing.send_replace(standing);
        settle().await;
    }

    fn state(&self) -> State {
        self.record.borrow().state
    }
}

/// Every task that can run without time passing has run.
async fn settle() {
    for _ in 0..16 {
        yield_now().await;
    }
}

fn datagram(priority: u8) -> Datagram {
    let router = router();
    let envelope = Envelope::multicast(PEER);
    let advert = Advert {
        version: router.version,
        vrid: router.vrid,
        priority: Priority::new(priority),
        interval: router.interval,
        auth: Auth::None,
        addresses: Addresses::new(vec![VIRTUAL]).unwrap(),
    };
    let payload = emit(&advert, &envelope, Checksum::PseudoHeader);
    assert_eq!(Family::of(PEER), Family::V4);
    Datagram { envelope, payload }
}

fn link(running: bool) -> Link {
    Link {
        index: INTERFACE,
        name: "eth0".to_owned(),
        mac: None,
        running,
        role: Role::Host,
        succession: Succession::Promoted,
    }
}

fn present() -> Present {
    Present {
        interface: INTERFACE,
        address: virtual_address(),
        ours: true,
        marked: true,
        secondary: true,
        renewed: 0,
    }
}

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
        interface: INTERFACE + 1,
        ..present()
    };
    bench.survey(clear());
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
    let mut unicast = datagram(150);
    unicast.envelope = Envelope::unicast(PEER, OURS);
    unicast.payload = {
        let heard = parse(&datagram(150).payload, &Envelope::multicast(PEER)).unwrap();
        emit(&heard.advert, &unicast.envelope, Checksum::PseudoHeader)
    };
    bench.adverts.send(Ok(unicast)).await.unwrap();
    settle().await;
    let alarm = bench.record.borrow().alarm.clone().unwrap();
    assert_eq!(alarm, "10.55.0.12: unicast advert, multicast is configured");
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
    for (survey, lost) in [
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

#[tokio::test(start_paused = true)]
async fn w7_a_peer_with_our_addresses_that_is_configured_otherwise_is_left_alone() {
    let bench = bench(clear());
    for _ in 0..20 {
        let mut unicast = datagram(150);
        unicast.envelope.destination = OURS;
        unicast.payload = reply(&unicast.envelope);
        bench.adverts.send(Ok(unicast)).await.unwrap();
        settle().await;
        advance(Duration::from_millis(100)).await;
    }
    assert_eq!(bench.deeds(), []);
    assert!(bench.record.borrow().alarm.is_some());
    bench.until(2500).await;
    assert_eq!(bench.state(), State::Active, "it is silent");
}

/// An advert of priority 150 for that envelope.
fn reply(envelope: &Envelope) -> Vec<u8> {
    let received = parse(&datagram(150).payload, &Envelope::multicast(PEER)).unwrap();
    emit(&received.advert, envelope, Checksum::PseudoHeader)
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
