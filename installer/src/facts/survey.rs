//! What a machine is, before anything is asked of it.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::System;
use super::look::first;
use crate::agent::below;
use crate::judge;
use crate::kubeconfig;
use crate::layout;

/// Where systemd-resolved writes the name servers that it asks itself.
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Its interfaces with their addresses.
    pub interfaces: Vec<Interface>,
    /// The file with the real name servers, when `/etc/resolv.conf` names a stub.
    pub resolv_conf: Option<String>,
    /// A name server of `/etc/resolv.conf` that nobody but this host can ask, where nothing says
    /// which ones it asks itself.
    #[serde(default)]
    pub own_dns: Option<IpAddr>,
    /// Interfaces with a default route by a router's advertisements that the kernel takes as long
    /// as it does not forward.
    #[serde(default)]
    pub advertised: Vec<String>,
    /// Whether its kubelet has its certificate.
    pub joined: bool,
    /// The certificate that its kubelet shows, without the key.
    #[serde(default)]
    pub shows: Option<String>,
    /// Where its kubelet looks for the API, as its kubeconfig says it.
    #[serde(default)]
    pub dials: Option<String>,
    /// Its processor, as its kernel says it (`uname -m`).
    #[serde(default)]
    pub processor: String,
    /// What there is of it.
    #[serde(default)]
    pub system: Box<System>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address, as six pairs of digits.
    #[serde(default)]
    pub hardware: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// Why a machine is not known.
#[derive(Debug, Error)]
pub enum SurveyError {
    /// `ip` cannot be run.
    #[error("ip cannot be run; install iproute2, or iproute on a relative of RHEL")]
    Run(#[source] io::Error),
    /// What `ip` prints was not understood.
    #[error("what \"ip -json address\" prints was not understood")]
    Understand(#[source] serde_json::Error),
}

impl Machine {
    /// The interface that has an address.
    #[must_use]
    pub fn interface(&self, address: IpAddr) -> Option<&str> {
        let has = |one: &&Interface| one.addresses.contains(&address);
        self.interfaces
            .iter()
            .find(has)
            .map(|one| one.name.as_str())
    }
}

/// Looks at this machine, whose files lie below `root`.
///
/// # Errors
/// When `ip` cannot be run or understood.
pub fn survey(root: &Path) -> Result<Machine, SurveyError> {
    let interfaces = interfaces()?;
    let servers = |path: &Path| fs::read_to_string(path).ok().map(|text| loopback(&text));
    let own_dns = servers(&root.join("etc/resolv.conf")).flatten();
    // That file may name a server of this host, too.
    let real = own_dns.is_some() && servers(&below(root, RESOLVED)) == Some(None);
    Ok(Machine {
        interfaces,
        resolv_conf: real.then(|| RESOLVED.to_owned()),
        own_dns: own_dns.filter(|_| !real),
        advertised: advertised(root),
        system: Box::new(System::look(root)),
        joined: joined(root, SystemTime::now()),
        shows: shows(root),
        dials: dials(root),
        // An agent runs on the processor that it was built for.
        processor: std::env::consts::ARCH.to_owned(),
    })
}

/// Whether its kubelet has a certificate of the authority that lies there, and one that has not
/// ended: with another it would ask for its first one, had it a token.
fn joined(root: &Path, now: SystemTime) -> bool {
    let read = |path: &str| fs::read_to_string(below(root, path)).ok();
    let known = below(root, &layout::kubeconfig("kubelet")).exists();
    // That file only says where the certificate is: with a disk that is lost it is gone.
    let shows = read(layout::KUBELET_CLIENT).filter(|_| known);
    let authority = read(&layout::certificate("ca"));
    shows.is_some_and(|pem| {
        authority.is_none_or(|authority| judge::stands(&pem, &authority, now).is_ok())
    })
}

fn shows(root: &Path) -> Option<String> {
    let text = fs::read_to_string(below(root, layout::KUBELET_CLIENT)).ok()?;
    first(&text)
}

fn dials(root: &Path) -> Option<String> {
    let known = below(root, &layout::kubeconfig("kubelet"));
    kubeconfig::server(&fs::read_to_string(known).ok()?)
}

/// The first server of a resolv.conf(5) that nobody but this host can ask.
fn loopback(text: &str) -> Option<IpAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next())?
    });
    let mut addresses = servers.filter_map(|server| server.parse::<IpAddr>().ok());
    addresses.find(IpAddr::is_loopback)
}

#[derive(Deserialize)]
struct Route {
    dev: Option<String>,
    protocol: Option<String>,
}

/// A machine without IPv6 has none; what takes advertisements in the kernel's place, as
/// NetworkManager and systemd-networkd do, has told it to take none.
fn advertised(root: &Path) -> Vec<String> {
    let words = ["-json", "-6", "route", "show", "default"];
    let output = Command::new("ip").args(words).output();
    let printed = output.map(|output| output.stdout).unwrap_or_default();
    let takes = |name: &str| {
        let path = format!("/proc/sys/net/ipv6/conf/{name}/accept_ra");
        fs::read_to_string(below(root, &path)).is_ok_and(|text| text.trim() == "1")
    };
    by_routers(&printed, takes)
}

/// Of what `ip -json -6 route show default` prints, each interface once.
fn by_routers(json: &[u8], takes: impl Fn(&str) -> bool) -> Vec<String> {
    let routes: Vec<Route> = serde_json::from_slice(json).unwrap_or_default();
    let routes = routes.into_iter();
    let learnt = routes.filter(|route| route.protocol.as_deref() == Some("ra"));
    let mut names: Vec<_> = learnt.filter_map(|route| route.dev).collect();
    names.sort();
    names.dedup();
    names.retain(|name| takes(name));
    names
}

#[derive(Deserialize)]
struct Link {
    ifname: String,
    address: Option<String>,
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    local: Option<IpAddr>,
}

/// This machine's interfaces.
pub(crate) fn interfaces() -> Result<Vec<Interface>, SurveyError> {
    let output = Command::new("ip").args(["-json", "address"]).output();
    let output = output.map_err(SurveyError::Run)?;
    printed(&output.stdout).map_err(SurveyError::Understand)
}

fn printed(json: &[u8]) -> Result<Vec<Interface>, serde_json::Error> {
    let links: Vec<Link> = serde_json::from_slice(json)?;
    let interface = |link: Link| Interface {
        name: link.ifname,
        hardware: link.address,
        addresses: link
            .addr_info
            .into_iter()
            .filter_map(|one| one.local)
            .collect(),
    };
    Ok(links.into_iter().map(interface).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ip_prints() {
        let text = br#"[{"ifindex":1,"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},
            {"ifname":"ens33","address":"02:00:00:00:00:01","addr_info":[{"local":"192.0.2.1"},{"local":"fe80::1"}]},{"ifname":"dummy0"}]"#;
        let machine = Machine {
            interfaces: printed(text).unwrap(),
            ..Machine::default()
        };
        assert_eq!(
            machine.interface("192.0.2.1".parse().unwrap()),
            Some("ens33")
        );
        assert_eq!(machine.interface("192.0.2.2".parse().unwrap()), None);
        assert_eq!(machine.interfaces.len(), 3);
        let hardware = machine.interfaces[1].hardware.as_deref();
        assert_eq!(hardware, Some("02:00:00:00:00:01"));
    }

    #[test]
    fn a_route_that_a_router_has_told_of_counts_where_the_kernel_takes_its_word() {
        let text = br#"[{"dst":"default","gateway":"fe80::1","dev":"eth0","protocol":"ra","metric":1024,"flags":[],"expires":1790,"pref":"medium"},
            {"dst":"default","gateway":"fe80::2","dev":"eth0","protocol":"ra","metric":1024,"flags":[],"pref":"medium"},
            {"dst":"default","gateway":"fe80::1","dev":"eth1","protocol":"ra","metric":100,"flags":[]},
            {"dst":"default","gateway":"2001:db8::1","dev":"eth2","protocol":"static","metric":1024,"flags":[]},
            {"dst":"default","protocol":"ra","nexthops":[]}]"#;
        assert_eq!(by_routers(text, |name| name != "eth1"), ["eth0"]);
        assert_eq!(by_routers(text, |_| true), ["eth0", "eth1"]);
        assert_eq!(by_routers(b"[]", |_| true), [""; 0]);
        assert_eq!(by_routers(b"", |_| true), [""; 0]);
    }

    #[test]
    fn a_kubelet_whose_certificate_is_gone_has_ended_or_is_anothers_has_not_joined() {
        let now = SystemTime::now();
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = below(root.path(), path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let [own, other] = [(), ()].map(|()| pki::Authority::new("a", now).unwrap());
        let profile = pki::Profile::client("system:node:n1", &["system:nodes"]);
        let issued = own.issue(&profile, now).unwrap();
        assert!(!joined(root.path(), now));
        put(&layout::kubeconfig("kubelet"), "");
        assert!(!joined(root.path(), now));
        put(&layout::certificate("ca"), own.certificate_pem());
        assert!(!joined(root.path(), now));
        // The key stands behind it in one file.
        let pem = format!("{}{}", issued.certificate_pem, issued.key_pem.expose());
        put(layout::KUBELET_CLIENT, &pem);
        assert!(joined(root.path(), now));
        assert_eq!(dials(root.path()), None);
        let known = "clusters: [{name: a, cluster: {server: \"https://192.0.2.9:6443\"}}]\n\
                     contexts: [{name: a, context: {cluster: a, user: a}}]\ncurrent-context: a\n";
        put(&layout::kubeconfig("kubelet"), known);
        let dials = dials(root.path());
        assert_eq!(dials.as_deref(), Some("https://192.0.2.9:6443"));
        assert_eq!(shows(root.path()), Some(issued.certificate_pem));
        assert!(!joined(root.path(), now + pki::LEAF_LIFETIME * 2));
        put(&layout::certificate("ca"), other.certificate_pem());
        assert!(!joined(root.path(), now));
    }

    #[test]
    fn a_server_that_only_this_host_can_ask_is_known_by_its_address() {
        for (text, wanted) in [
            ("search a\nnameserver 127.0.0.53\n", Some("127.0.0.53")),
            (
                "nameserver 192.0.2.53\nnameserver 127.0.0.1",
                Some("127.0.0.1"),
            ),
            ("nameserver ::1", Some("::1")),
            ("nameserver 192.0.2.53", None),
            ("# nameserver 127.0.0.53", None),
            ("nameserver", None),
        ] {
            let wanted = wanted.map(|text| text.parse().unwrap());
            assert_eq!(loopback(text), wanted, "{text}");
        }
    }
}
