//! What is rendered: a golden per host, and our own daemons' files read by their own parsers.
//!
//! `STERNPOST_BLESS=1 cargo test -p sternpost --test render` writes the goldens anew.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

#[path = "render/flags.rs"]
mod flags;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{env, fs};

use sternpost::listing::listing;
use sternpost::render::{self, Known, Newcomers};
use sternpost::resource::{Resource, Shared};
use sternpost::spec::{self, Cluster};

const SPECS: [&str; 5] = ["whole", "dual", "external", "six", "leases"];

fn cluster(name: &str) -> Cluster {
    let path = here().join(format!("spec/{name}.yaml"));
    spec::read(&path).unwrap().cluster
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn known() -> Known {
    Known {
        interface: "ens33".to_owned(),
        resolv_conf: Some("/run/systemd/resolve/resolv.conf".to_owned()),
        newcomers: Newcomers::Expected,
        dials: None,
    }
}

/// The content of a rendered file.
fn file(resources: &[Resource], wanted: &str) -> String {
    let mut files = resources.iter().filter_map(|resource| match resource {
        Resource::File(file) if file.path == wanted => Some(file.content.clone()),
        _ => None,
    });
    files.next().unwrap_or_else(|| panic!("no {wanted}"))
}

#[test]
fn every_file_is_as_its_golden() {
    for name in SPECS {
        let cluster = cluster(name);
        for host in &cluster.hosts {
            let mut resources = render::host(&cluster, host, &known());
            resources.iter_mut().for_each(leave_out_packaged);
            let text = listing(&resources);
            let path = here().join(format!("golden/{name}-{}.txt", host.name));
            if env::var_os("STERNPOST_BLESS").is_some() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &text).unwrap();
            }
            let golden = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                golden == text,
                "{} differs; look at it with STERNPOST_BLESS=1 and git diff",
                path.display()
            );
        }
    }
}

/// What comes as it is from the daemons' packaging is theirs to change.
fn leave_out_packaged(resource: &mut Resource) {
    const PACKAGED: [&str; 6] = [
        "/etc/systemd/system/api-lb.service",
        "/etc/systemd/system/vip-daemon.service",
        "/etc/systemd/system/bootstrap-signer.service",
        "/etc/sysusers.d/sternpost.conf",
        "/etc/tmpfiles.d/sternpost.conf",
        "/etc/kubernetes/addons/00-bootstrap-signer.yaml",
    ];
    if let Resource::File(file) = resource
        && PACKAGED.contains(&file.path.as_str())
    {
        file.content = "as packaged".to_owned();
    }
}

/// To an etcd of others each node shows what the masters show there.
#[test]
fn flannel_asks_an_etcd_of_others() {
    let text = fs::read_to_string(here().join("spec/external.yaml")).unwrap();
    let text = text.replace("betweenPods: none", "flannel: {store: etcd}");
    let cluster = spec::parse("cluster.yaml", &text).unwrap().cluster;
    let [master, node] = &cluster.hosts[..] else {
        panic!("{:?}", cluster.hosts);
    };
    let there = |host| render::host(&cluster, host, &known());
    let flannel = file(&there(node), "/etc/systemd/system/flanneld.service");
    for wanted in [
        "--etcd-endpoints=https://192.0.2.51:2379,https://192.0.2.52:2379",
        "--etcd-prefix=/coreos.com/network",
        "--etcd-certfile=/etc/kubernetes/pki/etcd/flannel-client.crt",
    ] {
        assert!(flannel.contains(wanted), "{flannel}");
    }
    assert!(!flannel.contains("--kube"), "{flannel}");
    assert!(there(node).contains(&Resource::Shared(Shared::FlannelEtcd)));
    let writer = "/etc/systemd/system/sternpost-pod-network.service";
    assert!(file(&there(master), writer).contains("put /coreos.com/network/config"));
    let programs: Vec<_> = there(master);
    assert!(sternpost::resource::runs(&programs, "etcdctl"));
    let paths = there(node);
    assert!(
        !paths
            .iter()
            .filter_map(Resource::file)
            .any(|one| one.path == writer)
    );
}

#[test]
fn no_path_is_written_twice() {
    for name in SPECS {
        let cluster = cluster(name);
        for host in &cluster.hosts {
            let resources = render::host(&cluster, host, &known());
            let mut paths: Vec<_> = resources
                .iter()
                .filter_map(|resource| match resource {
                    Resource::File(file) => Some(file.path.clone()),
                    Resource::Certificate(certificate) => Some(certificate.name.clone()),
                    Resource::Unit(unit) => Some(unit.name.clone()),
                    _ => None,
                })
                .collect();
            let all = paths.len();
            paths.sort();
            paths.dedup();
            assert_eq!(paths.len(), all, "{name} {}", host.name);
        }
    }
}

#[test]
fn our_daemons_read_what_is_rendered_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    let authority = pki::Authority::new("ca", std::time::SystemTime::now()).unwrap();
    fs::write(&ca, authority.certificate_pem()).unwrap();
    for name in SPECS {
        let cluster = cluster(name);
        for host in &cluster.hosts {
            let resources = render::host(&cluster, host, &known());
            let there = |path: &str| {
                resources.iter().any(
                    |resource| matches!(resource, Resource::File(file) if file.path == path),
                )
            };
            if there("/etc/sternpost/api-lb.yaml") {
                let text = file(&resources, "/etc/sternpost/api-lb.yaml")
                    .replace("/etc/kubernetes/pki/ca.crt", &ca.display().to_string());
                api_lb::config::parse("api-lb.yaml", &text).unwrap();
            }
            if there("/etc/sternpost/vip-daemon.yaml") {
                let key = folder.path().join("channel");
                fs::write(&key, "k".repeat(64)).unwrap();
                fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
                let text = file(&resources, "/etc/sternpost/vip-daemon.yaml").replace(
                    "/etc/sternpost/vip-channel-key",
                    &key.display().to_string(),
                );
                let config =
                    vip_daemon::config::Config::parse("vip-daemon.yaml", &text).unwrap();
                assert_eq!(config.warnings, Vec::<String>::new());
            }
            if there("/etc/sternpost/bootstrap-signer.yaml") {
                let inventory = folder.path().join("nodes.yaml");
                fs::write(&inventory, file(&resources, "/etc/sternpost/nodes.yaml"))
                    .unwrap();
                let text = file(&resources, "/etc/sternpost/bootstrap-signer.yaml")
                    .replace(
                        "/etc/sternpost/nodes.yaml",
                        &inventory.display().to_string(),
                    );
                let path = folder.path().join("bootstrap-signer.yaml");
                fs::write(&path, text).unwrap();
                bootstrap_signer::config::Config::read(&path).unwrap();
            }
        }
    }
}

/// vip-daemon may not fork: what runs its scripts comes with them, and only then.
#[test]
fn a_program_that_is_told_of_the_address_brings_what_runs_it() {
    let path = "/etc/sternpost/vip-daemon.yaml";
    let unit = "/etc/systemd/system/vip-daemon-scripts.service";
    let text = fs::read_to_string(here().join("spec/whole.yaml")).unwrap();
    let notify = "balancer: {notify: {command: [/usr/local/bin/told, --quiet], user: nobody}}\nhosts:\n";
    let told = spec::parse("cluster.yaml", &text.replace("hosts:\n", notify)).unwrap();
    let told = render::host(&told.cluster, &told.cluster.hosts[0], &known());
    let key = tempfile::NamedTempFile::new().unwrap();
    fs::write(key.path(), "k".repeat(64)).unwrap();
    let text = file(&told, path).replace(
        "/etc/sternpost/vip-channel-key",
        &key.path().display().to_string(),
    );
    let config = vip_daemon::config::Config::parse("vip-daemon.yaml", &text).unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
    assert!(text.contains("any:"), "{text}");
    assert!(file(&told, unit).contains("/usr/local/bin/vip-daemon scripts"));
    let silent = cluster("whole");
    let silent = render::host(&silent, &silent.hosts[0], &known());
    let laid = |one: &Resource| matches!(one, Resource::File(file) if file.path == unit);
    assert!(!silent.iter().any(laid));
}

/// The seed's trap: the virtual address was not among the names.
#[test]
fn the_virtual_address_is_in_the_api_servers_certificate() {
    let cluster = cluster("whole");
    let resources = render::host(&cluster, &cluster.hosts[0], &known());
    let text = listing(&resources);
    let line = text.lines().find(|line| line.contains("pki/apiserver.crt"));
    for name in [
        "192.168.220.224",
        "k8s-api.example.org",
        "10.254.0.1",
        "192.168.220.102",
        "m3",
        "localhost",
    ] {
        assert!(line.unwrap().contains(name), "{name}: {line:?}");
    }
}

/// An address of each family is held by a router of its own, and whatever dials IPv6 writes it
/// in brackets.
#[test]
fn a_virtual_address_of_each_family_has_its_router() {
    let cluster = cluster("six");
    let resources = render::host(&cluster, &cluster.hosts[0], &known());
    let key = tempfile::NamedTempFile::new().unwrap();
    fs::write(key.path(), "k".repeat(64)).unwrap();
    let place = key.path().display().to_string();
    let vip = file(&resources, "/etc/sternpost/vip-daemon.yaml")
        .replace("/etc/sternpost/vip-channel-key", &place);
    let config = vip_daemon::config::Config::parse("vip-daemon.yaml", &vip).unwrap();
    assert_eq!(config.routers.len(), 2, "{vip}");
    let lb = file(&resources, "/etc/sternpost/api-lb.yaml");
    for wanted in [
        "[2001:db8::9]:6443",
        "192.0.2.9:6443",
        "[2001:db8::22]:6443",
    ] {
        assert!(lb.contains(wanted), "{wanted} is not in\n{lb}");
    }
    let etcd = file(&resources, "/etc/systemd/system/etcd.service");
    assert!(etcd.contains("https://[2001:db8::21]:2380"), "{etcd}");
    let apiserver = file(&resources, "/etc/systemd/system/kube-apiserver.service");
    for wanted in [
        "--advertise-address=2001:db8::21",
        "--service-cluster-ip-range=fd00:10:96::/112,10.96.0.0/16",
    ] {
        assert!(
            apiserver.contains(wanted),
            "{wanted} is not in\n{apiserver}"
        );
    }
    let text = listing(&resources);
    let names = text.lines().find(|line| line.contains("pki/apiserver.crt"));
    for name in ["2001:db8::9", "192.0.2.9", "fd00:10:96::1", "10.96.0.1"] {
        assert!(names.unwrap().contains(name), "{name}: {names:?}");
    }
}

#[test]
fn kubelets_and_proxies_never_get_an_authority_s_key() {
    let cluster = cluster("whole");
    let node = cluster.hosts.iter().find(|host| host.name == "n1").unwrap();
    let text = listing(&render::host(&cluster, node, &known()));
    assert!(text.contains("shared /etc/kubernetes/pki/ca.crt"));
    assert!(
        !text.contains("ca.key") && !text.contains("sa.key"),
        "{text}"
    );
}

/// A kubelet may not give its node the role; nodes of others have none.
#[test]
fn a_node_of_the_control_plane_is_told_apart() {
    let unit = "/etc/systemd/system/sternpost-role.service";
    let cluster = cluster("dual");
    for host in &cluster.hosts {
        let resources = render::host(&cluster, host, &known());
        let laid =
            |one: &Resource| matches!(one, Resource::File(file) if file.path == unit);
        let both = host.is(spec::Role::ControlPlane) && host.is(spec::Role::Node);
        assert_eq!(resources.iter().any(laid), both, "{}", host.name);
        if both {
            let text = file(&resources, unit);
            let label =
                "label --overwrite node/m1 node-role.kubernetes.io/control-plane= ";
            assert!(text.contains(label), "{text}");
        }
    }
}
