//! What operators write: our own files, and those of the programs we replace.

use std::io;

use api_lb::import::{Dialect, PublicPage, Surroundings};
use config::Errors;
use serde_json::Value;
use vip_daemon::import::Source;

/// api-lb's configuration.
pub fn api_lb(data: &[u8]) {
    each_has_a_place(data, |text| api_lb::config::parse("fuzzed", text).err());
}

/// vip-daemon's configuration.
pub fn vip_daemon(data: &[u8]) {
    each_has_a_place(data, |text| {
        vip_daemon::config::Config::parse("fuzzed", text).err()
    });
}

/// bootstrap-signer's configuration.
pub fn bootstrap_signer(data: &[u8]) {
    each_has_a_place(data, |text| {
        bootstrap_signer::config::Config::parse("fuzzed", text).err()
    });
}

/// The inventory of nodes.
pub fn inventory(data: &[u8]) {
    each_has_a_place(data, |text| {
        bootstrap_signer::inventory::parse("fuzzed", text).err()
    });
}

/// The installer's description of a cluster.
pub fn cluster(data: &[u8]) {
    each_has_a_place(data, |text| sternpost::spec::parse("fuzzed", text).err());
}

/// haproxy's configuration.
pub fn haproxy(data: &[u8]) {
    balancer(data, Dialect::Haproxy);
}

/// nginx's configuration.
pub fn nginx(data: &[u8]) {
    balancer(data, Dialect::Nginx);
}

/// keepalived's configuration.
pub fn keepalived(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let source = Source { name: "f", text };
    if let Ok(imported) = vip_daemon::import::import(source, Some("m1"), &[source]) {
        is_yaml(&imported.yaml);
    }
}

/// The environment file of older instructions.
pub fn env_sh(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        is_yaml(&sternpost::import::env_sh(text).yaml);
    }
}

/// Every error names the file, a line of it where it names one, and says something.
fn each_has_a_place(data: &[u8], parse: impl Fn(&str) -> Option<Errors>) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Some(errors) = parse(text) else { return };
    let said = errors.to_string();
    assert!(said.starts_with("fuzzed"), "no file is named: {said}");
    assert!(!said.contains('\0'), "an error repeats a NUL: {said:?}");
}

fn balancer(data: &[u8], dialect: Dialect) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let around = Surroundings {
        variable: &|name| Some(name.to_owned()),
        resolve: &|_| None,
        include: &|_| Err(io::ErrorKind::NotFound.into()),
        keep_password: &|_, _| Ok("/dev/null".to_owned()),
        public_page: PublicPage::Closed,
    };
    if let Ok(imported) = api_lb::import::import(dialect, "f", text, &around) {
        is_yaml(&imported.yaml);
    }
}

/// What an import prints can be read, whatever names and values it took over.
///
/// # Panics
/// When it cannot.
fn is_yaml(text: &str) {
    if let Err(errors) = config::parse_foreign::<Value>("imported", text) {
        panic!("an import prints what is no YAML: {errors}\n{text}");
    }
}
