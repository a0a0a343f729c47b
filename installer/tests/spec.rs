//! A cluster's description: what is good, and each trap with its line and the way out.

#![expect(clippy::panic, reason = "tests")]

#[path = "spec/leases.rs"]
mod leases;
#[path = "spec/mirrors.rs"]
mod mirrors;
#[path = "spec/traps.rs"]
mod traps;

use std::fs;

use sternpost::spec::{self, Balancer, Role};
use sternpost::versions::{NEWEST, OLDEST, Version};

use traps::TRAPS;

const WHOLE: &str = include_str!("spec/whole.yaml");
const SIX: &str = include_str!("spec/six.yaml");

/// The whole file with one piece replaced; the piece must be there.
fn with(piece: &str, instead: &str) -> String {
    assert!(WHOLE.contains(piece), "{piece} is not in the file");
    WHOLE.replacen(piece, instead, 1)
}

fn refused(text: &str) -> String {
    match spec::parse("cluster.yaml", text) {
        Ok(_) => panic!("good:\n{text}"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn a_whole_file_is_good_and_its_defaults_are_filled_in() {
    let spec = spec::parse("cluster.yaml", WHOLE).unwrap();
    assert_eq!(spec.warnings, Vec::<String>::new());
    let cluster = spec.cluster;
    assert_eq!(cluster.server(), "https://k8s-api.example.org:6443");
    assert_eq!(cluster.with(Role::Etcd).count(), 3);
    assert_eq!(
        cluster.networks.dns,
        ["10.254.0.10".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(cluster.networks.domain, "cluster.local");
    let Balancer::Own(router) = &cluster.balancer else {
        panic!("{:?}", cluster.balancer)
    };
    assert_eq!(router.vrid, 51);
    assert_eq!(router.advert_interval.as_millis(), 100);
}

#[test]
fn each_trap_is_named_with_its_line_and_the_way_out() {
    for (piece, instead, wanted) in TRAPS {
        if wanted.is_empty() {
            spec::parse("cluster.yaml", &with(piece, instead)).unwrap();
            continue;
        }
        let errors = refused(&with(piece, instead));
        let wanted = format!("cluster.yaml:{wanted}");
        assert!(
            errors.lines().any(|line| line.starts_with(&wanted)),
            "wanted: {wanted}\ngot:    {errors}"
        );
    }
}

/// Where a source is: below the mirror, the description's folder, or as it is written; for each
/// architecture that has a checksum.
#[test]
fn sources_lie_below_the_mirror_or_the_folder() {
    let sums = format!("{{amd64: {}, arm64: {}}}", "a".repeat(64), "B".repeat(64));
    let places = |mirror: &str, from: &str| {
        let text = format!(
            "binaries: {{{mirror}sources: [{{from: \"{from}\", sha256: {sums}, program: etcd}}]}}\nhosts:\n"
        );
        let binaries = spec::parse("cluster.yaml", &with("hosts:\n", &text)).unwrap();
        let binaries = binaries.cluster.binaries;
        assert_eq!(binaries.folder, None);
        let sources = binaries.sources.iter();
        let places: Vec<_> = sources
            .map(|one| format!("{} {}", one.architecture, one.place))
            .collect();
        places.join(", ")
    };
    let mirror = "mirror: \"https://mirror.example.org/k8s/\", ";
    for (mirror, from, wanted) in [
        (
            mirror,
            "{version}/{arch}/etcd",
            "amd64 https://mirror.example.org/k8s/1.36.3/amd64/etcd, arm64 https://mirror.example.org/k8s/1.36.3/arm64/etcd",
        ),
        (
            mirror,
            "http://other.example.org/{arch}",
            "amd64 http://other.example.org/amd64, arm64 http://other.example.org/arm64",
        ),
        (
            mirror,
            "file:///srv/{arch}",
            "amd64 /srv/amd64, arm64 /srv/arm64",
        ),
        ("", "{arch}/etcd", "amd64 ./amd64/etcd, arm64 ./arm64/etcd"),
        (
            "mirror: media, ",
            "{arch}",
            "amd64 ./media/amd64, arm64 ./media/arm64",
        ),
    ] {
        assert_eq!(places(mirror, from), wanted);
    }
}

#[test]
fn nftables_waits_for_its_version_and_ipvs_is_warned_of() {
    let proxy = |version: &str, mode: &str| {
        with("1.36.3", version)
            .replace("networks:\n", &format!("networks:\n  proxy: {mode}\n"))
    };
    assert!(refused(&proxy("1.30.2", "nftables")).contains("needs Kubernetes 1.31"));
    spec::parse("cluster.yaml", &proxy("1.31.0", "nftables")).unwrap();
    let spec = spec::parse("cluster.yaml", &proxy("1.36.3", "ipvs")).unwrap();
    assert!(
        spec.warnings.iter().any(|warning| warning
            .contains("cluster.yaml:9: networks.proxy: \"ipvs\" is deprecated")),
        "{:?}",
        spec.warnings
    );
}

/// What the manual says of the versions is what is done.
#[test]
fn the_manuals_table_of_versions_is_true() {
    const MANUAL: &str = include_str!("../../docs/config/cluster.md");
    let rows = MANUAL.lines().filter(|line| line.starts_with("| 1."));
    let mut versions = Vec::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let version: Version = format!("{}.0", cells[1]).parse().unwrap();
        let features = version.features();
        let yes = |is: bool| if is { "yes" } else { "no" };
        assert_eq!(cells[2], yes(features.nftables), "{row}");
        assert_eq!(cells[3], yes(features.ipvs_deprecated), "{row}");
        assert_eq!(cells[4], yes(features.refuses_cgroup_v1), "{row}");
        assert_eq!(cells[5], yes(features.needs_containerd_2), "{row}");
        assert!(features.pause.ends_with(cells[6]), "{row}");
        assert!(features.kubeadm_api.ends_with(cells[7]), "{row}");
        versions.push(version.minor);
    }
    assert_eq!(versions, (OLDEST..=NEWEST).collect::<Vec<_>>());
}

#[test]
fn an_old_containerd_is_warned_of_where_kubernetes_has_left_it() {
    let runtime = |version: &str, containerd: &str| {
        with("1.36.3", version).replace(
            "hosts:\n",
            &format!("runtime: {{containerd: {containerd}}}\nhosts:\n"),
        )
    };
    for (version, containerd, warned) in [
        ("1.35.4", "1", false),
        ("1.36.0", "1", true),
        ("1.36.0", "2", false),
    ] {
        let spec = spec::parse("cluster.yaml", &runtime(version, containerd)).unwrap();
        let wanted = "runtime.containerd: \"1\" is too old";
        let found = spec.warnings.iter().any(|warning| warning.contains(wanted));
        assert_eq!(found, warned, "{version} {containerd}: {:?}", spec.warnings);
    }
    assert!(refused(&runtime("1.36.3", "3")).contains("write 1 or 2"));
}

/// Webhooks are Services, which such a host does not reach.
#[test]
fn manifests_beside_masters_that_are_no_nodes_are_warned_of() {
    let of = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("addons")).unwrap();
        fs::write(folder.path().join("addons/a.yaml"), "kind: List\n").unwrap();
        let path = folder.path().join("cluster.yaml");
        fs::write(&path, text).unwrap();
        let warnings = spec::read(&path).unwrap().warnings;
        warnings.iter().any(|one| one.contains("is without node"))
    };
    assert!(!of(WHOLE));
    let manifests = WHOLE.replace("hosts:\n", "manifests: addons\nhosts:\n");
    assert!(of(&manifests));
    assert!(!of(
        &manifests.replace("etcd, controlPlane]", "etcd, controlPlane, node]")
    ));
    // Nobody calls a webhook that runs nowhere.
    let lines = manifests.lines().filter(|line| !line.contains("name: n1"));
    assert!(!of(&lines.collect::<Vec<_>>().join("\n")));
}

/// From one member of etcd to three there is no way but over two.
#[test]
fn an_even_number_of_members_is_warned_of_while_they_change() {
    let two = WHOLE.replace(
        "roles: [etcd, controlPlane]}\n- {name: n1",
        "roles: [controlPlane]}\n- {name: n1",
    );
    assert!(refused(&two).contains("holds 2 members of etcd"));
    for (state, warned) in [("existing", true), ("new", false)] {
        let text =
            format!("{two}\nflags: {{etcd: {{initial-cluster-state: {state}}}}}\n");
        let of = |spec: spec::Spec| {
            let mut all = spec.warnings.iter();
            all.any(|one| one.contains("holds 2 members of etcd, on the way"))
        };
        assert_eq!(spec::parse("cluster.yaml", &text).is_ok_and(of), warned);
    }
}

#[test]
fn every_wrong_key_is_named_in_one_go() {
    let text = with("1.36.3", "1.8").replace("192.168.220.101", "192.168.220");
    let errors = refused(&text);
    assert_eq!(errors.lines().count(), 2, "{errors}");
}

/// The examples of the manual: the first is the whole file above, the second says nothing
/// that is not the default anyway.
#[test]
fn the_examples_of_the_manual_are_good() {
    const MANUAL: &str = include_str!("../../docs/config/cluster.md");
    let fenced = MANUAL.split("```yaml\n").skip(1);
    let examples: Vec<_> = fenced.filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples[0], WHOLE);
    let shown = spec::parse("manual", examples[1]).unwrap().cluster;
    let short = "apiVersion: sternpost/v1\nkind: Cluster\nkubernetes: {version: 1.36.3}\n\
                 endpoint: {addresses: [\"192.168.220.224/24\"]}\nhosts:\n\
                 - {name: m1, addresses: [\"192.168.220.100\"], roles: [node, controlPlane, etcd]}\n";
    assert_eq!(shown, spec::parse("short", short).unwrap().cluster);
    let fetched = spec::parse("manual", examples[2]).unwrap().cluster;
    assert_eq!(fetched.binaries.sources.len(), 4);
    assert_eq!(examples[3], SIX);
    assert_eq!(spec::parse("manual", SIX).unwrap().warnings.len(), 1);
}

/// Without a balancer clients find the one API server, which listens on its host's first
/// address alone; they dial each address, or the name.
#[test]
fn clients_dial_where_somebody_listens() {
    let servers = |text: &str| {
        let cluster = spec::parse("cluster.yaml", text).unwrap().cluster;
        (cluster.server(), cluster.servers())
    };
    let urls = |all: &[&str]| all.iter().map(|url| (*url).to_owned()).collect();
    let name = "https://api.example.org:6443";
    assert_eq!(servers(SIX), (name.to_owned(), urls(&[name])));
    let both = SIX.replace("  name: api.example.org\n", "");
    let first = "https://[2001:db8::9]:6443";
    let wanted = urls(&[first, "https://192.0.2.9:6443"]);
    assert_eq!(servers(&both), (first.to_owned(), wanted));
    let one = "apiVersion: sternpost/v1\nkind: Cluster\nkubernetes: {version: 1.36.3}\n\
               balancer: {mode: none}\nhosts:\n\
               - {name: m1, addresses: [192.0.2.1, \"2001:db8::1\"], roles: [etcd, controlPlane]}\n";
    let first = "https://192.0.2.1:6443";
    assert_eq!(servers(one), (first.to_owned(), urls(&[first])));
}

/// The files that a description names are read with it, and each that cannot be is named with
/// its line.
#[test]
fn the_files_it_names_are_read() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec");
    let cluster = spec::read(&path.join("external.yaml")).unwrap().cluster;
    let names: Vec<_> = cluster
        .enclosed
        .manifests
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(names, ["10-shop.yaml", "20-settings.yaml"]);
    let key = &cluster.enclosed.etcd.as_ref().unwrap().key;
    assert!(key.text.contains("PRIVATE KEY"));
    assert!(!format!("{cluster:?}").contains("BEGIN"), "a key is shown");
    let text = std::fs::read_to_string(path.join("external.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("etcd")).unwrap();
    std::fs::create_dir(folder.path().join("addons")).unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    put("cluster.yaml", &text).unwrap();
    put("etcd/ca.crt", "nothing").unwrap();
    put("addons/notes.txt", "").unwrap();
    let errors = spec::read(&folder.path().join("cluster.yaml")).unwrap_err();
    let errors = errors.to_string();
    for wanted in [
        ":11: etcd.external.caFile: ",
        "which holds no CERTIFICATE in PEM form",
        ":12: etcd.external.certFile: ",
        "which cannot be read: No such file",
        ":13: etcd.external.keyFile: ",
        ":16: pki.trustedFiles[0]: ",
        ":7: manifests: ",
        "in which no file ends in .yaml",
    ] {
        assert!(errors.contains(wanted), "no {wanted} in\n{errors}");
    }
}

/// What is shown to an etcd of others is a certificate with its own key, and one that has ended
/// is warned of: with it `status` and `reset` still work.
#[test]
fn what_is_shown_to_an_etcd_of_others_is_looked_at() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for below in ["etcd", "addons"] {
        std::fs::create_dir(at(below)).unwrap();
    }
    for name in [
        "external.yaml",
        "registry.crt",
        "etcd/ca.crt",
        "addons/10-shop.yaml",
    ] {
        std::fs::copy(here.join(name), at(name)).unwrap();
    }
    let year = std::time::Duration::from_secs(400 * 86_400);
    let then = std::time::SystemTime::now() - year;
    let authority = pki::Authority::new("etcd", then).unwrap();
    let issue = |now| {
        authority
            .issue(&pki::Profile::client("a", &[]), now)
            .unwrap()
    };
    let (old, new) = (issue(then), issue(then + year));
    for (certificate, key, wanted) in [
        (&new, &new, ""),
        (
            &old,
            &old,
            ":12: etcd.external.certFile: \"etcd/client.crt\" has ended",
        ),
        (
            &new,
            &old,
            ":13: etcd.external.keyFile: \"etcd/client.key\" is not the key of certFile",
        ),
    ] {
        std::fs::write(at("etcd/client.crt"), &certificate.certificate_pem).unwrap();
        std::fs::write(at("etcd/client.key"), key.key_pem.expose()).unwrap();
        let said = match spec::read(&at("external.yaml")) {
            Ok(spec) => spec.warnings.join("\n"),
            Err(errors) => errors.to_string(),
        };
        let about = said.lines().find(|line| line.contains("etcd.external"));
        let about = about.unwrap_or_default();
        assert_eq!(about.is_empty(), wanted.is_empty(), "{said}");
        assert!(about.contains(wanted), "{about}");
    }
}

/// Two files of one name would take each other's place, at each apply anew.
#[test]
fn files_that_registries_are_trusted_by_have_names_of_their_own() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["a/ca.crt", "b/ca.crt", "b/other.crt", "b/hosts.toml"] {
        std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        std::fs::copy(here.join("registry.crt"), at(name)).unwrap();
    }
    for (files, wanted) in [
        ("[a/ca.crt, b/other.crt]", None),
        ("[a/ca.crt, b/ca.crt]", Some(":11: pki.trustedFiles[1]: ")),
        ("[b/hosts.toml]", Some(":11: pki.trustedFiles[0]: ")),
    ] {
        let named = format!("pki: {{trustedFiles: {files}}}\nhosts:\n");
        std::fs::write(at("cluster.yaml"), with("hosts:\n", &named)).unwrap();
        let said = spec::read(&at("cluster.yaml")).map(|_| ());
        let said = said.err().map(|errors| errors.to_string());
        let fits = |said: &String| wanted.is_some_and(|wanted| said.contains(wanted));
        assert_eq!(said.is_some(), wanted.is_some(), "{files}: {said:?}");
        assert!(said.iter().all(fits), "{files}: {said:?}");
    }
}

/// An address of a host's own is nobody else's: an administrator's kubeconfig has another.
#[test]
fn who_is_no_host_dials_an_address_that_is_the_clusters() {
    for (name, here, elsewhere) in [
        (
            "whole",
            "https://k8s-api.example.org:6443",
            "https://k8s-api.example.org:6443",
        ),
        ("dual", "https://127.0.0.1:6443", "https://192.0.2.21:6443"),
    ] {
        let path = format!("{}/tests/spec/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let cluster = spec::read(std::path::Path::new(&path)).unwrap().cluster;
        assert_eq!(cluster.server(), here);
        assert_eq!(cluster.server_from_elsewhere(), elsewhere);
    }
}
