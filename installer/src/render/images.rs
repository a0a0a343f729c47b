//! Container images that are brought like programs, for nodes that reach no registry.

use super::coredns;
use super::flags::Flags;
use super::unit::Service;
use crate::layout;
use crate::resource::{File, OnChange, Program, Resource, Stage, Unit};
use crate::spec::{Cluster, Generation};

const UNIT: &str = "sternpost-images.service";
/// Without it a kubelet whose disk gets full removes images that no container uses: where no
/// registry is reached they would be missing until the next boot.
const PINNED: &str = "io.cri-containerd.pinned=pinned";

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
    let words = import(cluster.containerd);
    let further =
        |service: Service, image| service.set("ExecStart", command(&words, image));
    let service = images.iter().skip(1).fold(service(&words, first), further);
    let service = match cluster.containerd {
        Generation::One => service.set("ExecStartPost", pin()),
        Generation::Two => service,
    };
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
fn service(words: &[&str], first: &Program) -> Service {
    let path = first.path();
    let ctr = layout::program("ctr");
    let service = Service::new("Images for Pods", &ctr, &Flags::default());
    words
        .iter()
        .chain([&path.as_str()])
        .fold(service, |service, word| service.told(word))
        .unit("Wants", "containerd.service")
        .unit("After", "containerd.service")
        .unit("Before", "kubelet.service")
        .with(&[("Type", "oneshot"), ("RemainAfterExit", "yes")])
}

/// What `ctr` is told: of 1.x it pins nothing that it imports.
fn import(generation: Generation) -> Vec<&'static str> {
    let words = ["--namespace", "k8s.io", "images", "import"];
    match generation {
        Generation::One => words.to_vec(),
        Generation::Two => [&words[..], &["--label", PINNED]].concat(),
    }
}

fn command(words: &[&str], image: &Program) -> String {
    let ctr = layout::program("ctr");
    format!("{ctr} {} {}", words.join(" "), image.path())
}

/// The cluster's DNS at least, under the name that its Pods ask for; it need not be among the
/// images. The sandbox's is pinned by containerd itself.
fn pin() -> String {
    let ctr = layout::program("ctr");
    format!(
        "-{ctr} --namespace k8s.io images label {} {PINNED}",
        coredns::IMAGE
    )
}
