//! Telling others of transitions: keepalived's scripts and FIFO, and events on the socket.
//!
//! ```text
//!   driver ──Move (try_send)──▶ Teller ──▶ Events ──▶ `vip-daemon events`
//!                                 ├──▶ FIFO: INSTANCE "VI_1" MASTER 101
//!                                 └──▶ a queue per router ──▶ scripts' unit, one by one
//! ```
//!
//! A driver never waits: a full queue costs a notice, which is counted, and never an
//! election. Scripts of one router run one after the other, in the order of its
//! transitions; a script that hangs delays those behind it, and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use daemon::rfc3339;
use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use vrrp::fsm::Reason;
use vrrp::{Priority, State};

use crate::config::Notify;
use crate::scripts;

/// Transitions that may wait: a flapping router makes some a second.
pub const MOVES: usize = 256;

/// Transitions of one router that may wait for its scripts.
const QUEUE: usize = 64;

/// Events that are kept for who asks later.
const EVENTS: usize = 256;

/// How long a script may run.
const SCRIPT: Duration = Duration::from_secs(60);

/// How long the end of the daemon waits for the scripts of its last transitions.
const LAST: Duration = Duration::from_secs(2);

/// Whose transition it is, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A router's.
    Router(String),
    /// A sync group's.
    Group(String),
}

impl Subject {
    /// The name, and the word that keepalived puts before it.
    fn named(&self) -> (&str, &str) {
        match self {
            Self::Router(name) => ("INSTANCE", name),
            Self::Group(name) => ("GROUP", name),
        }
    }
}

/// A transition.
#[derive(Debug, Clone)]
pub struct Move {
    /// Whose.
    pub subject: Subject,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// Its priority; 0 for a group.
    pub priority: Priority,
}

/// The word that keepalived's users know.
#[must_use]
pub fn word(state: State) -> &'static str {
    match state {
        State::Active => "MASTER",
        State::Backup => "BACKUP",
        State::Fault => "FAULT",
        State::Initialize => "STOP",
    }
}

/// What keepalived appends to the command of `notify`.
#[must_use]
pub fn arguments(moved: &Move) -> [String; 4] {
    let (kind, name) = moved.subject.named();
    [
        kind.to_owned(),
        name.to_owned(),
        word(moved.to).to_owned(),
        moved.priority.get().to_string(),
    ]
}

/// The line that keepalived writes into its FIFO.
#[must_use]
pub fn line(moved: &Move) -> String {
    let ((kind, name), priority) = (moved.subject.named(), moved.priority.get());
    format!("{kind} \"{name}\" {} {priority}\n", word(moved.to))
}

/// The latest events, numbered from 1.
#[derive(Debug)]
pub struct Events {
    kept: Mutex<VecDeque<(u64, Value)>>,
    newest: watch::Sender<u64>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            newest: watch::Sender::new(0),
        }
    }
}

impl Events {
    fn add(&self, moved: &Move, at: SystemTime) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *self.newest.borrow() + 1;
        let key = match moved.subject {
            Subject::Router(_) => "router",
            Subject::Group(_) => "syncGroup",
        };
        let (_, name) = moved.subject.named();
        let event = json!({
            "event": number, "at": rfc3339(at), key: name,
            "from": moved.from.name(), "to": moved.to.name(),
            "reason": moved.reason.name(), "priority": moved.priority.get(),
        });
        kept.push_back((number, event));
        if kept.len() > EVENTS {
            kept.pop_front();
        }
        drop(kept);
        self.newest.send_replace(number);
    }

    /// The events after number `after`; where there are none, those that come within
    /// `patience`.
    pub async fn after(&self, after: u64, patience: Duration) -> Vec<Value> {
        let mut newest = self.newest.subscribe();
        // Nothing new in time is an answer, too.
        let _ = timeout(patience, newest.wait_for(|newest| *newest > after)).await;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let new = kept.iter().filter(|(number, _)| *number > after);
        new.map(|(_, event)| event.clone()).collect()
    }
}

/// What is to be told, to whom.
#[derive(Debug, Default)]
struct Wanted {
    fifo: Option<PathBuf>,
    programs: BTreeMap<Subject, Notify>,
}

/// Tells others of transitions.
#[derive(Debug)]
pub struct Teller {
    moves: Mutex<Option<mpsc::Sender<Move>>>,
    events: Arc<Events>,
    wanted: Arc<Mutex<Wanted>>,
    lost: Arc<AtomicU64>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Teller {
    /// Starts its task on the runtime of the caller.
    #[must_use]
    pub fn start(fifo: Option<PathBuf>) -> Self {
        let (moves, queue) = mpsc::channel(MOVES);
        let events = Arc::new(Events::default());
        let programs = BTreeMap::new();
        let wanted = Arc::new(Mutex::new(Wanted { fifo, programs }));
        let lost = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(tell(
            queue,
            Arc::clone(&events),
            Arc::clone(&wanted),
            Arc::clone(&lost),
        ));
        Self {
            moves: Mutex::new(Some(moves)),
            events,
            wanted,
            lost,
            task: Mutex::new(Some(task)),
        }
    }

    /// Where a driver puts its transitions.
    pub fn line(&self) -> Option<mpsc::Sender<Move>> {
        let moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        moves.clone()
    }

    /// The latest events.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Notices that reached nobody: no reader, a full queue, no scripts' unit.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// What routers and groups want told that are about to start, or to change.
    pub fn add(&self, programs: impl IntoIterator<Item = (Subject, Notify)>) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.programs.extend(programs);
    }

    /// What each router and group wants told from here on; others are gone.
    pub fn set(&self, programs: BTreeMap<Subject, Notify>) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.programs = programs;
    }

    /// Waits for what the last transitions lead to, when every driver has ended.
    pub async fn end(&self) {
        let moves = self
            .moves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(moves);
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task
            && timeout(LAST, task).await.is_err()
        {
            tracing::warn!("scripts of the last transitions are not awaited any longer");
        }
    }
}

async fn tell(
    mut moves: mpsc::Receiver<Move>,
    events: Arc<Events>,
    wanted: Arc<Mutex<Wanted>>,
    lost: Arc<AtomicU64>,
) {
    let mut queues: BTreeMap<Subject, mpsc::Sender<(Move, Notify)>> = BTreeMap::new();
    let mut running = Vec::new();
    while let Some(moved) = moves.recv().await {
        events.add(&moved, SystemTime::now());
        let (fifo, notify) = {
            let wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
            (
                wanted.fifo.clone(),
                wanted.programs.get(&moved.subject).cloned(),
            )
        };
        if let Some(fifo) = fifo
            && let Err(error) = write(&fifo, &line(&moved))
        {
            lost.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(fifo = %fifo.display(), "nobody reads it: {error}");
        }
        let Some(notify) = notify.filter(|notify| *notify != Notify::default()) else {
            continue;
        };
        let queue = queues.entry(moved.subject.clone()).or_insert_with(|| {
            let (queue, scripts) = mpsc::channel(QUEUE);
            running.push(tokio::spawn(run(scripts, Arc::clone(&lost))));
            queue
        });
        if queue.try_send((moved, notify)).is_err() {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
    drop(queues);
    for task in running {
        // It has ended, one way or the other.
        let _ = task.await;
    }
}

/// Runs the scripts of one router, one after the other: that of the state before the one
/// of every state, as keepalived does.
async fn run(mut queue: mpsc::Receiver<(Move, Notify)>, lost: Arc<AtomicU64>) {
    while let Some((moved, notify)) = queue.recv().await {
        let own = match moved.to {
            State::Active => &notify.master,
            State::Backup => &notify.backup,
            State::Fault => &notify.fault,
            State::Initialize => &notify.stop,
        };
        let every = notify
            .any
            .as_ref()
            .map(|script| (script, arguments(&moved).to_vec()));
        let own = own.as_ref().map(|script| (script, Vec::new()));
        for (script, more) in own.into_iter().chain(every) {
            let ended = scripts::ask_with(script, more, SCRIPT).await;
            let ((_, router), command) =
                (moved.subject.named(), script.command.join(" "));
            if ended == scripts::Ended::Passed {
                tracing::debug!(router, command, "notified");
            } else {
                lost.fetch_add(1, Ordering::Relaxed);
                let outcome = ended.name();
                tracing::warn!(router, command, outcome, "a notify script failed");
            }
        }
    }
}

/// One line, at once or not at all; the FIFO is made where there is none.
fn write(fifo: &Path, line: &str) -> io::Result<()> {
    match mkfifo(fifo, Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let mut open = OpenOptions::new();
    open.write(true).custom_flags(libc::O_NONBLOCK);
    open.open(fifo)?.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn moved(to: State, priority: u8) -> Move {
        Move {
            subject: Subject::Router("VI_1".to_owned()),
            from: State::Backup,
            to,
            reason: Reason::ActiveDown,
            priority: Priority::new(priority),
        }
    }

    #[test]
    fn n1_n2_arguments_and_lines_are_keepalived_s() {
        for (to, priority, expected) in [
            (State::Active, 101, "INSTANCE \"VI_1\" MASTER 101\n"),
            (State::Backup, 100, "INSTANCE \"VI_1\" BACKUP 100\n"),
            (State::Fault, 1, "INSTANCE \"VI_1\" FAULT 1\n"),
            (State::Initialize, 100, "INSTANCE \"VI_1\" STOP 100\n"),
        ] {
            let moved = moved(to, priority);
            assert_eq!(line(&moved), expected);
            let words = expected.replace('"', "");
            assert_eq!(arguments(&moved).join(" "), words.trim());
        }
    }

    #[test]
    fn n4_a_group_has_priority_0() {
        let moved = Move {
            subject: Subject::Group("VG_1".to_owned()),
            ..moved(State::Active, 0)
        };
        assert_eq!(line(&moved), "GROUP \"VG_1\" MASTER 0\n");
        assert_eq!(arguments(&moved), ["GROUP", "VG_1", "MASTER", "0"]);
    }

    #[tokio::test]
    async fn n5_a_fifo_without_a_reader_blocks_nobody_and_one_with_gets_every_line() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let teller = Teller::start(Some(fifo.clone()));
        let drivers = teller.line().unwrap();
        for to in [State::Active, State::Backup] {
            drivers.try_send(moved(to, 101)).unwrap();
        }
        drop(drivers);
        teller.end().await;
        assert_eq!(teller.lost(), 2);
        let teller = Teller::start(Some(fifo.clone()));
        let drivers = teller.line().unwrap();
        let mut open = OpenOptions::new();
        open.read(true).custom_flags(libc::O_NONBLOCK);
        let mut reader = open.open(&fifo).unwrap();
        drivers.try_send(moved(State::Fault, 1)).unwrap();
        drop(drivers);
        teller.end().await;
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "INSTANCE \"VI_1\" FAULT 1\n");
    }

    #[tokio::test]
    async fn events_are_numbered_bounded_and_waited_for() {
        let events = Events::default();
        assert!(events.after(0, Duration::ZERO).await.is_empty());
        for _ in 0..EVENTS + 3 {
            events.add(&moved(State::Active, 101), SystemTime::UNIX_EPOCH);
        }
        let all = events.after(0, Duration::ZERO).await;
        assert_eq!(all.len(), EVENTS);
        assert_eq!(all[0]["event"], 4);
        let last = events.after(EVENTS as u64 + 2, Duration::ZERO).await;
        assert_eq!(last.len(), 1);
        assert_eq!(last[0]["to"], "active");
    }
}
