//! `hosts`: the machines, each with a name, addresses and roles of its own.

use std::collections::BTreeMap;
use std::net::IpAddr;

use config::KeyPath;

use super::file::{self, Role};
use super::meant::{Host, Ssh};
use super::reader::Reader;

/// What keeps ordinary Pods off a control-plane host.
const CONTROL_PLANE_TAINT: &str = "node-role.kubernetes.io/control-plane=:NoSchedule";
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

impl Reader<'_> {
    pub(super) fn hosts(&mut self, hosts: &[file::Host], at: &KeyPath) -> Vec<Host> {
        if hosts.is_empty() {
            self.refuse::<()>(at, "is empty; write at least one host");
        }
        let mut read = Vec::new();
        for (position, host) in hosts.iter().enumerate() {
            read.extend(self.host(host, &at.index(position)));
        }
        self.unique(hosts, at);
        read
    }

    fn host(&mut self, host: &file::Host, at: &KeyPath) -> Option<Host> {
        let name = self.dns_name(&host.name, &at.key("name"));
        let addresses_at = at.key("addresses");
        let addresses = self.each(&host.addresses, &addresses_at, Self::ip);
        if host.addresses.is_empty() {
            return self.refuse(&addresses_at, "is empty; write the host's address");
        }
        let families = addresses.iter().filter(|address| address.is_ipv4()).count();
        if families > 1 || addresses.len() - families > 1 {
            self.refuse::<()>(
                &addresses_at,
                "holds two addresses of one family; keep one",
            );
        }
        let roles = self.roles(&host.roles, &at.key("roles"));
        let taints = self.taints(host, &roles, &at.key("taints"));
        let first = addresses.first()?;
        let ssh = ssh(&host.ssh, *first);
        self.ssh_names(&ssh, &at.key("ssh"));
        Some(Host {
            name: name?,
            ssh,
            addresses,
            roles,
            labels: host.labels.clone(),
            taints,
        })
    }

    fn roles(&mut self, roles: &[Role], at: &KeyPath) -> Vec<Role> {
        if roles.is_empty() {
            self.refuse::<()>(at, "is empty; allowed: etcd, controlPlane, node");
        }
        let mut sorted = roles.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        sorted
    }

    fn taints(&mut self, host: &file::Host, roles: &[Role], at: &KeyPath) -> Vec<String> {
        let control_plane = roles.contains(&Role::ControlPlane);
        let Some(taints) = &host.taints else {
            return if control_plane {
                vec![CONTROL_PLANE_TAINT.to_owned()]
            } else {
                Vec::new()
            };
        };
        self.each(taints, at, |reader, text, at| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=".contains(c);
            match text.rsplit_once(':') {
                Some((name, effect))
                    if EFFECTS.contains(&effect)
                        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
                        && name.chars().all(plain) =>
                {
                    Some(text.to_owned())
                }
                Some(_) | None => reader.refuse(
                    at,
                    "is not a taint; write key=value:Effect with NoSchedule, \
                     PreferNoSchedule or NoExecute",
                ),
            }
        })
    }

    /// What ssh would read as an option must not come from a file.
    fn ssh_names(&mut self, ssh: &Ssh, at: &KeyPath) {
        let names = [("host", Some(&ssh.host)), ("user", ssh.user.as_ref())];
        for (key, name) in names {
            let odd = |c: char| c.is_whitespace() || c.is_control();
            let bad = |name: &&String| {
                name.is_empty() || name.starts_with('-') || name.contains(odd)
            };
            if name.filter(bad).is_some() {
                self.refuse::<()>(&at.key(key), "is not a name that ssh can be given");
            }
        }
    }

    fn unique(&mut self, hosts: &[file::Host], at: &KeyPath) {
        let mut names = BTreeMap::new();
        let mut addresses: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (position, host) in hosts.iter().enumerate() {
            let at = at.index(position);
            let name = host.name.to_ascii_lowercase();
            if let Some(first) = names.insert(name, position) {
                self.refuse::<()>(
                    &at.key("name"),
                    format!("is the name of hosts[{first}] too; give each host its own"),
                );
            }
            for (inner, text) in host.addresses.iter().enumerate() {
                let Ok(address) = text.parse() else { continue };
                let Some(first) = addresses.insert(address, position) else {
                    continue;
                };
                self.refuse::<()>(
                    &at.key("addresses").index(inner),
                    format!(
                        "is an address of hosts[{first}] too; give each host its own"
                    ),
                );
            }
        }
    }
}

fn ssh(ssh: &file::Ssh, address: IpAddr) -> Ssh {
    Ssh {
        host: ssh.host.clone().unwrap_or_else(|| address.to_string()),
        user: ssh.user.clone(),
        port: ssh.port,
    }
}
