//! A description that has less than before: what was ours for it goes, and nothing else.

use super::*;

const WHOLE: &str = include_str!("../spec/whole.yaml");
/// Paths of what only the own balancer has.
const GONE: [&str; 6] = [
    "etc/systemd/system/vip-daemon.service",
    "etc/systemd/system/api-lb.service",
    "etc/sternpost/vip-daemon.yaml",
    "etc/sternpost/api-lb.yaml",
    "etc/sternpost/vip-channel-key",
    "usr/local/bin/vip-daemon",
];

/// The same host, of a cluster behind somebody else's balancer.
fn external(world: &mut World) -> Tried {
    let text = WHOLE
        .replace("/24\"]", "\"]")
        .replace("networks:\n", "balancer: {mode: external}\nnetworks:\n");
    world.describe(&text)
}

pub(super) fn taken_off() -> Tried {
    let mut world = World::new()?;
    let material = Material::new(world.now)?;
    world.apply(&material, FOREVER)?;
    let mine = world.root().join("etc/sternpost/mine");
    fs::write(&mine, "mine")?;
    world.services.calls.clear();
    external(&mut world)?;
    let plan = world.apply(&material, FOREVER)?;
    let shown = show(&plan);
    for wanted in [
        "  stop vip-daemon.service\n",
        "  stop api-lb.service\n",
        "  remove file /etc/sternpost/vip-channel-key\n",
        "  remove link /usr/local/bin/api-lb\n",
        "  remove file /etc/systemd/system/vip-daemon.service\n",
    ] {
        if !shown.contains(wanted) {
            return Err(format!("no {wanted:?} in\n{shown}").into());
        }
    }
    for path in GONE {
        if fs::symlink_metadata(world.root().join(path)).is_ok() {
            return Err(format!("{path} is there\n{shown}").into());
        }
    }
    for (unit, runs) in [
        ("vip-daemon.service", false),
        ("api-lb.service", false),
        ("etcd.service", true),
        ("kube-apiserver.service", true),
    ] {
        let here = world.services.unit(unit);
        if (here.active, here.enabled) != (runs, runs) {
            return Err(format!("{unit}: {here:?}").into());
        }
    }
    // Whoever goes on is led elsewhere before.
    let calls = world.services.calls.iter();
    let of_all = ["reread", "settle"];
    let last = calls.rev().find(|call| !of_all.contains(&call.as_str()));
    if !last.is_some_and(|call| call.starts_with("stop ")) || !mine.exists() {
        return Err(format!("{:?}", world.services.calls).into());
    }
    let again = world.apply(&material, FOREVER)?;
    match again.steps.is_empty() {
        true => Ok(()),
        false => Err(show(&again).into()),
    }
}

pub(super) fn broken_off() -> Tried {
    let mut whole = World::new()?;
    let material = Material::new(whole.now)?;
    whole.apply(&material, FOREVER)?;
    external(&mut whole)?;
    whole.apply(&material, FOREVER)?;
    let wanted = whole.listing()?;
    let mut cut = 0;
    for orders in 1..FOREVER {
        let mut world = World::new()?;
        world.apply(&material, FOREVER)?;
        external(&mut world)?;
        let finished = world.apply(&material, orders).is_ok();
        world.apply(&material, FOREVER)?;
        let last = world.apply(&material, FOREVER)?;
        if !last.steps.is_empty() {
            let rest = show(&last);
            return Err(format!("after {orders} orders there remains\n{rest}").into());
        }
        let here = world.listing()?;
        if here != wanted {
            let odd: Vec<_> = here.symmetric_difference(&wanted).take(4).collect();
            return Err(format!("after {orders} orders: {odd:?}").into());
        }
        if finished {
            break;
        }
        cut += 1;
    }
    match cut {
        10.. => Ok(()),
        few => Err(format!("cut only {few} times").into()),
    }
}
