//! What is of others, and is to be as it was.

use super::super::*;
use super::{file, folder, shown, wrote};

/// What others wrote in a file that we only add lines to stays, and holds up nothing.
#[test]
fn lines_of_ours_go_out_of_files_of_others() {
    for (path, take) in [
        ("/etc/hosts", "take our lines out of /etc/hosts"),
        ("/etc/fstab", "bring the lines back that swap in /etc/fstab"),
    ] {
        let take = take.to_owned();
        let remove = format!("remove file {path}");
        let forget = "remove the journal".to_owned();
        let (new, old) = (wrote(path, None, "1"), wrote(path, Some("0"), "1"));
        for (entry, there, wanted) in [
            (&old, file("1", true), vec![take.clone(), forget.clone()]),
            (&old, file("2", true), vec![take.clone(), forget.clone()]),
            (&old, file("2", false), vec![forget.clone()]),
            (&new, file("1", true), vec![remove, forget.clone()]),
            (&new, file("2", true), vec![take, forget.clone()]),
            (&new, file("2", false), vec![forget.clone()]),
        ] {
            let there = [(path, there)];
            assert_eq!(shown(vec![entry.clone()], &there, &[], Data::Keep), wanted);
        }
    }
}

/// A distribution's containerd, that ours has taken the place of, is there again once.
#[test]
fn a_unit_of_others_comes_back_as_it_was() {
    let path = "/etc/systemd/system/containerd.service";
    let turned = |enabled, active| Entry::Unit {
        name: "containerd.service".to_owned(),
        enabled,
        active,
    };
    let gone = || Entry::Gone {
        path: path.to_owned(),
    };
    let ours = || wrote(path, None, "1");
    let (stop, remove) = ("stop containerd.service", format!("remove file {path}"));
    let (read, forget) = ("have systemd read its units again", "remove the journal");
    let back =
        "bring containerd.service back as it was before: started at boot, and running";
    let removed = [stop, &remove, read];
    let rows: Vec<(Vec<Entry>, bool, Vec<&str>)> = vec![
        (
            vec![ours(), turned(true, true), turned(true, true)],
            true,
            [&removed[..], &[back, forget]].concat(),
        ),
        (
            vec![ours(), turned(false, false), turned(true, true)],
            true,
            [&removed[..], &[forget]].concat(),
        ),
        // Broken off before it was brought back, and after.
        (
            vec![ours(), turned(true, true), gone()],
            false,
            vec![read, back, forget],
        ),
        (
            vec![ours(), turned(true, true), gone(), turned(false, false)],
            false,
            vec![forget],
        ),
        // Laid down once more, after it was brought back.
        (
            vec![
                ours(),
                turned(true, true),
                gone(),
                turned(false, false),
                ours(),
                turned(false, false),
            ],
            true,
            [&removed[..], &[forget]].concat(),
        ),
    ];
    for (row, (entries, there, wanted)) in rows.into_iter().enumerate() {
        let there = there.then(|| (path, file("1", false)));
        let there: Vec<_> = there.into_iter().collect();
        assert_eq!(shown(entries, &there, &[], Data::Keep), wanted, "row {row}");
    }
}

/// The folder of our daemons' sockets goes with any of them, once, and is nobody's otherwise.
#[test]
fn sockets_go_with_those_who_made_them() {
    let there = [("/run/sternpost", folder(&["api-lb.flight"]))];
    for (units, wanted) in [
        (&["api-lb", "bootstrap-signer", "vip-daemon"][..], 1),
        (&["bootstrap-signer"], 1),
        (&["etcd"], 0),
    ] {
        let of =
            |unit: &&str| wrote(&format!("{}/{unit}.service", layout::UNITS), None, "1");
        let steps = shown(units.iter().map(of).collect(), &there, &[], Data::Keep);
        let removed = steps.iter().filter(|step| step.contains("/run/sternpost"));
        assert_eq!(removed.count(), wanted, "{steps:?}");
    }
}

/// systemd takes a unit for masked until it has read its units again.
#[test]
fn a_mask_is_taken_off() {
    let path = "/etc/systemd/system/dev-zram0.swap";
    let to = "/dev/null".to_owned();
    let masked = Entry::Linked {
        path: path.to_owned(),
        before: None,
        after: to.clone(),
    };
    let there = [(path, There::Link { to })];
    let steps = shown(vec![masked], &there, &[], Data::Keep);
    let wanted = [
        "remove link /etc/systemd/system/dev-zram0.swap",
        "have systemd read its units again",
        "remove the journal",
    ];
    assert_eq!(steps, wanted);
}

/// What a component writes for itself goes, however often it or we have written it since.
#[test]
fn what_a_kubelet_was_led_by_goes_with_it() {
    let path = "/etc/kubernetes/kubelet.conf";
    let unit = wrote("/etc/systemd/system/kubelet.service", None, "1");
    let ours = wrote(path, Some("its own"), "ours");
    let remove = format!("remove file {path}");
    for (entries, there, wanted) in [
        (vec![unit.clone(), ours.clone()], "ours", true),
        (vec![unit.clone(), ours.clone()], "its own again", true),
        (vec![unit], "its own", true),
        // Without a kubelet of ours it was another's.
        (vec![ours.clone()], "ours", false),
    ] {
        let told = shown(entries, &[(path, file(there, false))], &[], Data::Keep);
        assert_eq!(told.contains(&remove), wanted, "{there}: {told:#?}");
        let kept = told.iter().any(|line| line.starts_with("keep "));
        assert_eq!(kept, !wanted, "{there}: {told:#?}");
    }
}

/// A node whose containerd has a task of Kubernetes, one of Docker's, and what both have mounted.
fn shared(namespaces: &[&str], tasks: &[&str]) -> Inventory {
    let mut inventory = super::node(&["containerd.service", "kubelet.service"]);
    inventory.namespaces = namespaces.iter().map(ToString::to_string).collect();
    let task = "/run/containerd/io.containerd.runtime.v2.task";
    for (path, names) in [
        ("/run/containerd", &["containerd.sock", "s"][..]),
        ("/var/lib/containerd", &["io.containerd.content.v1.content"]),
        ("/run/containerd/io.containerd.grpc.v1.cri", &["sandboxes"]),
        (
            "/var/lib/containerd/io.containerd.grpc.v1.cri",
            &["sandboxes"],
        ),
        (task, tasks),
        (&format!("{task}/k8s.io"), &["a"]),
    ] {
        inventory.there.insert(path.to_owned(), folder(names));
    }
    for name in tasks {
        inventory.mounts.push(format!("{task}/{name}/a/rootfs"));
    }
    inventory
        .mounts
        .push("/var/lib/containerd/tmpmounts/b".to_owned());
    inventory
}

/// What is said of containerd's folders and images.
fn of_containerd(inventory: &Inventory, data: Data) -> Vec<String> {
    let told = super::told(inventory, data).into_iter();
    let mut told: Vec<_> = told.filter(|line| line.contains("containerd")).collect();
    told.retain(|line| line != "stop containerd.service");
    told
}

/// Docker, nerdctl and BuildKit have theirs in the same containerd.
#[test]
fn what_others_have_in_containerd_stays() {
    let task = "/run/containerd/io.containerd.runtime.v2.task";
    let unmount = |name: &str| format!("unmount {task}/{name}/a/rootfs");
    let tree = |path: &str| format!("remove folder {path} with all that is in it");
    let alone = [
        "unmount /var/lib/containerd/tmpmounts/b".to_owned(),
        unmount("k8s.io"),
        tree("/var/lib/containerd"),
        tree("/run/containerd"),
    ];
    let own = shared(&["k8s.io"], &["k8s.io"]);
    assert_eq!(of_containerd(&own, Data::Remove), alone);
    let left = |by: &str, holds: &str| {
        [
            format!("keep {by}: it holds {holds} of others"),
            tree("/run/containerd/io.containerd.grpc.v1.cri"),
            tree(&format!("{task}/k8s.io")),
            tree("/var/lib/containerd/io.containerd.grpc.v1.cri"),
        ]
    };
    let forget = "have containerd forget the containers and images of Kubernetes alone";
    for (namespaces, tasks, holds, forgets) in [
        (
            &["k8s.io", "moby"][..],
            &["k8s.io", "moby"][..],
            "moby",
            true,
        ),
        (&["buildkit", "k8s.io"], &["k8s.io"], "buildkit", true),
        // It does not run: by its folders alone.
        (&[], &["default", "k8s.io", "moby"], "default, moby", false),
    ] {
        let there = shared(namespaces, tasks);
        let told = of_containerd(&there, Data::Remove);
        for folder in ["/run/containerd", "/var/lib/containerd"] {
            for line in left(folder, holds) {
                assert!(told.contains(&line), "no {line} in {told:#?}");
            }
        }
        assert!(told.contains(&unmount("k8s.io")), "{told:#?}");
        assert_eq!(told.contains(&forget.to_owned()), forgets, "{told:#?}");
        for line in &alone[2..] {
            assert!(!told.contains(line), "{told:#?}");
        }
        let of_others = ["moby/a", "default/a", "tmpmounts"];
        let mut mounts = told.iter().filter(|line| line.starts_with("unmount"));
        let theirs = mounts.find(|line| of_others.iter().any(|one| line.contains(one)));
        assert_eq!(theirs, None);
        // A role that is taken off leaves images, and no less of others.
        let told = of_containerd(&there, Data::Keep);
        let data = "keep /var/lib/containerd: it is data; --data removes it".to_owned();
        assert!(
            told.contains(&data) && !told.contains(&alone[3]),
            "{told:#?}"
        );
        assert!(!told.contains(&forget.to_owned()), "{told:#?}");
    }
}

/// What is in its folders may be from before, also when nobody uses it at the moment; and after it
/// was brought back.
#[test]
fn folders_of_a_containerd_that_was_there_before_stay() {
    let turned = |enabled, active| Entry::Unit {
        name: "containerd.service".to_owned(),
        enabled,
        active,
    };
    let gone = || Entry::Gone {
        path: "/etc/systemd/system/containerd.service".to_owned(),
    };
    let kept =
        "keep /var/lib/containerd: it holds io.containerd.content.v1.content of others";
    for (entries, stood) in [
        (vec![turned(true, true), turned(true, true)], true),
        (vec![turned(false, true)], true),
        (vec![turned(false, false), turned(true, true)], false),
        (vec![turned(true, true), gone(), turned(false, false)], true),
        (
            vec![turned(false, false), gone(), turned(true, false)],
            true,
        ),
    ] {
        let mut there = shared(&["k8s.io"], &["k8s.io"]);
        there.entries.extend(entries.clone());
        let told = of_containerd(&there, Data::Remove);
        assert_eq!(
            told.contains(&kept.to_owned()),
            stood,
            "{entries:?}: {told:#?}"
        );
        let goes = "remove folder /var/lib/containerd with all that is in it".to_owned();
        assert_eq!(told.contains(&goes), !stood, "{entries:?}: {told:#?}");
    }
}
