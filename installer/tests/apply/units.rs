//! Units that do not come up, and units that come up and do not stay.

use super::*;

pub(super) fn not_up() -> Tried {
    let mut world = World::new()?;
    let material = Material::new(world.now)?;
    world.services.broken = Some("kube-apiserver.service".to_owned());
    let error = match world.apply(&material, FOREVER) {
        Ok(_) => return Err("it came up".into()),
        Err(error) => error.to_string(),
    };
    let wanted = "start kube-apiserver.service: systemctl start kube-apiserver.service failed: \
                  it failed\n    kube-apiserver.service said this";
    if error != wanted {
        return Err(error.into());
    }
    let last = world.services.calls.last().map(String::as_str);
    if last != Some("stop kube-apiserver.service") {
        return Err(format!("it was left trying: {last:?}").into());
    }
    world.services.broken = None;
    let rest = world.apply(&material, FOREVER)?;
    let first = rest.steps.first().map(sternpost::plan::line);
    if first.as_deref() != Some("start kube-apiserver.service") {
        return Err(show(&rest).into());
    }
    Ok(())
}

/// systemd says of a program that knows no readiness that it is active, as often as it dies: the
/// step fails with what the unit said, and is done again by the next run.
pub(super) fn not_steady() -> Tried {
    let mut world = World::new()?;
    let material = Material::new(world.now)?;
    let unit = "kube-scheduler.service";
    world.services.unsteady = Some(unit.to_owned());
    let wanted = "start kube-scheduler.service: kube-scheduler.service starts and dies again and \
                  again (5 times): activating/auto-restart (exit-code)\n    \
                  kube-scheduler.service said this";
    for _ in 0..2 {
        let error = match world.apply(&material, FOREVER) {
            Ok(_) => return Err("it is taken for well".into()),
            Err(error) => error.to_string(),
        };
        if error != wanted {
            return Err(error.into());
        }
        if world.services.unit(unit).active {
            return Err("it was left dying".into());
        }
    }
    // One that ran before is not ended: what it was started anew for is what there is to mend.
    world.services.unsteady = None;
    world.apply(&material, FOREVER)?;
    fs::remove_file(world.root().join("etc/systemd/system").join(unit))?;
    world.services.unsteady = Some(unit.to_owned());
    match world.apply(&material, FOREVER) {
        Err(ApplyError::Step { step, .. }) if step.starts_with("restart ") => {}
        other => return Err(format!("{other:?}").into()),
    }
    match world.services.unit(unit).active {
        true => Ok(()),
        false => Err("it was ended".into()),
    }
}
