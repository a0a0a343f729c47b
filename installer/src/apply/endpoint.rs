//! What the steps of a host do to where clients find the API: functions of its plan. Who waits for
//! whom by that is in `cli/apply/over.rs`.

use super::turn::Part;
use crate::judge::Why;
use crate::layout;
use crate::plan::{self, Plan, Step};
use crate::spec::{Host, Role};

const BALANCER: &str = "api-lb.service";
const ADDRESS: &str = "vip-daemon.service";
/// What an API server shows, which has to have the name that it is called by.
const SHOWN: &str = "apiserver";

/// What vip-daemon reads: its addresses, and whom it tells of them.
fn list() -> String {
    format!("{}/vip-daemon.yaml", layout::STERNPOST)
}

/// Whether a master serves where it is described to as it is.
#[must_use]
pub fn serves(plan: &Plan) -> bool {
    let files = [
        list(),
        format!("{}/api-lb.yaml", layout::STERNPOST),
        layout::certificate(SHOWN),
    ];
    let turns = |step: &Step| {
        step.turns()
            .is_some_and(|unit| [BALANCER, ADDRESS].contains(&unit))
    };
    // One that lasts for so long yet is shown all the same.
    let writes = |step: &Step| {
        !lasts(step) && plan::touched(step).iter().any(|path| files.contains(path))
    };
    !plan.steps.iter().any(|step| turns(step) || writes(step))
}

/// Whether it would not serve any more as clients know it.
#[must_use]
pub fn lets_go(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| match step {
        Step::Reload { unit, .. } | Step::Restart { unit, .. } => {
            [BALANCER, ADDRESS].contains(&unit.as_str())
        }
        Step::Issue { name, .. } => name == SHOWN && !lasts(step),
        Step::Remove { .. }
        | Step::Folder { .. }
        | Step::Keep { .. }
        | Step::Write { .. }
        | Step::Share { .. }
        | Step::Install { .. }
        | Step::Enable { .. }
        | Step::Start { .. } => ends(step),
    })
}

/// Whether a certificate is issued anew for its age alone.
fn lasts(step: &Step) -> bool {
    matches!(
        step,
        Step::Issue {
            why: Why::Ends(_),
            ..
        }
    )
}

fn ends(step: &Step) -> bool {
    let unit = step.stops();
    unit.is_some_and(|unit| [BALANCER, ADDRESS].contains(&unit))
}

/// Whether a vip-daemon that runs is to tell others of its addresses than it does: whoever is not
/// among those hears nothing of it.
#[must_use]
pub fn is_unheard(plan: &Plan) -> bool {
    let tells = |step: &Step| {
        matches!(step, Step::Reload { unit, because, .. } | Step::Restart { unit, because, .. }
            if unit == ADDRESS && because.contains(&list()))
    };
    plan.steps.iter().any(tells)
}

/// Takes the start of a vip-daemon out of a plan.
#[must_use]
pub fn without_address(plan: &mut Plan) -> Vec<Step> {
    let is_start = |step: &Step| matches!(step, Step::Enable { unit } | Step::Start { unit, .. } if unit == ADDRESS);
    plan.steps.extract_if(.., |step| is_start(step)).collect()
}

/// Whether a plan starts one.
#[must_use]
pub fn takes_address(plan: &Plan) -> bool {
    let starts =
        |step: &Step| matches!(step, Step::Start { unit, .. } if unit == ADDRESS);
    plan.steps.iter().any(starts)
}

/// Takes what a plan takes off in the end out of it, where clients find the API by some of that.
#[must_use]
pub fn without_removal(plan: &mut Plan) -> Vec<Step> {
    let last = plan.steps.iter().rev();
    let last = last.take_while(|step| matches!(step, Step::Remove { .. }));
    let (count, ending) = last.fold((0, false), |(count, ending), step| {
        (count + 1, ending || ends(step))
    });
    match ending {
        true => plan.steps.split_off(plan.steps.len().saturating_sub(count)),
        false => Vec::new(),
    }
}

impl Part {
    /// That of a host whose kubelet goes over to where the API is found from then on.
    #[must_use]
    pub fn goes(self) -> Self {
        match self {
            Self::Apart | Self::Follows | Self::Goes => Self::Goes,
            Self::Interrupts | Self::Trails | Self::Leaves => Self::Leaves,
            // API servers wait for what it brings, and its own kubelet for none but its own.
            Self::Brings | Self::Renews | Self::Raises => self,
        }
    }

    /// That of a host beside such ones, where it has something to do: they wait until every master
    /// serves.
    #[must_use]
    pub fn awaited(self, host: &Host) -> Self {
        match self {
            Self::Apart if host.is(Role::ControlPlane) => Self::Brings,
            Self::Apart
            | Self::Brings
            | Self::Interrupts
            | Self::Renews
            | Self::Raises
            | Self::Follows
            | Self::Trails
            | Self::Leaves
            | Self::Goes => self,
        }
    }
}

#[cfg(test)]
mod tests;
