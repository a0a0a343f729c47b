//! Container images that are brought like programs, for nodes that reach no registry.

use super::flags::Flags;
use super::unit::Service;
use crate::layout;
use crate::resource::{File, OnChange, Program, Resource, Stage, Unit};
use crate::spec::Cluster;

const UNIT: &str = "sternpost-images.service";

/// Nothing, when there are none.
pub(super) fn resources(cluster: &Cluster) -> Vec<Resource> {
    let images: Vec<_> = cluster
        .binaries
        .images
        .iter()
        .map(|name| Program::image(name))
        .collect();
    let Some(first) = images.first() else {
        return Vec::new();
    };
    let unit = format!("{}/{UNIT}", layout::UNITS);
    let mut reads = vec![unit.clone()];
    reads.extend(images.iter().map(Program::path));
    let service = images
        .iter()
        .skip(1)
        .fold(service(first), |service, image| {
            service.set("ExecStart", import(image))
        });
    let mut all: Vec<_> = images.into_iter().map(Resource::from).collect();
    all.extend([
        File::public(unit, service.text()).into(),
        Unit {
            name: UNIT.into(),
            after: Stage::Machine,
            reads,
            on_change: OnChange::Restart,
        }
        .into(),
    ]);
    all
}

/// Imports at every boot: containerd may have lost them, and one that is there is left.
fn service(first: &Program) -> Service {
    let words = ["--namespace", "k8s.io", "images", "import"];
    let path = first.path();
    let ctr = layout::program("ctr");
    let service = Service::new("Images for Pods", &ctr, &Flags::default());
    words
        .iter()
        .chain([&path.as_str()])
        .fold(service, |service, word| service.told(word))
        .unit("Requires", "containerd.service")
        .unit("After", "containerd.service")
        .unit("Before", "kubelet.service")
        .with(&[("Type", "oneshot"), ("RemainAfterExit", "yes")])
}

fn import(image: &Program) -> String {
    let ctr = layout::program("ctr");
    format!("{ctr} --namespace k8s.io images import {}", image.path())
}
