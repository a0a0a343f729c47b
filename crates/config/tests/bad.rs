//! Every file in `tests/bad` is refused with exactly the text in the file beside it.
//! To add one: write the YAML, run, judge the message that the failure prints, and
//! put it into the `.txt`.

use config::{Address, Errors, Period, Size};
use serde::Deserialize;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A type with one of everything that the daemons' files are made of.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only whether it can be read matters")]
struct Sample {
    name: String,
    #[serde(default)]
    interval: Option<Period>,
    #[serde(default)]
    limit: Option<Size>,
    #[serde(default)]
    weight: u16,
    #[serde(default)]
    fast: bool,
    #[serde(default)]
    ip: Option<IpAddr>,
    #[serde(default)]
    balance: Balance,
    #[serde(default)]
    check: Option<Check>,
    #[serde(default)]
    servers: Vec<Server>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Balance {
    #[default]
    Roundrobin,
    Leastconn,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only whether it can be read matters")]
enum Check {
    Tcp {},
    Https(Https),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only whether it can be read matters")]
struct Https {
    path: String,
    ca_file: Option<PathBuf>,
    interval: Option<Period>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only whether it can be read matters")]
struct Server {
    name: String,
    address: Address,
    #[serde(default)]
    weight: u8,
}

fn refusal(path: &Path) -> Option<Errors> {
    config::read::<Sample>(path, "Sample").err()
}

fn cases() -> io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[test]
fn each_bad_file_gets_its_message() {
    let cases = cases().unwrap();
    assert!(cases.len() > 40, "only {} files", cases.len());
    let mut failures = String::new();
    for path in cases {
        let folder = format!("{}/", path.parent().unwrap().display());
        let got = match refusal(&path) {
            Some(errors) => errors.to_string().replace(&folder, ""),
            None => "accepted".to_owned(),
        };
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        if got != expected.trim_end() {
            let name = path.display();
            failures += &format!("--- {name}\n{got}\n+++ expected\n{expected}\n");
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}
