//! The configuration: a folder of good and bad files, each bad one with the whole message,
//! and the examples of the manual.
//!
//! Leaves to the daemon's tests: that nothing is touched when a file is bad.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use api_lb::config::{Config, parse};
use proptest::prelude::*;

const FOLDER: &str = "tests/configs";
const MANUAL: &str = "../docs/config/api-lb.md";
const README: &str = "../README.md";

#[test]
fn every_file_of_the_folder_gets_what_it_should() {
    let mut wrong = Vec::new();
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let got = parse(name, &text).err().map(|errors| format!("{errors}\n"));
        let expected = fs::read_to_string(file.with_extension("err")).ok();
        if got != expected {
            wrong.push(format!("{name}:\n got: {got:?}\nwant: {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn files() -> Vec<PathBuf> {
    let entries =
        fs::read_dir(FOLDER).unwrap_or_else(|error| panic!("{FOLDER}: {error}"));
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    assert!(
        files.len() > 20,
        "the folder is not where it was: {}",
        files.len()
    );
    files
}

/// Each client would be carried to the balancer itself until no descriptor is left.
#[test]
fn a_server_of_this_host_behind_a_wildcard_bind_of_its_port_is_refused() {
    let file = |address: IpAddr, port: u16| {
        let server = SocketAddr::new(address, port);
        format!(
            "apiVersion: sternpost/v1\nkind: ApiLb\nfrontends:\n- {{name: f, bind: [\"0.0.0.0:6443\"], backend: b}}\nbackends:\n- {{name: b, servers: [{{name: s, address: \"{server}\"}}]}}\n"
        )
    };
    for own in own_addresses() {
        let errors = parse("own", &file(own, 6443)).unwrap_err().to_string();
        assert!(errors.contains("would connect to itself"), "{errors}");
        assert!(parse("other port", &file(own, 6444)).is_ok());
    }
    let others = IpAddr::from([198, 51, 100, 1]);
    assert!(parse("another host", &file(others, 6443)).is_ok());
}

/// Loopback, and the address that this host speaks to others from, where it has one.
fn own_addresses() -> Vec<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let spoken = socket
        .connect("198.51.100.1:1")
        .and_then(|()| socket.local_addr());
    let loopback = IpAddr::from([127, 0, 0, 1]);
    [Some(loopback), spoken.ok().map(|address| address.ip())]
        .into_iter()
        .flatten()
        .collect()
}

/// The examples of the manual, with the files they name where a test has them.
fn examples(folder: &Path) -> Vec<String> {
    let pages = [MANUAL, README].map(|page| fs::read_to_string(page).unwrap());
    let authority = pki::Authority::new("test", SystemTime::now()).unwrap();
    let issued = authority
        .issue(&pki::Profile::client("check", &[]), SystemTime::now())
        .unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("ca.crt", authority.certificate_pem());
    write("check.crt", &issued.certificate_pem);
    write("check.key", issued.key_pem.expose());
    let server = "https://192.168.220.224:6443";
    let authority = authority.certificate_pem();
    let kubeconfig =
        pki::Kubeconfig::new("kubernetes", server, authority, "api-lb", &issued);
    write("check-api-lb.kubeconfig", &kubeconfig.to_yaml());
    let folder = format!("{}/", folder.display());
    pages
        .iter()
        .flat_map(|page| page.split("```yaml\n").skip(1))
        .filter_map(|rest| rest.split("```").next())
        .filter(|text| text.contains("kind: ApiLb"))
        .map(|text| text.replace("/etc/kubernetes/pki/", &folder))
        .map(|text| {
            text.replace(
                "/etc/sternpost/api-lb.k",
                &format!("{folder}check-api-lb.k"),
            )
        })
        .map(|text| text.replace("/etc/sternpost/check", &format!("{folder}check")))
        .collect()
}

#[test]
fn the_examples_of_the_manual_are_good() {
    let folder = tempfile::tempdir().unwrap();
    let examples = examples(folder.path());
    assert_eq!(examples.len(), 5);
    for text in examples {
        let config =
            parse("manual", &text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }
}

/// A token that others may read is no secret.
#[test]
fn a_token_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let text = fs::read_to_string("tests/configs/smallest.yaml").unwrap();
    let check = format!(
        "check: {{https: {{caFile: tests/configs/ca.crt, tokenFile: {}}}}}",
        token.display()
    );
    let text = text.replace("  servers:", &format!("  {check}\n  servers:"));
    for (content, mode, problem) in [
        ("abc\n", 0o600, ""),
        ("abc", 0o400, ""),
        ("abc", 0o640, "may be read by others"),
        ("abc", 0o604, "may be read by others"),
        ("a\nb", 0o600, "holds no token on one line"),
        ("", 0o600, "holds no token on one line"),
    ] {
        fs::write(&token, content).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();
        let said = parse("token", &text).err().map(|e| e.to_string());
        let said = said.unwrap_or_default();
        assert!(said.contains(problem), "{content:?} {mode:o}: {said}");
        assert_eq!(said.is_empty(), problem.is_empty(), "{mode:o}: {said}");
        fs::remove_file(&token).unwrap();
    }
    let said = parse("token", &text).unwrap_err().to_string();
    assert!(said.contains("cannot be read"), "{said}");
}

/// The second example says that it shows the defaults.
#[test]
fn the_manual_shows_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let shown = parse("manual", &examples(folder.path())[1]).unwrap();
    let text = fs::read_to_string("tests/configs/smallest.yaml").unwrap();
    let bare = parse("smallest", &text).unwrap();
    assert_eq!(defaults(&shown), defaults(&bare));
    assert!(bare.workers.get() <= 4);
}

fn defaults(config: &Config) -> String {
    let Config {
        drain_delay,
        drain_timeout,
        admin,
        vip_daemon,
        socket,
        log,
        log_connections,
        ..
    } = config;
    let (frontend, backend) = (&config.frontends[0], &config.backends[0]);
    let check = &backend.check;
    format!(
        "{drain_delay:?} {drain_timeout:?} {admin} {vip_daemon:?} {socket:?} {log:?} {log_connections:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {}",
        frontend.tcp,
        backend.balance,
        backend.dial,
        backend.idle,
        backend.tcp,
        check.pace,
        check.timeout,
        check.rise,
        check.fall,
        backend.servers[0].weight,
    )
}

proptest! {
    /// Whatever stands in a file, it is refused or taken; nothing panics.
    #[test]
    fn odd_texts_do_no_harm(seed in 0_usize..1000, at in 0.0..1.0_f64, put in "\\PC{0,12}") {
        let files = files();
        let text = fs::read_to_string(&files[seed % files.len()]).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a text")]
        let mut place = (text.len() as f64 * at) as usize;
        while !text.is_char_boundary(place) {
            place -= 1;
        }
        let (head, tail) = text.split_at(place);
        let _ = parse("odd", &format!("{head}{put}{tail}"));
        let _ = parse("odd", head);
    }
}

/// What is allowed and probably a mistake, with the line and the key of each.
#[test]
fn traps_are_warned_of_where_they_stand() {
    let text = fs::read_to_string("tests/configs/lints.yaml").unwrap();
    let warnings = parse("lints.yaml", &text).unwrap().warnings;
    let expected = [
        "line 3: admin.address: shows the servers",
        "line 6: frontends[0].bind[0]: takes the servers' own port",
        "line 6: frontends[0].bind[1]: takes the servers' own port",
        "line 13: backends[0].timeouts.idle: cuts what is quiet for 59m",
        "line 12: backends[0].check: only asks whether a connection is accepted",
        "line 16: backends[0].servers[1].maxConnections: is few",
        "line 14: backends[0].servers: names two servers",
        "line 21: backends[1].servers[0].address: is the insecure port",
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.starts_with(expected), "{warning}\nwant {expected}");
    }
}
