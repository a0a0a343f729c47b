//! What is to be done on each host, before any is worked on.

use std::collections::BTreeMap;
use std::time::SystemTime;

use daemon::chain;

use super::super::members;
use super::guards;
use super::run::Run;
use super::site::{Meant, Site};
use super::well::Balancer;
use crate::agent::Kube;
use crate::apply::{Target, skew};
use crate::plan::{Plan, Step};
use crate::render;
use crate::resource::{self, Resource};
use crate::versions::Version;

/// A host of which is known what is to be done.
pub(super) struct Planned<'a> {
    pub(super) site: Site<'a>,
    pub(super) wanted: Vec<Resource>,
    pub(super) now: SystemTime,
    pub(super) plan: Plan,
    /// What is done when all others have done what they are to do before.
    pub(super) behind: Vec<Step>,
    /// So many steps were done before those of the plan.
    pub(super) before: usize,
    pub(super) stands: Stands,
}

/// The versions that a host has of what is replaced there, as far as they are known.
#[derive(Default)]
pub(super) struct Stands {
    pub(super) server: Option<Version>,
    pub(super) kubelet: Option<Version>,
}

/// Hosts of which is known what is to be done, by their names, or why it is not.
pub(super) type Plans<'a> = BTreeMap<String, Result<Planned<'a>, String>>;

impl Planned<'_> {
    pub(super) fn balancer(&self) -> Balancer {
        match resource::runs(&self.wanted, "api-lb") {
            true => Balancer::Runs,
            false => Balancer::None,
        }
    }
}

impl Run<'_> {
    /// What is to be done on a host.
    pub(super) fn plan(
        &self,
        site: &mut Site<'_>,
    ) -> Result<(Vec<Resource>, SystemTime, Plan), String> {
        let wanted = render::host(self.cluster, site.host, &site.known);
        let programs = self.stock.programs(site.architecture);
        let now = SystemTime::now();
        let target = Target {
            cluster: self.cluster,
            host: &site.host.name,
            wanted: &wanted,
            programs: &programs,
            now,
        };
        let plan = target.plan(self.material, &mut site.way);
        let plan = plan.map_err(|error| chain(&error))?;
        Ok((wanted, now, plan))
    }

    pub(super) fn planned<'a>(&self, mut site: Site<'a>) -> Result<Planned<'a>, String> {
        let (wanted, now, plan) = self.plan(&mut site)?;
        if self.meant == Meant::Done && !plan.steps.is_empty() {
            members::serve(self.cluster, site.host, &mut site.way)?;
        }
        let mut stands = |kube: Kube| {
            let replaced = skew::replaces(&plan, kube.program());
            replaced.then(|| guards::said(&mut site, kube)).flatten()
        };
        let stands = Stands {
            server: stands(Kube::ApiServer),
            kubelet: stands(Kube::Kubelet),
        };
        Ok(Planned {
            site,
            wanted,
            now,
            plan,
            behind: Vec::new(),
            before: 0,
            stands,
        })
    }
}
