//! The faults, in order, each healed before the next.

use std::time::Duration;

use lab::group::{Fault, Role, Struck, Target};
use lab::{LabError, wait};

use crate::drawing::Drawing;
use crate::row::{Limits, Row, ms};
use crate::stage::Stage;

/// What the client sees of a fault after it is over, and before the healing.
const LINGER: Duration = Duration::from_millis(2500);
/// What is watched after a healing.
const SETTLE: Duration = Duration::from_millis(1000);
/// A stretch that the machine disturbed and that missed a bound is played once more.
const TRIES: usize = 2;
/// api-lb's `timeouts.connect`: how long a request may wait for a host that is gone.
const DIAL: Duration = Duration::from_millis(250);
/// Two checks of api-lb, 100 ms apart, and the way of the address.
const TRACKED: Duration = Duration::from_millis(2 * 100 + 400);

struct Act {
    fault: (&'static str, Fault, Limits),
    heal: (&'static str, Fault, Limits),
    /// Who holds the address in between.
    owner: &'static str,
}

/// Plays the programme to its end.
///
/// # Errors
/// When the lab breaks or something does not heal; a bound that is missed is in its row.
pub(crate) fn perform(
    stage: &mut Stage,
    drawing: &Drawing,
) -> Result<Vec<Row>, LabError> {
    let mut rows = Vec::new();
    for act in acts() {
        rows.extend(play(&act, stage, drawing)?);
    }
    Ok(rows)
}

fn play(act: &Act, stage: &mut Stage, drawing: &Drawing) -> Result<[Row; 2], LabError> {
    for left in (0..TRIES).rev() {
        let (title, fault, limits) = &act.fault;
        let at = begin(stage, drawing, title, fault)?;
        let taken = || stage.held_by(act.owner);
        // A holder that never comes shows in the row, as a bound that was missed.
        drop(wait::until(
            "the next holder",
            Duration::from_secs(5),
            taken,
        ));
        wait::pass(LINGER, || false);
        let struck = Row::measure(title, stage, at, "m1", *limits);
        drawing.done(&struck);

        let (title, heal, limits) = &act.heal;
        let at = begin(stage, drawing, title, heal)?;
        stage.settled("m1")?;
        wait::pass(SETTLE, || false);
        let healed = Row::measure(title, stage, at, act.owner, *limits);
        drawing.done(&healed);

        let again = [&struck, &healed]
            .iter()
            .any(|r| !r.met() && r.disturbed.is_some());
        if left == 0 || !again {
            return Ok([struck, healed]);
        }
        let late = struck.disturbed.max(healed.disturbed).unwrap_or_default();
        drawing.say(&format!(
            "void: the machine held the prober up for {}; again",
            ms(late)
        ));
    }
    Err(LabError::Missing("a try that was not void".into()))
}

fn begin(
    stage: &mut Stage,
    drawing: &Drawing,
    title: &str,
    fault: &Fault,
) -> Result<Struck, LabError> {
    drawing.mark(title);
    stage.group.strike(fault)
}

fn acts() -> [Act; 5] {
    let failed = Limits {
        failed: Some(0),
        ..Limits::default()
    };
    // A request may wait once for a host that is gone, and then be as slow as any.
    let dialled = Limits {
        slowest: Some(DIAL + lab::client::SLOW),
        ..failed
    };
    let returned = Limits {
        outage: Some(Duration::from_millis(10)),
        ..failed
    };
    let outage = |ms| Limits {
        outage: Some(Duration::from_millis(ms)),
        ..Limits::default()
    };
    let tracked = Limits {
        elsewhere: Some(TRACKED),
        ..Limits::default()
    };
    let on = |host: &str, role| Target {
        host: host.to_owned(),
        role,
    };
    let (api2, lb1) = (on("m2", Role::Apiserver), on("m1", Role::ApiLb));
    let vip1 = on("m1", Role::VipDaemon);
    [
        Act {
            fault: ("API server of m2 killed", Fault::Kill(api2.clone()), failed),
            heal: ("… started again", Fault::Start(api2), failed),
            owner: "m1",
        },
        Act {
            fault: (
                "host of an API server (m3) cut off",
                Fault::Cut("m3".into()),
                dialled,
            ),
            heal: ("… cable back", Fault::Heal("m3".into()), failed),
            owner: "m1",
        },
        Act {
            fault: (
                "owner's (m1) api-lb killed",
                Fault::Kill(lb1.clone()),
                tracked,
            ),
            heal: (
                "… started again, address returns",
                Fault::Start(lb1),
                returned,
            ),
            owner: "m2",
        },
        Act {
            fault: (
                "owner's vip-daemon stopped",
                Fault::Stop(vip1.clone()),
                outage(100),
            ),
            heal: (
                "… started again, address returns",
                Fault::Start(vip1),
                returned,
            ),
            owner: "m2",
        },
        Act {
            fault: ("owner's host cut off", Fault::Cut("m1".into()), outage(370)),
            heal: (
                "everything back, address returns",
                Fault::Heal("m1".into()),
                returned,
            ),
            owner: "m2",
        },
    ]
}
