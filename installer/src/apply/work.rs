//! A plan, done: its steps in their order; then every unit that was started must have stayed up,
//! also where a later step failed. What a unit read before is kept on the host until that is
//! known. Where a step fails, what is there for units that have not begun by it goes back.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde_json::Value;

use super::{ApplyError, Material, Orders, Target, Transport, told};
use crate::agent::{Answer, Order, Otherwise, Run};
use crate::plan::{self, Plan, Step};
use crate::resource::{Resource, Unit};

impl Target<'_> {
    /// Does every step of a plan. Each is said before it is done, which is the place to stop.
    /// In the end every unit that was started must have stayed up.
    ///
    /// # Errors
    /// At the first step that fails, or is not to be done. Those before it stay done, but for files
    /// that units run by which were to begin anew behind a step that failed.
    pub fn apply(
        &self,
        plan: &Plan,
        material: &Material,
        transport: &mut impl Transport,
        about: impl FnMut(&Step) -> ControlFlow<()>,
    ) -> Result<(), ApplyError> {
        transport.announce(self.brought(plan));
        let paths = self.replaced(plan);
        if !paths.is_empty() {
            let readers = self.units().map(|unit| self.run(&unit.name)).collect();
            let kept = transport.ask(Order::Retain { paths, readers })?;
            told(kept, || "keep what is there".to_owned())?;
        }
        let (done, worked) = self.steps(plan, material, transport, about);
        let (done, left) = plan.steps.split_at(done);
        let (worked, kept) = match worked {
            Ok(()) => (Ok(()), Vec::new()),
            // The next run goes on from there.
            Err(stopped @ ApplyError::Stopped { .. }) => {
                (Err(stopped), self.read_by(left))
            }
            Err(lost @ (ApplyError::Transport(_) | ApplyError::Answer(_))) => {
                return Err(lost);
            }
            Err(failed) => {
                let (failed, kept) = self.undone(failed, done, left, transport)?;
                (Err(failed), kept)
            }
        };
        let stood = self.stood(done, transport);
        let forgot = transport.ask(Order::Well(kept)).map_err(ApplyError::from);
        let forgot = forgot.and_then(|answer| {
            told(answer, || "forget what was there before".to_owned())
        });
        both(both(worked, stood), forgot)
    }

    /// How many steps were done, and how the one after them failed. What they replace is not kept.
    pub(crate) fn steps(
        &self,
        plan: &Plan,
        material: &Material,
        transport: &mut impl Transport,
        mut about: impl FnMut(&Step) -> ControlFlow<()>,
    ) -> (usize, Result<(), ApplyError>) {
        let mut orders = Orders::new(*self, material);
        for (done, step) in plan.steps.iter().enumerate() {
            if about(step).is_break() {
                let steps = plan.steps.len();
                let left = steps.saturating_sub(done);
                return (done, Err(ApplyError::Stopped { left, steps }));
            }
            if let Err(error) = done_with(&mut orders, step, transport) {
                return (done, Err(error));
            }
        }
        let settled = match orders.owe_settling() {
            true => settle(transport),
            false => Ok(()),
        };
        (plan.steps.len(), settled)
    }

    /// Every unit that these have started is up to stay. All have had the time of those behind
    /// them: the last one alone is waited for.
    fn stood(
        &self,
        done: &[Step],
        transport: &mut impl Transport,
    ) -> Result<(), ApplyError> {
        let mut stood = Ok(());
        for step in done {
            let Some((unit, otherwise)) = started(step) else {
                continue;
            };
            let run = self.run(unit);
            let answer = transport.ask(Order::Stays { run, otherwise });
            let answer = answer.map_err(ApplyError::from);
            stood = both(stood, answer.and_then(|answer| obeyed(step, answer)));
        }
        stood
    }

    /// Puts back what units read that have not begun by it, but where one that has begun reads it
    /// as well. With what has to stay kept, where it could not be put back.
    fn undone(
        &self,
        failed: ApplyError,
        done: &[Step],
        left: &[Step],
        transport: &mut impl Transport,
    ) -> Result<(ApplyError, Vec<String>), ApplyError> {
        let (mut paths, read) = (self.read_by(left), self.read_by(done));
        paths.retain(|path| !read.contains(path));
        let failed = Box::new(failed);
        match undo(paths.clone(), transport) {
            Ok(back) if back.is_empty() => Ok((*failed, Vec::new())),
            Ok(back) => Ok((ApplyError::Undone { failed, back }, Vec::new())),
            Err(error) => {
                let lost = matches!(error, ApplyError::Transport(_));
                let both = ApplyError::Both(failed, Box::new(error));
                if lost { Err(both) } else { Ok((both, paths)) }
            }
        }
    }

    /// A unit, and by what it runs.
    pub(super) fn run(&self, name: &str) -> Run {
        let found = self.units().find(|unit| unit.name == name);
        Run {
            unit: name.to_owned(),
            reads: found.map(plan::files).unwrap_or_default(),
        }
    }

    fn units(&self) -> impl Iterator<Item = &Unit> {
        self.wanted.iter().filter_map(|resource| match resource {
            Resource::Unit(unit) => Some(unit),
            Resource::Folder(_)
            | Resource::File(_)
            | Resource::Block(_)
            | Resource::Certificate(_)
            | Resource::Shared(_)
            | Resource::Program(_) => None,
        })
    }

    /// What a plan changes of what units read.
    fn replaced(&self, plan: &Plan) -> Vec<String> {
        let read: BTreeSet<_> = self.units().flat_map(plan::files).collect();
        let changed = plan.steps.iter().flat_map(plan::touched);
        let changed: BTreeSet<_> = changed.filter(|path| read.contains(path)).collect();
        changed.into_iter().collect()
    }

    /// What the units read that these steps turn.
    fn read_by(&self, steps: &[Step]) -> Vec<String> {
        let units = steps.iter().filter_map(Step::turns);
        let read = units.flat_map(|unit| self.run(unit).reads);
        let all: BTreeSet<_> = read.collect();
        all.into_iter().collect()
    }

    /// The files that a plan has brought, in its order.
    fn brought(&self, plan: &Plan) -> Vec<PathBuf> {
        let names = plan.steps.iter().filter_map(|step| match step {
            Step::Install { program, .. } => Some(program),
            Step::Folder { .. }
            | Step::Keep { .. }
            | Step::Write { .. }
            | Step::Issue { .. }
            | Step::Share { .. }
            | Step::Enable { .. }
            | Step::Start { .. }
            | Step::Restart { .. }
            | Step::Reload { .. }
            | Step::Remove { .. } => None,
        });
        let files = names.filter_map(|name| Some(self.programs.get(name)?.file.clone()));
        files.collect()
    }
}

/// The unit that a step starts, and what becomes of one that does not stay up.
fn started(step: &Step) -> Option<(&str, Otherwise)> {
    match step {
        Step::Start { unit, .. } => Some((unit, Otherwise::Stop)),
        Step::Restart { unit, .. } => Some((unit, Otherwise::Leave)),
        Step::Folder { .. }
        | Step::Keep { .. }
        | Step::Write { .. }
        | Step::Issue { .. }
        | Step::Share { .. }
        | Step::Install { .. }
        | Step::Enable { .. }
        | Step::Reload { .. }
        | Step::Remove { .. } => None,
    }
}

/// Does a step.
fn done_with(
    orders: &mut Orders<'_>,
    step: &Step,
    transport: &mut impl Transport,
) -> Result<(), ApplyError> {
    for mut order in orders.of(step)? {
        if let Order::Install(install) = &mut order {
            install.from = transport.bring(&install.from)?;
        }
        obeyed(step, transport.ask(order)?)?;
    }
    Ok(())
}

/// Has a host put back what it keeps of these paths; which it did.
fn undo(
    paths: Vec<String>,
    transport: &mut impl Transport,
) -> Result<String, ApplyError> {
    let answer = transport.ask(Order::Undo(paths))?;
    let Answer::Told(back) = &answer else {
        let words = || "put back what no unit has begun by".to_owned();
        return told(answer, words).map(|()| String::new());
    };
    let back = back.as_array().into_iter().flatten();
    let back: Vec<_> = back.filter_map(Value::as_str).collect();
    Ok(back.join(", "))
}

fn settle(transport: &mut impl Transport) -> Result<(), ApplyError> {
    let settled = transport.ask(Order::Settle)?;
    told(settled, || "set users, modules and the kernel".to_owned())
}

fn obeyed(step: &Step, answer: Answer) -> Result<(), ApplyError> {
    told(answer, || plan::line(step))
}

/// What failed of the two.
fn both(
    one: Result<(), ApplyError>,
    other: Result<(), ApplyError>,
) -> Result<(), ApplyError> {
    match (one, other) {
        (Ok(()), other) => other,
        (one, Ok(())) => one,
        (Err(one), Err(other)) => Err(ApplyError::Both(Box::new(one), Box::new(other))),
    }
}
