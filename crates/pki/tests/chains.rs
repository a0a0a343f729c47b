//! What is issued is looked at from outside: by a parser (x509-parser) and by the verifier
//! that our own daemons use (rustls on webpki). `openssl.rs` asks a third one.

#[path = "chains/verifiers.rs"]
mod verifiers;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use pki::{
    Authority, BACKDATE, CA_LIFETIME, ControlPlane, ControlPlaneError, ControlPlaneSet,
    Issued, LEAF_LIFETIME, Name, Node, Profile,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use verifiers::{as_client, as_server, der, is_purpose};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

/// 2026-01-01T00:00:00Z, and a half second that must not matter.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_500)
}

fn seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

fn spec() -> ControlPlane {
    let node = |name: &str, addresses: &[&str]| Node {
        name: name.to_owned(),
        addresses: addresses.iter().map(|text| address(text)).collect(),
    };
    ControlPlane {
        cluster: "kubernetes".to_owned(),
        endpoint: (address("192.0.2.224"), 6443).into(),
        masters: vec![
            node("m1", &["192.0.2.100", "2001:db8::100"]),
            node("m2", &["192.0.2.101"]),
            node("m3", &["192.0.2.102"]),
        ],
        apiserver_port: 6443,
        service_networks: ["10.96.0.0/12", "fd00:10:96::/112"]
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect(),
        cluster_domain: "cluster.local".to_owned(),
        extra_names: vec![Name::Dns("k8s.example".to_owned())],
    }
}

fn set() -> Result<ControlPlaneSet, ControlPlaneError> {
    spec().issue(now())
}

#[test]
fn every_chain_holds_in_its_role_and_in_no_other() {
    let set = set().unwrap();
    for node in &set.nodes {
        let own = &node.node.name;
        let (kubernetes, etcd) = (&set.kubernetes_ca, &set.etcd_ca);
        as_server(kubernetes, &node.apiserver, own, now()).unwrap();
        assert!(is_purpose(as_client(kubernetes, &node.apiserver, now())));
        for issued in [&node.etcd_server, &node.etcd_peer] {
            as_server(etcd, issued, own, now()).unwrap();
            as_server(etcd, issued, "127.0.0.1", now()).unwrap();
            as_client(etcd, issued, now()).unwrap();
            assert!(as_client(kubernetes, issued, now()).is_err());
        }
        for (authority, issued) in [
            (etcd, &node.apiserver_etcd_client),
            (etcd, &node.etcd_healthcheck_client),
            (kubernetes, &node.apiserver_kubelet_client),
            (&set.front_proxy_ca, &node.front_proxy_client),
            (kubernetes, &node.controller_manager),
            (kubernetes, &node.scheduler),
            (kubernetes, &set.admin),
            (kubernetes, &set.super_admin),
        ] {
            as_client(authority, issued, now()).unwrap();
            assert!(as_server(authority, issued, "kube-apiserver", now()).is_err());
        }
    }
}

#[test]
fn the_apiserver_is_known_by_every_name() {
    let set = set().unwrap();
    let names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "10.96.0.1",
        "fd00:10:96::1",
        "192.0.2.224",
        "m1",
        "192.0.2.100",
        "2001:db8::100",
        "m2",
        "192.0.2.101",
        "m3",
        "192.0.2.102",
        "k8s.example",
        "localhost",
        "127.0.0.1",
        "::1",
    ];
    for node in &set.nodes {
        for name in names {
            as_server(&set.kubernetes_ca, &node.apiserver, name, now()).unwrap();
        }
        let stranger = as_server(&set.kubernetes_ca, &node.apiserver, "m4", now());
        assert!(stranger.is_err());
    }
    let said: Vec<String> = set
        .spec
        .apiserver_names()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(said, names);
}

#[test]
fn valid_from_five_minutes_before_to_a_year_after() {
    let set = set().unwrap();
    let check = |time| {
        as_server(&set.kubernetes_ca, &set.nodes[0].apiserver, "m1", time)
            .map_err(|e| e.to_string().to_lowercase().contains("expired"))
    };
    let issued = now() - Duration::from_millis(500);
    let second = Duration::from_secs(1);
    assert_eq!(check(issued - BACKDATE - second), Err(false));
    assert_eq!(check(issued - BACKDATE), Ok(()));
    assert_eq!(check(issued + LEAF_LIFETIME), Ok(()));
    assert_eq!(check(issued + LEAF_LIFETIME + second), Err(true));
}

#[test]
fn an_authority_says_that_it_is_one() {
    let set = set().unwrap();
    let pem = der(set.etcd_ca.certificate_pem());
    let (_, ca) = X509Certificate::from_der(&pem).unwrap();
    let constraints = ca.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = ca.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
    assert_eq!(ca.subject().to_string(), "CN=etcd-ca");
    assert_eq!(ca.subject(), ca.issuer());
    ca.verify_signature(None).unwrap();
    let issued = seconds(now());
    let lifetime = i64::try_from(CA_LIFETIME.as_secs()).unwrap();
    assert_eq!(ca.validity().not_after.timestamp(), issued + lifetime);
    assert_eq!(ca.validity().not_before.timestamp(), issued - 300);
}

#[test]
fn a_leaf_says_what_it_is_for() {
    let set = set().unwrap();
    let pem = der(&set.nodes[0].apiserver.certificate_pem);
    let (_, leaf) = X509Certificate::from_der(&pem).unwrap();
    let usage = leaf.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.digital_signature());
    assert!(!usage.value.key_cert_sign());
    assert!(!leaf.is_ca());
    let extended = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.server_auth && !extended.client_auth && !extended.any);
    let names = &leaf
        .subject_alternative_name()
        .unwrap()
        .unwrap()
        .value
        .general_names;
    assert!(names.contains(&GeneralName::DNSName("kubernetes.default.svc")));
    let key = leaf.public_key().parsed().unwrap();
    assert_eq!(key.key_size(), 256);
}

#[test]
fn identifiers_of_keys_match_from_leaf_to_authority() {
    let set = set().unwrap();
    let (ca, leaf) = (
        der(set.etcd_ca.certificate_pem()),
        der(&set.nodes[1].etcd_peer.certificate_pem),
    );
    let (_, ca) = X509Certificate::from_der(&ca).unwrap();
    let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
    let subject = ca.extensions().iter().find_map(|extension| {
        let ParsedExtension::SubjectKeyIdentifier(id) = extension.parsed_extension()
        else {
            return None;
        };
        Some(id.0)
    });
    let authority = leaf.extensions().iter().find_map(|extension| {
        let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension()
        else {
            return None;
        };
        id.key_identifier.as_ref()
    });
    assert_eq!(subject, authority.map(|id| id.0));
    assert!(subject.is_some());
}

#[test]
fn users_and_groups() {
    let set = set().unwrap();
    let subject = |issued: &Issued| {
        let der = der(&issued.certificate_pem);
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        certificate.subject().to_string()
    };
    let node = &set.nodes[0];
    assert_eq!(
        subject(&set.admin),
        "O=kubeadm:cluster-admins, CN=kubernetes-admin"
    );
    assert_eq!(
        subject(&set.super_admin),
        "O=system:masters, CN=kubernetes-super-admin"
    );
    assert_eq!(
        subject(&node.apiserver_kubelet_client),
        "O=kubeadm:cluster-admins, CN=kube-apiserver-kubelet-client"
    );
    assert_eq!(
        subject(&node.controller_manager),
        "CN=system:kube-controller-manager"
    );
    assert_eq!(subject(&node.scheduler), "CN=system:kube-scheduler");
    assert_eq!(subject(&node.front_proxy_client), "CN=front-proxy-client");
    assert_eq!(subject(&node.etcd_server), "CN=m1");
}

#[test]
fn serial_numbers_differ_and_fit_in_twenty_octets() {
    let authority = Authority::new("ca", now()).unwrap();
    let profile = Profile::client("c", &[]);
    let mut serials = std::collections::BTreeSet::new();
    for _ in 0..64 {
        let der = der(&authority.issue(&profile, now()).unwrap().certificate_pem);
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let serial = certificate.raw_serial().to_vec();
        assert_eq!(serial.len(), 20);
        assert!(serial[0] & 0x80 == 0 && serial[0] != 0);
        serials.insert(serial);
    }
    assert_eq!(serials.len(), 64);
}

#[test]
fn the_service_account_pair_is_pkcs8_and_spki() {
    let set = set().unwrap();
    let key = &set.service_account;
    assert!(
        key.private_pem
            .expose()
            .starts_with("-----BEGIN PRIVATE KEY-----")
    );
    assert!(key.public_pem.starts_with("-----BEGIN PUBLIC KEY-----"));
    let private = PrivateKeyDer::from_pem_slice(key.private_pem.expose().as_bytes());
    let signer = rustls::crypto::ring::sign::any_ecdsa_type(&private.unwrap()).unwrap();
    let public = signer.public_key().unwrap();
    let spki = rustls::pki_types::SubjectPublicKeyInfoDer::from_pem_slice(
        key.public_pem.as_bytes(),
    );
    assert_eq!(public, spki.unwrap());
}

#[test]
fn debug_shows_no_private_key() {
    let set = set().unwrap();
    let shown = format!("{set:?}");
    assert!(!shown.contains("PRIVATE") && shown.contains("PrivatePem(..)"));
}

#[test]
fn refuses_a_control_plane_that_cannot_be() {
    let error = |change: fn(&mut ControlPlane)| {
        let mut spec = spec();
        change(&mut spec);
        spec.issue(now()).unwrap_err().to_string()
    };
    assert_eq!(
        error(|s| s.masters.clear()),
        "the control plane has no masters"
    );
    assert_eq!(
        error(|s| s.masters[1].addresses.clear()),
        "master m2 has no address"
    );
    assert_eq!(
        error(|s| s.masters[1].addresses = vec![address("192.0.2.100")]),
        "192.0.2.100 belongs to two masters"
    );
    assert_eq!(
        error(|s| s.masters[2].name = "m1".to_owned()),
        "m1 belongs to two masters"
    );
    assert_eq!(
        error(|s| s.masters[0].name = "m 1".to_owned()),
        "\"m 1\" cannot be a DNS name in a certificate; write letters, digits, dashes and dots"
    );
}

#[test]
fn the_files_are_those_of_kubeadm() {
    let set = set().unwrap();
    let mut paths: Vec<String> = set
        .files(&set.nodes[0])
        .iter()
        .map(|file| file.path.display().to_string())
        .collect();
    paths.sort();
    let expected = [
        "controller-manager.conf",
        "pki/apiserver-etcd-client.crt",
        "pki/apiserver-etcd-client.key",
        "pki/apiserver-kubelet-client.crt",
        "pki/apiserver-kubelet-client.key",
        "pki/apiserver.crt",
        "pki/apiserver.key",
        "pki/ca.crt",
        "pki/ca.key",
        "pki/etcd/ca.crt",
        "pki/etcd/ca.key",
        "pki/etcd/healthcheck-client.crt",
        "pki/etcd/healthcheck-client.key",
        "pki/etcd/peer.crt",
        "pki/etcd/peer.key",
        "pki/etcd/server.crt",
        "pki/etcd/server.key",
        "pki/front-proxy-ca.crt",
        "pki/front-proxy-ca.key",
        "pki/front-proxy-client.crt",
        "pki/front-proxy-client.key",
        "pki/sa.key",
        "pki/sa.pub",
        "scheduler.conf",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn controllers_ask_beside_them_and_operators_through_the_front() {
    let set = set().unwrap();
    let node = &set.nodes[1];
    let beside = "server: \"https://192.0.2.101:6443\"";
    assert!(
        set.controller_manager_kubeconfig(node)
            .to_yaml()
            .contains(beside)
    );
    assert!(set.scheduler_kubeconfig(node).to_yaml().contains(beside));
    let front = "server: \"https://192.0.2.224:6443\"";
    assert!(set.admin_kubeconfig().to_yaml().contains(front));
    assert!(set.super_admin_kubeconfig().to_yaml().contains(front));
}
