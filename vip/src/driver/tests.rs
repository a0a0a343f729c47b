//! The driver on a paused clock with recorded effects: exact timelines in no time. What
//! the kernel and the wire make of the effects is left to the tests in namespaces.
//!
//! Tokio's timers tick in milliseconds and round up, and so do these times.

mod change;
mod election;
mod handover;
mod heard;
mod interface;
mod together;
mod told;
mod unlisted;
mod wire;

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Mutex;

use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Sleep, advance, sleep_until};
use vrrp::packet::{Auth, Envelope, emit, parse};
use vrrp::{AdvertInterval, Priority, Refusal, State, Version, Vrid};

use super::*;
use crate::config::{Address, Announce, Preempt, Travel};
use crate::guard::Held;
use crate::linux::{Claimant, Link, Notice, Present, Role, Succession};
use crate::notify::{MOVES, line};
use crate::track::Out;
use wire::{datagram, datagram_with, link, of_another_group, present};

const INTERFACE: u32 = 7;
/// Another one that addresses are put on.
const ANOTHER: u32 = 8;
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
    ReleaseBut(usize),
    Announce,
    Probe,
}
use Deed::{Acquire, Advertise, Announce as Burst, Probe, Release, ReleaseBut, Renew};

struct World {
    deeds: Mutex<Vec<(u128, Deed)>>,
    survey: Mutex<Survey>,
    refuses: Mutex<bool>,
    checksum: Checksum,
    greetings: Mutex<u32>,
    began: Instant,
}

/// And the hardware addresses it knows, by the number of the interface.
struct Recorded(Arc<World>, BTreeMap<u32, Option<[u8; 6]>>);

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
        assert_eq!(checksum, self.0.checksum);
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

    fn release_but(&mut self, router: &Router) -> Result<(), Failure> {
        self.record(ReleaseBut(router.held().count()));
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

    fn probe(&mut self) -> Result<Vec<IpAddr>, Failure> {
        self.record(Probe);
        Ok(vec![VIRTUAL])
    }

    fn is_us(&self, mac: [u8; 6]) -> bool {
        mac == OUR_MAC
    }

    fn follow(&mut self, link: &Link) -> bool {
        let before = self.1.insert(link.index, link.mac);
        link.mac != before.flatten()
    }

    fn survey(&mut self) -> Result<Survey, Failure> {
        Ok(self.0.survey.lock().unwrap().clone())
    }
}

impl Alarm for Pin<Box<Sleep>> {
    fn set(&mut self, at: Instant) -> std::io::Result<()> {
        self.as_mut().reset(at);
        Ok(())
    }

    async fn rings(&mut self) -> std::io::Result<()> {
        self.as_mut().await;
        Ok(())
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
    publish: watch::Sender<Record>,
    record: watch::Receiver<Record>,
    moves: Mutex<mpsc::Receiver<News>>,
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
        addresses: vec![virtual_address().into()],
        excluded: Vec::new(),
        virtual_mac: None,
        preempt: Preempt::After(Duration::ZERO),
        misconfigured_peer: MisconfiguredPeer::HoldBack,
        checksum: crate::config::Checksum::Auto,
        auth: Auth::None,
        announce: Announce {
            burst: 5,
            again: Some(Duration::from_secs(5)),
            refresh: None,
        },
        notify: crate::config::Notify::default(),
        tracks: Vec::new(),
        sync_group: None,
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
    bench_of(survey, channel, None)
}

fn bench_of(survey: Survey, channel: Option<Client>, seat: Option<Seat>) -> Bench {
    bench_as(&router(), Checksum::PseudoHeader, survey, channel, seat)
}

/// `checksum`: of all that it sends.
fn bench_as(
    router: &Router,
    checksum: Checksum,
    survey: Survey,
    channel: Option<Client>,
    seat: Option<Seat>,
) -> Bench {
    let world = Arc::new(World {
        deeds: Mutex::default(),
        survey: Mutex::new(survey),
        refuses: Mutex::new(false),
        checksum,
        greetings: Mutex::new(0),
        began: Instant::now(),
    });
    let fit = Standing {
        priority: router.priority,
        able: router.priority,
        out: None,
    };
    let (adverts, advert_inputs) = mpsc::channel(ADVERTS);
    let (notices, notice_inputs) = mpsc::channel(NOTICES);
    let (claimants, claimant_inputs) = mpsc::channel(CLAIMANTS);
    let (standing, standing_input) = watch::channel(fit);
    let (commands, command_inputs) = mpsc::channel(COMMANDS);
    let (publish, record) = watch::channel(Record::new(fit.priority, Instant::now()));
    let (tell, moves) = mpsc::channel(MOVES);
    let setup = Setup {
        router,
        interface: INTERFACE,
        others: BTreeMap::from([(ANOTHER, "eth1".to_owned())]),
        source: OURS,
        standing: fit,
        record: publish.clone(),
        channel,
        flight: Arc::default(),
        moves: Some(tell),
        seat,
        lateness: Arc::new(Histogram::new(daemon::metrics::NETWORK)),
    };
    let recorded = || Recorded(Arc::clone(&world), BTreeMap::new());
    let mut driver = Driver::new(setup, recorded()).unwrap();
    let another = recorded();
    let mut inputs = Inputs {
        adverts: advert_inputs,
        notices: notice_inputs,
        claimants: claimant_inputs,
        standing: standing_input,
        commands: command_inputs,
    };
    let mut alarm = Box::pin(sleep_until(Instant::now()));
    let task = tokio::spawn(async move {
        let ended = driver.run(&mut inputs, &mut alarm).await;
        let Some(change) = driver.asked() else {
            return ended;
        };
        driver
            .change(&change.router, another, BTreeMap::new())
            .unwrap();
        change.done.send(true).unwrap();
        driver.go_on(&mut inputs, &mut alarm).await
    });
    Bench {
        world,
        adverts,
        notices,
        claimants,
        standing,
        commands,
        publish,
        record,
        moves: Mutex::new(moves),
        task,
    }
}

fn clear() -> Survey {
    Survey {
        link: Some(link(true)),
        homeless: false,
        source: true,
        foreign: Vec::new(),
        ours: Vec::new(),
        missing: vec![virtual_address()],
    }
}

fn held() -> Survey {
    Survey {
        link: Some(link(true)),
        homeless: false,
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
        let priority = Priority::new(priority);
        let able = match out {
            None => priority,
            Some(_) => self.standing.borrow().able,
        };
        let standing = Standing {
            priority,
            able,
            out,
        };
        self.standing.send_replace(standing);
        settle().await;
    }

    fn state(&self) -> State {
        self.record.borrow().state
    }

    /// What was told since the last call, as the FIFO has it.
    fn told(&self) -> Vec<String> {
        let mut moves = self.moves.lock().unwrap();
        let all = std::iter::from_fn(|| moves.try_recv().ok());
        all.map(|moved| line(&moved).trim_end().to_owned())
            .collect()
    }
}

/// Every task that can run without time passing has run.
async fn settle() {
    for _ in 0..16 {
        yield_now().await;
    }
}
