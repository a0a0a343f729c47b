//! One cycle of a scenario: a lab of its own, the steps, what was measured.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::expect::{Measured, ended, look};
use super::judge::{Figures, KEEPERS, Mark, Miss, Outcome, met, missed};
use super::{Scenario, Step};
use crate::client::{Client, Question};
use crate::control_plane::{ControlPlane, Kind, PORT};
use crate::daemons::{LbConfig, Track, VipConfig, api_lb, vip_daemon};
use crate::error::LabError;
use crate::group::{Group, Role, Struck};
use crate::holders;
use crate::host::{Host, NamespaceHost};
use crate::prober::Prober;
use crate::segment::Segment;
use crate::sniffer::Sniffer;
use crate::stalls::Stalls;
use crate::wait;
use crate::watcher::Watchers;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const CLIENT: (&str, Ipv4Addr) = ("client", Ipv4Addr::new(10, 77, 0, 50));
/// The first master's address ends in this.
const FIRST: u8 = 11;
/// What an expectation may be late to be noticed; the bound itself is held against the
/// instruments' own stamps.
const NOTICE: Duration = Duration::from_millis(300);

/// The instruments around a group. Dropped from the top: those who ask go first.
pub(super) struct Stage {
    pub(super) client: Option<Client>,
    pub(super) watchers: Option<Watchers>,
    pub(super) prober: Prober,
    pub(super) sniffer: Sniffer,
    pub(super) group: Group,
    pub(super) vip: Ipv4Addr,
    stalls: Stalls,
    /// Before the first program was started.
    begun: Instant,
    /// At the last fault; before the first one, at `begun`.
    mark: Mark,
    /// When the first fault was done.
    first: Option<Instant>,
}

/// Runs the scenario once; its processes log into `logs`.
///
/// # Errors
/// When the lab itself does not work; a claim that does not hold is an [`Outcome`].
pub fn cycle(scenario: &Scenario, logs: &Path) -> Result<Outcome, LabError> {
    let mut stage = Stage::new(scenario, logs)?;
    let mut figures = Figures::default();
    let mut since = Struck::none(stage.begun);
    for (number, step) in scenario.step.iter().enumerate() {
        let place = format!("step {}", number + 1);
        match stage.step(step, &mut since)? {
            Ok(measured) => {
                let of_step = |(name, took)| (format!("{place} {name}"), took);
                figures.0.extend(measured.into_iter().map(of_step));
            }
            Err(miss) => return Ok(stage.missed(miss.at(&place))),
        }
    }
    match stage.always(scenario) {
        Ok(overlap) => figures.0.push(("overlap".to_owned(), overlap)),
        Err(miss) => return Ok(stage.missed(miss.at("always"))),
    }
    if !scenario.is_about_the_address() {
        return Ok(Outcome::Met(figures));
    }
    let since = stage.first.unwrap_or(stage.begun);
    Ok(met(figures, &stage.prober, since))
}

impl Stage {
    fn new(scenario: &Scenario, logs: &Path) -> Result<Self, LabError> {
        let names: Vec<&str> = scenario.node.iter().map(|n| n.name.as_str()).collect();
        let places = names
            .iter()
            .copied()
            .zip((FIRST..).map(|n| Ipv4Addr::new(10, 77, 0, n)));
        let hosts: Vec<_> = places.chain([CLIENT]).collect();
        let segment = Segment::new(logs, &hosts)?;
        let stalls = Stalls::begin()?;
        let sniffer = Sniffer::start(&segment)?;
        let client = segment.host(CLIENT.0)?.clone();
        let mut group = Group::new(segment, VIP, &names)?;
        let masters = group.hosts();
        let prober = Prober::start(VIP, &client, &masters)?;
        let folder = group.segment().files().to_owned();
        let plane = ControlPlane::new(Kind::StandIn, &folder, logs, VIP, &masters)?;
        assign(scenario, &mut group, &plane, logs)?;
        for (node, host) in scenario.node.iter().zip(&masters) {
            if node.holds {
                host.output("ip", &["addr", "add", &format!("{VIP}/24"), "dev", "eth0"])?;
            }
        }
        let (begun, mark) = (Instant::now(), Mark::now(&group));
        for role in [Role::Apiserver, Role::ApiLb, Role::VipDaemon] {
            group.start_all(role)?;
        }
        let question = |path: &str| -> Result<Question, LabError> {
            let target = (VIP, PORT).into();
            Ok(Question {
                target,
                tls: plane.client_tls()?,
                path: path.to_owned(),
            })
        };
        let asks = scenario.client.requests;
        let requests = asks
            .then(|| Client::start(&client, question("/version")?))
            .transpose()?;
        let keeps = scenario.client.watchers;
        let watchers = (keeps > 0)
            .then(|| Watchers::start(&client, question(plane.watch_path())?, keeps))
            .transpose()?;
        Ok(Self {
            client: requests,
            watchers,
            prober,
            sniffer,
            group,
            vip: VIP,
            stalls,
            begun,
            mark,
            first: None,
        })
    }

    fn step(
        &mut self,
        step: &Step,
        since: &mut Struck,
    ) -> Result<Result<Measured, Miss>, LabError> {
        if let Some(after) = step.after {
            wait::pass(after.0, || false);
        }
        if let Some(fault) = &step.fault {
            self.mark = Mark::now(&self.group);
            *since = self.group.strike(fault)?;
            self.mark.hand = since.hand;
            self.first.get_or_insert(since.begun);
        }
        let within = step.within.map(|time| time.0);
        let deadline = since.begun + within.unwrap_or_default() + NOTICE;
        let mut seen = look(&step.expect, self, *since, within);
        let open = within.is_some();
        while open && seen.is_err() && Instant::now() < deadline {
            wait::pass(Duration::from_millis(2), || false);
            seen = look(&step.expect, self, *since, within);
        }
        Ok(seen)
    }

    fn always(&mut self, scenario: &Scenario) -> Result<Duration, Miss> {
        let events = self.group.timeline().events();
        let overlap = holders::overlap(&events, self.begun, Instant::now());
        if let Some(most) = scenario.always.overlap_at_most
            && overlap > most.0
        {
            let said = format!("overlap {overlap:?}, at most {most}");
            return Err(Miss::late(said, overlap - most.0, KEEPERS));
        }
        if let Some(most) = scenario.always.failed_at_most {
            let sum = ended(self, Struck::none(self.begun))?;
            if sum.failed > most {
                return Err(format!("{} failed: {:?}", sum.failed, sum.reasons).into());
            }
        }
        Ok(overlap)
    }

    fn missed(&self, miss: Miss) -> Outcome {
        let held_up = (&self.mark, &self.stalls);
        missed(miss, &self.prober, self.begun, held_up, &self.group)
    }
}

fn assign(
    scenario: &Scenario,
    group: &mut Group,
    plane: &ControlPlane,
    logs: &Path,
) -> Result<(), LabError> {
    let masters = group.hosts();
    let place = |h: &NamespaceHost| (h.name().to_owned(), h.address());
    let nodes = || scenario.node.iter().zip(&masters);
    let servers: Vec<_> = nodes()
        .filter(|(n, _)| n.has(Role::Apiserver))
        .map(|(_, h)| place(h))
        .collect();
    for (node, host) in nodes() {
        if node.has(Role::Apiserver) {
            group.assign(&node.name, Role::Apiserver, plane.apiserver(&node.name)?)?;
        }
        if node.has(Role::ApiLb) {
            let config = LbConfig {
                vip: VIP,
                servers: servers.clone(),
                ca_file: plane.ca_file(&node.name),
                check_interval: "100ms",
                socket: host.file("api-lb.sock"),
            };
            let program = api_lb(&config, &host.file("api-lb.yaml"), logs)?;
            group.assign(&node.name, Role::ApiLb, program)?;
        }
        if let Some(priority) = node.priority {
            let others =
                nodes().filter(|(n, _)| n.priority.is_some() && n.name != node.name);
            let config = VipConfig {
                vip: VIP,
                source: host.address(),
                peers: others.map(|(_, h)| h.address()).collect(),
                priority,
                version: scenario.vip.version,
                interval: scenario.vip.interval.clone(),
                preempt: scenario.vip.preempt,
                tracked: scenario.vip.track_weight.map(|weight| Track { weight }),
                socket: host.file("vip-daemon.sock"),
            };
            let program = vip_daemon(&config, &host.file("vip-daemon.yaml"), logs)?;
            group.assign(&node.name, Role::VipDaemon, program)?;
        }
    }
    Ok(())
}

impl Scenario {
    /// Whether it can run at all: nobody asks where nobody answers.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn makes_sense(&self) -> Result<(), String> {
        let asks = self.client.requests || self.client.watchers > 0;
        if asks && !(self.has(Role::Apiserver) && self.has(Role::ApiLb)) {
            return Err("its client asks, but no node runs apiserver and api-lb".into());
        }
        Ok(())
    }
}
