//! The import: files of haproxy and nginx as people have them, each with what is made of
//! it and with the whole report. `STERNPOST_BLESS=1` writes both anew.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use api_lb::import::{
    Dialect, Imported, Included, PublicPage, Surroundings, Verdict, import,
};
use proptest::prelude::*;

const FOLDER: &str = "tests/imports";

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(FOLDER)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|end| end == "cfg" || end == "conf")
        })
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    files
}

fn variable(name: &str) -> Option<String> {
    (name == "APISERVER_DEST_PORT").then(|| "8443".to_owned())
}

fn resolve(name: &str) -> Option<IpAddr> {
    let names = [
        "bootstrap",
        "master0",
        "master1",
        "master2",
        "compute0",
        "compute1",
    ];
    let short = name.strip_suffix(".ocp4.example.com")?;
    let at = names.iter().position(|known| *known == short)?;
    Some([192, 168, 7, u8::try_from(at).ok()?].into())
}

fn include(pattern: &str) -> Included {
    match pattern {
        "streams/*.conf" => {
            let text = "server { listen 192.0.2.10:8443; proxy_pass 192.0.2.8:8443; }";
            Ok(vec![("streams/one.conf".to_owned(), text.to_owned())])
        }
        "/etc/nginx/modules-enabled/*.conf" => Ok(vec![]),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

fn keep_password(user: &str, _password: &str) -> Result<String, String> {
    Err(format!("the password of {user} is not kept"))
}

fn imported(path: &Path) -> Imported {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let around = Surroundings {
        variable: &variable,
        resolve: &resolve,
        include: &include,
        keep_password: &keep_password,
        public_page: PublicPage::Closed,
    };
    import(Dialect::of(path, &text), name, &text, &around).unwrap()
}

fn is_as_in(path: &Path, got: &str) {
    if std::env::var_os("STERNPOST_BLESS").is_some() {
        fs::write(path, got).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(got == expected, "{}:\n{got}", path.display());
}

#[test]
fn every_file_becomes_what_it_should() {
    for path in files() {
        let imported = imported(&path);
        is_as_in(&path.with_extension("yaml"), &imported.yaml);
        is_as_in(&path.with_extension("report"), &imported.report.to_string());
    }
}

/// What comes out is taken by `api-lb check` as it is.
#[test]
fn what_is_written_is_good() {
    for path in files() {
        let yaml = path.with_extension("yaml");
        let out = Command::new(env!("CARGO_BIN_EXE_api-lb"))
            .args(["check", "--config"])
            .arg(&yaml)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{}: {said}", yaml.display());
    }
}

/// Every line with a directive has a finding; none is dropped in silence.
#[test]
fn every_directive_has_a_verdict() {
    for path in files() {
        let report = imported(&path).report;
        let text = fs::read_to_string(&path).unwrap();
        let is_nginx = path.extension().is_some_and(|end| end == "conf");
        for (number, line) in (1..).zip(text.lines()) {
            let code = line.split('#').next().unwrap().trim();
            let heads = ["global", "defaults", "frontend", "backend", "listen"];
            let is_head = heads.iter().any(|head| line.starts_with(head));
            let is_nothing = code.is_empty() || code == "}" || (is_head && !is_nginx);
            let found = report.findings().iter();
            let mut found = found.filter(|f| f.line == number && f.file.is_none());
            assert!(
                is_nothing || found.next().is_some(),
                "{}:{number}: {line}",
                path.display()
            );
        }
    }
}

/// A rule that turns clients away is either written as ours or called unsupported.
#[test]
fn what_turns_clients_away_is_written_or_said_to_be_lost() {
    for (file, words, is_written) in [
        ("rules-haproxy.cfg", "src -f /etc/haproxy/blocked", false),
        ("rules-haproxy.cfg", "src_conn_rate gt 100", false),
        ("limits-haproxy.cfg", "src_conn_cur(per_client)", true),
        ("limits-haproxy.cfg", "silent-drop if many", true),
        ("limits-haproxy.cfg", "src_conn_rate gt 300", false),
        ("limits-haproxy.cfg", "unless { sc1_conn_cur lt 40", true),
        ("limits-haproxy.cfg", "src_conn_cur(nowhere)", false),
        ("limits-haproxy.cfg", "sc0_conn_cur gt 20", false),
        ("limits-haproxy.cfg", "src_get_gpc0", false),
        ("limits-haproxy.cfg", "deny if", false),
        ("limits-haproxy.cfg", "content reject if { src 10.66", false),
        ("rules-haproxy.cfg", "use_backend other if", false),
        ("rules-haproxy.cfg", "setenv API", false),
        ("rules-haproxy.cfg", "maxconn 100", false),
        (
            "rules-haproxy.cfg",
            "reject unless { req.ssl_hello_type 1",
            true,
        ),
        (
            "rules-haproxy.cfg",
            "reject if { req.ssl_hello_type 1",
            false,
        ),
        ("rules-haproxy.cfg", "accept if { src 10.1", false),
        ("rules-haproxy.cfg", "connection reject if bad", false),
        ("rules-haproxy.cfg", "connection reject unless good", false),
        ("rules-haproxy.cfg", "content reject if { src 10.66", true),
        (
            "rules-haproxy.cfg",
            "content reject unless { src 10.0",
            true,
        ),
        (
            "rules-haproxy.cfg",
            "content accept if { req.ssl_hello_type 1",
            true,
        ),
        ("rules-nginx.conf", "deny 10.1.0.0/16", false),
        ("rules-nginx.conf", "limit_conn sources 20", true),
        ("rules-nginx.conf", "map ", true),
        ("routes-haproxy.cfg", "use_backend konnectivity", true),
        ("routes-haproxy.cfg", "-m end .example.com", false),
        ("routes-haproxy.cfg", "use_backend gone", false),
        ("routes-haproxy.cfg", "no default_backend", false),
        ("routes-nginx.conf", "~^rke", false),
        ("routes-nginx.conf", "no default", false),
    ] {
        let report = imported(&Path::new(FOLDER).join(file)).report;
        let mut found = report.findings().iter().filter(|f| f.text.contains(words));
        let finding = found.next_back().unwrap();
        let is_lost = matches!(finding.verdict, Verdict::Unsupported(_));
        assert_eq!(is_lost, !is_written, "{finding}");
    }
    let yaml = imported(&Path::new(FOLDER).join("rules-haproxy.cfg")).yaml;
    for line in [
        // Of proxies, and of clients.
        "  acceptProxy: [\"10.0.0.0/8\", \"192.168.0.0/16\"]\n",
        "  allow: [\"10.0.0.0/8\"]\n  deny: [\"10.66.0.0/16\"]\n",
        "  tls: {only: on, helloTimeout: 3s}\n",
    ] {
        assert!(yaml.contains(line), "{yaml}");
    }
}

/// One path is kept, where ours has room for it; a pace that ours has not is said to be lost.
#[test]
fn the_path_of_the_page_is_kept_or_said_to_be_lost() {
    let Imported { yaml, report } =
        imported(&Path::new(FOLDER).join("stats-haproxy.cfg"));
    let wanted = "admin: {address: \"127.0.0.1:8404\", statsPath: \"/haproxy?stats\"}\n";
    assert!(yaml.contains(wanted), "{yaml}");
    for (line, text, is_lost) in [
        (14, "stats uri /haproxy?stats", false),
        (15, "stats refresh 10s", false),
        (18, "listen impatient", true),
        (20, "stats uri /", false),
        (21, "stats refresh 500ms", true),
        (25, "stats uri /status", true),
        (26, "stats refresh soon", true),
        (30, "stats uri /lb", true),
    ] {
        let mut found = report.findings().iter();
        let lost = found.any(|finding| {
            finding.line == line
                && finding.text == text
                && matches!(finding.verdict, Verdict::Unsupported(_))
        });
        assert_eq!(lost, is_lost, "{line}: {report}");
    }
    // One verdict each, and no more.
    for number in [14, 20, 25, 30] {
        let of = report.findings().iter().filter(|f| f.line == number);
        assert_eq!(of.count(), 1, "{number}: {report}");
    }
    // Where nothing is said haproxy has a path of its own.
    let text = "listen stats\n mode http\n bind 127.0.0.1:9000\n stats enable\nlisten a\n bind :6443\n server s 192.0.2.1:6443 check\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    let yaml = imported(&file).yaml;
    assert!(yaml.contains("statsPath: \"/haproxy?stats\""), "{yaml}");
}

/// Of several lines the last one counts, one of `defaults` for those who inherit it.
#[test]
fn each_path_of_the_page_has_one_verdict() {
    let text = "defaults\n mode http\n stats uri /d\n\
        listen a\n bind 127.0.0.1:9000\n stats uri /a\n stats uri /b\n\
        listen c\n bind 127.0.0.1:9001\n\
        listen e\n bind 127.0.0.1:9002\n stats uri /b\n\
        defaults\n mode tcp\n stats uri /nobody\n\
        defaults\n mode tcp\n\
        listen k\n bind :6443\n server s 192.0.2.1:6443 check\n\
        listen f\n mode http\n bind 127.0.0.1:9003\n stats enable\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    let Imported { yaml, report } = imported(&file);
    assert!(yaml.contains("statsPath: \"/b\""), "{yaml}");
    let of = |line: usize| -> Vec<(String, &str)> {
        let found = report.findings().iter().filter(|f| f.line == line);
        let found = found.filter(|f| f.text.starts_with("stats"));
        found.map(|f| (f.text.clone(), f.verdict.name())).collect()
    };
    for (line, text, verdict) in [
        // The second listener inherits it.
        (3, "stats uri /d", "unsupported"),
        (6, "stats uri /a", "not needed"),
        (7, "stats uri /b", "honoured"),
        (12, "stats uri /b", "honoured"),
        (15, "stats uri /nobody", "not needed"),
    ] {
        assert_eq!(of(line), [(text.to_owned(), verdict)], "{line}: {report}");
    }
    // What is not written is another path all the same.
    let silent = [
        ("stats enable".to_owned(), "honoured"),
        ("stats uri /haproxy?stats".to_owned(), "unsupported"),
    ];
    assert_eq!(of(24), silent, "{report}");
}

/// Passwords go into a file of their own, hashed; neither report nor YAML has them.
#[test]
fn a_password_is_kept_hashed_or_refused_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (config, kept) = (
        folder.path().join("haproxy.cfg"),
        folder.path().join("kept"),
    );
    for (password, is_kept) in [("Password", false), ("correct-horse", true)] {
        let text = format!(
            "listen stats\n mode http\n bind *:9000\n stats enable\n stats auth Admin:{password}\nlisten a\n bind :6443\n server s 192.0.2.1:6443 check\n"
        );
        fs::write(&config, text).unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_api-lb"))
            .arg("import")
            .arg(&config)
            .args(["--allow-plain-stats", "--passwords"])
            .arg(&kept)
            .output()
            .unwrap();
        let all = [out.stdout, out.stderr].concat();
        let said = String::from_utf8_lossy(&all);
        assert!(!said.contains(&format!("Admin:{password}")), "{said}");
        assert_eq!(said.contains("passwordFile: "), is_kept, "{said}");
        assert!(said.contains("admin: {address: \"0.0.0.0:9000\""), "{said}");
        assert_eq!(kept.exists(), is_kept);
    }
    assert!(
        fs::read_to_string(&kept)
            .unwrap()
            .starts_with("Admin:pbkdf2-sha256$")
    );
}

#[test]
fn the_command_writes_the_file_and_the_report_apart_and_strict_fails() {
    let run = |file: &str, more: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_api-lb"))
            .arg("import")
            .arg(Path::new(FOLDER).join(file))
            .args(more)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    };
    let (code, yaml, report) = run("rke2-haproxy.cfg", &["--strict"]);
    assert_eq!(code, Some(0), "{report}");
    assert!(
        yaml.contains("kind: ApiLb") && report.contains("0 unsupported"),
        "{report}"
    );
    let (code, yaml, report) = run("rules-haproxy.cfg", &["--strict"]);
    assert_eq!(code, Some(1));
    assert!(
        yaml.contains("kind: ApiLb") && report.contains("unsupported  "),
        "{report}"
    );
    assert_eq!(run("rules-haproxy.cfg", &[]).0, Some(0));
    assert_eq!(run("rules-haproxy.cfg", &["--from", "nginx"]).0, Some(2));
    assert_eq!(run("none.cfg", &[]).0, Some(2));
}

/// An include is read from beside the file that names it.
#[test]
fn included_files_are_found_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("nginx.conf");
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(&main, "stream { include d/*.conf; include none.conf; }").unwrap();
    let inner = "server { listen 192.0.2.1:1;\nproxy_pass 192.0.2.2:1; wonder 1; }";
    fs::write(folder.path().join("d/a.conf"), inner).unwrap();
    fs::write(folder.path().join("d/b.other"), "}").unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_api-lb"))
        .arg("import")
        .arg(&main)
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{report}");
    assert!(
        report.contains("d/a.conf:   2  unsupported  wonder 1"),
        "{report}"
    );
    assert!(
        report.contains("include none.conf: it cannot be read here"),
        "{report}"
    );
}

proptest! {
    /// Whatever stands in a file, it is imported or refused; nothing panics, and what is
    /// written can be read.
    #[test]
    fn odd_texts_do_no_harm(seed in 0_usize..1000, at in 0.0..1.0_f64, put in "\\PC{0,12}") {
        let files = files();
        let Some(path) = files.get(seed % files.len()) else { return Ok(()) };
        let text = fs::read_to_string(path).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a text")]
        let mut place = (text.len() as f64 * at) as usize;
        while !text.is_char_boundary(place) {
            place -= 1;
        }
        let (head, tail) = text.split_at(place);
        let around = Surroundings { variable: &variable, resolve: &resolve, include: &include, keep_password: &keep_password, public_page: PublicPage::Closed };
        for dialect in [Dialect::Haproxy, Dialect::Nginx] {
            if let Ok(imported) = import(dialect, "odd", &format!("{head}{put}{tail}"), &around) {
                let known = api_lb::config::parse("odd", &imported.yaml);
                let is_yaml = known.err().is_none_or(|e| !e.to_string().contains("YAML"));
                prop_assert!(is_yaml, "{}", imported.yaml);
            }
        }
    }
}
