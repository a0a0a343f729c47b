//! The configuration: a folder of good and bad files, each bad one with the whole message,
//! and the examples of the manual.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its own files has failed"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bootstrap_signer::config::{Config, Mode};
use bootstrap_signer::context::Context;
use bootstrap_signer::inventory;
use bootstrap_signer::signing::Authorities;
use policy::{Settings, Source};
use proptest::prelude::*;

const FOLDER: &str = "tests/configs";
const MANUAL: &str = "../docs/config/bootstrap-signer.md";

#[test]
fn every_file_of_the_folder_gets_what_it_should() {
    let mut wrong = Vec::new();
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let parsed = Config::parse(name, &text);
        let got = parsed.err().map(|errors| format!("{errors}\n"));
        let expected = fs::read_to_string(file.with_extension("err")).ok();
        if got != expected {
            let got = got.unwrap_or_default();
            wrong.push(format!("{name}:\n got:\n{got}want:\n{expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER).unwrap();
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 14, "not where it was: {}", files.len());
    files
}

#[test]
fn everything_that_can_be_written_is_taken() {
    let text = fs::read_to_string(format!("{FOLDER}/everything.yaml")).unwrap();
    let config = Config::parse("everything", &text).unwrap();
    let settings = &config.settings;
    let defaults = Settings::default();
    assert_eq!(settings.signers.len(), 1);
    assert_eq!(settings.cluster_domain, "k8s.example");
    assert_eq!(settings.service_networks.len(), 2);
    let names: Vec<&String> = settings.reserved_names.iter().collect();
    assert_eq!(names, ["api.example.org", "registry.example.org"]);
    assert_eq!(settings.reserved_networks.len(), 3);
    assert_eq!(settings.masters["m1"].addresses.len(), 2);
    assert!(settings.control_plane_names[0].matches("master-1"));
    assert!(!settings.bootstrap_groups.contains("system:bootstrappers"));
    assert!(settings.bootstrap_users.contains("kubelet-bootstrap"));
    assert_eq!(settings.reprovision_after, Some(settings.node_grace));
    assert_ne!(settings.name_hold, defaults.name_hold);
    assert!(settings.allowed_names[0].matches("w1.example.org"));
    assert!(settings.allowed_node_names[0].matches("w1"));
    assert_eq!(settings.allowed_networks.len(), 1);
    assert_eq!((settings.max_sans, settings.quota.requests), (8, 5));
    assert_ne!(settings.max_expiration, defaults.max_expiration);
    assert_ne!(settings.quota.window, defaults.quota.window);
    assert!(settings.address_wait.is_zero());
    assert_eq!(settings.source, Source::Either);
    let listed = &config.inventory.unwrap().nodes["w1"];
    assert!(listed.names.contains("w1.example.org"));
    assert!(config.warnings.is_empty());
    assert_eq!(config.mode, Mode::Audit);
    assert!(config.kubeconfig.is_some());
    assert_eq!(config.admin.port(), 9021);
    assert_eq!(config.socket, Path::new("/run/x.sock"));
    assert_eq!(config.log.level, "debug");
}

/// The examples of the manual that are of `kind`.
fn examples(kind: &str) -> Vec<String> {
    let manual = fs::read_to_string(MANUAL).unwrap();
    let blocks = manual.split("```yaml\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("```").next());
    blocks
        .filter(|text| text.contains(&format!("kind: {kind}\n")))
        .map(|text| text.replace("/etc/sternpost/", "tests/configs/"))
        .map(|text| text.replace("nodes.yaml", "nodes.inventory"))
        .collect()
}

#[test]
fn the_examples_of_the_manual_are_good() {
    let configs = examples("BootstrapSigner");
    assert_eq!(configs.len(), 3);
    let folder = tempfile::tempdir().unwrap();
    write_authorities(folder.path());
    let files = format!("{}/", folder.path().display());
    for text in &configs {
        let text = text.replace("/etc/kubernetes/pki/", &files);
        Config::parse("manual", &text).unwrap();
    }
    for text in examples("NodeInventory") {
        assert_eq!(inventory::parse("manual", &text).unwrap().nodes.len(), 2);
    }
    for text in examples("ExplainContext") {
        Context::parse("manual", &text, SystemTime::UNIX_EPOCH).unwrap();
    }
    let manual = fs::read_to_string(MANUAL).unwrap();
    assert_eq!(manual.matches("```yaml").count(), 5);
}

/// `ca` and `ca-new`, each as `.crt` and `.key`.
fn write_authorities(folder: &Path) {
    for name in ["ca", "ca-new"] {
        let made = pki::Authority::new(name, SystemTime::now()).unwrap();
        let file = |end: &str, mode, content: &str| pki::File {
            path: format!("{name}.{end}").into(),
            mode,
            content: content.to_owned(),
        };
        let files = [
            file("crt", pki::Mode::Public, made.certificate_pem()),
            file("key", pki::Mode::Private, made.key_pem().expose()),
        ];
        pki::write(folder, &files).unwrap();
    }
}

#[test]
fn signers_sign_with_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    write_authorities(folder.path());
    let path = folder.path().display();
    let smallest = fs::read_to_string(format!("{FOLDER}/smallest.yaml")).unwrap();
    let text = format!(
        "{smallest}signing:\n  serving:\n    lifetime: 24h\n    authorities:\n\
         \x20   - {{certFile: {path}/ca-new.crt, keyFile: {path}/ca-new.key, signsFrom: \
         \"2026-01-31T12:00:00Z\"}}\n    - {{certFile: {path}/ca.crt, keyFile: {path}/ca.key}}\n"
    );
    let signing = Config::parse("signing", &text).unwrap().signing;
    let [(signer, role)] = signing.0.iter().collect::<Vec<_>>()[..] else {
        panic!("{signing:?}");
    };
    assert_eq!(*signer, policy::Signer::Serving);
    assert_eq!(role.lifetime, Duration::from_secs(86_400));
    let from = SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_860_800);
    assert_eq!(role.authorities[0].from, Some(from));
    assert_eq!(role.authorities[1].from, None);
    let loaded = Authorities::load(&signing).unwrap();
    let now = SystemTime::now();
    let signs = |at| {
        let signing = loaded.signing(policy::Signer::Serving, at);
        signing.map(|(authority, _)| authority.name().to_owned())
    };
    // From its time on, the new one; before that, and where it is no more, the other.
    assert_eq!(signs(now).as_deref(), Some("CN=ca-new"));
    let long_after = now + pki::CA_LIFETIME + Duration::from_secs(60);
    assert_eq!(signs(long_after), None);
    assert!(loaded.signing(policy::Signer::Client, now).is_none());
    assert_eq!(loaded.bundle().matches("BEGIN CERTIFICATE").count(), 2);
    // A key that others may read.
    let key = folder.path().join("ca.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o604)).unwrap();
    let errors = Config::parse("signing", &text).unwrap_err().to_string();
    assert!(errors.contains("authorities[1].keyFile"), "{errors}");
    assert!(errors.contains("mode 0604"), "{errors}");
}

/// The second example says that it shows the defaults.
#[test]
fn the_manual_shows_the_defaults() {
    let shown = Config::parse("manual", &examples("BootstrapSigner")[1]).unwrap();
    let text = fs::read_to_string(format!("{FOLDER}/smallest.yaml")).unwrap();
    assert_eq!(shown, Config::parse("smallest", &text).unwrap());
    let defaults = Settings {
        service_networks: shown.settings.service_networks.clone(),
        ..Settings::default()
    };
    assert_eq!(shown.settings, defaults);
    assert_eq!(shown.warnings.len(), 1);
}

proptest! {
    /// Whatever stands in a file, it is refused or taken; nothing panics.
    #[test]
    fn odd_texts_do_no_harm(seed: prop::sample::Index, at: prop::sample::Index, put in "\\PC{0,12}") {
        let files = files();
        let text = fs::read_to_string(seed.get(&files)).unwrap();
        let mut place = at.index(text.len() + 1);
        while !text.is_char_boundary(place) {
            place -= 1;
        }
        let (head, tail) = text.split_at(place);
        let _ = Config::parse("odd", &format!("{head}{put}{tail}"));
        let _ = Config::parse("odd", head);
    }
}
