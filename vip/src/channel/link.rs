//! The channel's task: owns the socket and every session; fed by peers' datagrams and by
//! drivers' [`Ask`]s; ends with the adverts' thread, on which it runs.

mod handing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket as Bound};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use daemon::limit::{Limiter, Verdict};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use vrrp::State;

use super::client::Entry;
use super::message::{
    Body, Boot, Id, LONGEST, Message, Name, Nonce, ParseError, ROUTERS, Ready, Standing,
};
use super::session::{Heard, Sessions};
use super::{Ask, Client, Group, Settings};
use handing::{Given, Offering, Promise};

/// Between what is new and what was told before, at least: a router that flaps is told of
/// twenty times a second and no more.
const LOOK: Duration = Duration::from_millis(50);

/// How often peers hear from us even if nothing is new.
const HELLO: Duration = Duration::from_millis(500);

/// Promises and handovers that are remembered at a time.
const REMEMBERED: usize = 64;

/// One line of each kind per so long.
const LOG_WINDOW: Duration = Duration::from_secs(10);

/// Binds the channel's socket. Before rights are given up and the thread is started.
///
/// # Errors
/// What the kernel says: the port is taken, the address is not here.
pub fn bind(settings: &Settings) -> io::Result<Bound> {
    let socket = Bound::bind(settings.listen)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Starts the task on the adverts' thread.
///
/// # Errors
/// When the kernel has no random numbers.
pub fn start(settings: Settings, socket: Bound, thread: &Handle) -> io::Result<Client> {
    let random = SystemRandom::new();
    let boot = Boot(draw(&random)?.max(1));
    let (client, asked) = Client::new();
    let shared = client.clone();
    thread.spawn(async move {
        match UdpSocket::from_std(socket) {
            Ok(socket) => {
                Link::new(settings, socket, shared, boot, random)
                    .run(asked)
                    .await
            }
            Err(error) => tracing::error!("the channel is not served: {error}"),
        }
    });
    Ok(client)
}

fn draw(random: &SystemRandom) -> io::Result<u64> {
    let mut octets = [0; 8];
    random
        .fill(&mut octets)
        .map_err(|_| io::Error::other("no random numbers"))?;
    Ok(u64::from_be_bytes(octets))
}

struct Link {
    settings: Settings,
    socket: Arc<UdpSocket>,
    client: Client,
    sessions: Sessions,
    random: SystemRandom,
    offerings: Vec<Offering>,
    promises: BTreeMap<Id, Promise>,
    given: BTreeMap<Id, Given>,
    told: Vec<Standing>,
    told_at: Instant,
    /// A router may stand otherwise than was told.
    is_news: bool,
    /// Drivers that have taken addresses, and whom to tell.
    taken: mpsc::Sender<(Name, Id)>,
    takings: mpsc::Receiver<(Name, Id)>,
    limiter: Limiter<&'static str>,
}

impl Link {
    fn new(
        settings: Settings,
        socket: UdpSocket,
        client: Client,
        boot: Boot,
        random: SystemRandom,
    ) -> Self {
        let (taken, takings) = mpsc::channel(REMEMBERED);
        let peers = settings.peers.keys().cloned();
        let sessions = Sessions::new(settings.name.clone(), boot, peers);
        Self {
            sessions,
            socket: Arc::new(socket),
            client,
            random,
            offerings: Vec::new(),
            promises: BTreeMap::new(),
            given: BTreeMap::new(),
            told: Vec::new(),
            told_at: Instant::now(),
            is_news: false,
            taken,
            takings,
            limiter: Limiter::new(3, LOG_WINDOW),
            settings,
        }
    }

    async fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        let mut octets = vec![0; LONGEST + 1];
        let client = self.client.clone();
        self.hello();
        loop {
            let again = self.given.values().filter_map(Given::due);
            let due = self.offerings.iter().map(Offering::due).chain(again).min();
            let tell = self.told_at + if self.is_news { LOOK } else { HELLO };
            tokio::select! {
                biased;
                received = self.socket.recv_from(&mut octets) => match received {
                    Ok((length, from)) => {
                        let datagram = octets.get(..length).unwrap_or_default();
                        self.datagram(datagram, from);
                    }
                    // A peer's port that is closed: it will say Hello when it is there.
                    Err(error) => tracing::debug!("channel: {error}"),
                },
                Some(ask) = asked.recv() => self.ask(ask),
                Some((peer, id)) = self.takings.recv() => {
                    self.send(&peer, Body::Taken(id));
                }
                () = at(due) => {
                    self.overdue();
                    self.ungone();
                }
                () = client.shared().changed.notified(), if !self.is_news => {
                    self.is_news = true;
                }
                () = sleep_until(tell) => self.look(),
            }
        }
    }

    fn datagram(&mut self, octets: &[u8], from: SocketAddr) {
        let message = match Message::parse(octets, &self.settings.key) {
            Ok(message) => message,
            Err(error) => return self.refuse(reason(error), from, &error),
        };
        let Ok(nonce) = self.nonce() else {
            return;
        };
        let peer = message.from.clone();
        match self.sessions.hear(message, nonce) {
            Err(stale) => self.refuse(stale.name(), from, &stale),
            Ok(Heard::Answer(body)) => self.send(&peer, body),
            Ok(Heard::Proved) => {
                tracing::info!(%peer, "channel: the peer is there");
                self.send_hello(&peer);
            }
            Ok(Heard::Fresh(body)) => self.fresh(peer, body),
        }
    }

    fn fresh(&mut self, peer: Name, body: Body) {
        match body {
            Body::Hello(routers) => {
                let facts = self.client.shared().facts.lock();
                let mut facts = facts.unwrap_or_else(PoisonError::into_inner);
                let known = facts.peers.entry(peer).or_default();
                known.heard = Some(Instant::now());
                known.routers = routers;
            }
            Body::Offer(id, group) => self.offered(peer, id, group),
            Body::Accept(id) => self.accepted(&peer, id),
            Body::Refuse(id) => self.refused(&peer, id),
            Body::Go(id) => self.go(&peer, id),
            Body::Taken(id) => {
                if let Some(given) = self.given.remove(&id) {
                    let took = given.at.elapsed();
                    self.client.took().observe(took);
                    tracing::info!(%peer, ?took, "channel: the peer holds the addresses");
                }
            }
            // Heard by the sessions alone.
            Body::Challenge(_) | Body::Proof(_) => {}
        }
    }

    fn entry(&self, group: Group) -> Option<Entry> {
        let routers = self.client.shared().routers.lock();
        let routers = routers.unwrap_or_else(PoisonError::into_inner);
        routers.get(&group).cloned()
    }

    fn look(&mut self) {
        self.is_news = false;
        if self.standings() != self.told || self.told_at.elapsed() >= HELLO {
            self.hello();
        }
    }

    fn hello(&mut self) {
        self.told = self.standings();
        self.told_at = Instant::now();
        let peers: Vec<_> = self.settings.peers.keys().cloned().collect();
        peers.iter().for_each(|peer| self.send_hello(peer));
    }

    fn send_hello(&mut self, peer: &Name) {
        let told = self.told.clone();
        self.send(peer, Body::Hello(told));
    }

    fn standings(&self) -> Vec<Standing> {
        let routers = self.client.shared().routers.lock();
        let routers = routers.unwrap_or_else(PoisonError::into_inner);
        let standing = |(group, entry): (&Group, &Entry)| Standing {
            group: *group,
            priority: entry.record.borrow().priority.get(),
            ready: ready(entry),
        };
        let mut all: Vec<_> = routers.iter().collect();
        // Where not all find room: first what every peer has long known a router by.
        all.sort_by_key(|(_, entry)| entry.place);
        all.into_iter().take(ROUTERS).map(standing).collect()
    }

    fn send(&mut self, peer: &Name, body: Body) {
        let message = self.sessions.write(peer, body);
        let (Some(message), Some(address)) = (message, self.settings.peers.get(peer))
        else {
            return;
        };
        let octets = message.emit(&self.settings.key);
        // A peer that cannot be reached is one that is not there.
        if let Err(error) = self.socket.try_send_to(&octets, *address) {
            tracing::debug!(%peer, "channel: cannot send: {error}");
        }
    }

    fn refuse(
        &mut self,
        name: &'static str,
        from: SocketAddr,
        why: &dyn std::fmt::Display,
    ) {
        let facts = self.client.shared().facts.lock();
        let mut facts = facts.unwrap_or_else(PoisonError::into_inner);
        *facts.refused.entry(name).or_default() += 1;
        drop(facts);
        let now = Instant::now().into_std();
        if let Verdict::Say { suppressed } = self.limiter.admit(name, now) {
            tracing::warn!(%from, suppressed, "channel: a message is refused: {why}");
        }
    }

    fn nonce(&self) -> io::Result<Nonce> {
        let mut octets = [0; 16];
        let filled = self.random.fill(&mut octets);
        filled.map_err(|_| io::Error::other("no random numbers"))?;
        Ok(Nonce(octets))
    }
}

/// Would this router take addresses that are handed to it?
fn ready(entry: &Entry) -> Ready {
    let record = entry.record.borrow();
    let usable = record.running && record.out.is_none();
    // It would step back again at the stranger's next advert.
    let usable = usable && record.held_back_by(Instant::now()).is_none();
    if usable && record.state == State::Backup {
        Ready::Yes
    } else {
        Ready::No
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn reason(error: ParseError) -> &'static str {
    match error {
        ParseError::Magic => "magic",
        ParseError::Version(_) => "version",
        ParseError::Length => "length",
        ParseError::Mac => "mac",
        ParseError::Form => "form",
    }
}
