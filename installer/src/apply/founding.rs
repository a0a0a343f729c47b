//! Whether a member of etcd without data would found a cluster where one stands: a function of who
//! answers, of who has data, and of whose API server has run.
//!
//! etcd founds one with whom its unit names, unless most of those answer that there is one already.

use thiserror::Error;

use super::Members;
use crate::spec::{Cluster, Host, Role};

/// Whoever has the cluster's objects is not among those that answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "not begun: the API servers of {servers} keep the cluster's objects in etcd, and no member that \
     has them answers: {new}, which have none, would found an empty etcd that the API serves; bring \
     back {silent} first"
)]
pub struct Lost {
    /// Hosts whose API servers have run.
    servers: String,
    /// Members without data.
    new: String,
    /// Who does not answer.
    silent: String,
}

/// A member would found a second cluster.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "not begun: started as described, {0} would found a second cluster beside the members of etcd \
     that stand; have what has no data join them: write flags: {{etcd: {{initial-cluster-state: \
     existing}}}} until it is up, as docs/troubleshooting.md says (\"Other members of etcd\")"
)]
pub struct Founds(String);

/// Described members that answer, and have no data.
fn without<'a>(
    cluster: &'a Cluster,
    answering: &[String],
    stand: &[(String, Members)],
) -> Vec<&'a str> {
    let answers = |host: &&Host| answering.contains(&host.name);
    let stands = |host: &Host| stand.iter().any(|(name, _)| *name == host.name);
    let new = cluster.with(Role::Etcd).filter(answers);
    let new = new.filter(|host| !stands(host));
    new.map(|host| host.name.as_str()).collect()
}

impl Members {
    /// Whether somebody who has data answers, where API servers (`servers`, by their hosts' names)
    /// have run with this etcd. `answering` are hosts, `stand` those of them that have data.
    ///
    /// # Errors
    /// With those that have none, and would found a cluster.
    pub fn found(
        cluster: &Cluster,
        answering: &[String],
        stand: &[(String, Self)],
        servers: &[String],
    ) -> Result<(), Lost> {
        let new = without(cluster, answering, stand);
        if !stand.is_empty() || servers.is_empty() || new.is_empty() {
            return Ok(());
        }
        let silent = cluster.with(Role::Etcd).map(|host| host.name.clone());
        let silent: Vec<_> = silent.filter(|name| !answering.contains(name)).collect();
        Err(Lost {
            servers: servers.join(", "),
            new: new.join(", "),
            silent: match silent.is_empty() {
                true => "a member that has its data (where none is left: sternpost reset, and apply)".to_owned(),
                false => silent.join(", "),
            },
        })
    }

    /// Whether those that etcd itself has taken in, and that say that they have no data yet, join
    /// it. `answering` are hosts, `stand` those of them that have data.
    ///
    /// # Errors
    /// With those that do not.
    pub fn joining(
        cluster: &Cluster,
        answering: &[String],
        stand: &[(String, Self)],
    ) -> Result<(), Founds> {
        let new = without(cluster, answering, stand);
        match new.is_empty() || cluster.joins_members() {
            true => Ok(()),
            false => Err(Founds(new.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_taken_in_joins_and_founds_nothing() {
        let text = include_str!("../../tests/spec/whole.yaml");
        let flag = |state: &str| {
            format!("{text}\nflags: {{etcd: {{initial-cluster-state: {state}}}}}\n")
        };
        let of = |text: &str| crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let plain = of(text);
        let stand = |hosts: &[&str]| -> Vec<_> {
            let all = hosts.iter().map(|host| (*host).to_owned());
            all.map(|host| (host, Members::described(&plain))).collect()
        };
        let founds = |names: &str| Err(Founds(names.to_owned()));
        let all = ["m1", "m2", "m3"];
        let names = |hosts: &[&str]| hosts.iter().map(|&one| one.into()).collect();
        for (cluster, answering, hosts, wanted) in [
            (&plain, &all[..], &["m1"][..], founds("m2, m3")),
            (&plain, &all, &["m1", "m2", "m3"], Ok(())),
            // One that is only silent founds nothing meanwhile.
            (&plain, &all[..2], &["m1", "m2"], Ok(())),
            (&of(&flag("new")), &all, &["m1", "m2"], founds("m3")),
            (&of(&flag("existing")), &all, &["m1"], Ok(())),
        ] {
            let answering: Vec<String> = names(answering);
            assert_eq!(
                Members::joining(cluster, &answering, &stand(hosts)),
                wanted,
                "{hosts:?}"
            );
        }
    }

    #[test]
    fn nobody_founds_an_etcd_while_who_has_the_objects_is_silent() {
        let text = include_str!("../../tests/spec/whole.yaml");
        let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let names = |hosts: &[&str]| -> Vec<String> {
            hosts.iter().map(|&one| one.to_owned()).collect()
        };
        let all = ["m1", "m2", "m3"];
        for (answering, stand, servers, lost) in [
            // Bare, and broken off before an API server has run.
            (&all[..], &[][..], &[][..], None),
            (&all, &["m1"], &["m1"], None),
            // m1 has it all, and is down; m2 and m3 were described anew, or installed.
            (&all[1..], &[], &["m2", "n1"], Some("bring back m1 first")),
            (&all, &[], &["m2"], Some("a member that has its data")),
            // Nobody would found anything.
            (&[], &[], &["n1"], None),
        ] {
            let stand = names(stand).into_iter();
            let stand: Vec<_> = stand
                .map(|name| (name, Members::described(&cluster)))
                .collect();
            let said =
                Members::found(&cluster, &names(answering), &stand, &names(servers));
            match (said, lost) {
                (Ok(()), None) => {}
                (Err(said), Some(part)) => {
                    assert!(said.to_string().contains(part), "{said}");
                }
                (said, _) => panic!("{answering:?}: {said:?}"),
            }
        }
    }
}
