//! An etcd of others that the description names, with its members on the masters themselves.

use std::collections::BTreeSet;

use super::round;
use crate::facts::{STORE, System};
use crate::preflight::{What, preflight};
use crate::spec;

const EXTERNAL: &str = include_str!("../../../tests/spec/external.yaml");

type Row = (fn(&mut System), fn() -> Option<What>);

/// A member of etcd in each of its forms is no stranger; whatever else makes a cluster is one.
const ROWS: &[Row] = &[
    (|s| s.running = BTreeSet::from(["etcd".into()]), || None),
    (|s| s.leftovers = vec![STORE.into()], || None),
    (|s| s.ports = BTreeSet::from([2379, 2380, 2381]), || None),
    (
        |s| s.running = BTreeSet::from(["etcd".into(), "kube-apiserver".into()]),
        || Some(What::Running(vec!["kube-apiserver".into()])),
    ),
    (
        |s| s.leftovers = vec![STORE.into(), "/var/lib/k0s".into()],
        || Some(What::Leftover("/var/lib/k0s".into())),
    ),
    (
        |s| s.ports = BTreeSet::from([2379, 6443]),
        || Some(What::Port(6443)),
    ),
];

#[test]
fn an_etcd_that_is_adopted_is_no_earlier_cluster() {
    let cluster = spec::parse("cluster.yaml", EXTERNAL).unwrap().cluster;
    for (place, (change, wanted)) in ROWS.iter().enumerate() {
        let mut round = round(&cluster);
        let sound = preflight(&cluster, &round);
        change(&mut round.sights.get_mut("m1").unwrap().machine.system);
        let found = preflight(&cluster, &round).into_iter();
        let found: Vec<_> = found.filter(|one| !sound.contains(one)).collect();
        let found: Vec<_> = found.into_iter().map(|one| one.what).collect();
        assert_eq!(found, Vec::from_iter(wanted()), "row {place}");
    }
}
