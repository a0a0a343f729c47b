//! What Pods of the check and their nodes say, and what it means; a function of values.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde_json::Value;

use super::Verdict;
use crate::pod::{GREETING, Heard, Told};
use crate::spec::{BetweenPods, Cluster};

/// A Pod of the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) name: String,
    pub(super) node: String,
    pub(super) addresses: Vec<IpAddr>,
    /// Why it does not answer yet; nothing of one that does.
    pub(super) waits: Option<String>,
}

/// The Pods of an answer of the API; those that no node has yet are left out.
pub(super) fn placed(list: &Value) -> Vec<Placed> {
    let items = list.get("items").and_then(Value::as_array);
    items.into_iter().flatten().filter_map(one).collect()
}

fn one(pod: &Value) -> Option<Placed> {
    let text = |path: &str| pod.pointer(path).and_then(Value::as_str);
    let addresses = pod.pointer("/status/podIPs").and_then(Value::as_array);
    let address = |one: &Value| one.get("ip")?.as_str()?.parse().ok();
    Some(Placed {
        name: text("/metadata/name")?.to_owned(),
        node: text("/spec/nodeName")?.to_owned(),
        addresses: addresses
            .into_iter()
            .flatten()
            .filter_map(address)
            .collect(),
        waits: waits(pod),
    })
}

/// Why a Pod is not ready, as near to the cause as the API says it.
fn waits(pod: &Value) -> Option<String> {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let is = |kind: &'static str| {
        let mut all = conditions.into_iter().flatten();
        all.find(move |one| one.get("type").and_then(Value::as_str) == Some(kind))
    };
    let status = |one: &Value| one.get("status").and_then(Value::as_str) == Some("True");
    if is("Ready").is_some_and(status) {
        return None;
    }
    let phrase = |one: &Value| {
        let text = |key: &str| one.get(key).and_then(Value::as_str);
        let reason = text("reason")?;
        Some(match text("message") {
            Some(message) => format!("{reason}: {message}"),
            None => reason.to_owned(),
        })
    };
    let container = ["waiting", "terminated"].into_iter().find_map(|state| {
        phrase(pod.pointer(&format!("/status/containerStatuses/0/state/{state}"))?)
    });
    let placed = || is("PodScheduled").and_then(phrase);
    let network = || is("PodReadyToStartContainers").filter(|one| !status(one));
    let network = || network().map(|_| "it has no network yet".to_owned());
    let why = container
        .filter(|why| why != "ContainerCreating")
        .or_else(placed)
        .or_else(network);
    Some(why.unwrap_or_else(|| "its container does not answer".to_owned()))
}

/// Whether every node of `wanted` has its Pod, and it answers; why not.
pub(super) fn ready(wanted: &BTreeSet<String>, pods: &[Placed]) -> Result<(), String> {
    let reason = |node: &String| match pods.iter().find(|pod| pod.node == *node) {
        None => Some(format!("{node}: no Pod was made for it")),
        Some(pod) => pod.waits.as_ref().map(|why| format!("{node}: {why}")),
    };
    let reasons: Vec<_> = wanted.iter().filter_map(reason).collect();
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(reasons.join("; ")),
    }
}

/// The networks that the API has given each node for its Pods.
pub(super) fn subnets(list: &Value) -> BTreeMap<String, Vec<IpNet>> {
    let one = |node: &Value| {
        let name = node.pointer("/metadata/name")?.as_str()?.to_owned();
        let all = node.pointer("/spec/podCIDRs").and_then(Value::as_array);
        let network = |one: &Value| one.as_str()?.parse().ok();
        let all = all.into_iter().flatten().filter_map(network);
        Some((name, all.collect()))
    };
    let items = list.get("items").and_then(Value::as_array);
    items.into_iter().flatten().filter_map(one).collect()
}

/// The networks that flannel has taken for a host, by what it says of itself there.
pub(super) fn taken(said: &str) -> Vec<IpNet> {
    let lines = said.lines().filter_map(|line| line.split_once('='));
    let networks = lines.filter_map(|(name, value)| match name {
        "FLANNEL_SUBNET" | "FLANNEL_IPV6_SUBNET" => value.trim().parse::<IpNet>().ok(),
        _ => None,
    });
    networks.map(|network| network.trunc()).collect()
}

/// Whether a Pod has an address of each family, in the network of Pods and in its node's
/// part of it: an address of somewhere else may answer too, and shows a broken network.
pub(super) fn addresses(
    cluster: &Cluster,
    subnets: &BTreeMap<String, Vec<IpNet>>,
    pod: &Placed,
) -> Verdict {
    let networks = &cluster.networks;
    let list = |all: &[IpNet]| {
        let all: Vec<_> = all.iter().map(ToString::to_string).collect();
        all.join(" and ")
    };
    let judged = networks.pods.iter().map(|network| {
        let family = |address: &&IpAddr| address.is_ipv4() == network.addr().is_ipv4();
        let Some(address) = pod.addresses.iter().find(family) else {
            return Err(format!("no address of {network}"));
        };
        if !network.contains(address) {
            return Err(format!(
                "{address} is outside {network}: another network than the cluster's gave it; \
                 look at /etc/cni/net.d on {}",
                pod.node
            ));
        }
        let own = subnets.get(&pod.node).map_or(&[][..], Vec::as_slice);
        let inside = own.iter().any(|subnet| subnet.contains(address));
        match (networks.between_pods, inside) {
            (BetweenPods::None, _) => Ok(format!("{address} in {network}")),
            (BetweenPods::Flannel | BetweenPods::FlannelHostGw, true) => {
                Ok(format!("{address} in {}", list(own)))
            }
            (BetweenPods::Flannel | BetweenPods::FlannelHostGw, false) => Err(format!(
                "{address} is outside its node's {}: the node had another network before; \
                 remove cni0 and the Pods on {}",
                list(own),
                pod.node
            )),
        }
    });
    let judged: Result<Vec<_>, _> = judged.collect();
    Verdict::of(judged.map(|all| all.join(", ")))
}

/// A name, and the addresses it is to have.
pub(super) type Names = Vec<(String, Vec<IpAddr>)>;
/// Where somebody is to answer, and who may: any Pod of the check, or the one.
pub(super) type Servers = Vec<(SocketAddr, Option<String>)>;

/// Whether each name led to its addresses.
pub(super) fn names(told: &Told, wanted: &Names) -> Verdict {
    let servers: Vec<_> = told.name_servers.iter().map(ToString::to_string).collect();
    let answers = each(&told.names, wanted.len());
    let judged = answers
        .zip(wanted)
        .map(|(heard, (name, addresses))| match heard {
            Ok(found)
                if found.iter().collect::<BTreeSet<_>>()
                    == addresses.iter().collect() =>
            {
                Ok(())
            }
            Ok(found) => {
                let found: Vec<_> = found.iter().map(ToString::to_string).collect();
                Err(format!(
                    "{name} is {}, which it is not",
                    found.join(" and ")
                ))
            }
            Err(why) => Err(format!("{name}: {why}")),
        });
    let by = servers.join(" and ");
    let count = wanted.len();
    Verdict::of(all(judged).map(|()| format!("{count} names by {by}")))
}

/// Whether each of `wanted` answered, and was who it is to be.
pub(super) fn servers(told: &[Heard<String>], wanted: &Servers) -> Verdict {
    let answers = each(told, wanted.len());
    let judged = answers
        .zip(wanted)
        .map(|(heard, (server, who))| match (heard, who) {
            (Ok(found), Some(who)) if found != who => {
                Err(format!("{server} is answered by {found}, not by {who}"))
            }
            (Ok(_), _) => Ok(()),
            (Err(why), _) => Err(why.clone()),
        });
    let (judged, of) = (judged.collect::<Vec<_>>(), wanted.len());
    let good = judged.iter().filter(|one| one.is_ok()).count();
    let said = format!("{good}/{of} answer");
    let judged = all(judged.into_iter());
    Verdict::of(match judged {
        Ok(()) => Ok(said),
        Err(why) => Err(format!("{said}; {why}")),
    })
}

/// What was heard, as often as something was asked.
fn each<T>(heard: &[Heard<T>], count: usize) -> impl Iterator<Item = Result<&T, String>> {
    let heard = heard
        .iter()
        .map(|one| one.what.as_ref().map_err(Clone::clone));
    let missing = std::iter::repeat_with(|| Err("it was not asked".to_owned()));
    heard.chain(missing).take(count)
}

/// All is good, or the first that is not.
fn all(mut judged: impl Iterator<Item = Result<(), String>>) -> Result<(), String> {
    judged.find(Result::is_err).unwrap_or(Ok(()))
}

/// Whether a Pod's first words are its own.
pub(super) fn said(words: &str, pod: &Placed) -> Verdict {
    let wanted = format!("{GREETING}{}", pod.name);
    Verdict::of(match words.lines().next() {
        Some(line) if line == wanted => Ok(format!("\"{line}\"")),
        Some(line) => Err(format!("{line:?} instead of {wanted:?}")),
        None => Err(format!("nothing instead of {wanted:?}")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(address: &str) -> Placed {
        Placed {
            name: "check-a".to_owned(),
            node: "n1".to_owned(),
            addresses: vec![address.parse().unwrap()],
            waits: None,
        }
    }

    /// Each way in which an address is right or wrong, on each side.
    #[test]
    fn a_pods_address_is_in_its_nodes_part_of_the_pods_network() {
        let text = include_str!("../../tests/spec/whole.yaml");
        let mut cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        cluster.networks.pods = vec!["172.30.0.0/16".parse().unwrap()];
        let node = json!({"items": [{"metadata": {"name": "n1"},
            "spec": {"podCIDRs": ["172.30.3.0/24"]}}]});
        let subnets = subnets(&node);
        use BetweenPods::{Flannel, FlannelHostGw, None as Others};
        for (between, address, wanted) in [
            (Flannel, "172.30.3.255", true),
            (Flannel, "172.30.4.0", false),
            (FlannelHostGw, "172.30.4.0", false),
            (Others, "172.30.4.0", true),
            // docker's own bridge, which the documents' check took for good.
            (Flannel, "172.17.0.2", false),
            (Others, "172.17.0.2", false),
            (Flannel, "fd00::2", false),
        ] {
            cluster.networks.between_pods = between;
            let verdict = addresses(&cluster, &subnets, &pod(address));
            let good = matches!(verdict, Verdict::Good(_));
            assert_eq!(good, wanted, "{address}: {verdict:?}");
        }
        cluster.networks.between_pods = Flannel;
        cluster.networks.pods.push("fd00:30::/48".parse().unwrap());
        let verdict = addresses(&cluster, &subnets, &pod("172.30.3.2"));
        let wanted = "no address of fd00:30::/48";
        assert_eq!(verdict, Verdict::Bad(wanted.to_owned()));
    }

    #[test]
    fn what_flannel_has_taken_is_read_from_what_it_says() {
        let said = "FLANNEL_NETWORK=172.30.0.0/16\nFLANNEL_SUBNET=172.30.3.1/24\n\
                    FLANNEL_IPV6_SUBNET=fd00:30:0:7::1/64\nFLANNEL_MTU=1450\n";
        let taken: Vec<_> = taken(said).iter().map(ToString::to_string).collect();
        assert_eq!(taken, ["172.30.3.0/24", "fd00:30:0:7::/64"]);
    }

    #[test]
    fn a_pod_that_waits_says_why() {
        let pod = |status: Value| {
            json!({"items": [{"metadata": {"name": "check-a"}, "spec": {"nodeName": "n1"},
                "status": status}]})
        };
        let waiting =
            |why: Value| json!({"containerStatuses": [{"state": {"waiting": why}}]});
        for (status, wanted) in [
            (
                json!({"conditions": [{"type": "Ready", "status": "True"}]}),
                None,
            ),
            (
                waiting(json!({"reason": "ErrImageNeverPull", "message": "not present"})),
                Some("ErrImageNeverPull: not present"),
            ),
            (
                json!({"conditions": [{"type": "PodReadyToStartContainers", "status": "False"}],
                    "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}),
                Some("it has no network yet"),
            ),
            (json!({}), Some("its container does not answer")),
        ] {
            let found = placed(&pod(status)).remove(0);
            assert_eq!(found.waits.as_deref(), wanted);
        }
        let nodes = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let found = placed(&pod(waiting(json!({"reason": "X"}))));
        assert_eq!(ready(&nodes(&["n1"]), &found), Err("n1: X".to_owned()));
        let missing = Err("n2: no Pod was made for it".to_owned());
        assert_eq!(ready(&nodes(&["n2"]), &found), missing);
        assert_eq!(ready(&nodes(&[]), &found), Ok(()));
        assert!(placed(&json!({"items": [{"metadata": {"name": "x"}}]})).is_empty());
    }

    fn heard<T>(what: Result<T, &str>) -> Heard<T> {
        let what = what.map_err(str::to_owned);
        Heard { what, took: 1 }
    }

    #[test]
    fn names_lead_to_their_addresses_and_to_no_others() {
        let one: IpAddr = "10.96.0.1".parse().unwrap();
        let wanted = vec![("kubernetes".to_owned(), vec![one])];
        for (what, good) in [
            (vec![heard(Ok(vec![one]))], true),
            (vec![heard(Ok(vec!["10.96.0.2".parse().unwrap()]))], false),
            (vec![heard(Err("NXDOMAIN"))], false),
            (vec![], false),
        ] {
            let told = Told {
                names: what,
                ..Told::default()
            };
            let verdict = names(&told, &wanted);
            assert_eq!(matches!(verdict, Verdict::Good(_)), good, "{verdict:?}");
        }
    }

    #[test]
    fn whoever_answers_is_who_it_is_to_be() {
        let server: SocketAddr = "172.30.3.2:8080".parse().unwrap();
        let other = || Some("check-a".to_owned());
        for (what, who, wanted) in [
            (heard(Ok("check-a")), other(), "1/1 answer"),
            (heard(Ok("check-b")), None, "1/1 answer"),
            (
                heard(Ok("check-b")),
                other(),
                "0/1 answer; 172.30.3.2:8080 is answered by check-b, not by check-a",
            ),
            (heard(Err("refused")), None, "0/1 answer; refused"),
        ] {
            let what = Heard {
                what: what.what.map(str::to_owned),
                took: what.took,
            };
            let (Verdict::Good(said) | Verdict::Bad(said)) =
                servers(&[what], &vec![(server, who)])
            else {
                panic!("skipped");
            };
            assert_eq!(said, wanted);
        }
    }

    #[test]
    fn a_pods_first_words_are_its_own() {
        let own = format!("{GREETING}check-a\nmore\n");
        let pod = pod("172.30.3.2");
        assert!(matches!(said(&own, &pod), Verdict::Good(_)));
        for other in ["", "sternpost answers in check-b\n"] {
            assert!(matches!(said(other, &pod), Verdict::Bad(_)), "{other}");
        }
    }
}
