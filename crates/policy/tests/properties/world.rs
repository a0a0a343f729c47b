//! Worlds in which a question is asked, drawn part by part.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use policy::{
    Facts, Inventory, Known, Limits, Listed, Master, Node, Nodes, Pattern, Question,
    Request, Rival, Settings, Signer, Source, State, Submitted, Token, Unreadable, Uses,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
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

/// A question, and what is known when it is asked.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) submitted: Submitted,
    request: usize,
    pub(crate) nodes: Option<Vec<(String, Node)>>,
    pub(crate) token: Option<Option<Token>>,
    pub(crate) access: Option<bool>,
    pub(crate) key_user: Option<Option<&'static str>>,
    pub(crate) ahead: Option<usize>,
    pub(crate) superseded: bool,
    pub(crate) held: bool,
    pub(crate) inventory: Option<Inventory>,
    pub(crate) settings: Settings,
}

fn known<T>(fact: Option<T>) -> Known<T> {
    fact.map_or(Known::Unknown("not yet"), Known::Known)
}

impl World {
    pub(crate) fn ask<T>(&self, then: impl FnOnce(&Question<'_>) -> T) -> T {
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

/// What may be asked, and what is known then.
pub(crate) fn world() -> impl Strategy<Value = World> {
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
