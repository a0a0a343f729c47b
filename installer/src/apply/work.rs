//! A plan, done: its steps in their order; then every unit that was started must have stayed up,
//! also where a later step failed. What a unit read before is kept on the host until that is
//! known.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::{ApplyError, Material, Orders, Target, Transport, told};
use crate::agent::{Answer, Order, Otherwise, Run};
use crate::plan::{self, Plan, Step};
use crate::resource::{Resource, Unit};

impl Target<'_> {
    /// Does every step of a plan. Each is said before it is done, which is the place to stop.
    /// In the end every unit that was started must have stayed up.
    ///
    /// # Errors
    /// At the first step that fails, or is not to be done; those before it stay done.
    pub fn apply(
        &self,
        plan: &Plan,
        material: &Material,
        transport: &mut impl Transport,
        about: impl FnMut(&Step) -> ControlFlow<()>,
    ) -> Result<(), ApplyError> {
        transport.announce(self.brought(plan));
        let replaced = self.replaced(plan);
        if !replaced.is_empty() {
            let kept = transport.ask(Order::Retain(replaced))?;
            told(kept, || "keep what is there".to_owned())?;
        }
        let (done, worked) = self.steps(plan, material, transport, about);
        if matches!(&worked, Err(error) if !matches!(error, ApplyError::Step { .. })) {
            return worked;
        }
        let (done, left) = plan.steps.split_at(done);
        let stood = self.stood(done, transport);
        let well = Order::Well(self.read_after(left));
        let forgot = transport.ask(well).map_err(ApplyError::from);
        let forgot = forgot.and_then(|answer| {
            told(answer, || "forget what was there before".to_owned())
        });
        both(both(worked, stood), forgot)
    }

    /// How many steps were done, and how the one after them failed.
    fn steps(
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

    /// What the units read that these steps were to start anew.
    fn read_after(&self, left: &[Step]) -> Vec<String> {
        let runs = left.iter().filter_map(started);
        let read = runs.flat_map(|(unit, _)| self.run(unit).reads);
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
