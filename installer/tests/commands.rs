//! Commands that look at hosts, tried on this machine: it is none of the description's, and
//! each says so without touching anything.
//!
//! Leaves to others: machines that are.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "commands/descriptions.rs"]
mod descriptions;

use std::process::{Command, Output};

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spec/whole.yaml");

fn sternpost(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_sternpost");
    let command = arguments.first().unwrap();
    Command::new(program)
        .args([command, "--spec", SPEC, "--local", "m1", "--host", "m1"])
        .args(arguments.iter().skip(1))
        .output()
        .unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

#[test]
fn preflight_names_what_speaks_against_this_machine() {
    let output = sternpost(&["preflight"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let wanted = "m1: blocks: none of its interfaces has 192.168.220.100: it is another machine; \
                  correct hosts[].addresses or hosts[].ssh.host";
    assert!(said.lines().any(|line| line == wanted), "{said}");
    let output = sternpost(&["preflight", "--output", "json"]);
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let first = all.pointer("/findings/0").unwrap();
    assert_eq!(first.get("finding").unwrap(), "otherMachine");
}

/// Not even a lock is left on it; that it was tried is noted here.
#[test]
fn apply_leaves_another_machine_alone_and_notes_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let spec = "apiVersion: sternpost/v1\nkind: Cluster\nname: other\n\
                kubernetes: {version: 1.36.3}\nbalancer: {mode: none}\nhosts:\n\
                - {name: m1, addresses: [\"192.0.2.1\"], roles: [etcd, controlPlane]}\n";
    std::fs::write(path("cluster.yaml"), spec).unwrap();
    std::fs::create_dir(path("binaries")).unwrap();
    std::fs::write(path("binaries/SHA256SUMS"), "").unwrap();
    let lock = std::path::Path::new("/var/lib/sternpost/lock");
    let before = lock.exists();
    let output = Command::new(env!("CARGO_BIN_EXE_sternpost"))
        .args(["apply", "--local", "m1", "--spec"])
        .arg(path("cluster.yaml"))
        .env("XDG_STATE_HOME", path("state"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(lock.exists(), before);
    let noted = std::fs::read_to_string(path("state/sternpost/other.jsonl")).unwrap();
    let mut lines = noted.lines();
    assert!(
        lines.next().unwrap().contains(r#""event":"begun""#),
        "{noted}"
    );
    let failed = lines.next().unwrap();
    let why = "none of its interfaces has 192.0.2.1; is this the right machine?";
    assert!(
        failed.contains(r#""event":"failed""#) && failed.contains(why),
        "{noted}"
    );
}

#[test]
fn certs_says_of_each_that_there_is_none() {
    let [plain, list] = [&["certs"][..], &["certs", "list"]].map(|words| {
        let output = sternpost(words);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        text(&output.stdout)
    });
    assert_eq!(plain, list);
    let check = sternpost(&["certs", "check"]);
    // Those of the spec's authorities are not there either: nothing is good.
    assert_eq!((check.status.code(), text(&check.stdout)), (Some(1), plain));
    let other = sternpost(&["certs", "chek"]);
    assert_eq!(other.status.code(), Some(2), "{other:?}");
    let output = sternpost(&["certs", "-o", "json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines = all.pointer("/0/certificates").unwrap().as_array().unwrap();
    let names = lines.iter().filter_map(|line| line.get("name")?.as_str());
    let names: Vec<_> = names.collect();
    assert!(
        names.contains(&"apiserver") && names.contains(&"etcd/peer"),
        "{names:?}"
    );
}

#[test]
fn status_names_what_does_not_run_here() {
    let output = sternpost(&["status"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        said.starts_with(
            "HOST  UNITS  ADDRESS  SERVERS  ETCD  NODE  CERTIFICATES\nm1    0/"
        ),
        "{said}"
    );
    let missing = "m1: kube-apiserver.service: there is none";
    assert!(said.lines().any(|line| line == missing), "{said}");
    let output = sternpost(&["status", "-o", "json"]);
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all.pointer("/hosts/0/units/good").unwrap(), 0);
    let troubles = all.pointer("/troubles").unwrap().as_array().unwrap();
    let of = |kind: &str| {
        troubles
            .iter()
            .filter(|one| one.get("trouble").unwrap() == kind)
            .count()
    };
    assert!(of("unit") > 5 && of("certificate") > 5, "{troubles:?}");
}

/// Nothing here is the cluster's, and nothing is touched without its name.
#[test]
fn reset_wants_the_name_of_the_cluster() {
    let output = sternpost(&["reset"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        text(&output.stderr).contains("--confirm <CLUSTER>"),
        "{output:?}"
    );
    let output = sternpost(&["reset", "--confirm", "another"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = text(&output.stderr);
    assert!(
        said.starts_with("--confirm another: the cluster is called "),
        "{said}"
    );
    let output = sternpost(&["reset", "--dry-run"]);
    assert!(text(&output.stdout).starts_with("m1: "), "{output:?}");
}

/// That is when it is wanted most.
#[test]
fn diagnose_keeps_what_a_host_gave_that_cannot_say_how_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.tar.gz");
    let output = Command::new(env!("CARGO_BIN_EXE_sternpost"))
        // No systemctl is there, which says how units are.
        .env("PATH", folder.path())
        .args(["diagnose", "--local", "m1", "--host", "m1", "--spec", SPEC])
        .arg("--to")
        .arg(&file)
        .output()
        .unwrap();
    let said = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("systemctl cannot be run"), "{said}");
    assert!(said.contains("of 1 host(s)"), "{said}");
    let list = Command::new("tar").arg("-tzf").arg(&file).output().unwrap();
    let names = text(&list.stdout);
    assert!(names.contains("/m1/system/disk.txt"), "{names}");
}

/// What does not run here is named, and what is written is for its owner alone, without any
/// secret of the description.
#[test]
fn diagnose_collects_and_keeps_secrets_out() {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("cluster.yaml");
    let planted = "Hunter2Hunter2";
    let planned = format!(
        "{}# password: {planted}\n",
        std::fs::read_to_string(SPEC).unwrap()
    );
    std::fs::write(&spec, planned).unwrap();
    let file = folder.path().join("all.tar.gz");
    let run = || {
        Command::new(env!("CARGO_BIN_EXE_sternpost"))
            .args(["diagnose", "--local", "m1", "--host", "m1", "--spec"])
            .arg(&spec)
            .arg("--to")
            .arg(&file)
            .output()
            .unwrap()
    };
    let output = run();
    let said = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("m1: kube-apiserver.service: there is none"),
        "{said}"
    );
    assert!(
        said.contains("m1: none of its interfaces has 192.168.220.100"),
        "{said}"
    );
    assert!(said.trim_end().ends_with("secrets masked"), "{said}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o7777, 0o600);
    let tar = |arguments: &[&str]| {
        let output = Command::new("tar")
            .args(arguments)
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout)
    };
    let names = tar(&["-tzf"]);
    for wanted in [
        "/m1/system/disk.txt",
        "/m1/units/etcd.service.log",
        "/causes.txt",
    ] {
        assert!(names.lines().any(|name| name.ends_with(wanted)), "{names}");
    }
    let whole = tar(&["-xzOf"]);
    assert!(whole.contains("password: (masked)") && !whole.contains(planted));
    // What is there is not written over.
    assert_eq!(run().status.code(), Some(2));
}

fn text_of(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn verify_names_what_does_not_answer_and_lays_nothing_down() {
    let output = sternpost(&["verify", "--patience", "0"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("BAD: kubectl cannot be run"), "{said}");
    let skipped = said
        .lines()
        .any(|line| line.ends_with("skipped: no host is to be a node"));
    assert!(skipped, "{said}");
    let output = sternpost(&["verify", "--no-pods", "-o", "json"]);
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = all.pointer("/findings").unwrap().as_array().unwrap();
    let bad = findings
        .iter()
        .filter(|one| one.get("verdict").unwrap() == "bad");
    assert_eq!(all.get("bad").unwrap().as_u64(), Some(bad.count() as u64));
    assert!(findings.len() > 5, "{findings:?}");
}

#[test]
fn kubeconfig_has_nobody_to_ask() {
    let output = sternpost(&["kubeconfig"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = text(&output.stderr);
    assert!(
        said.starts_with("no master gives the cluster's authorities; m1 has none"),
        "{said}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_host_that_is_not_there_is_named_before_anything_is_asked() {
    let program = env!("CARGO_BIN_EXE_sternpost");
    let arguments = ["preflight", "--spec", SPEC, "--host", "m9"];
    let output = Command::new(program).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.starts_with("--host m9: is no host of"), "{said}");
}

#[test]
fn init_writes_what_check_takes_and_leaves_a_file_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_sternpost"))
            .current_dir(folder.path())
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    };
    let masters = [
        "--master=m1=192.0.2.11",
        "--master=m2=192.0.2.12",
        "--master=m3=192.0.2.13",
    ];
    let nameless: Vec<_> = ["init"].into_iter().chain(masters).collect();
    let said = text(&run(&nameless).stderr);
    assert!(
        said.starts_with("nobody is here to be asked; write --name"),
        "{said}"
    );
    let without: Vec<_> = nameless.into_iter().chain(["--name=prod"]).collect();
    let said = text(&run(&without).stderr);
    assert!(
        said.starts_with("nobody is here to be asked; write --address"),
        "{said}"
    );
    let whole: Vec<_> = without
        .into_iter()
        .chain(["--address=192.0.2.9/24"])
        .collect();
    assert_eq!(run(&whole).status.code(), Some(0));
    assert_eq!(run(&["check"]).status.code(), Some(0));
    let said = text(&run(&["reset", "--confirm", "kubernetes"]).stderr);
    let own = "--confirm kubernetes: the cluster is called prod";
    assert!(said.starts_with(own), "{said}");
    let said = text(&run(&whole).stderr);
    assert!(said.starts_with("cluster.yaml: is there already"), "{said}");
    let outside = ["init", "--name=a", "--spec=other.yaml"].into_iter();
    let outside: Vec<_> = outside
        .chain(["--address=198.51.100.9/24"])
        .chain(masters)
        .collect();
    let said = text(&run(&outside).stderr);
    assert!(said.contains("is outside the subnet of m1"), "{said}");
    assert!(!folder.path().join("other.yaml").exists());
}
