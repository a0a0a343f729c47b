//! What is not begun, since the API would serve another etcd than the one that has the cluster's
//! objects: members that are only described anew, or an etcd of others in the place of ours.

use std::fs;
use std::time::SystemTime;

use super::hosts::Hosts;
use super::safe::{MASTERS, described};
use super::{Tried, holds};

/// Whom the members of etcd count among themselves, by their own word.
fn count(hosts: &Hosts, members: &[(&str, &str)]) -> Tried {
    let member = |(name, address): &(&str, &str)| {
        format!("{{\"name\":\"{name}\",\"peerURLs\":[\"https://{address}:2380\"]}}")
    };
    let all = members.iter().map(member).collect::<Vec<_>>().join(",");
    hosts.members(&format!("{{\"members\":[{all}]}}"))
}

/// Members that were only described anew would found a cluster of their own beside the one that
/// serves.
pub(super) fn members() -> Tried {
    let hosts = Hosts::new()?;
    let line = |at: &str| format!("addresses: [\"{at}\"], roles: ");
    let (two, three) = (line(MASTERS[1]), line(MASTERS[2]));
    let role = |of: &str, role: &str| format!("{of}[{role}]");
    let (master, node) = ("etcd, controlPlane", "node");
    let as_nodes = [
        (role(&two, master), role(&two, node)),
        (role(&three, master), role(&three, node)),
    ];
    let pairs = as_nodes.each_ref().map(|(m, n)| (m.as_str(), n.as_str()));
    hosts.replace(&pairs)?;
    hosts.run(&["apply"])?.ended(0)?;
    fs::create_dir_all(hosts.root(MASTERS[0]).join("var/lib/etcd/member"))?;
    hosts.run(&["apply"])?.ended(0)?;
    hosts.replace(&pairs.map(|(m, n)| (n, m)))?;
    let stands = "on m1: m1=https://192.0.2.11:2380\n";
    let described = "described: m1=https://192.0.2.11:2380, m2=https://192.0.2.12:2380, \
                     m3=https://192.0.2.13:2380\n";
    for words in [&["plan"][..], &["apply"], &["apply", "--host", "n1"]] {
        let said = hosts.run(words)?.ended(1)?;
        holds(
            &said,
            "not begun: the members of etcd are not those of the description",
        )?;
        holds(&said, stands)?;
        holds(&said, described)?;
        let log = hosts.log()?;
        let unit = "etc/systemd/system/etcd.service";
        let unit = hosts.root(MASTERS[1]).join(unit).exists();
        if unit || log.iter().any(|line| line.contains("start")) {
            return Err(format!("{words:?} has begun:\n{}", log.join("\n")).into());
        }
    }
    // Who has had etcd take them in goes on: its own word counts.
    let all = [("m1", MASTERS[0]), ("m2", MASTERS[1]), ("", MASTERS[2])];
    count(&hosts, &all[..2])?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(
        &said,
        "on m1: m1=https://192.0.2.11:2380, m2=https://192.0.2.12:2380\n",
    )?;
    // Those that have no data would found a cluster all the same: its list binds nobody.
    count(&hosts, &all)?;
    hosts.log()?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(
        &said,
        "not begun: started as described, m2, m3 would found a second cluster",
    )?;
    if hosts.log()?.iter().any(|line| line.contains("start")) {
        return Err("m2 has founded one".into());
    }
    let joins = "flags: {etcd: {initial-cluster-state: existing}}";
    hosts.describe(joins)?;
    // The first of them may be what a majority lacks.
    fs::write(hosts.root(MASTERS[0]).join("run/alone"), "")?;
    hosts.run(&["apply"])?.ended(0)?;
    fs::remove_file(hosts.root(MASTERS[0]).join("run/alone"))?;
    for host in &MASTERS[1..] {
        fs::create_dir_all(hosts.root(host).join("var/lib/etcd/member"))?;
    }
    hosts.replace(&[(joins, "")])?;
    hosts.run(&["apply"])?.ended(0)?;
    // A member is known by its name, too.
    hosts.replace(&[("{name: m3,", "{name: x3,")])?;
    count(
        &hosts,
        &[("m1", MASTERS[0]), ("m2", MASTERS[1]), ("m3", MASTERS[2])],
    )?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(&said, "m3=https://192.0.2.13:2380\n")?;
    holds(&said, "x3=https://192.0.2.13:2380\n")
}

/// Nothing is begun, and why is said.
fn untouched(hosts: &Hosts, why: &[&str]) -> Tried {
    hosts.log()?;
    for words in [&["plan"][..], &["apply"], &["apply", "--host", "n1"]] {
        let said = hosts.run(words)?.ended(1)?;
        why.iter().try_for_each(|why| holds(&said, why))?;
        let log = hosts.log()?;
        if log.iter().any(|line| line.contains("start ")) {
            return Err(format!("{words:?} has begun:\n{}", log.join("\n")).into());
        }
    }
    Ok(())
}

/// The role alone goes from m1 to n1, which would found an etcd of its own.
pub(super) fn moved() -> Tried {
    let hosts = Hosts::new()?;
    let line = |at: &str, roles: &str| format!("addresses: [\"{at}\"], roles: [{roles}]");
    let master = "etcd, controlPlane";
    for at in &MASTERS[1..] {
        hosts.replace(&[(&line(at, master), &line(at, "node"))])?;
    }
    hosts.run(&["apply"])?.ended(0)?;
    fs::create_dir_all(hosts.root(MASTERS[0]).join("var/lib/etcd/member"))?;
    let (m1, n1) = (MASTERS[0], "192.0.2.21");
    hosts.replace(&[
        (&line(m1, master), &line(m1, "controlPlane")),
        (&line(n1, "node"), &line(n1, "etcd, node")),
    ])?;
    untouched(
        &hosts,
        &[
            "not begun: the members of etcd are not those of the description",
            "on m1: m1=https://192.0.2.11:2380\n  described: n1=https://192.0.2.21:2380\n",
        ],
    )?;
    // Also when its data was moved away, as somebody may who wants it done.
    fs::remove_dir_all(hosts.root(m1).join("var/lib/etcd"))?;
    untouched(
        &hosts,
        &["on m1: https://192.0.2.11:2379 (of the hosts), below /registry\n"],
    )?;
    match hosts
        .root(n1)
        .join("etc/systemd/system/etcd.service")
        .exists()
    {
        true => Err("n1 was begun".into()),
        false => Ok(()),
    }
}

/// A member that is one no more by etcd's word has data still: it is named with the commands, and
/// when these are done it goes on without.
pub(super) fn leaves() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    for host in MASTERS {
        fs::create_dir_all(hosts.root(host).join("var/lib/etcd/member"))?;
    }
    let line = |at: &str, roles: &str| format!("addresses: [\"{at}\"], roles: [{roles}]");
    for at in &MASTERS[1..] {
        let pair = (line(at, "etcd, controlPlane"), line(at, "controlPlane"));
        hosts.replace(&[(&pair.0, &pair.1)])?;
    }
    count(&hosts, &[("m1", MASTERS[0])])?;
    let command = "systemctl disable --now etcd.service && mv /var/lib/etcd/member /var/lib/etcd/member.before";
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(
        &said,
        "m2: FAILED: it has a member of etcd, which the description takes",
    )?;
    holds(&said, command)?;
    for at in &MASTERS[1..] {
        hosts.shell(&format!("ssh -- {at} '{command}'"))?.ended(0)?;
    }
    hosts.run(&["apply"])?.ended(0).map(drop)
}

/// Objects lie where they were written: an API server that is led elsewhere finds nothing.
///
/// Leaves to `apply/store.rs`: where an etcd of others is what stands, which no host here reaches.
pub(super) fn led() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    described(&hosts, "flags: {kube-apiserver: {etcd-prefix: /lab}}")?;
    let why = "not begun: the API servers keep the cluster's objects in another etcd";
    let wanted = "192.0.2.13:2379 (of the hosts), below /lab\n";
    untouched(&hosts, &[why, "(of the hosts), below /registry\n", wanted])?;
    described(&hosts, "")?;
    let files = "caFile: ca.crt, certFile: client.crt, keyFile: client.key";
    let endpoint = "https://192.0.2.51:2379";
    let other = format!("etcd: {{external: {{endpoints: [\"{endpoint}\"], {files}}}}}");
    hosts.replace(&[("roles: [etcd, controlPlane]", "roles: [controlPlane]")])?;
    hosts.describe(&other)?;
    adopt(&hosts)?;
    let wanted = format!("described: {endpoint} (etcd.external), below /registry\n");
    let stands = "on m1: https://192.0.2.11:2379 (of the hosts), below /registry\n";
    untouched(&hosts, &[why, stands, &wanted])
}

/// Who has the objects is down, and others are described in the place of it, as somebody may do for
/// that very reason.
pub(super) fn silent() -> Tried {
    let hosts = Hosts::new()?;
    let line = |at: &str, roles: &str| format!("addresses: [\"{at}\"], roles: [{roles}]");
    let (n1, masters) = ("192.0.2.21", "roles: [etcd, controlPlane]");
    let apart = [(line(n1, "node"), line(n1, "etcd"))];
    hosts.replace(&[(masters, "roles: [controlPlane]")])?;
    hosts.replace(&apart.each_ref().map(|(a, b)| (a.as_str(), b.as_str())))?;
    hosts.run(&["apply"])?.ended(0)?;
    for at in &MASTERS[1..] {
        let more = (line(at, "controlPlane"), line(at, "etcd, controlPlane"));
        hosts.replace(&[(&more.0, &more.1)])?;
    }
    hosts.down(&[n1])?;
    hosts.log()?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    let servers =
        "not begun: the API servers of m1, m2, m3 keep the cluster's objects in etcd";
    for why in [
        servers,
        "answers: m2, m3, which have none",
        "bring back n1 first",
    ] {
        holds(&said, why)?;
    }
    match hosts.log()?.iter().any(|line| line.contains("start ")) {
        true => Err("an empty etcd was founded".into()),
        false => Ok(()),
    }
}

/// What a cluster has given out addresses of stays, and its domain.
pub(super) fn networks() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    let why =
        "not begun: a cluster keeps the networks and the domain that it was made with";
    let (services, pods) = ("services: [\"10.96.0.0/16\"]", "pods: [\"10.244.0.0/16\"]");
    let domain = format!("domain: lab\n  {services}");
    for (from, to, key, stands, wanted) in [
        (
            services,
            "services: [\"10.97.0.0/16\"]",
            "services",
            "10.96.0.0/16 on m1, m2, m3",
            "10.97.0.0/16",
        ),
        (
            pods,
            "pods: [\"10.240.0.0/16\"]",
            "pods",
            "10.244.0.0/16 on m1, m2, m3",
            "10.240.0.0/16",
        ),
        (services, &domain, "domain", "cluster.local on n1", "lab"),
        (
            services,
            &domain,
            "domain",
            "cluster.local on m1, m2, m3",
            "lab",
        ),
    ] {
        hosts.replace(&[(from, to)])?;
        let line = format!("\n  networks.{key}: {stands}, described: {wanted}: ");
        untouched(&hosts, &[why, &line, "describe those that stand again"])?;
        hosts.replace(&[(to, from)])?;
    }
    hosts.run(&["apply"])?.ended(0)?;
    let said = hosts.run(&["plan"])?.ended(0)?;
    match said.contains("not begun") {
        true => Err(said.into()),
        false => Ok(()),
    }
}

/// What the API servers show to an etcd of others, and whom they trust there.
fn adopt(hosts: &Hosts) -> Tried {
    let now = SystemTime::now();
    let other = pki::Authority::new("other", now)?;
    let client = other.issue(&pki::Profile::client("k8s", &[]), now)?;
    let key = client.key_pem.expose().to_owned();
    for (name, text) in [
        ("ca.crt", other.certificate_pem()),
        ("client.crt", &client.certificate_pem),
        ("client.key", &key),
    ] {
        fs::write(hosts.desk().join(name), text)?;
    }
    Ok(())
}
