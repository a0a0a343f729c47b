//! One look at all hosts of a description and at what passes between them: all at once, each
//! over its own way. A host that falls silent on the way is left out of what follows.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use ring::rand::{SecureRandom, SystemRandom};

use super::heads;
use super::members::members;
use super::reach::{self, Ways};
use crate::agent::{Answer, Kernel, Order, Probe, Probed, Syncs};
use crate::facts::hexadecimal;
use crate::flows::firewall::Firewall;
use crate::flows::{self, Carried, Ear, Flow, Passage, Reply, Standing, Way};
use crate::preflight::{Claim, EndpointCall, Round, Sight};
use crate::render::{self, HOSTS};
use crate::spec::{Balancer, BetweenPods, Cluster, Host, Role};
use crate::transport::Piped;

/// Calls of each host to a balancer of others, for each master behind it: once around, and
/// once again.
const ROUNDS: usize = 2;
const UNASKED_FOR: &str = "the agent answered another question";
const UNASKED: &str = "the host was not asked";

/// What was seen, and why the other hosts could not be asked.
pub(super) struct Seen {
    pub(super) round: Round,
    pub(super) silent: BTreeMap<String, String>,
}

/// Looks.
pub(super) fn look(cluster: &Cluster, ways: &mut Ways<'_>) -> Result<Seen, String> {
    let mut round = Round {
        programs: heads::programs(cluster),
        ..Round::default()
    };
    let mut silent = BTreeMap::new();
    for (host, sight) in ways.ask(|host, way| sight(cluster, host, way)) {
        match sight {
            Ok(sight) => drop(round.sights.insert(host, sight)),
            Err(error) => drop(silent.insert(host, error)),
        }
    }
    ways.retain(|name| round.sights.contains_key(name));
    round.claims = claims(cluster, &round, ways, &mut silent);
    let word = word()?;
    let mut flows = flows::needed(cluster);
    let asked = |name: &String| round.sights.contains_key(name);
    flows.retain(|flow| asked(&flow.from) && asked(&flow.to));
    let standing = listen(&flows, &round, ways, &word);
    let endpoint = endpoint(cluster, &round);
    let replies = dial(&flows, &endpoint, ways, &word);
    // The ears are closed again; a host that does not hear it closes them with its agent.
    let _ = ways.ask(|_, way| {
        let (ears, word) = (Vec::new(), String::new());
        probed(way, Probe::Listen { ears, word })
    });
    round.calls = calls(&endpoint, &replies);
    round.flows = flows
        .into_iter()
        .map(|flow| {
            let passage = passage(&flow, &standing, &replies);
            (flow, passage)
        })
        .collect();
    Ok(Seen { round, silent })
}

type Standings = BTreeMap<(String, Ear), Standing>;
type Replies = BTreeMap<String, Vec<(Ear, Reply)>>;

fn passage(flow: &Flow, standing: &Standings, replies: &Replies) -> Passage {
    let ear = ear(flow);
    let there = standing.get(&(flow.to.clone(), ear.clone()));
    let mut own = replies.get(&flow.from).into_iter().flatten();
    let reply = own.find(|(call, _)| *call == ear).map(|(_, reply)| reply);
    match (there, reply) {
        (Some(standing), Some(reply)) => flows::passage(flow.way, standing, reply),
        (_, _) => Passage::Untried {
            why: UNASKED.to_owned(),
        },
    }
}

fn ear(flow: &Flow) -> Ear {
    Ear {
        address: flow.address,
        way: flow.way,
    }
}

/// What is the same for every trial of this run, and for no other.
fn word() -> Result<String, String> {
    let mut octets = [0_u8; 8];
    let filled = SystemRandom::new().fill(&mut octets);
    filled.map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(hexadecimal(&octets))
}

fn sight(cluster: &Cluster, host: &Host, way: &mut Piped) -> Result<Sight, String> {
    let machine = reach::machine(way)?;
    let asked = SystemTime::now();
    let names = reach::fetched(way, vec![HOSTS.to_owned()])?.remove(HOSTS);
    // A member that runs needs its disk for itself.
    let idle = host.is(Role::Etcd) && !machine.system.ours;
    Ok(Sight {
        asked,
        firewall: firewall(way)?,
        carried: {
            let interface = machine.interface(host.address());
            carried(cluster, host, interface, way)?
        },
        kernel: kernel(cluster, host, way)?,
        names: names.unwrap_or_default(),
        syncs: idle.then(|| syncs(way)),
        members: members(cluster, host, way)?,
        machine,
    })
}

fn firewall(way: &mut Piped) -> Result<Firewall, String> {
    let Probed::Firewall(firewall) = probed(way, Probe::Firewall)? else {
        return Err(UNASKED_FOR.to_owned());
    };
    Ok(firewall)
}

/// Where somebody else lays the network, what passes is theirs to say.
pub(super) fn carried(
    cluster: &Cluster,
    host: &Host,
    interface: Option<&str>,
    way: &mut Piped,
) -> Result<Carried, String> {
    if !host.is(Role::Node) || cluster.networks.between_pods == BetweenPods::None {
        return Ok(Carried::default());
    }
    let probe = Probe::Carries(flows::carrying(cluster, interface));
    let Probed::Carries(carried) = probed(way, probe)? else {
        return Err(UNASKED_FOR.to_owned());
    };
    Ok(carried)
}

fn kernel(cluster: &Cluster, host: &Host, way: &mut Piped) -> Result<Kernel, String> {
    let settings = render::settings(cluster, host).into_iter();
    let modules = render::modules(cluster, host).into_iter();
    let probe = Probe::Kernel {
        settings: settings.map(|(key, _)| key.to_owned()).collect(),
        modules: modules.map(str::to_owned).collect(),
    };
    let Probed::Kernel(kernel) = probed(way, probe)? else {
        return Err(UNASKED_FOR.to_owned());
    };
    Ok(kernel)
}

fn syncs(way: &mut Piped) -> Result<Syncs, String> {
    let Probed::Syncs(syncs) = probed(way, Probe::Syncs)? else {
        return Err(UNASKED_FOR.to_owned());
    };
    Ok(syncs)
}

pub(super) fn probed(way: &mut Piped, probe: Probe) -> Result<Probed, String> {
    let answer = reach::asked(way, Order::Probe(probe))?;
    let Answer::Probed(probed) = answer else {
        return Err(format!("the agent answered {answer:?}"));
    };
    Ok(probed)
}

/// The first master that is there asks its segment.
fn claims(
    cluster: &Cluster,
    round: &Round,
    ways: &mut Ways<'_>,
    silent: &mut BTreeMap<String, String>,
) -> Vec<Claim> {
    let mut masters = cluster.with(Role::ControlPlane);
    let Some(first) = masters.find(|host| round.sights.contains_key(&host.name)) else {
        return Vec::new();
    };
    let own = round.sights.get(&first.name);
    let interface = own.and_then(|sight| sight.machine.interface(first.address()));
    let mut answers = ways.ask_of(
        |host| host.name == first.name,
        |_, way| claimed(cluster, first, interface, way, |_| true),
    );
    match answers.remove(&first.name) {
        Some(Ok(claims)) => claims,
        Some(Err(error)) => {
            silent.insert(first.name.clone(), error);
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// Who has those of the virtual addresses that are asked for, as a master sees it from that
/// interface of its.
pub(super) fn claimed(
    cluster: &Cluster,
    host: &Host,
    interface: Option<&str>,
    way: &mut Piped,
    asked_for: impl Fn(&IpAddr) -> bool,
) -> Result<Vec<Claim>, String> {
    let Balancer::Own(router) = &cluster.balancer else {
        return Ok(Vec::new());
    };
    // Without its address it is another machine, which is said of it.
    let Some(interface) = router.interface.as_deref().or(interface) else {
        return Ok(Vec::new());
    };
    let ask = |address: IpAddr| -> Result<Claim, String> {
        let interface = interface.to_owned();
        let probe = Probe::Claimants { interface, address };
        let Probed::Claimants(by) = probed(way, probe)? else {
            return Err(UNASKED_FOR.to_owned());
        };
        let asked = host.name.clone();
        Ok(Claim { asked, address, by })
    };
    let addresses = router.addresses.iter().map(ipnet::IpNet::addr);
    addresses.filter(asked_for).map(ask).collect()
}

/// Has every host listen wherever a flow is to come. On one that components run on nothing is
/// opened that would keep one of them from its port.
fn listen(flows: &[Flow], round: &Round, ways: &mut Ways<'_>, word: &str) -> Standings {
    let mut wanted: BTreeMap<&str, Vec<Ear>> = BTreeMap::new();
    for flow in flows {
        wanted.entry(&flow.to).or_default().push(ear(flow));
    }
    for ears in wanted.values_mut() {
        ears.sort();
        ears.dedup();
    }
    let answers = ways.ask(|host, way| {
        let sight = round.sights.get(&host.name);
        let ours = sight.is_some_and(|sight| sight.machine.system.ours);
        let ears = wanted.get(host.name.as_str()).cloned().unwrap_or_default();
        let (left, mut ears): (Vec<_>, Vec<_>) = ears
            .into_iter()
            .partition(|ear| ours && ear.way.takes_a_port());
        let probe = Probe::Listen {
            ears: ears.clone(),
            word: word.to_owned(),
        };
        let Probed::Standing(mut standing) = probed(way, probe)? else {
            return Err(UNASKED_FOR.to_owned());
        };
        standing.extend(left.iter().map(|_| Standing::LeftAlone));
        ears.extend(left);
        Ok((ears, standing))
    });
    let mut all = Standings::new();
    for (host, answer) in answers {
        // Of one that has fallen silent nothing is known, and so it is said.
        let (ears, standing) = answer.unwrap_or_default();
        for (ear, standing) in ears.into_iter().zip(standing) {
            all.insert((host.clone(), ear), standing);
        }
    }
    all
}

/// Where the endpoint is to be called, and how often. One of our own answers only once there
/// is a cluster.
fn endpoint(cluster: &Cluster, round: &Round) -> Vec<(Ear, usize)> {
    let masters = cluster.with(Role::ControlPlane).count();
    let ours = round.sights.values();
    let ours = ours.clone().any(|sight| sight.machine.system.ours);
    let times = match cluster.balancer {
        Balancer::External => masters * ROUNDS,
        Balancer::Own(_) if ours => 1,
        Balancer::Own(_) | Balancer::Local | Balancer::None => 0,
    };
    let addresses = cluster.endpoint.addresses.iter().filter(|_| times > 0);
    let way = Way::Tcp(cluster.endpoint.port);
    let ears = addresses.map(|address| Ear {
        address: *address,
        way,
    });
    ears.map(|ear| (ear, times)).collect()
}

fn dial(
    flows: &[Flow],
    endpoint: &[(Ear, usize)],
    ways: &mut Ways<'_>,
    word: &str,
) -> Replies {
    let mut wanted: BTreeMap<&str, Vec<Ear>> = BTreeMap::new();
    for flow in flows {
        wanted.entry(&flow.from).or_default().push(ear(flow));
    }
    for calls in wanted.values_mut() {
        calls.sort();
        calls.dedup();
    }
    let answers = ways.ask(|host, way| {
        let mut calls = wanted.get(host.name.as_str()).cloned().unwrap_or_default();
        for (ear, times) in endpoint {
            calls.extend(std::iter::repeat_n(ear.clone(), *times));
        }
        let word = word.to_owned();
        let probe = Probe::Dial {
            calls: calls.clone(),
            word,
        };
        let Probed::Replies(replies) = probed(way, probe)? else {
            return Err(UNASKED_FOR.to_owned());
        };
        Ok(calls.into_iter().zip(replies).collect())
    });
    let answers = answers.into_iter();
    answers
        .filter_map(|(host, answer)| Some((host, answer.ok()?)))
        .collect()
}

fn calls(endpoint: &[(Ear, usize)], replies: &Replies) -> Vec<EndpointCall> {
    let each = replies.iter().flat_map(|(host, replies)| {
        endpoint.iter().map(move |(ear, _)| {
            let own = replies.iter().filter(|(call, _)| call == ear);
            EndpointCall {
                host: host.clone(),
                address: ear.address,
                replies: own.map(|(_, reply)| reply.clone()).collect(),
            }
        })
    });
    each.collect()
}
