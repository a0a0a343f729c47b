//! Routers on one segment and one virtual clock, and a client that remembers who announced
//! the address last. Delays, losses and stalls come from a seed, so a run can be repeated.
//!
//! What it leaves to the tests with real machines: that a kernel does what an action says,
//! and how long it takes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use vrrp::fsm::{
    Action, Actions, Announcing, Event, Leftover, Preempt, Router, Settings,
};
use vrrp::packet::{Addresses, AddressesError, Advert, Auth};
use vrrp::{AdvertInterval, Dialects, Priority, State, Version, Vrid};

use crate::numbers::Numbers;

/// Index of a router.
pub(crate) type Host = usize;

/// How the segment and the hosts behave. All times are upper ends, drawn evenly from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// From one host to another.
    pub(crate) delay: Duration,
    /// A loop wakes so much after its deadline.
    pub(crate) wake: Duration,
    /// From an advert to the announcement of the same step.
    pub(crate) announce: Duration,
    /// Adverts lost, and delivered twice, of 100.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
}

impl Weather {
    /// A segment without fault, with hosts that have other things to do.
    pub(crate) const FAIR: Self = Self {
        delay: Duration::from_micros(300),
        wake: Duration::from_micros(500),
        announce: Duration::from_micros(1050),
        lost: 0,
        doubled: 0,
    };
}

/// What can befall a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The host is gone, and its address with it.
    Dead,
    /// The process is gone, the address stays.
    Crashed,
    /// The process stands still; what arrives waits for it.
    Paused,
    /// It hears nobody.
    Deaf,
    /// Nobody hears it.
    Mute,
}

struct Node {
    settings: Settings,
    router: Router,
    fault: Option<Fault>,
    holds: bool,
    inbox: Vec<(Host, Rc<Advert>)>,
}

#[derive(Debug)]
enum Happening {
    Arrives {
        to: Host,
        from: Host,
        advert: Rc<Advert>,
    },
    Wake {
        host: Host,
    },
    Announced {
        host: Host,
    },
}

/// A point of the virtual clock; the number keeps the order of equals.
type Turn = (Instant, u64);

pub(crate) struct Network {
    pub(crate) now: Instant,
    pub(crate) weather: Weather,
    /// Whom the client sends to: the last that announced.
    pub(crate) client: Option<Host>,
    /// Every promotion: when and who.
    pub(crate) promotions: Vec<(Instant, Host)>,
    /// Each is configured otherwise than all others.
    pub(crate) strangers: bool,
    nodes: Vec<Node>,
    queue: BTreeMap<Turn, Happening>,
    sequence: u64,
    numbers: Numbers,
}

/// As the daemon has it: less than an address lives without it.
const PATIENCE: Duration = Duration::from_millis(750);

/// Settings of the router number `host`: the higher the number, the higher its address.
pub(crate) fn settings(host: Host, priority: u8, interval: AdvertInterval) -> Settings {
    Settings {
        version: Version::V3,
        priority: Priority::new(priority),
        interval,
        source: address(host),
        preempt: Preempt::AtOnce,
        patience: PATIENCE,
        announcing: Announcing::default(),
        dialects: Dialects::KEEPALIVED,
    }
}

fn address(host: Host) -> IpAddr {
    let last = u8::try_from(host).unwrap_or(u8::MAX);
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

impl Network {
    /// Hosts that have not started.
    #[expect(
        clippy::disallowed_methods,
        reason = "std has no other instant to count from"
    )]
    pub(crate) fn new(seed: u64, weather: Weather, hosts: Vec<Settings>) -> Self {
        let node = |settings: Settings| Node {
            router: Router::new(settings.clone()),
            settings,
            fault: None,
            holds: false,
            inbox: Vec::new(),
        };
        Self {
            now: Instant::now(),
            weather,
            client: None,
            promotions: Vec::new(),
            strangers: false,
            nodes: hosts.into_iter().map(node).collect(),
            queue: BTreeMap::new(),
            sequence: 0,
            numbers: Numbers::new(seed),
        }
    }

    pub(crate) fn hosts(&self) -> Host {
        self.nodes.len()
    }

    pub(crate) fn state(&self, host: Host) -> State {
        self.nodes
            .get(host)
            .map_or(State::Initialize, |node| node.router.state())
    }

    /// Hosts in Active whose process runs.
    pub(crate) fn actives(&self) -> Vec<Host> {
        self.those(|node| !node.gone() && node.router.state() == State::Active)
    }

    /// Hosts with the address on their interface.
    pub(crate) fn holders(&self) -> Vec<Host> {
        self.those(|node| node.holds)
    }

    /// The longest down interval of all.
    pub(crate) fn down_interval(&self) -> Duration {
        let down = |node: &Node| {
            let Settings {
                version, interval, ..
            } = node.settings;
            vrrp::fsm::timers::down(version, node.router.priority(), interval)
        };
        self.nodes.iter().map(down).max().unwrap_or_default()
    }

    fn those(&self, which: impl Fn(&Node) -> bool) -> Vec<Host> {
        let hosts = self.nodes.iter().enumerate();
        hosts
            .filter(|(_, node)| which(node))
            .map(|(host, _)| host)
            .collect()
    }

    /// Starts a host anew, with what its last run has left on the interface.
    pub(crate) fn start(&mut self, host: Host) {
        let Some(node) = self.nodes.get_mut(host) else {
            return;
        };
        node.router = Router::new(node.settings.clone());
        let leftover = if node.holds {
            Leftover::Ours
        } else {
            Leftover::None
        };
        self.step(host, |router, now| {
            router.handle(Event::Start { leftover }, now)
        });
    }

    /// Only a process that runs can be told anything.
    pub(crate) fn tell(&mut self, host: Host, event: Event<'_>) {
        if self.nodes.get(host).is_some_and(Node::runs) {
            self.step(host, |router, now| router.handle(event, now));
        }
    }

    /// Somebody takes the address off the interface, while the process looks on.
    pub(crate) fn lose_address(&mut self, host: Host) {
        let Some(node) = self.nodes.get_mut(host).filter(|node| node.runs()) else {
            return;
        };
        if std::mem::take(&mut node.holds) {
            self.tell(host, Event::AddressLost);
        }
    }

    /// One fault per host; a second takes the place of the first.
    pub(crate) fn strike(&mut self, host: Host, fault: Fault) {
        self.heal(host);
        if let Some(node) = self.nodes.get_mut(host) {
            node.holds &= fault != Fault::Dead;
            node.fault = Some(fault);
        }
    }

    /// Whatever had befallen the host is over: a process that was gone starts, one that
    /// stood still wakes up, to its deadline or to its messages first.
    pub(crate) fn heal(&mut self, host: Host) {
        let Some(node) = self.nodes.get_mut(host) else {
            return;
        };
        match node.fault.take() {
            None | Some(Fault::Deaf | Fault::Mute) => {}
            Some(Fault::Dead | Fault::Crashed) => self.start(host),
            Some(Fault::Paused) => {
                let inbox = std::mem::take(&mut node.inbox);
                if self.numbers.below(2) == 0 {
                    self.wake(host);
                }
                for (from, advert) in inbox {
                    self.hear(host, from, &advert);
                }
                self.wake(host);
            }
        }
    }

    /// Lets so much time pass, and asks `each` after everything that happened in it.
    pub(crate) fn pass(&mut self, time: Duration, mut each: impl FnMut(&Self)) {
        let end = self.now + time;
        while let Some(next) = self.queue.first_entry()
            && next.key().0 <= end
        {
            let ((at, _), happening) = next.remove_entry();
            self.now = at;
            self.happen(happening);
            each(self);
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives { to, from, advert } => self.arrive(to, from, advert),
            Happening::Wake { host } => self.wake(host),
            Happening::Announced { host } => self.client = Some(host),
        }
    }

    fn arrive(&mut self, to: Host, from: Host, advert: Rc<Advert>) {
        let Some(node) = self.nodes.get_mut(to) else {
            return;
        };
        match node.fault {
            Some(Fault::Dead | Fault::Crashed | Fault::Deaf) => {}
            Some(Fault::Paused) => node.inbox.push((from, advert)),
            None | Some(Fault::Mute) => self.hear(to, from, &advert),
        }
    }

    fn hear(&mut self, to: Host, from: Host, advert: &Advert) {
        let from = address(from);
        let event = match self.strangers {
            false => Event::Advert { from, advert },
            true => Event::Stranger { from, advert },
        };
        self.step(to, |router, now| router.handle(event, now));
    }

    fn wake(&mut self, host: Host) {
        let Some(node) = self.nodes.get(host) else {
            return;
        };
        let due = node
            .router
            .deadline()
            .is_some_and(|deadline| deadline <= self.now);
        if due && node.runs() {
            self.step(host, |router, now| router.handle(Event::Deadline, now));
        }
    }

    fn step(&mut self, host: Host, with: impl FnOnce(&mut Router, Instant) -> Actions) {
        let Some(node) = self.nodes.get_mut(host) else {
            return;
        };
        let actions = with(&mut node.router, self.now);
        for action in actions {
            self.perform(host, action);
        }
        let Some(deadline) = self.nodes.get(host).and_then(|node| node.router.deadline())
        else {
            return;
        };
        let late = self.up_to(self.weather.wake);
        self.at(deadline.max(self.now) + late, Happening::Wake { host });
    }

    fn perform(&mut self, host: Host, action: Action) {
        let Some(node) = self.nodes.get_mut(host) else {
            return;
        };
        match action {
            Action::Advertise(priority) => self.send(host, priority),
            Action::Acquire => node.holds = true,
            Action::Release => node.holds = false,
            // Not taken back by a release: the burst may be on its way already.
            Action::Announce if node.fault != Some(Fault::Mute) => {
                let later = self.up_to(self.weather.announce);
                self.at(self.now + later, Happening::Announced { host });
            }
            Action::Announce | Action::Note(_) => {}
            Action::Moved {
                to: State::Active, ..
            } => self.promotions.push((self.now, host)),
            Action::Moved { .. } => {}
        }
    }

    fn send(&mut self, from: Host, priority: Priority) {
        let Some(node) = self.nodes.get(from) else {
            return;
        };
        let Ok(advert) = advert(&node.settings, priority) else {
            return;
        };
        if node.fault == Some(Fault::Mute) {
            return;
        }
        let advert = Rc::new(advert);
        for to in (0..self.hosts()).filter(|to| *to != from) {
            let mut copies = u32::from(self.numbers.below(100) >= self.weather.lost);
            copies *= 1 + u32::from(self.numbers.below(100) < self.weather.doubled);
            for _ in 0..copies {
                let delay = self.up_to(self.weather.delay);
                let advert = Rc::clone(&advert);
                self.at(self.now + delay, Happening::Arrives { to, from, advert });
            }
        }
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX - 1);
        Duration::from_nanos(self.numbers.below(most + 1))
    }

    fn at(&mut self, at: Instant, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), happening);
    }
}

impl Node {
    fn gone(&self) -> bool {
        matches!(self.fault, Some(Fault::Dead | Fault::Crashed))
    }

    fn runs(&self) -> bool {
        !self.gone() && self.fault != Some(Fault::Paused)
    }
}

fn advert(settings: &Settings, priority: Priority) -> Result<Advert, AddressesError> {
    Ok(Advert {
        version: settings.version,
        vrid: Vrid::new(51).ok_or(AddressesError::Empty)?,
        priority,
        interval: settings.interval,
        auth: Auth::None,
        addresses: Addresses::new(vec![IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100))])?,
    })
}
