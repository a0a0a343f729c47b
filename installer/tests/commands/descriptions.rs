//! What is said of a description, whoever reads it.

use std::process::Command;

use super::{SPEC, text, text_of};

/// What `check` warns of is said by whoever reads the description.
#[test]
fn what_may_not_be_meant_is_said_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("cluster.yaml");
    let whole = std::fs::read_to_string(SPEC).unwrap();
    let ipvs = whole.replace("networks:\n", "networks:\n  proxy: ipvs\n");
    assert_ne!(whole, ipvs);
    std::fs::write(&spec, ipvs).unwrap();
    for words in [
        &["check"][..],
        &["render", "--host", "m1"],
        &["plan", "--local", "m1", "--host", "m1"],
        &["preflight", "--local", "m1", "--host", "m1"],
        &["status", "--local", "m1", "--host", "m1"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_sternpost"))
            .args(words)
            .arg("--spec")
            .arg(&spec)
            .output()
            .unwrap();
        let said = text(&output.stderr);
        let warning = |line: &str| {
            line.starts_with("warning: ") && line.contains("is deprecated since")
        };
        assert_eq!(
            said.lines().filter(|line| warning(line)).count(),
            1,
            "{words:?}: {said}"
        );
    }
}

/// A manifest may hold a Secret: it is named, and not shown.
#[test]
fn render_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("cluster.yaml");
    let text = std::fs::read_to_string(SPEC).unwrap();
    let named = text.replace("hosts:\n", "manifests: more\nhosts:\n");
    assert_ne!(text, named);
    std::fs::write(&spec, named).unwrap();
    std::fs::create_dir(folder.path().join("more")).unwrap();
    let secret = "apiVersion: v1\nkind: Secret\nstringData: {password: Hunter2Hunter2}\n";
    std::fs::write(folder.path().join("more/secret.yaml"), secret).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sternpost"))
        .args(["render", "--host", "m1", "--spec"])
        .arg(&spec)
        .output()
        .unwrap();
    let said = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("further/secret.yaml 0600 root\n    (not for everybody; sha256 ")
    );
    assert!(!said.contains("Hunter2"), "{said}");
}

/// That API servers reach no Service is for who asks, and not said with all that is done.
#[test]
fn masters_that_are_no_nodes_are_named_by_check_alone() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read_to_string(SPEC).unwrap();
    let nodes = whole.replace("etcd, controlPlane]", "etcd, controlPlane, node]");
    let lines = whole.lines().filter(|line| !line.contains("name: n1"));
    let alone = lines.collect::<Vec<_>>().join("\n");
    let line = "cluster.yaml:12: hosts[0].roles: is without node";
    for (written, words, wanted) in [
        (&whole, &["check"][..], true),
        (&whole, &["render", "--host", "m1"], false),
        (&nodes, &["check"], false),
        (&alone, &["check"], false),
    ] {
        std::fs::write(folder.path().join("cluster.yaml"), written).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_sternpost"))
            .current_dir(folder.path())
            .args(words)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = text(&output.stderr);
        let named = said
            .lines()
            .any(|one| one.starts_with(&format!("warning: {line}")));
        assert_eq!(named, wanted, "{words:?}: {said}");
    }
}
