//! `runtime.mirrors`: a node's containerd asks the mirror for the images of a registry that there
//! is nowhere, and a Pod runs on what it gives.

use std::net::SocketAddr;

use lab::registry::Registry;
use lab::requirement;
use lab::rig::Rig;
use lab::wait;
use libtest_mimic::Failed;

use super::checks::PATIENCE;
use super::node::kubectl;

/// At the operator's place.
const MIRROR: ([u8; 4], u16) = ([10, 79, 0, 50], 5000);
const LINE: &str = "mirrors: {registry.invalid: [\"http://10.79.0.50:5000\"]}";
/// As the registry is asked for the tag, with whose image it is (containerd's hosts.md).
const ASKED: &str = "/v2/lab/pause/manifests/1?ns=registry.invalid";

/// Settings with the mirror among them.
pub(crate) fn beside(settings: &str) -> String {
    let runtime = "runtime: {";
    match settings.contains(runtime) {
        true => settings.replace(runtime, &format!("{runtime}{LINE}, ")),
        false => format!("{settings}{runtime}{LINE}}}\n"),
    }
}

pub(crate) fn pulled(rig: &Rig) -> Result<(), Failed> {
    let layout = requirement::network().join("pause.tar");
    let registry = Registry::start(&rig.operator, SocketAddr::from(MIRROR), &layout)?;
    let run =
        "run mirrored --image=registry.invalid/lab/pause:1 --image-pull-policy=Always";
    kubectl(rig, run)?;
    let mut last = String::new();
    let runs = wait::until("a Pod of the mirror's image", PATIENCE, || {
        last = kubectl(rig, "get pod mirrored -o wide").ok()?;
        last.contains(" Running ").then_some(())
    });
    runs.map_err(|error| format!("{error}: {last}{:?}", registry.asked()))?;
    kubectl(rig, "delete pod mirrored --force --grace-period=0")?;
    let asked = registry.asked();
    match asked.iter().any(|path| path == ASKED) {
        true => Ok(()),
        false => Err(format!("the mirror was asked for {asked:?} alone").into()),
    }
}
