//! Every unit of the masters is restarted, one after the other, the address' owner first, while
//! a client opens 200 connections a second through the address: none that is opened fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::client::{Client, Question, once, sum};
use lab::control_plane::PORT;
use lab::daemons::servers_up;
use lab::group::{Fault, Role, Target};
use lab::holders;
use lab::host::{Host, NamespaceHost};
use lab::installed::{self, Installed};
use lab::moments::setting;
use lab::requirement::too_disturbed;
use lab::stalls::Stalls;
use lab::timeline::Timeline;
use lab::{LabError, tls, wait};
use libtest_mimic::Failed;

use super::kept::{self, Begun};
use super::record::{self, Restart};
use super::{BARE, checks};
use lab::rig::{MASTERS, Rig, VIP};

/// Masters that are restarted, unless `STERNPOST_MASTERS` says another number.
const COUNT: u64 = 1;
/// What may be late where cores stand still for so long: a client waits five times this for an
/// answer.
const STALLED: Duration = Duration::from_secs(1);
/// What a client says that has waited for so long.
const LATE: &str = "no answer in time";
/// 200 connections a second.
const EVERY: Duration = Duration::from_millis(5);
/// A request that goes through authentication, authorization and storage.
const PATH: &str = "/api/v1/namespaces/kube-system";
/// From a restart until all is as before it.
const SETTLED: Duration = Duration::from_secs(300);
/// What is watched before the first restart, and after each.
const CALM: Duration = Duration::from_secs(1);
/// What the group needs to be whole again; the rest of a master has units of its own.
const ROLES: [Role; 4] = [Role::Apiserver, Role::Etcd, Role::ApiLb, Role::VipDaemon];

struct Scene {
    timeline: Timeline,
    /// The masters' networks, for instruments.
    hosts: Vec<Arc<NamespaceHost>>,
    question: Question,
    rig: Rig,
}

#[expect(clippy::print_stdout, reason = "the table belongs to the result")]
pub(crate) fn restarts() -> Result<(), Failed> {
    let kept = Begun::now()?;
    let count = usize::try_from(setting("STERNPOST_MASTERS", COUNT)?)?;
    let rig = Rig::boot("installer-rolling", &MASTERS)?;
    rig.programs()?;
    rig.describe(&MASTERS, BARE)?;
    rig.apply(&[])?.ended(0)?;
    checks::serving(&rig)?;
    let scene = Scene::of(rig)?;
    let (stalls, started) = (Stalls::begin()?, Instant::now());
    let host = scene.rig.operator.clone();
    let client = Client::paced(&host, scene.question.clone(), EVERY)?;
    scene.settled(&host)?;
    wait::pass(CALM, || false);
    let (mut restarts, mut lost) = (Vec::new(), Vec::new());
    for master in MASTERS.iter().take(count) {
        for role in ROLES {
            let at = Target {
                host: master.name.to_owned(),
                role,
            };
            let begun = Instant::now();
            scene.masters().strike(&Fault::Restart(at.clone()))?;
            scene.settled(&host)?;
            let took = begun.elapsed();
            wait::pass(CALM, || false);
            let now = Instant::now();
            let events = scene.timeline.events();
            let moves = holders::moves(&events, begun, now);
            // It gives up each by itself, if it gets a core.
            let over = client.ended(begun, now);
            let over = over.map_err(|odd| too_disturbed(&format!("{at}: {odd}")))?;
            let seen = sum(&over, &moves);
            let least = (now - begun).as_millis() / EVERY.as_millis() * 9 / 10;
            if (seen.asked as u128) < least {
                let asked = seen.asked;
                // The client itself was late.
                let said = format!("{at}: {asked} asked, at least {least}");
                return Err(too_disturbed(&said));
            }
            let what = at.to_string();
            lost.extend(seen.reasons.iter().map(|why| format!("{what}: {why}")));
            restarts.push(Restart {
                what,
                asked: seen.asked,
                failed: seen.failed,
                slow: seen.slow,
                slowest: seen.slowest.as_secs_f64(),
                in_flight: seen.in_flight,
                took: took.as_secs_f64(),
            });
        }
    }
    println!("{}", record::restarts(&restarts));
    kept::keep(|record| record.restarts = Some(kept.measured(restarts)))?;
    let said = format!("{} failed: {lost:#?}", lost.len());
    let late = |why: &String| why.ends_with(LATE);
    match lost.is_empty() {
        true => Ok(()),
        // A reset, a refusal and an end are no machine's doing.
        false if lost.iter().all(late) && stalls.since(started) > STALLED => {
            Err(too_disturbed(&said))
        }
        false => Err(said.into()),
    }
}

impl Scene {
    fn of(rig: Rig) -> Result<Self, Failed> {
        let words = [
            "kubeconfig",
            "--spec",
            "cluster.yaml",
            "--ssh-config",
            "ssh_config",
        ];
        let kubeconfig = rig.sternpost(&words)?.ended(0)?.printed;
        let question = Question {
            target: (VIP, PORT).into(),
            tls: tls::of_kubeconfig(&kubeconfig)?,
            path: PATH.to_owned(),
        };
        let hosts = installed::networks(&rig.machines)?;
        Ok(Self {
            timeline: Timeline::watch(VIP, &hosts)?,
            hosts,
            question,
            rig,
        })
    }

    fn masters(&self) -> Installed<'_> {
        Installed {
            machines: &self.rig.machines,
            segment: self.rig.segment(),
            timeline: &self.timeline,
        }
    }

    /// Waits until every API server is ready and in use everywhere, and the first master holds
    /// the address again.
    fn settled(&self, client: &NamespaceHost) -> Result<(), LabError> {
        let hosts = &self.hosts;
        for host in hosts {
            let ready = Question {
                target: (host.address(), PORT).into(),
                path: "/readyz".to_owned(),
                ..self.question.clone()
            };
            let what = format!("the API server of {}", host.name());
            let answers = || once(client, &ready).ok()?.ok();
            wait::until(&what, SETTLED, answers)?;
            let all = || (servers_up(host)? == hosts.len()).then_some(());
            wait::until("all servers in use", SETTLED, all)?;
        }
        let first = hosts.first().map_or("", |host| host.name());
        let holds = || {
            let events = self.timeline.events();
            holders::sole_since(&events, first).map(drop)
        };
        wait::until("the address at the first master", SETTLED, holds)?;
        self.masters().running()
    }
}
