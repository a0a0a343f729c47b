//! The faults, in order, each healed before the next.

use std::time::Duration;

use lab::group::{Fault, Role, Struck, Target};
use lab::{LabError, prober, wait};

use crate::drawing::Drawing;
use crate::row::{Limits, Row, ms};
use crate::stage::Stage;

/// What the client sees of a fault after it is over, and before the healing.
const LINGER: Duration = Duration::from_millis(2500);
/// What is watched after a healing.
const SETTLE: Duration = Duration::from_millis(1000);
/// A stretch that the machine disturbed and that missed a bound is played again, when it is calm
/// or after this time.
const TRIES: usize = 5;
const CALM: Duration = Duration::from_secs(10);
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

/// Plays the first `count` acts of the programme.
///
/// # Errors
/// When the lab breaks or something does not heal; a bound that is missed is in its row.
pub(crate) fn perform(
    stage: &mut Stage,
    drawing: &Drawing,
    count: usize,
) -> Result<Vec<Row>, LabError> {
    let mut rows = Vec::new();
    for act in acts().into_iter().take(count) {
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
        prober::calm(CALM)?;
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
    stage.masters.strike(fault)
}

/// Nothing that is opened later fails.
const NONE_FAILED: Limits = Limits {
    failed: Some(0),
    cuts: None,
    slowest: None,
    outage: None,
    elsewhere: None,
};
/// Nobody notices anything.
const UNNOTICED: Limits = Limits {
    failed: Some(0),
    cuts: Some(0),
    slowest: Some(lab::client::SLOW),
    outage: Some(Duration::from_millis(10)),
    elsewhere: None,
};
/// The address comes back to the preferred master.
const RETURNED: Limits = Limits {
    outage: Some(Duration::from_millis(10)),
    ..NONE_FAILED
};

fn acts() -> Vec<Act> {
    let stays = apiservers().into_iter().chain([upgrades()]);
    stays.chain(owners()).collect()
}

fn on(host: &str, role: Role) -> Target {
    Target {
        host: host.to_owned(),
        role,
    }
}

fn outage(most: Duration) -> Limits {
    Limits {
        outage: Some(most),
        ..Limits::default()
    }
}

/// The address stays where it is.
fn apiservers() -> [Act; 3] {
    // A request may wait once for a host that is gone, and then be as slow as any.
    let dialled = Limits {
        slowest: Some(DIAL + lab::client::SLOW),
        ..NONE_FAILED
    };
    let (api, hung) = (on("m2", Role::Apiserver), on("m3", Role::Apiserver));
    [
        Act {
            fault: (
                "API server of m2 killed",
                Fault::Kill(api.clone()),
                NONE_FAILED,
            ),
            heal: ("… started again", Fault::Start(api), NONE_FAILED),
            owner: "m1",
        },
        Act {
            fault: (
                "API server of m3 hangs",
                Fault::Pause(hung.clone()),
                NONE_FAILED,
            ),
            heal: ("… goes on", Fault::Resume(hung), NONE_FAILED),
            owner: "m1",
        },
        Act {
            fault: (
                "host of an API server (m3) cut off",
                Fault::Cut("m3".into()),
                dialled,
            ),
            heal: ("… cable back", Fault::Heal("m3".into()), NONE_FAILED),
            owner: "m1",
        },
    ]
}

/// The owner's programs are replaced, one after the other, while everything goes on.
fn upgrades() -> Act {
    let (lb, vip) = (on("m1", Role::ApiLb), on("m1", Role::VipDaemon));
    Act {
        fault: ("owner's api-lb upgraded", Fault::Upgrade(lb), UNNOTICED),
        heal: (
            "owner's vip-daemon upgraded",
            Fault::Upgrade(vip),
            UNNOTICED,
        ),
        owner: "m1",
    }
}

/// The address moves, and comes back.
fn owners() -> [Act; 3] {
    let tracked = Limits {
        elsewhere: Some(TRACKED),
        ..Limits::default()
    };
    let (stopped, cut) = (Duration::from_millis(100), Duration::from_millis(370));
    let (lb, vip) = (on("m1", Role::ApiLb), on("m1", Role::VipDaemon));
    [
        Act {
            fault: (
                "owner's (m1) api-lb killed",
                Fault::Kill(lb.clone()),
                tracked,
            ),
            heal: (
                "… started again, address returns",
                Fault::Start(lb),
                RETURNED,
            ),
            owner: "m2",
        },
        Act {
            fault: (
                "owner's vip-daemon stopped",
                Fault::Stop(vip.clone()),
                outage(stopped),
            ),
            heal: (
                "… started again, address returns",
                Fault::Start(vip),
                RETURNED,
            ),
            owner: "m2",
        },
        Act {
            fault: ("owner's host cut off", Fault::Cut("m1".into()), outage(cut)),
            heal: (
                "everything back, address returns",
                Fault::Heal("m1".into()),
                RETURNED,
            ),
            owner: "m2",
        },
    ]
}
