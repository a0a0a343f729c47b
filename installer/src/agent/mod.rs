//! The far side: what `sternpost agent` does on a host. It reads one order a line and answers
//! each with one line, until its input ends; it keeps nothing running.
//!
//! ```text
//! operator ──orders (JSON lines on standard input)──▶ agent ──▶ files, systemd
//!          ◀─answers (JSON lines on standard output)──┘    └──▶ journal on the host
//! ```

mod ask;
mod attend;
mod before;
mod collect;
mod files;
mod image;
mod journal;
mod kernel;
mod lock;
mod mend;
mod mounts;
mod objects;
mod order;
mod patience;
mod previous;
mod probe;
mod programs;
mod remove;
mod spaces;
mod steady;
mod swap;
mod systemd;
mod told;
mod units;
mod unread;
mod watch;

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use daemon::chain;
use serde_json::Value;

use crate::facts::{Wanted, look, survey};
use crate::reset;
use lock::Lock;
use probe::Ears;

pub use ask::{AskError, Inside, Kube, Question};
pub use attend::attend;
pub use before::Was;
pub use collect::{Collect, Pieces};
pub(crate) use files::below;
pub use files::{FilesError, Put};
pub use image::ImageError;
pub use journal::{Entry, Journal, JournalError};
pub use kernel::KernelError;
pub(crate) use lock::LOCK;
pub use lock::LockError;
pub use mend::{Mend, MendError};
pub(crate) use mounts::plain;
pub use objects::ObjectsError;
pub use order::{Answer, Order, Otherwise, Run};
pub(crate) use previous::PREVIOUS;
pub use probe::{Kernel, Member, Module, Probe, ProbeError, Probed, Store, Syncs};
pub use programs::{Install, ProgramsError};
pub use remove::RemoveError;
pub use systemd::{Services, ServicesError, Systemd};

/// Where the journal lies on a host.
pub const JOURNAL: &str = "/var/lib/sternpost/journal.jsonl";

/// Where programs that came over SSH wait until they are installed; for the superuser alone.
pub const INCOMING: &str = "/var/lib/sternpost/incoming";

/// A host as its agent sees it.
pub struct Agent<S> {
    root: PathBuf,
    services: S,
    journal: Journal,
    lock: Option<Lock>,
    ears: Option<Ears>,
}

impl<S: Services> Agent<S> {
    /// An agent that works below `root`, which is `/` for the machine itself.
    #[must_use]
    pub fn new(root: &Path, services: S) -> Self {
        let journal = Journal::at(files::below(root, JOURNAL));
        Self {
            root: root.to_owned(),
            services,
            journal,
            lock: None,
            ears: None,
        }
    }

    /// Answers orders until there are no more.
    ///
    /// # Errors
    /// When the operator's end of a pipe is gone.
    pub fn serve(
        &mut self,
        orders: impl BufRead,
        mut answers: impl Write,
    ) -> io::Result<()> {
        for line in orders.lines() {
            let answer = self.answer(&line?);
            reply(&mut answers, &answer)?;
        }
        Ok(())
    }

    /// Does what a line says.
    fn answer(&mut self, line: &str) -> Answer {
        match serde_json::from_str::<Order>(line) {
            Ok(order) => self.obey(order),
            // What the order was is not repeated: it may hold a key.
            Err(error) => Answer::Failed {
                error: format!("an order could not be read: {}", error.classify_text()),
                said: Vec::new(),
            },
        }
    }

    /// Does what an order says. What fails half-way is put back as it was.
    pub fn obey(&mut self, order: Order) -> Answer {
        match order {
            Order::Lock(who) => self.lock(&who),
            Order::Look(wanted) => self.look(&wanted),
            Order::Survey => match survey(&self.root) {
                Ok(machine) => Answer::Machine(machine),
                Err(error) => failed(&error),
            },
            Order::Fetch(paths) => match files::fetch(&self.root, &paths) {
                Ok(found) => Answer::Fetched(found),
                Err(error) => failed(&error),
            },
            Order::Inventory => match remove::inventory(&self.root, &self.journal) {
                Ok(found) => Answer::Inventory(found),
                Err(error) => failed(&error),
            },
            Order::Remove(step) => self.remove(&step),
            Order::Ask(Question::Version(kube)) if !self.has_run(kube) => {
                Answer::Told(Value::Null)
            }
            Order::Ask(question) => match ask::ask(&self.root, &question) {
                Ok(value) => Answer::Told(value),
                Err(error) => failed(&error),
            },
            Order::Collect(wanted) => {
                Answer::Collected(collect::collect(&self.root, &wanted))
            }
            Order::Create { path, object } => {
                done(objects::create(&self.root, &path, &object))
            }
            Order::Delete(path) => done(objects::delete(&self.root, &path)),
            Order::Drain(node) => done(objects::drain(&self.root, &node)),
            Order::LoadImage(name) => done(image::load(&self.root, &name)),
            Order::UnloadImage(name) => done(image::unload(&self.root, &name)),
            Order::Probe(probe) => {
                match probe::probe(&self.root, &probe, &mut self.ears) {
                    Ok(probed) => Answer::Probed(probed),
                    Err(error) => failed(&error),
                }
            }
            Order::Mend(mend) => done(mend::mend(&self.root, &mend, &mut self.journal)),
            Order::Folder { path, mode, owner } => done(files::folder(
                &self.root,
                &path,
                mode,
                &owner,
                &mut self.journal,
            )),
            Order::Keep(path) => done(before::keep(&self.root, &path, &mut self.journal)),
            Order::Put(put) => done(files::put(&self.root, &put, &mut self.journal)),
            Order::Install(install) => {
                done(programs::install(&self.root, &install, &mut self.journal))
            }
            Order::Enable(unit) => self.turned(&unit, S::enable),
            Order::Retain { paths, readers } => self.retain(&paths, &readers),
            Order::Start(run) => self.start(&run),
            Order::Restart(run) => self.restart(&run),
            Order::Reload(unit) => self.reload(&unit),
            Order::Stays { run, otherwise } => self.stays(&run, otherwise),
            Order::Undo(paths) => self.undo(&paths),
            Order::Well(but) => done(previous::forget(&self.root, &but)),
            Order::Kill(unit) => done(systemd::kill(&unit)),
            Order::Settle => done(self.services.settle()),
        }
    }

    fn remove(&mut self, step: &reset::Step) -> Answer {
        let (services, journal) = (&mut self.services, &mut self.journal);
        done(remove::remove(&self.root, step, services, journal))
    }

    fn lock(&mut self, who: &str) -> Answer {
        if self.lock.is_some() {
            return Answer::Done;
        }
        match Lock::take(&self.root, who) {
            Ok(lock) => {
                self.lock = Some(lock);
                // What a run that was broken off has brought.
                self.leave();
                files::tidy(&self.root, &self.journal);
                lock::forgotten(&self.root);
                Answer::Done
            }
            Err(error @ LockError::Held { .. }) => Answer::Held(chain(&error)),
            Err(error) => failed(&error),
        }
    }

    /// Leaves nothing behind that was brought and not installed. Without the lock that may be
    /// somebody else's.
    fn leave(&self) {
        if self.lock.is_some() {
            // Where there is none, nothing was brought.
            let _ = std::fs::remove_dir_all(files::below(&self.root, INCOMING));
        }
    }

    fn look(&mut self, wanted: &Wanted) -> Answer {
        let mut facts = match look(&self.root, wanted) {
            Ok(facts) => facts,
            Err(error) => return failed(&error),
        };
        for name in &wanted.units {
            match self.services.look(name) {
                Ok(Some(unit)) => {
                    facts.units.insert(name.clone(), unit);
                }
                Ok(None) => {}
                Err(error) => return failed(&error),
            }
        }
        let entries = match self.journal.entries() {
            Ok(entries) => entries,
            Err(error) => return failed(&error),
        };
        facts.laid = reset::laid_at(&entries);
        facts.unread = unread::unread(&entries, &wanted.units, |path| {
            previous::doubted(&self.root, path)
        });
        match before::others(&self.root, &wanted.files(), &entries) {
            Ok(others) => facts.others = others,
            Err(error) => return failed(&error),
        }
        Answer::Facts(facts)
    }
}

fn reply(answers: &mut impl Write, answer: &Answer) -> io::Result<()> {
    serde_json::to_writer(&mut *answers, answer)?;
    answers.write_all(b"\n")?;
    answers.flush()
}

fn done<E: std::error::Error>(result: Result<(), E>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> Answer {
    Answer::Failed {
        error: chain(error),
        said: Vec::new(),
    }
}

/// Where and how a text is no order, without what stands in it.
trait Classify {
    fn classify_text(&self) -> String;
}

impl Classify for serde_json::Error {
    fn classify_text(&self) -> String {
        let what = match self.classify() {
            serde_json::error::Category::Io => "it did not arrive whole",
            serde_json::error::Category::Syntax => "it is no JSON",
            serde_json::error::Category::Data => "it is none that this version knows",
            serde_json::error::Category::Eof => "it ends too early",
        };
        format!("{what} (column {})", self.column())
    }
}
