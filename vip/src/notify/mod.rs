//! Telling others of transitions: keepalived's scripts and FIFO, and events on the socket.
//!
//! ```text
//!   driver ──News (try_send)──▶ Teller ──▶ Events ──▶ `vip-daemon events`
//!                                 ├──▶ FIFO: INSTANCE "VI_1" MASTER 101
//!                                 └──▶ a queue per router ──▶ programs, one by one
//! ```
//!
//! A driver never waits: a full queue costs a notice, which is counted, and never an
//! election. Scripts of one router run one after the other, in the order of its
//! transitions; a script that hangs delays those behind it, and nothing else.

mod events;
mod fifo;
mod moved;
mod programs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::Notify;

pub use events::Events;
use fifo::Fifo;
pub use moved::{Aside, Move, News, Subject, arguments, line, word};
use programs::{QUEUE, run};

/// Transitions that may wait: a flapping router makes some a second.
pub const MOVES: usize = 256;

/// How long the end of the daemon waits for the scripts of its last transitions.
const LAST: Duration = Duration::from_secs(2);

/// What is to be told, to whom.
#[derive(Debug, Default)]
struct Wanted {
    fifo: Option<PathBuf>,
    programs: BTreeMap<Subject, Notify>,
}

/// Tells others of transitions.
#[derive(Debug)]
pub struct Teller {
    moves: Mutex<Option<mpsc::Sender<News>>>,
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
    pub fn line(&self) -> Option<mpsc::Sender<News>> {
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

    /// Where lines go from here on.
    pub fn set_fifo(&self, fifo: Option<PathBuf>) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.fifo = fifo;
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
    mut moves: mpsc::Receiver<News>,
    events: Arc<Events>,
    wanted: Arc<Mutex<Wanted>>,
    lost: Arc<AtomicU64>,
) {
    let mut queues: BTreeMap<Subject, mpsc::Sender<(Move, Notify)>> = BTreeMap::new();
    let (mut running, mut writer) = (Vec::new(), Fifo::default());
    while let Some(news) = moves.recv().await {
        if let News::Moved(moved) = &news {
            events.add(moved, SystemTime::now());
        }
        let (fifo, notify) = {
            let wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
            (
                wanted.fifo.clone(),
                wanted.programs.get(&news.subject()).cloned(),
            )
        };
        if let Some(fifo) = fifo.filter(|_| is_wanted(&news, notify.as_ref()))
            && !writer.write(&fifo, &line(&news))
        {
            lost.fetch_add(1, Ordering::Relaxed);
        }
        let News::Moved(moved) = news else {
            continue;
        };
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

/// Does a line for it belong into the FIFO?
fn is_wanted(news: &News, notify: Option<&Notify>) -> bool {
    match news {
        News::Aside { aside, .. } if aside.is_asked_for() => {
            notify.is_some_and(|notify| notify.priority_changes)
        }
        News::Moved(_) | News::Aside { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::moved::tests::moved;
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    use vrrp::{Priority, State};

    #[tokio::test]
    async fn n5_a_fifo_without_a_reader_blocks_nobody_and_one_with_gets_every_line() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let teller = Teller::start(Some(fifo.clone()));
        let drivers = teller.line().unwrap();
        for to in [State::Active, State::Backup] {
            drivers.try_send(News::Moved(moved(to, 101))).unwrap();
        }
        drop(drivers);
        teller.end().await;
        assert_eq!(teller.lost(), 2);
        let teller = Teller::start(Some(fifo.clone()));
        let drivers = teller.line().unwrap();
        let mut open = OpenOptions::new();
        open.read(true).custom_flags(libc::O_NONBLOCK);
        let mut reader = open.open(&fifo).unwrap();
        let aside = |aside| News::Aside {
            router: "VI_1".to_owned(),
            aside,
            priority: Priority::new(80),
        };
        drivers
            .try_send(News::Moved(moved(State::Fault, 1)))
            .unwrap();
        drivers.try_send(aside(Aside::LowerHeard)).unwrap();
        // Nobody asks for it.
        drivers.try_send(aside(Aside::ActivePriority)).unwrap();
        drop(drivers);
        teller.end().await;
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        let lines = ["FAULT 1", "MASTER_RX_LOWER_PRI 80"];
        let lines = lines.map(|line| format!("INSTANCE \"VI_1\" {line}\n"));
        assert_eq!(read, lines.concat());
    }

    #[tokio::test]
    async fn a_file_in_the_place_of_the_fifo_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fifo");
        std::fs::write(&file, "somebody's").unwrap();
        let teller = Teller::start(Some(file.clone()));
        teller
            .line()
            .unwrap()
            .try_send(News::Moved(moved(State::Active, 101)))
            .unwrap();
        teller.end().await;
        assert_eq!(teller.lost(), 1);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "somebody's");
    }
}
