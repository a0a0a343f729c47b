//! Each trouble has its row, beside a cluster that has none.

use serde_json::json;

use super::*;

fn unit(active: bool, state: &str) -> Option<Unit> {
    Some(Unit {
        enabled: true,
        active,
        state: state.to_owned(),
    })
}

fn routers(holding: bool) -> Option<Said> {
    let routers =
        json!({"routers": [{"name": "k8s-api", "holding": holding, "vrid": 51}]});
    Some(Ok(routers))
}

fn servers(states: [&str; 3]) -> Option<Said> {
    let names = ["m1", "m2", "m3"].into_iter().zip(states);
    let servers: Vec<_> = names
        .map(|(name, state)| json!({"name": name, "state": state, "weight": 100}))
        .collect();
    Some(Ok(
        json!({"backends": [{"name": "k8s-api", "servers": servers}]}),
    ))
}

/// As etcd 3.5 and 3.6 print it: what is 0 or false is left out.
fn member(id: u64, leader: u64) -> Option<Said> {
    let mut status =
        json!({"header": {"member_id": id, "revision": 7}, "version": "3.6.5"});
    if leader > 0 {
        status["leader"] = json!(leader);
    }
    Some(Ok(
        json!([{"Endpoint": "https://192.0.2.1:2379", "Status": status}]),
    ))
}

fn certificate(name: &str, days: i64, why: Option<&str>) -> certs::Line {
    certs::Line {
        name: name.to_owned(),
        subject: name.to_owned(),
        authority: "kubernetes-ca",
        days: Some(days),
        why: why.map(str::to_owned),
        keeper: certs::Keeper::Apply,
    }
}

fn nodes(ready: &str) -> Option<Said> {
    let condition =
        json!({"type": "Ready", "status": ready, "message": "cni config uninitialized"});
    Some(Ok(json!({"items": [
        {"metadata": {"name": "n1"}, "status": {"conditions": [condition]}}]})))
}

fn master(id: u64) -> Seen {
    Seen {
        units: BTreeMap::from([
            ("etcd.service".to_owned(), unit(true, "active/running")),
            (
                "kube-apiserver.service".to_owned(),
                unit(true, "active/running"),
            ),
        ]),
        address: routers(id == 1),
        balancer: servers(["up"; 3]),
        member: member(id, 1),
        nodes: nodes("True"),
        keeps: Some(true),
        certificates: vec![
            certificate("apiserver", 300, None),
            certificate("etcd/peer", 200, None),
        ],
    }
}

fn cluster() -> BTreeMap<String, Result<Seen, String>> {
    let node = Seen {
        units: BTreeMap::from([(
            "kubelet.service".to_owned(),
            unit(true, "active/running"),
        )]),
        ..Seen::default()
    };
    BTreeMap::from([
        ("m1".to_owned(), Ok(master(1))),
        ("m2".to_owned(), Ok(master(2))),
        ("n1".to_owned(), Ok(node)),
    ])
}

#[test]
fn a_whole_cluster_is_one_screen_without_troubles() {
    let status = status(&cluster());
    assert_eq!(status.troubles, []);
    let wanted = "\
k8s-api: held by m1
HOST  UNITS  ADDRESS  SERVERS  ETCD      NODE   CERTIFICATES
m1    2/2    holds    3/3      leader    -      200 days
m2    2/2    waits    3/3      follower  -      200 days
n1    1/1    -        -        -         ready  -
";
    assert_eq!(screen(&status), wanted);
}

type Break = fn(&mut Seen);

#[test]
fn each_trouble_is_named_with_its_host() {
    let rows: [(Break, &[&str]); 11] = [
        (
            |m1| {
                m1.units
                    .extend([("etcd.service".into(), unit(false, "failed/failed"))])
            },
            &["m1: etcd.service: failed/failed"],
        ),
        (
            |m1| m1.units.extend([("etcd.service".into(), None)]),
            &["m1: etcd.service: there is none"],
        ),
        (
            |m1| m1.address = routers(false),
            &["nobody that answers holds the addresses of k8s-api"],
        ),
        (
            |m1| m1.address = Some(Err("vip-daemon: no such socket".into())),
            &[
                "m1: vip-daemon: no such socket",
                "nobody that answers holds the addresses of k8s-api",
            ],
        ),
        (
            |m1| m1.balancer = servers(["up", "hung", "up"]),
            &["m1: its api-lb has m2 hung"],
        ),
        (
            |m1| m1.balancer = servers(["unreachable"; 3]),
            &[
                "m1: its api-lb has m1 unreachable",
                "m1: its api-lb has m2 unreachable",
                "m1: its api-lb has m3 unreachable",
            ],
        ),
        (
            |m1| m1.member = member(1, 0),
            &["m1: its etcd has no leader"],
        ),
        (
            |m1| m1.keeps = Some(false),
            &["m1: its copy of the cluster's authorities is gone; apply brings another"],
        ),
        (
            |m1| m1.member = Some(Ok(json!([]))),
            &["m1: etcd says something that this version does not know"],
        ),
        (
            |m1| {
                m1.certificates
                    .push(certificate("front", -1, Some("it has ended")))
            },
            &["m1: certificate front: it has ended; apply issues it anew"],
        ),
        (
            |m1| m1.certificates.push(certificate("front", 0, None)),
            &[],
        ),
    ];
    named(&rows);
}

/// What a row of `rows` spoils is named.
fn named(rows: &[(Break, &[&str])]) {
    for (number, (spoil, wanted)) in rows.iter().enumerate() {
        let mut seen = cluster();
        if let Some(Ok(m1)) = seen.get_mut("m1") {
            spoil(m1);
        }
        let troubles = status(&seen).troubles;
        let said: Vec<_> = troubles.iter().map(ToString::to_string).collect();
        assert_eq!(said, *wanted, "row {number}");
    }
}

#[test]
fn a_node_that_takes_no_pods_is_named_with_the_reason() {
    named(&[
        (
            |m1| m1.nodes = nodes("False"),
            &["n1: its node is not ready: cni config uninitialized"],
        ),
        (
            |m1| m1.nodes = Some(Ok(json!({"items": []}))),
            &["n1: its node is not ready: the API knows no such node"],
        ),
        (
            |m1| m1.nodes = Some(Err("kubectl: refused".into())),
            &["m1: kubectl: refused"],
        ),
    ]);
}

#[test]
fn a_silent_host_and_a_second_holder_are_named() {
    let mut seen = cluster();
    seen.insert("m3".to_owned(), Err("no route to host".to_owned()));
    if let Some(Ok(m2)) = seen.get_mut("m2") {
        m2.address = routers(true);
    }
    let status = status(&seen);
    let said: Vec<_> = status.troubles.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "m3: it does not answer: no route to host",
            "m1 and m2 hold the addresses of k8s-api"
        ]
    );
    assert!(screen(&status).starts_with("k8s-api: held by m1 and m2\n"));
}

/// Each is well, and leads.
#[test]
fn two_clusters_are_named_with_their_hosts() {
    let of = |cluster: u64| {
        let header = json!({"cluster_id": cluster, "member_id": 1});
        let status = json!({"header": header, "leader": 1});
        Some(Ok(
            json!([{"Endpoint": "https://192.0.2.1:2379", "Status": status}]),
        ))
    };
    let said = |clusters: [u64; 3]| -> Vec<String> {
        let mut seen = cluster();
        for (host, cluster) in ["m1", "m2", "m3"].into_iter().zip(clusters) {
            let member = of(cluster);
            let master = Seen {
                member,
                ..master(1)
            };
            // One holds the address.
            let address = routers(host == "m1");
            seen.insert(host.to_owned(), Ok(Seen { address, ..master }));
        }
        let troubles = status(&seen).troubles;
        troubles.iter().map(ToString::to_string).collect()
    };
    assert_eq!(said([7, 7, 7]), Vec::<String>::new());
    assert_eq!(
        said([7, 8, 8]),
        ["etcd is not one cluster, but one each on: m1; m2 and m3"]
    );
}

#[test]
fn counts_and_days_are_those_of_the_worst() {
    let mut seen = cluster();
    if let Some(Ok(m1)) = seen.get_mut("m1") {
        m1.balancer = servers(["up", "hung", "draining"]);
        m1.certificates
            .push(certificate("front", -3, Some("it has ended")));
        m1.member = Some(Ok(json!([{"Status": {
            "header": {"member_id": 9}, "leader": 1, "isLearner": true,
        }}])));
    }
    let status = status(&seen);
    let line = status.hosts.iter().find(|line| line.host == "m1").unwrap();
    assert_eq!(line.servers, Some(Count { good: 1, of: 3 }));
    assert_eq!(line.days, Some(-3));
    assert_eq!(line.member, Some(Member::Learner));
}

#[test]
fn another_form_is_no_answer() {
    let mut seen = cluster();
    if let Some(Ok(m1)) = seen.get_mut("m1") {
        m1.address = Some(Ok(json!({"routers": [{"holding": "yes"}]})));
    }
    let troubles = status(&seen).troubles;
    let first = troubles.first().map(ToString::to_string);
    let wanted = "m1: vip-daemon says something that this version does not know";
    assert_eq!(first.as_deref(), Some(wanted));
}
