//! A kubelet of another cluster: what it shows there is away before it is started anew, wherever
//! a run is broken off, and comes back with `reset`.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use sternpost::reset::{self, Data};

use super::*;

const WHOLE: &str = include_str!("../spec/whole.yaml");
const NODE: &str = "- {name: n1, addresses: [\"192.168.220.200\"], roles: [node]}\n";
const KNOWN: &str = "etc/kubernetes/kubelet.conf";
const PKI: &str = "var/lib/kubelet/pki";
const RESTART: &str = "restart kubelet.service";

fn link(world: &World, which: &str) -> PathBuf {
    world
        .root()
        .join(PKI)
        .join(format!("kubelet-{which}-current.pem"))
}

/// A node that has it all.
fn world(material: &Material) -> Tried<World> {
    let mut world = World::new()?;
    let text = WHOLE.replace(NODE, "");
    if text == WHOLE {
        return Err("no such node".into());
    }
    world.describe(&text.replace("hosts:\n", &format!("hosts:\n{NODE}")))?;
    for program in world.wanted.iter().filter_map(Resource::program) {
        let path = world.folder.path().join("binaries").join(&program.name);
        fs::write(path, "a program")?;
    }
    world.bring("kubelet", "this is kubelet")?;
    world.apply(material, FOREVER)?;
    Ok(world)
}

/// What a kubelet leaves in a cluster of this authority.
fn joined(world: &World, authority: &pki::Authority, mark: &str) -> Tried {
    let profile = pki::Profile::client("system:node:n1", &["system:nodes"]);
    fs::create_dir_all(world.root().join(PKI))?;
    fs::write(world.root().join(KNOWN), mark)?;
    for which in ["client", "server"] {
        let issued = authority.issue(&profile, world.now)?;
        let dated = world.root().join(PKI).join(format!("{which}-{mark}.pem"));
        fs::write(&dated, issued.certificate_pem + issued.key_pem.expose())?;
        let link = link(world, which);
        let _ = fs::remove_file(&link);
        symlink(dated, link)?;
    }
    Ok(())
}

/// Whose is what a kubelet would take; nobody's where nothing stands.
fn whose(world: &World) -> [Option<String>; 3] {
    let mark = |path: PathBuf| {
        let to = fs::read_link(path).ok()?;
        let stem = to.file_stem()?.to_str()?.to_owned();
        stem.split_once('-').map(|(_, mark)| mark.to_owned())
    };
    let known = fs::read_to_string(world.root().join(KNOWN)).ok();
    [
        known,
        mark(link(world, "client")),
        mark(link(world, "server")),
    ]
}

fn is(world: &World, mark: Option<&str>, when: &str) -> Tried {
    let wanted = [mark; 3].map(|mark| mark.map(str::to_owned));
    match whose(world) {
        all if all == wanted => Ok(()),
        other => Err(format!("{when}: {other:?}, not {wanted:?}").into()),
    }
}

pub(super) fn led_away() -> Tried {
    let material = Material::new(SystemTime::now())?;
    let other = pki::Authority::new("kubernetes", SystemTime::now())?;
    let own = material.authority(sternpost::resource::Authority::Kubernetes);
    let own = own.ok_or("no authority")?;
    let mut cut = 0;
    for orders in 1..FOREVER {
        let mut world = world(&material)?;
        let when = format!("after {orders} orders");
        joined(&world, &other, "theirs")?;
        world.services.calls.clear();
        let finished = world.apply(&material, orders).is_ok();
        world.apply(&material, FOREVER)?;
        is(&world, None, &when)?;
        if !world.services.calls.contains(&RESTART.to_owned()) {
            return Err(format!("{when} it goes on: {:?}", world.services.calls).into());
        }
        let last = world.apply(&material, FOREVER)?;
        if !last.steps.is_empty() {
            return Err(format!("{when} there remains\n{}", show(&last)).into());
        }
        joined(&world, own, "ours")?;
        let last = world.apply(&material, FOREVER)?;
        if !last.steps.is_empty() {
            return Err(format!("its own, {when}:\n{}", show(&last)).into());
        }
        comes_back(&mut world, &when)?;
        if finished {
            break;
        }
        cut += 1;
    }
    match cut {
        5.. => Ok(()),
        few => Err(format!("cut only {few} times").into()),
    }
}

fn comes_back(world: &mut World, when: &str) -> Tried {
    leave::reset(world, Data::Keep, FOREVER)?;
    is(world, Some("theirs"), when)?;
    let again = leave::reset(world, Data::Keep, FOREVER)?;
    if !again.steps.is_empty() {
        return Err(format!("{when}: {}", reset::show("n1", &again)).into());
    }
    // Where the data goes, nothing comes back into it.
    leave::reset(world, Data::Remove, FOREVER)?;
    match world.root().join("var/lib/kubelet").exists() {
        true => Err(format!("{when}: its data stayed").into()),
        false => Ok(()),
    }
}

/// What has become another one since it was looked at stays, and a run goes no further.
pub(super) fn changed() -> Tried {
    let material = Material::new(SystemTime::now())?;
    let mut world = world(&material)?;
    let other = pki::Authority::new("kubernetes", SystemTime::now())?;
    joined(&world, &other, "theirs")?;
    let path = link(&world, "client");
    let ended = world.stopped(&material, |step| {
        let away = matches!(
            step,
            Step::Remove { what: reset::Step::Aside { path } } if path.contains("client")
        );
        if away {
            // It renews that meanwhile.
            let renewed = path.with_file_name("client-renewed.pem");
            let moved = fs::remove_file(&path).and_then(|()| symlink(renewed, &path));
            assert!(moved.is_ok(), "{moved:?}");
        }
        false
    });
    let Err(ApplyError::Step { error, .. }) = ended else {
        return Err("it was taken away".into());
    };
    match (error.contains("has changed since"), whose(&world)) {
        (true, [_, Some(mark), _]) if mark == "renewed" => Ok(()),
        other => Err(format!("{error} {other:?}").into()),
    }
}
