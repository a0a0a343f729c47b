//! Taking everything off again: what was there before is all that is there after.

use std::os::unix::fs::{chown, symlink};

use sternpost::reset::{self, Data, Removal};

use super::*;

/// A file of others in `/etc/hosts`' place, where our lines go as well.
const HOSTS: &str = "127.0.0.1 localhost\n";

/// Files of others at paths of ours, with their rights: a configuration, and a key.
const FILES: [(&str, u32); 2] = [
    ("etc/sternpost/vip-daemon.yaml", 0o640),
    ("etc/kubernetes/pki/apiserver.key", 0o400),
];
/// Programs of others by the names of ours.
const PROGRAM: &str = "usr/local/bin/kubectl";
const LINK: &str = "usr/local/bin/etcdctl";

fn world() -> Tried<World> {
    let world = World::new()?;
    fs::write(world.root().join("etc/hosts"), HOSTS)?;
    Ok(world)
}

/// One on which others were before.
fn with_others() -> Tried<World> {
    let world = world()?;
    for (path, mode) in FILES.into_iter().chain([(PROGRAM, 0o755)]) {
        let path = world.root().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(&path, "theirs")?;
        chown(&path, Some(501), Some(502))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    symlink("/opt/theirs/etcdctl", world.root().join(LINK))?;
    Ok(world)
}

/// The plan says that it takes their place, and what stood there comes back with its rights.
pub(super) fn put_back() -> Tried {
    let mut world = with_others()?;
    let before = world.listing()?;
    let material = Material::new(world.now)?;
    let plan = world.apply(&material, FOREVER)?;
    let mut kept = BTreeSet::new();
    for step in &plan.steps {
        if let Step::Keep { path } = step {
            kept.insert(path.clone());
        }
    }
    let all = FILES.map(|(path, _)| path).into_iter();
    let wanted = all.chain([PROGRAM, LINK]).map(|path| format!("/{path}"));
    if kept != wanted.collect() {
        return Err(format!("{kept:?}").into());
    }
    let copies = world.root().join("var/lib/sternpost/before");
    let mut found = 0;
    for copy in fs::read_dir(&copies)? {
        let copy = copy?.path();
        let mode = fs::metadata(&copy)?.permissions().mode() & 0o7777;
        if mode != 0o600 || fs::read_to_string(&copy)? != "theirs" {
            return Err(format!("{}: {mode:o}", copy.display()).into());
        }
        found += 1;
    }
    if found == 0 || !world.apply(&material, FOREVER)?.steps.is_empty() {
        return Err("it is kept nowhere, or again and again".into());
    }
    let removal = reset(&mut world, Data::Remove, FOREVER)?;
    if !removal.kept.is_empty() {
        return Err(reset::show("m1", &removal).into());
    }
    same(&before, &world.listing()?)
}

/// What the components would have written by themselves.
fn run(world: &World) -> Tried {
    for path in [
        "var/lib/etcd/member/snap/db",
        "var/log/kubernetes/audit.log",
    ] {
        let path = world.root().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(path, "written")?;
    }
    Ok(())
}

/// Plans and removes; the wire is cut after `orders`.
pub(super) fn reset(world: &mut World, data: Data, orders: usize) -> Tried<Removal> {
    let mut wire = Wire {
        agent: Agent::new(&world.folder.path().join("root"), &mut world.services),
        left: orders,
    };
    let answer = wire.ask(Order::Inventory)?;
    let Answer::Inventory(inventory) = answer else {
        return Err(format!("{answer:?}").into());
    };
    let removal = reset::plan(&inventory, data);
    for step in &removal.steps {
        let answer = wire.ask(Order::Remove(step.clone()))?;
        if !matches!(answer, Answer::Done) {
            return Err(format!("{}: {answer:?}", reset::line(step)).into());
        }
    }
    Ok(removal)
}

fn same(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Tried {
    let odd: Vec<_> = after.symmetric_difference(before).take(6).collect();
    match odd.is_empty() {
        true => Ok(()),
        false => Err(format!("{odd:?}").into()),
    }
}

pub(super) fn whole() -> Tried {
    let mut world = world()?;
    let before = world.listing()?;
    let material = Material::new(world.now)?;
    world.apply(&material, FOREVER)?;
    run(&world)?;
    let removal = reset(&mut world, Data::Remove, FOREVER)?;
    if !removal.kept.is_empty() {
        return Err(reset::show("m1", &removal).into());
    }
    same(&before, &world.listing()?)?;
    let running: Vec<_> = world
        .services
        .units
        .iter()
        .filter(|(_, unit)| unit.active || unit.enabled)
        .collect();
    let calls = world.services.calls.iter();
    let stops: Vec<_> = calls.filter(|call| call.starts_with("stop")).collect();
    let last: Vec<_> = stops.iter().rev().take(2).collect();
    if !running.is_empty() || last != [&"stop api-lb.service", &"stop etcd.service"] {
        return Err(format!("{running:?} {stops:?}").into());
    }
    let again = reset(&mut world, Data::Remove, FOREVER)?;
    match again == Removal::default() {
        true => Ok(()),
        false => Err(reset::show("m1", &again).into()),
    }
}

/// A unit of others by the name of one of ours is as it was, and those that were not there are
/// not.
pub(super) fn brought_back() -> Tried {
    let mut world = world()?;
    let theirs = sternpost::facts::Unit {
        enabled: true,
        active: true,
        state: "active/running".to_owned(),
    };
    world
        .services
        .units
        .insert("etcd.service".to_owned(), theirs);
    let material = Material::new(world.now)?;
    world.apply(&material, FOREVER)?;
    world.services.calls.clear();
    let first = reset(&mut world, Data::Remove, FOREVER)?;
    let running = world.services.units.iter();
    let running = running.filter(|(_, unit)| unit.active && unit.enabled);
    let running: Vec<_> = running.map(|(name, _)| name.as_str()).collect();
    let last = world.services.calls.last().map(String::as_str);
    if running != ["etcd.service"] || last != Some("start etcd.service") {
        return Err(
            format!("{running:?} {last:?}\n{}", reset::show("m1", &first)).into(),
        );
    }
    let again = reset(&mut world, Data::Remove, FOREVER)?;
    match again == Removal::default() {
        true => Ok(()),
        false => Err(reset::show("m1", &again).into()),
    }
}

pub(super) fn others() -> Tried {
    let mut world = world()?;
    let material = Material::new(world.now)?;
    world.apply(&material, FOREVER)?;
    run(&world)?;
    let changed = world.root().join("etc/sternpost/api-lb.yaml");
    fs::write(&changed, "changed by hand")?;
    // Of a run that was stopped; keys are among it.
    let copies = world.root().join("var/lib/sternpost/previous");
    fs::create_dir_all(&copies)?;
    fs::write(copies.join("0"), "a key")?;
    fs::write(world.root().join("etc/kubernetes/mine"), "mine")?;
    let hosts = world.root().join("etc/hosts");
    let with = format!("{}192.0.2.77 mine\n", fs::read_to_string(&hosts)?);
    fs::write(&hosts, with)?;
    let removal = reset(&mut world, Data::Keep, FOREVER)?;
    let kept: BTreeSet<_> = removal.kept.iter().map(reset::Kept::path).collect();
    let wanted = BTreeSet::from([
        "/etc/kubernetes",
        "/etc/sternpost/api-lb.yaml",
        "/var/lib/etcd",
        sternpost::apply::PLACE,
        "/var/log/kubernetes",
    ]);
    let here = |path: &str| world.root().join(path).exists();
    if kept != wanted
        || !here("etc/kubernetes/mine")
        || !here("var/lib/etcd/member/snap/db")
        || here("etc/kubernetes/pki")
        || copies.exists()
        || fs::read_to_string(&changed)? != "changed by hand"
        || fs::read_to_string(&hosts)? != format!("{HOSTS}192.0.2.77 mine\n")
    {
        return Err(reset::show("m1", &removal).into());
    }
    let again = reset(&mut world, Data::Keep, FOREVER)?;
    if !again.steps.is_empty() || again.kept.len() != wanted.len() {
        return Err(reset::show("m1", &again).into());
    }
    // What was kept is still known.
    reset(&mut world, Data::Remove, FOREVER)?;
    match world.root().join("var/lib/etcd").exists() {
        true => Err("its data stayed".into()),
        false => Ok(()),
    }
}

pub(super) fn broken_off() -> Tried {
    let material = Material::new(SystemTime::now())?;
    let mut cut = 0;
    for orders in 1..FOREVER {
        let mut world = with_others()?;
        let before = world.listing()?;
        world.apply(&material, FOREVER)?;
        run(&world)?;
        let finished = reset(&mut world, Data::Remove, orders).is_ok();
        reset(&mut world, Data::Remove, FOREVER)?;
        same(&before, &world.listing()?)
            .map_err(|odd| format!("after {orders} orders: {odd:?}"))?;
        if finished {
            break;
        }
        cut += 1;
    }
    match cut {
        60.. => Ok(()),
        few => Err(format!("cut only {few} times").into()),
    }
}
