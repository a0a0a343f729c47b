//! Whether a host's kubelet is of this cluster, and what has it go on in another one.
//!
//! A kubelet takes what its folder of certificates has before anything else, whoever signed that,
//! and asks for no other for as long as it lasts: neither its kubeconfig nor its token counts.

use super::{Inputs, Step};
use crate::facts::{Facts, Kind};
use crate::judge::{self, Why};
use crate::layout;
use crate::reset;
use crate::resource::{Authority, Resource, Unit};

const KUBELET: &str = "kubelet.service";

/// One whose certificate is gone, has ended, or is of another cluster, has to come in anew.
pub(super) fn has(inputs: Inputs<'_>) -> bool {
    let known = layout::kubeconfig("kubelet");
    let shows = inputs.facts.certificates.get(layout::KUBELET_CLIENT);
    let authority = inputs.trust.certificate(Authority::Kubernetes);
    let stands = |pem: &str| {
        authority
            .is_none_or(|authority| judge::stands(pem, authority, inputs.now).is_ok())
    };
    inputs.facts.entries.contains_key(&known)
        && shows.is_some_and(|shows| stands(&shows.pem))
}

/// The paths of what would have a unit go on in another cluster, where it is a kubelet. A
/// kubeconfig that is laid down by us is none of them.
pub(super) fn elsewhere(unit: &Unit, inputs: Inputs<'_>) -> Vec<String> {
    let Some(authority) = inputs.trust.certificate(Authority::Kubernetes) else {
        return Vec::new();
    };
    let facts = inputs.facts;
    let of_others = |path: &str| {
        let shows = facts.certificates.get(path);
        shows.is_some_and(|shows| {
            judge::stands(&shows.pem, authority, inputs.now) == Err(Why::Authority)
        })
    };
    let kubeconfig = layout::kubeconfig("kubelet");
    let mut files = inputs.wanted.iter().filter_map(Resource::file);
    let ours = files.any(|file| file.path == kubeconfig);
    let mut all = Vec::new();
    if of_others(layout::KUBELET_CLIENT) {
        all.extend(Some(kubeconfig).filter(|_| !ours));
        all.push(layout::KUBELET_CLIENT.to_owned());
    }
    if of_others(layout::KUBELET_SERVER) {
        all.push(layout::KUBELET_SERVER.to_owned());
    }
    all.retain(|path| {
        let there = facts.entries.get(path).map(|entry| &entry.kind);
        unit.name == KUBELET
            && matches!(there, Some(Kind::File { .. }))
            && !facts.laid.contains(path)
    });
    all
}

/// The steps that take it away, for `reset` to put back.
pub(super) fn away(path: &str, facts: &Facts) -> Vec<Step> {
    let path = path.to_owned();
    let keep = Step::Keep { path: path.clone() };
    let keep = facts.others.contains(&path).then_some(keep);
    let what = reset::Step::Aside { path };
    keep.into_iter().chain([Step::Remove { what }]).collect()
}
