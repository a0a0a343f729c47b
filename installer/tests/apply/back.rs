//! A unit that ran, and does not by what it is given: it gets back what it ran by.

use super::world::Refused;
use super::*;

const WHOLE: &str = include_str!("../spec/whole.yaml");
const SCHEDULER: &str = "kube-scheduler.service";
const MANAGER: &str = "kube-controller-manager.service";
const UNITS: &str = "etc/systemd/system";
const COPIES: &str = "var/lib/sternpost/previous";
/// What the units of this test die of.
const WORD: &str = "no-such-flag";

/// The description with these flags.
fn flagged(flags: &str) -> String {
    format!("{WHOLE}\nflags: {{{flags}}}\n")
}

/// A master on which all is well, and what is there; it refuses what is to come.
fn world(material: &Material) -> Tried<(World, BTreeSet<String>)> {
    let mut world = World::new()?;
    world.apply(material, FOREVER)?;
    let refused = [SCHEDULER, MANAGER].map(|unit| Refused {
        unit,
        file: world.root().join(UNITS).join(unit),
        word: WORD,
    });
    world.services.refused = refused.into();
    let there = world.listing()?;
    Ok((world, there))
}

fn refused(world: &mut World, material: &Material, wanted: &[&str]) -> Tried {
    let error = match world.apply(material, FOREVER) {
        Ok(plan) => return Err(format!("it is taken for well:\n{}", show(&plan)).into()),
        Err(error) => error.to_string(),
    };
    for wanted in wanted {
        if !error.contains(wanted) {
            return Err(format!("no {wanted:?} in {error}").into());
        }
    }
    Ok(())
}

fn same(wanted: &BTreeSet<String>, world: &World, when: &str) -> Tried {
    let here = world.listing()?;
    let odd: Vec<_> = here.symmetric_difference(wanted).take(4).collect();
    match odd.is_empty() {
        true => Ok(()),
        false => Err(format!("{when}: {odd:#?}").into()),
    }
}

fn runs(world: &mut World, unit: &str) -> Tried {
    match world.services.unit(unit).active {
        true => Ok(()),
        false => Err(format!("{unit} does not run").into()),
    }
}

pub(super) fn flag() -> Tried {
    let material = Material::new(SystemTime::now())?;
    let (mut world, there) = world(&material)?;
    // One does not know its flag, the other does.
    world.describe(&flagged(
        "kube-scheduler: {no-such-flag: \"1\"}, kube-controller-manager: {v: \"3\"}",
    ))?;
    let file = world.root().join(UNITS).join(MANAGER);
    for _ in 0..2 {
        world.services.calls.clear();
        let wanted = [
            "restart kube-scheduler.service, since /etc/systemd/system/kube-scheduler.service",
            "(exit-code); /etc/systemd/system/kube-scheduler.service: put back as before, and it \
             runs by that\n    kube-scheduler.service said this",
        ];
        refused(&mut world, &material, &wanted)?;
        let last = world.services.calls.iter().rev().take(2);
        let last: Vec<_> = last.map(String::as_str).collect();
        if last != ["restart kube-scheduler.service", "reread"] {
            return Err(format!("{:?}", world.services.calls).into());
        }
        runs(&mut world, SCHEDULER)?;
        if !fs::read_to_string(&file)?.contains("--v=3") {
            return Err("what was well is put back as well".into());
        }
    }
    // Nothing is to be done where it runs as it is described.
    world.describe(WHOLE)?;
    let plan = show(&world.apply(&material, FOREVER)?);
    if plan.contains("scheduler") || !plan.contains(MANAGER) {
        return Err(plan.into());
    }
    same(&there, &world, "described as before")?;
    // Both do not know theirs: each gets back its own.
    world.describe(&flagged(
        "kube-scheduler: {no-such-flag: \"1\"}, kube-controller-manager: {no-such-flag: \"1\"}",
    ))?;
    let wanted = [SCHEDULER, MANAGER].map(|unit| format!("restart {unit}, since "));
    let wanted = wanted.each_ref().map(String::as_str);
    refused(&mut world, &material, &wanted)?;
    runs(&mut world, MANAGER)?;
    same(&there, &world, "two of them")
}

pub(super) fn program() -> Tried {
    let material = Material::new(SystemTime::now())?;
    let (mut world, _) = world(&material)?;
    let link = world.root().join("usr/local/bin/kube-scheduler");
    let before = fs::read_link(&link)?;
    world.bring("kube-scheduler", "this has no-such-flag")?;
    world.services.refused.push(Refused {
        unit: SCHEDULER,
        file: link.clone(),
        word: WORD,
    });
    let wanted =
        ["/usr/local/bin/kube-scheduler: put back as before, and it runs by that"];
    refused(&mut world, &material, &wanted)?;
    runs(&mut world, SCHEDULER)?;
    if fs::read_link(&link)? != before {
        return Err("its link leads to the new one".into());
    }
    // What was there is no better: that is said, and the unit left as it was asked for.
    fs::write(world.root().join("usr/local/bin/kube-scheduler"), WORD)?;
    let wanted =
        ["put back as before, but it does not run by that either: kube-scheduler"];
    refused(&mut world, &material, &wanted)
}

/// An upgrade of several programs that fails at the first: the others, whose units have not begun
/// by theirs, do not stay for the next boot to begin with.
pub(super) fn others() -> Tried {
    const SERVER: &str = "kube-apiserver";
    let programs = [SERVER, "kube-controller-manager", "kube-scheduler"];
    let material = Material::new(SystemTime::now())?;
    let mut world = World::new()?;
    world.apply(&material, FOREVER)?;
    let there = world.listing()?;
    let bring = |world: &mut World, version: &str| -> Tried {
        let mut all = programs.iter();
        all.try_for_each(|name| world.bring(name, &format!("this is {name}{version}")))
    };
    bring(&mut world, ", a newer one")?;
    world.services.broken = Some(format!("{SERVER}.service"));
    world.services.calls.clear();
    let wanted = [
        "restart kube-apiserver.service, since /usr/local/bin/kube-apiserver",
        "put back as before, since no unit has begun by it: \
         /usr/local/bin/kube-controller-manager, /usr/local/bin/kube-scheduler",
    ];
    refused(&mut world, &material, &wanted)?;
    let calls = &world.services.calls;
    if calls.iter().any(|call| call.ends_with(SCHEDULER)) {
        return Err(format!("{calls:?}").into());
    }
    world.services.broken = None;
    // Only what was brought beside it is there besides.
    let mut here = world.listing()?;
    here.retain(|line| !line.contains("a newer one") || line.starts_with("usr"));
    let programs_of = |line: &String| !line.starts_with("opt/sternpost/programs");
    let odd = here
        .symmetric_difference(&there)
        .filter(|one| programs_of(one));
    let odd: Vec<_> = odd.take(4).collect();
    if !odd.is_empty() {
        return Err(format!("{odd:#?}").into());
    }
    for name in programs {
        let link = world.root().join("usr/local/bin").join(name);
        if fs::read_to_string(link)? != format!("this is {name}") {
            return Err(format!("{name} is the new one").into());
        }
    }
    // Nothing is to be done where the versions before are described again.
    bring(&mut world, "")?;
    let plan = world.apply(&material, FOREVER)?;
    if !plan.steps.is_empty() {
        return Err(show(&plan).into());
    }
    bring(&mut world, ", a newer one")?;
    let plan = show(&world.apply(&material, FOREVER)?);
    for name in programs {
        let wanted = format!("restart {name}.service");
        if !plan.contains(&wanted) {
            return Err(format!("no {wanted} in {plan}").into());
        }
    }
    Ok(())
}

/// What an operator stops is kept for the next run, but of what is up by then.
pub(super) fn stopped() -> Tried {
    let material = Material::new(SystemTime::now())?;
    let (mut world, _) = world(&material)?;
    world.describe(&flagged(
        "kube-scheduler: {v: \"3\"}, kube-controller-manager: {v: \"3\"}",
    ))?;
    let copies = |world: &World| {
        let all = fs::read_dir(world.root().join(COPIES)).into_iter();
        all.flatten().count()
    };
    let mut counts = Vec::new();
    // At each restart in its turn, and then not at all.
    for restarts in 0..3 {
        let mut seen = 0;
        let ended = world.stopped(&material, |step| {
            seen += usize::from(matches!(step, Step::Restart { .. }));
            seen > restarts
        });
        counts.push((copies(&world), ended.is_ok()));
        if ended.is_ok() {
            break;
        }
    }
    match counts.as_slice() {
        [(2, false), (1, false), (0, true)] => Ok(()),
        _ => Err(format!("{counts:?}").into()),
    }
}

/// A run that is killed behind a unit's good start, and before it could say so: what the unit runs
/// by since is what it gets back, not what was before that.
pub(super) fn outdated() -> Tried {
    let material = Material::new(SystemTime::now())?;
    let restart = format!("restart {SCHEDULER}");
    let mut counts = [0, 0];
    for orders in 1..FOREVER {
        let (mut world, _) = world(&material)?;
        world.describe(&flagged("kube-scheduler: {v: \"3\"}"))?;
        world.services.calls.clear();
        if world.apply(&material, orders).is_ok() {
            break;
        }
        let begun = world.services.calls.contains(&restart);
        counts[usize::from(begun)] += 1;
        world.describe(&flagged("kube-scheduler: {no-such-flag: \"1\"}"))?;
        refused(&mut world, &material, &["and it runs by that"])?;
        runs(&mut world, SCHEDULER)?;
        let file = fs::read_to_string(world.root().join(UNITS).join(SCHEDULER))?;
        if file.contains("--v=3") != begun {
            return Err(format!("after {orders} orders, begun: {begun}\n{file}").into());
        }
    }
    match counts.iter().all(|count| *count >= 2) {
        true => Ok(()),
        false => Err(format!("cut {counts:?} times").into()),
    }
}

/// A copy is the superuser's alone, and lasts until its readers are known to be well.
pub(super) fn broken_off() -> Tried {
    let material = Material::new(SystemTime::now())?;
    let (mut cut, mut kept) = (0, 0);
    for orders in 1..FOREVER {
        let (mut world, there) = world(&material)?;
        world.describe(&flagged("kube-scheduler: {no-such-flag: \"1\"}"))?;
        let first = world.apply(&material, orders);
        let finished = matches!(first, Err(ApplyError::Step { .. }));
        for copy in fs::read_dir(world.root().join(COPIES))
            .into_iter()
            .flatten()
        {
            let mode = fs::metadata(copy?.path())?.permissions().mode() & 0o7777;
            if mode != 0o600 {
                return Err(format!("a copy is {mode:o}").into());
            }
            kept += 1;
        }
        let when = format!("after {orders} orders");
        refused(&mut world, &material, &["and it runs by that"])?;
        runs(&mut world, SCHEDULER)?;
        same(&there, &world, &when)?;
        world.describe(WHOLE)?;
        if !world.apply(&material, FOREVER)?.steps.is_empty() {
            return Err(format!("{when}: something is left").into());
        }
        if finished {
            break;
        }
        cut += 1;
    }
    match cut >= 5 && kept >= 3 {
        true => Ok(()),
        false => Err(format!("cut {cut} times, {kept} copies").into()),
    }
}

/// A containerd that does not come up has its shim, runc and ctr back as well.
pub(super) fn beside() -> Tried {
    const ALL: [&str; 4] = ["containerd", "containerd-shim-runc-v2", "ctr", "runc"];
    let text = WHOLE.replacen("[etcd, controlPlane]", "[etcd, controlPlane, node]", 1);
    let material = Material::new(SystemTime::now())?;
    let mut world = World::of(tempfile::tempdir()?, &text)?;
    world.apply(&material, FOREVER)?;
    let there = world.listing()?;
    for name in ALL {
        world.bring(name, &format!("this is {name}, a newer one"))?;
    }
    world.services.refused.push(Refused {
        unit: "containerd.service",
        file: world.root().join("usr/local/bin/containerd"),
        word: "newer",
    });
    let links = ALL.map(|name| format!("/usr/local/bin/{name}"));
    let wanted = [
        "restart containerd.service, since /usr/local/bin/containerd",
        &format!("; {}: put back as before, and it runs", links.join(", ")),
    ];
    refused(&mut world, &material, &wanted)?;
    let mut here = world.listing()?;
    here.retain(|line| !line.starts_with("opt/sternpost/programs"));
    let there = there
        .into_iter()
        .filter(|line| !line.starts_with("opt/sternpost/programs"));
    let odd: Vec<_> = here
        .symmetric_difference(&there.collect())
        .cloned()
        .collect();
    if !odd.is_empty() {
        return Err(format!("{odd:#?}").into());
    }
    // By itself none of them has containerd start anew.
    world.services.refused.clear();
    world.apply(&material, FOREVER)?;
    world.bring("runc", "this is runc, a newer one than that")?;
    let plan = show(&world.apply(&material, FOREVER)?);
    match plan.contains("replace runc") && !plan.contains("restart") {
        true => Ok(()),
        false => Err(plan.into()),
    }
}

/// An agent that ended between the journal's line of what it puts back and the file: what the
/// journal says is there is not, and the unit has yet to begin by what is.
pub(super) fn half_undone() -> Tried {
    let material = Material::new(SystemTime::now())?;
    let (mut world, _) = world(&material)?;
    let file = world.root().join(UNITS).join(MANAGER);
    let sum = |path: &Path| -> Tried<String> {
        let octets = fs::read(path)?;
        let sum = ring::digest::digest(&ring::digest::SHA256, &octets);
        let octets = sum.as_ref().iter();
        Ok(octets.map(|octet| format!("{octet:02x}")).collect())
    };
    let old = sum(&file)?;
    world.describe(&flagged("kube-controller-manager: {v: \"3\"}"))?;
    let stopped = world.stopped(&material, |step| matches!(step, Step::Restart { .. }));
    if stopped.is_ok() {
        return Err("there was no restart".into());
    }
    let path = format!("/{UNITS}/{MANAGER}");
    let line = serde_json::json!({
        "wrote": {"path": path, "before": sum(&file)?, "after": old}
    });
    let journal = world.root().join("var/lib/sternpost/journal.jsonl");
    let text = fs::read_to_string(&journal)?;
    fs::write(&journal, format!("{text}{line}\n"))?;
    let plan = show(&world.apply(&material, FOREVER)?);
    let wanted = format!("restart {MANAGER}");
    if !plan.contains(&wanted) {
        return Err(format!("no {wanted} in {plan}").into());
    }
    match world.apply(&material, FOREVER)?.steps.is_empty() {
        true => Ok(()),
        false => Err("it is done again and again".into()),
    }
}
