//! What holds whatever is asked: the promises of the manual, stated a second time and
//! without the rules.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its world has failed"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "a place among the requests made here"
)]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use policy::{
    Decision, Facts, Inventory, Known, Limits, Listed, Master, Node, Nodes, Pattern,
    Question, Reason, Request, Rival, Settings, Signer, Source, State, Submitted, Token,
    Unreadable, Uses, decide, explain,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

const NODES: [&str; 4] = ["node-a", "node-b", "m1", "new-1"];
const DNS: [&str; 6] = [
    "node-a",
    "NODE-A.example.org",
    "node-b",
    "m1",
    "kubernetes.default.svc",
    "*.example.org",
];
const ADDRESSES: [&str; 6] = [
    "10.0.0.11",
    "10.0.0.12",
    "10.96.0.1",
    "127.0.0.1",
    "192.168.220.100",
    "fd00::11",
];
const USERS: [&str; 6] = [
    "system:node:node-a",
    "system:node:m1",
    "system:bootstrap:abc123",
    "kubelet-bootstrap",
    "system:anonymous",
    "system:node:",
];
const GROUPS: [&str; 3] = ["system:nodes", "system:bootstrappers", "system:masters"];
const USAGES: [&str; 4] = [
    "digital signature",
    "key encipherment",
    "client auth",
    "server auth",
];
const SIGNERS: [&str; 3] = [
    "kubernetes.io/kube-apiserver-client-kubelet",
    "kubernetes.io/kubelet-serving",
    "kubernetes.io/kube-apiserver-client",
];
const NOW: SystemTime = SystemTime::UNIX_EPOCH;

type Read = Result<Request, Unreadable>;

/// Requests of many shapes, made once.
static REQUESTS: LazyLock<Vec<Read>> = LazyLock::new(|| {
    let mut requests = vec![Request::read(b"nothing")];
    let sets: [(&[&str], &[&str]); 10] = [
        (&[], &[]),
        (&[], &[]),
        (&[], &[]),
        (&["node-a"], &["10.0.0.11"]),
        (
            &["node-a", "NODE-A.example.org"],
            &["10.0.0.11", "fd00::11"],
        ),
        (&["node-b"], &[]),
        (&[], &["10.0.0.12"]),
        (&["node-a", "kubernetes.default.svc"], &[]),
        (&["*.example.org"], &["127.0.0.1"]),
        (&["m1"], &["192.168.220.100", "10.96.0.1"]),
    ];
    for node in NODES.iter().chain(&["", "../admin"]) {
        for (dns, addresses) in sets {
            for organization in ["system:nodes", "system:nodes", "system:masters"] {
                requests.push(request(node, organization, dns, addresses));
            }
        }
    }
    requests
});

fn request(node: &str, organization: &str, dns: &[&str], addresses: &[&str]) -> Read {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, organization);
    subject.push(DnType::CommonName, format!("system:node:{node}"));
    params.distinguished_name = subject;
    let dns = dns
        .iter()
        .map(|name| SanType::DnsName((*name).try_into().unwrap()));
    let addresses = addresses
        .iter()
        .map(|text| SanType::IpAddress(text.parse().unwrap()));
    params.subject_alt_names = dns.chain(addresses).collect();
    let key = KeyPair::generate().unwrap();
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    Request::read(pem.as_bytes())
}

#[derive(Debug, Clone)]
struct World {
    submitted: Submitted,
    request: usize,
    nodes: Option<Vec<(String, Node)>>,
    token: Option<Option<Token>>,
    access: Option<bool>,
    key_user: Option<Option<&'static str>>,
    ahead: Option<usize>,
    superseded: bool,
    held: bool,
    inventory: Option<Inventory>,
    settings: Settings,
}

fn known<T>(fact: Option<T>) -> Known<T> {
    fact.map_or(Known::Unknown("not yet"), Known::Known)
}

impl World {
    fn ask<T>(&self, then: impl FnOnce(&Question<'_>) -> T) -> T {
        let nodes: Option<Nodes> =
            (self.nodes.as_ref()).map(|nodes| nodes.iter().cloned().collect());
        let users = self.key_user.map(|user| user.into_iter().collect());
        then(&Question {
            submitted: &self.submitted,
            request: &REQUESTS[self.request % REQUESTS.len()],
            facts: Facts {
                nodes: known(nodes.as_ref()),
                token: known(self.token.as_ref().map(Option::as_ref)),
                access: known(self.access),
                key_users: known(users),
                ahead: known(self.ahead),
                superseded_by: self.superseded.then_some("newer"),
                rivals: Known::Known(
                    self.held
                        .then_some(Rival::Given(NOW + Duration::from_secs(1_000_000)))
                        .into_iter()
                        .collect(),
                ),
                inventory: self.inventory.as_ref(),
            },
            settings: &self.settings,
            now: NOW + Duration::from_secs(1_000_000),
        })
    }
}

fn set(values: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<String>> {
    subsequence(values, 0..=values.len())
        .prop_map(|chosen| chosen.into_iter().map(str::to_owned).collect())
}

fn when() -> impl Strategy<Value = SystemTime> {
    select(&[999_999_u64, 999_990, 999_500, 990_000, 1_000_001])
        .prop_map(|seconds| NOW + Duration::from_secs(seconds))
}

fn node() -> impl Strategy<Value = (String, Node)> {
    let fields = (
        select(&NODES[..]),
        set(&DNS),
        set(&ADDRESSES),
        any::<bool>(),
        when(),
    );
    fields.prop_map(|(name, dns, addresses, ready, renewed)| {
        let mut node = Node::new(ready, renewed);
        dns.iter()
            .chain(&addresses)
            .for_each(|value| node.add(value));
        (name.to_owned(), node)
    })
}

fn token() -> impl Strategy<Value = Token> {
    let pattern = select(&[None, None, None, Some("new-.*"), Some("node")]);
    let fields = (
        prop::option::weighted(0.3, when()),
        prop::bool::weighted(0.9),
        pattern,
        prop::option::weighted(0.3, 0_usize..3),
        set(&NODES),
        prop::bool::weighted(0.1),
    );
    fields.prop_map(
        |(expires, authenticates, pattern, max_nodes, used_by, once)| Token {
            expires,
            authenticates,
            deleting: false,
            limits: Known::Known(Limits {
                node_names: pattern.map(|pattern| Pattern::new(pattern).unwrap()),
                max_nodes,
                uses: if once { Uses::Once } else { Uses::Many },
            }),
            used_by,
            used_in: BTreeSet::new(),
        },
    )
}

fn submitted() -> impl Strategy<Value = Submitted> {
    let state = select(&[
        State::Pending,
        State::Pending,
        State::Pending,
        State::Decided,
    ]);
    let usages = prop_oneof![
        3 => Just(vec!["digital signature", "client auth"]),
        3 => Just(vec!["digital signature", "server auth"]),
        1 => subsequence(&USAGES[..], 0..=4),
    ];
    let lifetime = select(&[None, None, Some(3600), Some(10), Some(400_000_000)]);
    let groups = prop_oneof![
        3 => Just(GROUPS.iter().map(|&group| group.to_owned()).collect()),
        1 => set(&GROUPS),
    ];
    let fields = (
        select(&SIGNERS[..]),
        select(&USERS[..]),
        groups,
        usages,
        lifetime,
    );
    (fields, when(), state).prop_map(|(fields, created, state)| {
        let (signer, username, groups, usages, lifetime) = fields;
        Submitted {
            name: "csr-1".to_owned(),
            uid: "1".to_owned(),
            signer: signer.to_owned(),
            username: username.to_owned(),
            groups,
            usages: usages.into_iter().map(str::to_owned).collect(),
            expiration: lifetime.map(Duration::from_secs),
            created,
            state,
        }
    })
}

fn settings(source: Source) -> Settings {
    let address = "192.168.220.100".parse().unwrap();
    let master = Master {
        addresses: [address].into(),
    };
    Settings {
        service_networks: vec!["10.96.0.0/16".parse().unwrap()],
        masters: [("m1".to_owned(), master)].into(),
        source,
        ..Settings::default()
    }
}

fn inventory() -> impl Strategy<Value = Inventory> {
    let nodes = prop::collection::btree_map(select(&NODES[..]), node(), 0..4);
    nodes.prop_map(|nodes| {
        let listed = nodes.into_iter().map(|(name, (_, node))| {
            let listed = Listed {
                control_plane: false,
                names: node.names,
                addresses: node.addresses,
            };
            (name.to_owned(), listed)
        });
        Inventory {
            nodes: listed.collect(),
        }
    })
}

fn mostly<T: Clone + std::fmt::Debug + 'static>(
    strategy: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.95, strategy)
}

fn world() -> impl Strategy<Value = World> {
    let facts = (
        mostly(prop::collection::vec(node(), 0..4)),
        mostly(prop::option::weighted(0.9, token())),
        mostly(prop::bool::weighted(0.9)),
        mostly(prop::option::weighted(0.2, select(&NODES[..]))),
        mostly(select(&[0_usize, 0, 0, 19, 20])),
        [prop::bool::weighted(0.1), prop::bool::weighted(0.1)],
        prop::option::of(inventory()),
    );
    let source = select(&[
        Source::Node,
        Source::Node,
        Source::Inventory,
        Source::Both,
        Source::Either,
    ]);
    (
        submitted(),
        (
            any::<usize>(),
            select(&[0_u8, 1, 2, 3, 3, 7, 7, 11, 11, 11]),
        ),
        facts,
        source,
    )
        .prop_map(|(submitted, (request, straight), facts, source)| {
            let (nodes, token, access, key_user, ahead, waits, inventory) = facts;
            let [superseded, held] = waits;
            World {
                submitted,
                request,
                nodes,
                token,
                access,
                key_user,
                ahead,
                superseded,
                held,
                inventory,
                settings: settings(source),
            }
            .straightened(straight)
        })
}

impl World {
    /// Makes the parts fit together that `which` names by its bits; what is drawn part by
    /// part is nearly always refused for several reasons at once.
    fn straightened(mut self, which: u8) -> Self {
        let request = &REQUESTS[self.request % REQUESTS.len()];
        let Ok(request) = request else { return self };
        let on = |bit: u8| which & 1 << bit != 0;
        let node = request.node().unwrap_or_default();
        let submitted = &mut self.submitted;
        if on(0) {
            let serving = usize::from(!request.names.is_empty());
            submitted.signer = SIGNERS[serving].to_owned();
        }
        if on(1) {
            let signer = Signer::named(&submitted.signer);
            let usage = signer.map_or("any", Signer::usage);
            submitted.usages = ["digital signature", usage].map(str::to_owned).into();
        }
        if on(2) {
            submitted.username = format!("system:node:{node}");
        }
        if on(3) && !on(2) {
            submitted.username = "system:bootstrap:abc123".to_owned();
            if let Some(nodes) = &mut self.nodes {
                nodes.retain(|(name, _)| name != node);
            }
        }
        self
    }
}

/// What is true of everything that is approved.
fn assert_right(world: &World, question: &Question<'_>) {
    let submitted = &world.submitted;
    let request = question.request.as_ref().unwrap();
    let node = request.node().unwrap();
    let serving = submitted.signer == Signer::Serving.name();
    assert!(serving || submitted.signer == Signer::Client.name());
    assert_eq!(submitted.state, State::Pending);
    assert!(world.ahead.unwrap() < 20 && !world.superseded);
    assert!(policy::is_node_name(node));
    assert_eq!(request.subject.len(), 2);
    let usage = if serving {
        "server auth"
    } else {
        "client auth"
    };
    assert!(submitted.usages.iter().any(|each| each == usage));
    assert!(submitted.usages.iter().all(|each| {
        [usage, "digital signature", "key encipherment"].contains(&each.as_str())
    }));
    assert!(
        submitted
            .expiration
            .is_none_or(|asked| asked.as_secs() == 3600)
    );
    let own = submitted.username == format!("system:node:{node}");
    assert!(world.key_user.unwrap().is_none_or(|user| user == node));
    if own {
        assert!(submitted.groups.contains("system:nodes"));
    } else {
        assert!(!serving && submitted.groups.contains("system:bootstrappers"));
        assert!(!world.held);
        assert_ne!(node, "m1");
    }
    let there = world.nodes.as_ref().unwrap().iter().rev();
    let there = there.into_iter().find(|(name, _)| name == node);
    if serving {
        assert_names(world, request, node, there.map(|(_, node)| node));
    } else {
        assert!(request.names.is_empty() && world.access.unwrap());
        assert_eq!(there.is_some(), own);
    }
    if submitted.username == "system:bootstrap:abc123" {
        let token = world.token.as_ref().unwrap().as_ref().unwrap();
        assert!(token.expires.is_none_or(|at| at > question.now) && token.authenticates);
    }
}

fn assert_names(world: &World, request: &Request, node: &str, there: Option<&Node>) {
    let listed = world.inventory.as_ref().and_then(|all| all.nodes.get(node));
    let reserved: [IpAddr; 2] =
        ["10.96.0.1", "127.0.0.1"].map(|text| text.parse().unwrap());
    assert!(!request.names.is_empty() && request.names.others.is_empty());
    for address in &request.names.addresses {
        assert!(!reserved.contains(address));
        assert!(address.to_string() != "192.168.220.100" || node == "m1");
        let on_node = there.is_some_and(|node| node.addresses.contains(address));
        let in_file = listed.is_some_and(|listed| listed.addresses.contains(address));
        assert!(on_node || in_file && world.settings.source != Source::Node);
    }
    for name in &request.names.dns {
        let name = name.to_ascii_lowercase();
        assert!(!name.contains('*') && !name.ends_with(".svc"));
        assert!(name != "m1" || node == "m1");
        let on_node = there.is_some_and(|node| node.names.contains(&name));
        let in_file = listed.is_some_and(|listed| listed.names.contains(&name));
        assert!(on_node || name == node || in_file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn what_is_approved_is_right(world in world()) {
        world.ask(|question| {
            if decide(question).decision() == Decision::Approve {
                assert_right(&world, question);
            }
        });
    }

    #[test]
    fn only_what_is_ours_is_denied(world in world()) {
        let verdict = world.ask(decide);
        if verdict.decision() == Decision::Deny {
            let signer = world.submitted.signer.as_str();
            prop_assert!(Signer::ALL.iter().any(|ours| ours.name() == signer));
            prop_assert_eq!(world.submitted.state, State::Pending);
            prop_assert!(world.submitted.username != "system:anonymous" ||
                world.submitted.groups.contains("system:bootstrappers"));
        }
    }

    /// Forgetting a fact never approves, and never denies what was not denied.
    #[test]
    fn what_is_not_known_decides_nothing(world in world(), forgotten in 0_usize..5) {
        let before = world.ask(decide);
        let mut less = world.clone();
        match forgotten {
            0 => less.nodes = None,
            1 => less.token = None,
            2 => less.access = None,
            3 => less.key_user = None,
            _ => less.ahead = None,
        }
        let after = less.ask(decide);
        match after.decision() {
            Decision::Deny => prop_assert_eq!(before.decision(), Decision::Deny),
            Decision::Approve => prop_assert_eq!(before.decision(), Decision::Approve),
            Decision::Wait | Decision::Ignore => {}
        }
    }

    #[test]
    fn explaining_decides_the_same(world in world()) {
        let (verdict, explanation) = world.ask(|question| (decide(question), explain(question)));
        prop_assert_eq!(verdict, explanation.verdict);
        prop_assert_eq!(explanation.lines.len(), policy::RULES.len());
    }
}

/// The properties would hold of a policy that approves nothing.
#[test]
fn the_worlds_are_of_every_kind() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reasons = BTreeSet::new();
    for _ in 0..5_000 {
        let world = world().new_tree(&mut runner).unwrap().current();
        reasons.insert(world.ask(decide).reason);
    }
    for reason in [Reason::NewNode, Reason::Renewal, Reason::Serving] {
        assert!(reasons.contains(&reason), "{reason} never");
    }
    assert!(reasons.len() > 25, "{reasons:?}");
}
