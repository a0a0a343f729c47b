//! The routers that run: starts, changes and stops them, and is what `status` reads.
//!
//! Lives on the control runtime. Each [`Member`] is one router on the adverts' thread
//! together with its checks, which stay here.

mod hush;
mod member;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daemon::chain;
use daemon::metrics::{Histogram, NETWORK};
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use crate::ask::Board;
use crate::channel::{Client, Entry};
use crate::config::{Config, Notify, Router, SyncGroup};
use crate::driver::{COMMANDS, Command, Record};
use crate::flight::dump;
use crate::guard::{Facts, Keeper};
use crate::ledger;
use crate::linux::{Before, Linux, OpenError};
use crate::live::Life;
use crate::notify::{News, Subject, Teller};
use crate::sync::{Book, Seat};
use crate::thread::Thread;
use crate::track::Tracker;
use crate::upgrade::Resume;
use hush::Hush;
pub use member::Member;
use member::{adjusted, changes_live, checks, lives_on, stop};

/// What a router needs at most to be Active again where it was: microseconds, on a thread
/// that goes before everything else.
const TAKE: Duration = Duration::from_millis(100);

/// Why a router did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its sockets could not be had.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its task ended before it answered.
    #[error("router {0} ended while it was started")]
    Ended(String),
}

/// All routers that run.
pub struct Fleet {
    thread: Thread,
    /// Whether memory is locked, or why not.
    memory: std::io::Result<()>,
    guard: Keeper,
    members: Mutex<Vec<Arc<Member>>>,
    /// The books of the sync groups, by name.
    groups: Mutex<BTreeMap<String, Arc<watch::Sender<Book>>>>,
    /// Where checks of another router look.
    board: Arc<Board>,
    /// How routers tell their successors.
    channel: Option<Client>,
    /// Where flight recorders are dumped.
    flights: PathBuf,
    /// Who tells others of transitions.
    teller: Teller,
    /// What the program before this one left; used up by the first start.
    resume: Mutex<Resume>,
    /// Where transitions go meanwhile.
    hush: Mutex<Option<Hush>>,
}

impl Fleet {
    /// Without any router.
    pub fn new(
        thread: Thread,
        memory: std::io::Result<()>,
        guard: Keeper,
        channel: Option<Client>,
        flights: PathBuf,
        teller: Teller,
        resume: Resume,
    ) -> Self {
        Self {
            thread,
            memory,
            guard,
            members: Mutex::new(Vec::new()),
            groups: Mutex::default(),
            board: Arc::new(Board::default()),
            channel,
            flights,
            teller,
            resume: Mutex::new(resume),
            hush: Mutex::new(None),
        }
    }

    /// Does every router that should run, run? One that has ended by itself, or a thread that
    /// is stuck, needs the restart that follows silence.
    pub fn is_alive(&self) -> bool {
        self.thread.turns() && self.members().iter().all(|member| member.alive())
    }

    /// Whether the adverts' thread is real-time, or why not.
    pub fn realtime(&self) -> &std::io::Result<()> {
        self.thread.realtime()
    }

    /// Whether memory is locked, or why not.
    pub fn memory(&self) -> &std::io::Result<()> {
        &self.memory
    }

    /// What is known about the guard of the addresses.
    pub fn guard(&self) -> Facts {
        self.guard.facts()
    }

    /// What is known about whose the addresses are.
    pub fn ledger(&self) -> ledger::Facts {
        self.guard.line().ledger().facts()
    }

    /// The routers that run, in the order of the file.
    pub fn members(&self) -> Vec<Arc<Member>> {
        self.members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The sync groups, each with how its routers stand.
    pub fn groups(&self) -> Vec<(String, Book)> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let books = groups.iter();
        books
            .map(|(name, book)| (name.clone(), book.borrow().clone()))
            .collect()
    }

    /// Starts all routers of `config`, side by side: where they follow those of another
    /// program, peers wait for each of them. One whose interface or source address is not
    /// there waits for it, at fault, beside the others.
    ///
    /// # Errors
    /// That of the first router that does not start for another reason. The others run on,
    /// until [`Self::stop`]: the program before has its addresses back without an election.
    pub async fn start(&self, config: &Config) -> Result<(), StartError> {
        let routers = &config.routers;
        self.gather(&config.sync_groups);
        self.teller.add(told(config));
        self.hush();
        sweep(routers.clone()).await;
        let starting = routers.iter().map(|router| self.member(router));
        let (mut started, mut failed) = (Vec::new(), None);
        for member in join_all(starting).await {
            match member {
                Ok(member) => started.push(Arc::new(member)),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        self.set(started);
        if let Some(error) = failed {
            return Err(error);
        }
        self.teller.set(told(config).collect());
        let mut resume = self.resume.lock().unwrap_or_else(PoisonError::into_inner);
        *resume = Resume::default();
        self.settle();
        Ok(())
    }

    /// From here on others are told of everything.
    fn settle(&self) {
        let mut hush = self.hush.lock().unwrap_or_else(PoisonError::into_inner);
        hush.take().into_iter().for_each(Hush::settle);
    }

    /// After another program, nobody is told of what only brings back what was.
    fn hush(&self) {
        let resume = self.resume.lock().unwrap_or_else(PoisonError::into_inner);
        let before = resume.states();
        let line = self.teller.line().filter(|_| !before.is_empty());
        let mut hush = self.hush.lock().unwrap_or_else(PoisonError::into_inner);
        *hush = line.map(|line| Hush::begin(before, line));
    }

    /// Where a router that starts puts its transitions.
    fn line(&self) -> Option<mpsc::Sender<News>> {
        let hush = self.hush.lock().unwrap_or_else(PoisonError::into_inner);
        let hushed = hush.as_ref().map(|hush| hush.moves.clone());
        hushed.or_else(|| self.teller.line())
    }

    /// Makes what runs what `config` says. Routers that did not change keep their state;
    /// where only the priority, the checks or what `changes_live` knows did, the address
    /// stays too; others stop in good order and start anew. When one that is to start cannot, nothing changes: an
    /// address is not given up for a router that will not run.
    ///
    /// # Errors
    /// One per router that cannot start.
    pub async fn change(&self, config: &Config) -> Vec<StartError> {
        let routers = &config.routers;
        let errors = self.unable(routers);
        if !errors.is_empty() {
            return errors;
        }
        self.gather(&config.sync_groups);
        self.teller.add(told(config));
        let mut before = self.members();
        let mut after = Vec::new();
        let mut fresh = Vec::new();
        for router in routers {
            let known = going_on(&before, router).await;
            match known.map(|position| before.swap_remove(position)) {
                Some(member) if member.router == *router => after.push(member),
                Some(member) => {
                    after.push(Arc::new(adjusted(&member, router, &self.board)));
                }
                None => fresh.push(router),
            }
        }
        stop(before).await;
        let mut errors = Vec::new();
        for router in fresh {
            match self.member(router).await {
                Ok(member) => after.push(Arc::new(member)),
                Err(error) => errors.push(error),
            }
        }
        self.set(after);
        self.teller.set(told(config).collect());
        errors
    }

    /// The books of these groups, and of no other.
    fn gather(&self, wanted: &[SyncGroup]) {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|name, _| wanted.iter().any(|group| group.name == *name));
        for group in wanted {
            let book = groups.entry(group.name.clone()).or_default();
            book.send_modify(|book| book.set_members(&group.routers));
        }
    }

    fn seat(&self, router: &Router) -> Option<Seat> {
        let name = router.sync_group.as_ref()?;
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Seat::new(name, &router.name, groups.get(name)?))
    }

    /// Tries to open what would start anew; that changes nothing on the machine.
    fn unable(&self, routers: &[Router]) -> Vec<StartError> {
        let running = self.members();
        let anew = routers.iter().filter(|router| {
            let lives = |member: &Arc<Member>| lives_on(&member.router, router);
            !running.iter().any(lives)
        });
        let failed = anew.filter_map(|router| {
            let error = Linux::trial(router, &self.guard.line()).err()?;
            // One that waits goes on waiting: there is nothing that it would give up.
            let mut running = running.iter();
            let waits = running.any(|it| it.lacks() && it.router.name == router.name);
            (!(waits && error.may_come())).then_some(error)
        });
        failed.map(StartError::Open).collect()
    }

    /// Stops every router: priority 0, then the address is removed, then the guard ends.
    pub async fn stop(&self) {
        self.settle();
        stop(self.members()).await;
        self.set(Vec::new());
        self.teller.end().await;
        self.guard.end().await;
    }

    /// Who tells others of transitions.
    pub fn teller(&self) -> &Teller {
        &self.teller
    }

    /// How routers tell their successors.
    pub fn channel(&self) -> Option<&Client> {
        self.channel.as_ref()
    }

    fn set(&self, members: Vec<Arc<Member>>) {
        if let Some(channel) = &self.channel {
            let entries = |member: &Arc<Member>| {
                let member = Arc::clone(member);
                let groups = member.router.groups().into_iter().enumerate();
                groups.map(move |(place, group)| {
                    let entry = Entry {
                        commands: member.commands.clone(),
                        record: member.record.clone(),
                        place,
                    };
                    (group, entry)
                })
            };
            channel.set_routers(members.iter().flat_map(entries).collect());
        }
        *self.members.lock().unwrap_or_else(PoisonError::into_inner) = members;
    }

    async fn member(&self, router: &Router) -> Result<Member, StartError> {
        let tracker = Arc::new(Tracker::new(router, false));
        let was = {
            let resume = self.resume.lock().unwrap_or_else(PoisonError::into_inner);
            resume.of(&router.name).cloned()
        };
        if let Some(was) = &was {
            tracker.resume(router, was);
        }
        let initial = Record::new(tracker.standing().priority, Instant::now());
        let (publish, record) = watch::channel(initial);
        let (commands, orders) = mpsc::channel(COMMANDS);
        let lateness = Arc::new(Histogram::new(NETWORK));
        let life = Life {
            router: router.clone(),
            standing: tracker.subscribe(),
            commands: orders,
            record: publish,
            lateness: Arc::clone(&lateness),
            guard: self.guard.line(),
            before: Before::default(),
            channel: self.channel.clone(),
            flight: Arc::clone(tracker.flight()),
            moves: self.line(),
            seat: self.seat(router),
        };
        let flight = Arc::clone(tracker.flight());
        let (name, folder) = (router.name.clone(), self.flights.clone());
        tokio::spawn(dump::follow(name, folder, flight, record.clone()));
        let (opened, answer) = oneshot::channel();
        // First, so that most have a verdict before the first election.
        self.board.post(&router.name, record.clone());
        let checks = checks(router, &tracker, &self.board);
        let task = self.thread.handle().spawn(life.run(opened));
        answer
            .await
            .map_err(|_| StartError::Ended(router.name.clone()))??;
        if was.is_some_and(|was| was.active) {
            let (taken, is_active) = oneshot::channel();
            // One that has ended already is seen by whoever looks at its task, and one that
            // cannot be Active by whoever is told of it.
            let _ = commands.send(Command::Take(taken)).await;
            drop(timeout(TAKE, is_active).await);
        }
        Ok(Member {
            router: router.clone(),
            tracker,
            record,
            lateness,
            commands,
            task: Arc::new(task),
            checks,
        })
    }
}

/// Which of those that run becomes `router` without an election; it is so from here on.
async fn going_on(running: &[Arc<Member>], router: &Router) -> Option<usize> {
    let all = || running.iter().enumerate();
    let known = all().find(|(_, member)| lives_on(&member.router, router));
    if let Some((position, _)) = known {
        return Some(position);
    }
    let (position, member) =
        all().find(|(_, member)| changes_live(&member.router, router))?;
    member.change(router).await.then_some(position)
}

/// Clears what a run with another configuration has left in the kernel; without it, each
/// router still finds its own.
async fn sweep(routers: Vec<Router>) {
    let swept = spawn_blocking(move || Linux::sweep(&routers)).await;
    if let Ok(Err(error)) = swept {
        tracing::error!("{}", chain(&error));
    }
}

fn told(config: &Config) -> impl Iterator<Item = (Subject, Notify)> {
    let routers = config.routers.iter();
    let routers = routers.map(|it| (Subject::Router(it.name.clone()), it.notify.clone()));
    let groups = config.sync_groups.iter();
    let groups = groups.map(|it| (Subject::Group(it.name.clone()), it.notify.clone()));
    routers.chain(groups)
}
