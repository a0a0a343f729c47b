//! The workers as a crew: who has the fewest sessions, and the hand that passes one over.
//!
//! Workers share their listening sockets, and the kernel wakes whichever sleeps. Under a
//! light load that is always the same one, and a few long-lived connections would all be its
//! own. So a worker that has accepted looks who has fewer, and hands over.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use super::bell::Bell;
use super::inbox::Inbox;
use super::pace::Budget;
use crate::limits::Limits;
use crate::pool::Frontend;
use crate::worker::Gauges;

/// Sessions that wait for one worker to take them over. It is woken for the first; more than
/// this means that it is too busy to be given any.
const INBOX: usize = 256;

/// A client that another worker has accepted.
#[derive(Debug)]
pub(super) struct Handed {
    /// Its socket.
    pub(super) client: OwnedFd,
    /// Its address.
    pub(super) address: SocketAddr,
    /// Where it came in.
    pub(super) frontend: Arc<Frontend>,
}

#[derive(Debug)]
struct Member {
    /// What it counts: its open sessions are its load. Absent until it has started.
    gauges: OnceLock<Arc<Gauges>>,
    inbox: Inbox<Handed>,
    bell: Arc<Bell>,
}

/// All workers of the process.
#[derive(Debug)]
pub struct Crew {
    members: Box<[Member]>,
    limits: Limits,
    began: Instant,
    /// Extra dials.
    budget: Arc<Mutex<Budget>>,
}

impl Crew {
    /// A crew of `size` workers, none of which has sessions; together they keep to `limits`.
    ///
    /// # Errors
    /// When the process has no file descriptors left.
    pub fn new(size: usize, limits: &Limits) -> std::io::Result<Arc<Self>> {
        Self::since(Instant::now(), size, limits)
    }

    /// The same, whose clock began at `began`: it goes on with the ticks of another crew.
    ///
    /// # Errors
    /// As [`Crew::new`].
    pub fn since(
        began: Instant,
        size: usize,
        limits: &Limits,
    ) -> std::io::Result<Arc<Self>> {
        let member = |_| {
            Ok(Member {
                gauges: OnceLock::new(),
                inbox: Inbox::default(),
                bell: Arc::new(Bell::new()?),
            })
        };
        let members = (0..size).map(member).collect::<std::io::Result<_>>()?;
        let limits = *limits;
        Ok(Arc::new(Self {
            members,
            limits,
            began,
            budget: Arc::new(Mutex::new(Budget::new())),
        }))
    }

    /// The extra dials that all workers may make.
    #[must_use]
    pub(super) fn budget(&self) -> Arc<Mutex<Budget>> {
        Arc::clone(&self.budget)
    }

    /// When the ticks of all workers began.
    #[must_use]
    pub const fn began(&self) -> Instant {
        self.began
    }

    /// Whether the workers have as many sessions as the process has room for. Workers that
    /// ask at the same time may each let one more in, which the reserve bears.
    #[must_use]
    pub(super) fn is_full(&self) -> bool {
        self.has(Some(self.limits.connections))
    }

    /// Whether they have so many sessions.
    #[must_use]
    pub(super) fn has(&self, most: Option<u64>) -> bool {
        let open = || self.members.iter().filter_map(Member::load).sum::<u64>();
        most.is_some_and(|most| open() >= most)
    }

    /// How many pipes are each worker's.
    #[must_use]
    pub(super) fn pipes_each(&self) -> usize {
        let all = usize::try_from(self.limits.pipes).unwrap_or(usize::MAX);
        all / self.members.len().max(1)
    }

    /// The bell of worker `number`.
    #[must_use]
    pub(super) fn bell(&self, number: usize) -> Option<&Arc<Bell>> {
        self.members.get(number).map(|member| &member.bell)
    }

    /// Worker `me` has started and counts here.
    pub(super) fn join(&self, me: usize, gauges: Arc<Gauges>) {
        if let Some(member) = self.members.get(me) {
            // A worker joins once; a second time would change nothing.
            let _ = member.gauges.set(gauges);
        }
    }

    /// Who should have the session that `me` has accepted, if it is not `me`.
    ///
    /// The difference that is tolerated grows with the load: between a few long-lived
    /// connections one more or less matters, between hundreds of short ones a hand-over
    /// costs more than it evens out.
    #[must_use]
    pub(super) fn better_than(&self, me: usize) -> Option<usize> {
        let mine = self.members.get(me)?.load()?;
        let loads = self.members.iter().enumerate();
        let loads = loads.filter_map(|(n, member)| Some((n, member.load()?)));
        let (least, load) = loads.min_by_key(|(_, load)| *load)?;
        (mine > load + load / 4).then_some(least)
    }

    /// Hands a client to worker `to`, whose load it becomes at once.
    ///
    /// # Errors
    /// The client, when `to` has too many waiting already.
    pub(super) fn hand(&self, to: usize, handed: Handed) -> Result<(), Handed> {
        let Some(member) = self.members.get(to) else {
            return Err(handed);
        };
        let Some(gauges) = member.gauges.get() else {
            return Err(handed);
        };
        member.inbox.put(handed, INBOX, || {
            gauges.open.fetch_add(1, Ordering::Relaxed);
        })?;
        member.bell.ring();
        Ok(())
    }

    /// What was handed to worker `me`, into `into`.
    pub(super) fn take(&self, me: usize, into: &mut Vec<Handed>) {
        if let Some(member) = self.members.get(me) {
            member.inbox.take(into);
        }
    }
}

impl Member {
    fn load(&self) -> Option<u64> {
        Some(self.gauges.get()?.open.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;
    use crate::config::{Dial, Tcp};
    use crate::engine::poll::Poll;
    use crate::pool::{Backend, Counters, Cursor};

    const HANDS: usize = 3;
    const EACH: usize = 20_000;
    /// Far longer than a ring takes to be heard.
    const LOST: Duration = Duration::from_secs(5);

    fn frontend() -> Arc<Frontend> {
        let dial = Dial {
            connect: Duration::ZERO,
            time: Duration::ZERO,
            attempts: 0,
        };
        let tcp = Tcp {
            keepalive: None,
            user_timeout: None,
        };
        let cursor = Arc::new(Cursor::default());
        let backend = Backend::new("b".into(), dial, tcp, None, cursor, Vec::new());
        Arc::new(Frontend {
            name: "f".into(),
            listeners: Vec::new(),
            backend: Arc::new(backend),
            gate: Arc::default(),
            counters: Arc::new(Counters::default()),
            rules: None,
            routes: Vec::new(),
        })
    }

    fn client(frontend: &Arc<Frontend>) -> Handed {
        Handed {
            client: std::fs::File::open("/dev/null").unwrap().into(),
            address: ([127, 0, 0, 1], 1).into(),
            frontend: Arc::clone(frontend),
        }
    }

    /// Real threads and the real bell: whoever rings while the worker goes to sleep is heard.
    #[test]
    fn no_client_that_was_handed_over_is_forgotten() {
        let crew = Crew::new(1, &Limits::of(20_000)).unwrap();
        crew.join(0, Arc::default());
        let bell = crew.bell(0).unwrap();
        let mut poll = Poll::new().unwrap();
        poll.add_bell(bell).unwrap();
        let given_up = AtomicBool::new(false);
        let frontend = frontend();
        let hand_all = || {
            for _ in 0..EACH {
                let mut handed = client(&frontend);
                while let Err(back) = crew.hand(0, handed) {
                    if given_up.load(Ordering::Relaxed) {
                        return;
                    }
                    handed = back;
                    std::thread::yield_now();
                }
            }
        };
        let (mut taken, mut inbox) = (0, Vec::new());
        std::thread::scope(|scope| {
            (0..HANDS).for_each(|_| drop(scope.spawn(hand_all)));
            while taken < HANDS * EACH {
                poll.wait(Some(LOST)).unwrap();
                if poll.event(0).is_none() {
                    break;
                }
                bell.heard();
                crew.take(0, &mut inbox);
                taken += inbox.len();
                inbox.clear();
            }
            given_up.store(true, Ordering::Relaxed);
        });
        assert_eq!(taken, HANDS * EACH, "a ring was lost");
    }

    #[test]
    fn it_is_full_at_the_limit_of_all_together() {
        let limits = Limits {
            connections: 3,
            ..Limits::of(20_000)
        };
        let crew = Crew::new(2, &limits).unwrap();
        let gauges = [Arc::new(Gauges::default()), Arc::new(Gauges::default())];
        for (me, gauges) in gauges.iter().enumerate() {
            crew.join(me, Arc::clone(gauges));
        }
        for (open, is_full) in [((1, 1), false), ((2, 1), true), ((0, 4), true)] {
            gauges[0].open.store(open.0, Ordering::Relaxed);
            gauges[1].open.store(open.1, Ordering::Relaxed);
            assert_eq!(crew.is_full(), is_full, "{open:?}");
        }
    }
}
