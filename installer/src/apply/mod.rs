//! From a plan to what is done: each step becomes orders, with the certificates and keys that
//! it needs, and a transport carries them to the agent of its host.

mod authority;
mod cause;
pub mod endpoint;
mod founding;
mod join;
mod material;
mod membership;
mod networks;
mod orders;
mod requests;
mod returns;
pub mod skew;
mod stands;
mod store;
mod supply;
mod turn;
mod work;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use thiserror::Error;

use crate::agent::{Answer, Order};
use crate::facts::{Facts, Wanted};
use crate::plan::{self, Inputs, Plan, Step};
use crate::reset;
use crate::resource::Resource;
use crate::spec::Cluster;
use crate::stock::Programs;
use crate::transport::asked::{self, AskedError};

pub use authority::{Held, HeldError, Kept, settle};
pub(crate) use cause::cause;
pub use founding::{Founds, Lost};
pub use join::lets_in;
pub use material::{Material, MaterialError, PLACE};
pub use membership::{Changed, Members};
pub use networks::{Networks, Renumbered};
pub use orders::{Orders, OrdersError};
pub use requests::{Request, outstanding, requests};
pub use returns::{Answered, Asked, Left, REQUESTS, Stale, Standing, Taken};
pub use stands::{Member, Pillar, can_ask, lies_down, renews_member, too_few};
pub use store::{Led, Store};
use supply::Supply;
pub use turn::{End, Part, Says, Turns};

/// What carries orders to a host and brings back its answers.
pub trait Transport {
    /// Makes a file of this machine readable on the host, and says where it is there.
    ///
    /// # Errors
    /// When it cannot be read, or does not get there.
    fn bring(&mut self, file: &Path) -> Result<PathBuf, TransportError>;

    /// Says which files will be brought, and in which order: some may be on their way before
    /// they are asked for.
    fn announce(&mut self, files: Vec<PathBuf>) {
        drop(files);
    }

    /// Hands over one order and waits for its answer.
    ///
    /// # Errors
    /// When the host, or the way to it, is gone.
    fn ask(&mut self, order: Order) -> Result<Answer, TransportError>;
}

/// Why a host did not answer.
#[derive(Debug, Error)]
#[error("the host does not answer: {0}")]
pub struct TransportError(pub String);

/// Why a host is not as it is to be.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The way to it is gone.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The certificates and keys are not there.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// A step cannot be put into orders.
    #[error(transparent)]
    Orders(#[from] OrdersError),
    /// A step was refused.
    #[error("{step}: {error}{}", lines(.error, .said))]
    Step {
        /// Which, in words.
        step: String,
        /// Why.
        error: String,
        /// What the unit said last.
        said: Vec<String>,
    },
    /// The journal of the host could not be read.
    #[error(transparent)]
    Inventory(#[from] AskedError),
    /// What the description takes from the host is a member of etcd still.
    #[error(
        "it has a member of etcd, which the description takes from it: the others would count one \
         that is gone; have it leave first (on another member: etcdctl member list, etcdctl member \
         remove ID); when that list names the described members, and no others, here: systemctl \
         disable --now etcd.service && mv /var/lib/etcd/member /var/lib/etcd/member.before"
    )]
    Member,
    /// The operator wants to stop.
    #[error("stopped before {left} of {steps} step(s); apply again to go on")]
    Stopped {
        /// Steps that are not done.
        left: usize,
        /// All of them.
        steps: usize,
    },
    /// A step failed, and what is there for others is as it was before.
    #[error("{failed}\n  put back as before, since no unit has begun by it: {back}")]
    Undone {
        /// Which, and why.
        failed: Box<ApplyError>,
        /// The paths.
        back: String,
    },
    /// More than one step failed: units that came up died after others had.
    #[error("{0}\n{1}")]
    Both(Box<ApplyError>, Box<ApplyError>),
    /// The agent answered something else.
    #[error("the agent answered {0}, which was not asked")]
    Answer(String),
}

/// Of what a unit said last, so many lines are shown.
const SHOWN: usize = 20;

/// What a unit said last, and what that, what it said before, or the error itself, most likely
/// means.
fn lines(error: &str, said: &[String]) -> String {
    let (_, last) = said.split_at(said.len().saturating_sub(SHOWN));
    let mut text: String = last.iter().map(|line| format!("\n    {line}")).collect();
    let errors = [error.to_owned()];
    if let Some(cause) = [last, said, &errors[..]].into_iter().find_map(cause::cause) {
        text.push_str("\n  likely cause: ");
        text.push_str(cause);
    }
    text
}

/// A host, what it is to hold, and where that comes from.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The host's name.
    pub host: &'a str,
    /// What it is to hold.
    pub wanted: &'a [Resource],
    /// The programs for its architecture.
    pub programs: &'a Programs,
    /// The time.
    pub now: SystemTime,
}

impl Target<'_> {
    /// Looks at the host and plans.
    ///
    /// # Errors
    /// When it does not answer, or cannot be looked at.
    pub fn plan(
        &self,
        material: &Material,
        transport: &mut impl Transport,
    ) -> Result<Plan, ApplyError> {
        let facts = self.facts(transport)?;
        let superfluous = self.superfluous(&facts, transport)?;
        let mut plan = plan::plan(Inputs {
            host: self.host,
            wanted: self.wanted,
            facts: &facts,
            programs: &|name| Some(self.programs.get(name)?.sha256.clone()),
            trust: &Supply::new(*self, material),
            now: self.now,
        });
        // Last: whoever has led elsewhere by then misses nothing of it.
        let remove = |what| Step::Remove { what };
        plan.steps.extend(superfluous.into_iter().map(remove));
        Ok(plan)
    }

    /// What takes off what is ours on the host, and not wanted there.
    fn superfluous(
        &self,
        facts: &Facts,
        transport: &mut impl Transport,
    ) -> Result<Vec<reset::Step>, ApplyError> {
        let wanted = Wanted::of(self.wanted).files();
        let unwanted = reset::unwanted(&facts.laid, &wanted);
        if unwanted.is_empty() {
            return Ok(Vec::new());
        }
        let inventory = asked::inventory(transport)?;
        match reset::has_member(&inventory, &unwanted) {
            true => Err(ApplyError::Member),
            false => Ok(reset::superfluous(&inventory, &unwanted)),
        }
    }

    fn facts(&self, transport: &mut impl Transport) -> Result<Facts, ApplyError> {
        match transport.ask(Order::Look(Wanted::of(self.wanted)))? {
            Answer::Facts(facts) => Ok(facts),
            Answer::Failed { error, said } => Err(ApplyError::Step {
                step: "look".to_owned(),
                error,
                said,
            }),
            other @ (Answer::Done
            | Answer::Machine(_)
            | Answer::Fetched(_)
            | Answer::Told(_)
            | Answer::Held(_)
            | Answer::Collected(_)
            | Answer::Probed(_)
            | Answer::Inventory(_)) => Err(ApplyError::Answer(format!("{other:?}"))),
        }
    }
}

fn told(answer: Answer, step: impl FnOnce() -> String) -> Result<(), ApplyError> {
    match answer {
        Answer::Done => Ok(()),
        Answer::Failed { error, said } => Err(ApplyError::Step {
            step: step(),
            error,
            said,
        }),
        other @ (Answer::Facts(_)
        | Answer::Machine(_)
        | Answer::Fetched(_)
        | Answer::Told(_)
        | Answer::Held(_)
        | Answer::Collected(_)
        | Answer::Probed(_)
        | Answer::Inventory(_)) => Err(ApplyError::Answer(format!("{other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last words come first; what a trace has pushed out of sight still counts.
    #[test]
    fn a_cause_is_found_before_what_is_shown() {
        let full = "write /var/lib/etcd/0.tmp: no space left on device";
        let trace = || vec!["goroutine 1".to_owned(); SHOWN];
        let flag = "unknown flag: --a".to_owned();
        for (last, wanted) in [
            (trace(), "the disk is full"),
            ([trace(), vec![flag]].concat(), "a flag in the description"),
        ] {
            let said = [vec![full.to_owned()], last].concat();
            let text = lines("it failed", &said);
            let cause = text.split_once("likely cause: ").map(|(_, cause)| cause);
            let fits = cause.is_some_and(|cause| cause.starts_with(wanted));
            assert!(fits && !text.contains(full), "{text}");
        }
        assert_eq!(lines("it failed", &trace()).lines().count(), SHOWN + 1);
        let text = lines("No space left on device", &[]);
        assert!(text.contains("the disk is full"), "{text}");
    }
}
