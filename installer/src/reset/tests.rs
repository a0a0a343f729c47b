//! Each way in which something goes or stays has its row.

mod others;

use super::*;

const FILE: &str = "/etc/sternpost/a.yaml";
const REPLACED: &str = "keep /etc/sternpost/a.yaml: another stood there before, which is not kept; \
                        bring that back by hand";
const CHANGED: &str =
    "keep /etc/sternpost/a.yaml: it is not what was laid down; remove it by hand";

fn wrote(path: &str, before: Option<&str>, after: &str) -> Entry {
    Entry::Wrote {
        path: path.to_owned(),
        before: before.map(str::to_owned),
        after: after.to_owned(),
    }
}

fn made(path: &str) -> Entry {
    let path = path.to_owned();
    Entry::Made { path }
}

fn file(sha256: &str, block: bool) -> There {
    let sha256 = sha256.to_owned();
    There::File { sha256, block }
}

fn folder(names: &[&str]) -> There {
    let names = names.iter().map(ToString::to_string).collect();
    There::Folder { names }
}

fn shown(
    entries: Vec<Entry>,
    there: &[(&str, There)],
    mounts: &[&str],
    data: Data,
) -> Vec<String> {
    let there = there
        .iter()
        .map(|(path, what)| ((*path).to_owned(), what.clone()));
    let inventory = Inventory {
        entries,
        there: there.collect(),
        mounts: mounts.iter().map(ToString::to_string).collect(),
        ..Inventory::default()
    };
    told(&inventory, data)
}

fn told(inventory: &Inventory, data: Data) -> Vec<String> {
    let text = show("m1", &plan(inventory, data));
    text.lines()
        .skip(1)
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn a_file_goes_only_while_it_is_ours() {
    let gone = Entry::Gone {
        path: FILE.to_owned(),
    };
    let link = || There::Link {
        to: "/x".to_owned(),
    };
    let ours = || wrote(FILE, None, "1");
    let rows: Vec<(Vec<Entry>, Option<There>, &[&str])> = vec![
        (
            vec![ours()],
            Some(file("1", false)),
            &["remove file /etc/sternpost/a.yaml", "remove the journal"],
        ),
        (vec![ours()], Some(file("2", false)), &[CHANGED]),
        (vec![ours()], Some(link()), &[CHANGED]),
        (vec![ours()], None, &["remove the journal"]),
        (
            vec![ours(), wrote(FILE, Some("1"), "2")],
            Some(file("2", false)),
            &["remove file /etc/sternpost/a.yaml", "remove the journal"],
        ),
        // Another was about to be written.
        (
            vec![ours(), wrote(FILE, Some("1"), "2")],
            Some(file("1", false)),
            &["remove file /etc/sternpost/a.yaml", "remove the journal"],
        ),
        (
            vec![wrote(FILE, Some("0"), "1")],
            Some(file("1", false)),
            &[REPLACED],
        ),
        (
            vec![wrote(FILE, Some("0"), "1")],
            Some(file("0", false)),
            &["remove the journal"],
        ),
        (
            vec![wrote(FILE, Some("0"), "1")],
            Some(file("1", true)),
            &[
                "take our lines out of /etc/sternpost/a.yaml",
                "remove the journal",
            ],
        ),
        (
            vec![ours(), gone],
            Some(file("1", false)),
            &["remove the journal"],
        ),
        (vec![], Some(file("1", false)), &[]),
    ];
    for (number, (entries, there, wanted)) in rows.into_iter().enumerate() {
        let there: Vec<_> = there.into_iter().map(|there| (FILE, there)).collect();
        assert_eq!(
            shown(entries, &there, &[], Data::Keep),
            wanted,
            "row {number}"
        );
    }
}

#[test]
fn a_lock_alone_goes_too() {
    let lock = [(LOCK, file("1", false))];
    assert_eq!(
        shown(vec![], &lock, &[], Data::Keep),
        ["remove the journal"]
    );
    let entries = vec![wrote(FILE, Some("0"), "1")];
    let kept = [(LOCK, file("1", false)), (FILE, file("1", false))];
    assert_eq!(shown(entries, &kept, &[], Data::Keep), [REPLACED]);
}

#[test]
fn a_link_goes_only_while_it_leads_where_we_let_it() {
    let linked = || Entry::Linked {
        path: "/usr/local/bin/etcd".to_owned(),
        before: None,
        after: "/opt/new".to_owned(),
    };
    for (to, wanted) in [
        ("/opt/new", "remove link /usr/local/bin/etcd"),
        (
            "/opt/other",
            "keep /usr/local/bin/etcd: it is not what was laid down; remove it by hand",
        ),
    ] {
        let there = There::Link { to: to.to_owned() };
        let said = shown(
            vec![linked()],
            &[("/usr/local/bin/etcd", there)],
            &[],
            Data::Keep,
        );
        assert_eq!(said.first().map(String::as_str), Some(wanted));
    }
}

#[test]
fn folders_go_from_the_inside_and_only_when_they_are_empty() {
    let entries = || {
        vec![
            made("/etc/a"),
            made("/etc/a/b"),
            wrote("/etc/a/b/c", None, "1"),
        ]
    };
    let there = |inner: &[&str]| {
        [
            ("/etc/a", folder(&["b"])),
            ("/etc/a/b", folder(inner)),
            ("/etc/a/b/c", file("1", false)),
        ]
    };
    assert_eq!(
        shown(entries(), &there(&["c"]), &[], Data::Keep),
        [
            "remove file /etc/a/b/c",
            "remove folder /etc/a/b",
            "remove folder /etc/a",
            "remove the journal"
        ]
    );
    assert_eq!(
        shown(entries(), &there(&["c", "mine"]), &[], Data::Keep),
        [
            "remove file /etc/a/b/c",
            "keep /etc/a/b: it holds mine of others"
        ]
    );
    // It was there before us.
    let without = vec![wrote("/etc/a/b/c", None, "1")];
    assert_eq!(
        shown(without, &there(&["c"]), &[], Data::Keep),
        ["remove file /etc/a/b/c", "remove the journal"]
    );
}

#[test]
fn units_end_in_the_order_against_that_in_which_they_came_and_the_balancer_last() {
    let unit = |name: &str| wrote(&format!("/etc/systemd/system/{name}"), None, "1");
    let entries = vec![
        unit("etcd.service"),
        unit("kube-apiserver.service"),
        unit("api-lb.service"),
        unit("etcd.service"),
        unit("kube-scheduler.service"),
    ];
    let said = shown(entries, &[], &[], Data::Keep);
    assert_eq!(
        said,
        [
            "stop kube-scheduler.service",
            "stop kube-apiserver.service",
            "stop etcd.service",
            "stop api-lb.service",
            "have systemd read its units again",
            "remove the journal"
        ]
    );
}

#[test]
fn data_goes_only_when_asked_and_never_through_a_mount() {
    const ETCD: &str = "/var/lib/etcd";
    let entries = || {
        vec![
            made(ETCD),
            wrote("/etc/systemd/system/etcd.service", None, "1"),
            wrote(crate::apply::PLACE, None, "1"),
        ]
    };
    let there = [
        (ETCD, folder(&["member"])),
        (crate::apply::PLACE, file("1", false)),
    ];
    let said = |mounts: &[&str], data| {
        let all = shown(entries(), &there, mounts, data);
        all.into_iter()
            .filter(|line| !line.contains("systemd") && !line.starts_with("stop"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        said(&[], Data::Keep),
        [
            "keep /var/lib/etcd: it is data; --data removes it",
            "keep /var/lib/sternpost/authorities.json: it is data; --data removes it"
        ]
    );
    assert_eq!(
        said(&["/", "/var/lib/etcd2"], Data::Remove),
        [
            "remove folder /var/lib/etcd with all that is in it",
            "remove file /var/lib/sternpost/authorities.json",
            "remove the journal"
        ]
    );
    for mount in [ETCD, "/var/lib/etcd/member"] {
        let wanted = format!(
            "keep /var/lib/etcd: something is mounted at {mount}; unmount it, and reset again"
        );
        assert!(said(&[mount], Data::Remove).contains(&wanted), "{mount}");
    }
    let empty = [(ETCD, folder(&[]))];
    let all = shown(entries(), &empty, &[], Data::Remove);
    assert!(
        all.contains(&"remove folder /var/lib/etcd with all that is in it".to_owned()),
        "{all:?}"
    );
    let all = shown(entries(), &empty, &[], Data::Keep);
    assert!(
        all.contains(&"remove folder /var/lib/etcd".to_owned()),
        "{all:?}"
    );
    // Without our unit it is not our data.
    let other = shown(vec![made("/etc/a")], &there, &[], Data::Remove);
    assert_eq!(other, ["remove the journal"]);
}

/// A node with a Pod, and beside it a table, a route and a mount of others.
fn node(units: &[&str]) -> Inventory {
    let unit = |name: &&str| wrote(&format!("/etc/systemd/system/{name}"), None, "1");
    let table = |family: &str, name: &str| Table {
        family: family.to_owned(),
        name: name.to_owned(),
    };
    Inventory {
        entries: units.iter().map(unit).collect(),
        there: BTreeMap::from([
            ("/var/lib/kubelet".to_owned(), folder(&["pods"])),
            ("/var/lib/cni".to_owned(), folder(&["networks"])),
            (
                "/etc/systemd/logind.conf.d/99-kubelet.conf".to_owned(),
                file("9", false),
            ),
        ]),
        mounts: [
            "/",
            "/mnt",
            "/var/lib/kubelet/pods/a/volumes/x",
            "/var/lib/kubelet/pods/a/volumes/x/deeper",
        ]
        .map(str::to_owned)
        .to_vec(),
        namespaces: Vec::new(),
        kernel: Kernel {
            sandboxes: 2,
            interfaces: vec!["cni0".to_owned()],
            spaces: vec!["cni-1".to_owned()],
            routes: vec![Route {
                to: "10.244.1.0/24".to_owned(),
                via: "192.0.2.1".to_owned(),
            }],
            tables: vec![table("ip", "kube-proxy"), table("inet", "filter")],
            chains: vec![("iptables".to_owned(), 3)],
        },
    }
}

#[test]
fn a_node_gives_up_its_pods_and_keeps_what_is_anothers() {
    let all = [
        "containerd.service",
        "kubelet.service",
        "kube-proxy.service",
        "flanneld.service",
    ];
    assert_eq!(
        told(&node(&all), Data::Remove),
        [
            "stop flanneld.service",
            "stop kube-proxy.service",
            "stop kubelet.service",
            "end 2 sandbox(es) of Pods with their containers",
            "stop containerd.service",
            "unmount /var/lib/kubelet/pods/a/volumes/x/deeper",
            "unmount /var/lib/kubelet/pods/a/volumes/x",
            "remove network namespace cni-1",
            "remove interface cni0",
            "remove route to 10.244.1.0/24 via 192.0.2.1",
            "remove nftables' table ip kube-proxy",
            "remove 3 chain(s) of iptables, and what leads to them",
            "remove folder /var/lib/kubelet with all that is in it",
            "remove folder /var/lib/cni with all that is in it",
            "remove file /etc/systemd/logind.conf.d/99-kubelet.conf",
            "have systemd read its units again",
            "remove the journal",
        ]
    );
}

/// podman's networks are kept by the same programs in the same folder.
#[test]
fn what_cni_knows_of_the_networks_of_others_stays() {
    let mut node = node(&["flanneld.service"]);
    let networks = folder(&["cbr0", "podman"]);
    node.there
        .insert("/var/lib/cni/networks".to_owned(), networks);
    for ours in ["/var/lib/cni/networks/cbr0", "/var/lib/cni/flannel"] {
        node.there.insert(ours.to_owned(), folder(&["10.244.1.2"]));
    }
    let told = told(&node, Data::Remove);
    let trees: Vec<_> = told.iter().filter(|line| line.contains("/cni")).collect();
    assert_eq!(
        trees,
        [
            "remove folder /var/lib/cni/networks/cbr0 with all that is in it",
            "remove folder /var/lib/cni/flannel with all that is in it",
        ]
    );
}

/// Where no kubelet was laid down, Pods and their networks are another's.
#[test]
fn what_others_run_pods_with_is_theirs() {
    let told = told(&node(&["etcd.service"]), Data::Remove);
    let wanted = [
        "stop etcd.service",
        "have systemd read its units again",
        "remove the journal",
    ];
    assert_eq!(told, wanted);
}

/// A disk of its own below the data stays mounted, and the data with it.
#[test]
fn a_disk_at_the_data_is_no_volume_of_a_pod() {
    let mut node = node(&["kubelet.service"]);
    node.mounts.push("/var/lib/kubelet".to_owned());
    let told = told(&node, Data::Remove);
    let kept = "keep /var/lib/kubelet: something is mounted at /var/lib/kubelet; unmount it, \
                and reset again";
    assert!(told.iter().any(|line| line == kept), "{told:#?}");
    assert!(!told.contains(&"unmount /var/lib/kubelet".to_owned()));
}
