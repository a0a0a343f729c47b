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
