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
