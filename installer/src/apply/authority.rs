//! Which authorities a run works with. To make new ones where others exist would cut a
//! cluster in two, so every master must have been asked before new ones are made.

use std::time::SystemTime;

use thiserror::Error;

use super::{Material, MaterialError, PLACE};
use crate::spec::Cluster;

/// What a master said when it was asked for the authorities, or why it did not answer.
pub type Held = Result<Kept, String>;

/// What a master has of a cluster's authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The text that it keeps them in.
    All(String),
    /// It has lost that, and holds a certificate that was laid down from it.
    Lost,
    /// It has none.
    None,
}

/// Why there are none to work with.
#[derive(Debug, Error)]
pub enum HeldError {
    /// A master that did not answer may hold them.
    #[error(
        "{host} does not answer ({error}) and no other master holds the cluster's authorities: \
         new ones are only made when every master was asked"
    )]
    Unknown {
        /// Which.
        host: String,
        /// Why.
        error: String,
    },
    /// No master was heard: all are silent, or another operator's.
    #[error("no master can be worked on, and the cluster's authorities lie there:{}", each(.0))]
    Unheard(
        /// Each with the reason.
        Vec<(String, String)>,
    ),
    /// Masters have what was signed with them, and none has them.
    #[error(
        "{} belong to a cluster, and no master holds its authorities: {PLACE} is gone from all of \
         them, and new ones would cut it in two; bring that file back from a backup to one of them \
         (root's, mode 0600), or take the cluster down with \"sternpost reset --data\"",
        .0.join(", ")
    )]
    Lost(
        /// They.
        Vec<String>,
    ),
    /// Two masters hold different ones.
    #[error("{one} and {other} hold different authorities: they are of two clusters")]
    Different {
        /// A master.
        one: String,
        /// Another.
        other: String,
    },
    /// One of them holds something that is no material.
    #[error("{host}")]
    Material {
        /// Which.
        host: String,
        /// Why.
        source: MaterialError,
    },
    /// None could be made.
    #[error(transparent)]
    Make(#[from] MaterialError),
}

/// A line for each.
fn each(masters: &[(String, String)]) -> String {
    let lines = masters
        .iter()
        .map(|(host, why)| format!("\n  {host}: {why}"));
    lines.collect()
}

/// Settles what to work with: what the masters hold, or, when all of them hold nothing, what
/// the description encloses and new ones. `now` is the time of issue.
///
/// # Errors
/// When masters hold different ones or a part only, or one that was not heard might hold them.
pub fn settle(
    masters: &[(String, Held)],
    cluster: &Cluster,
    now: SystemTime,
) -> Result<Material, HeldError> {
    let held = masters.iter().filter_map(|(host, held)| match held {
        Ok(Kept::All(text)) => Some((host, text)),
        Ok(Kept::Lost | Kept::None) | Err(_) => None,
    });
    let held: Vec<_> = held.collect();
    let Some((host, text)) = held.first() else {
        return make(masters, cluster, now);
    };
    if let Some((other, _)) = held.iter().find(|(_, other)| other != text) {
        return Err(HeldError::Different {
            one: (*host).clone(),
            other: (*other).clone(),
        });
    }
    let material = Material::read(text).and_then(|material| {
        material.agrees(&cluster.enclosed)?;
        Ok(material)
    });
    material.map_err(|source| HeldError::Material {
        host: (*host).clone(),
        source,
    })
}

fn make(
    masters: &[(String, Held)],
    cluster: &Cluster,
    now: SystemTime,
) -> Result<Material, HeldError> {
    let silent = masters
        .iter()
        .filter_map(|(host, held)| Some((host.clone(), held.as_ref().err()?.clone())));
    let silent: Vec<_> = silent.collect();
    let lost = masters.iter().filter(|(_, held)| *held == Ok(Kept::Lost));
    let lost: Vec<_> = lost.map(|(host, _)| host.clone()).collect();
    match silent.first() {
        None if !lost.is_empty() => Err(HeldError::Lost(lost)),
        None => Ok(Material::made(&cluster.enclosed, cluster.key_kind, now)?),
        Some(_) if silent.len() == masters.len() => Err(HeldError::Unheard(silent)),
        Some((host, error)) => Err(HeldError::Unknown {
            host: host.clone(),
            error: error.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;

    const SPEC: &str = include_str!("../../tests/spec/whole.yaml");

    fn settle(
        masters: &[(String, Held)],
        now: SystemTime,
    ) -> Result<Material, HeldError> {
        let cluster = spec::parse("cluster.yaml", SPEC).unwrap().cluster;
        super::settle(masters, &cluster, now)
    }

    const KEY: &str = "/etc/kubernetes/pki/ca.key";

    fn masters(held: [Held; 3]) -> Vec<(String, Held)> {
        let names = ["m1", "m2", "m3"].map(str::to_owned);
        names.into_iter().zip(held).collect()
    }

    fn silent() -> Held {
        Err("no route to host".to_owned())
    }

    #[test]
    fn new_ones_are_made_only_when_every_master_was_asked() {
        let now = SystemTime::now();
        settle(
            &masters([Ok(Kept::None), Ok(Kept::None), Ok(Kept::None)]),
            now,
        )
        .unwrap();
        let error = settle(&masters([Ok(Kept::None), silent(), Ok(Kept::None)]), now)
            .unwrap_err();
        assert!(
            matches!(&error, HeldError::Unknown { host, .. } if host == "m2"),
            "{error}"
        );
        let error = settle(&masters([silent(), silent(), silent()]), now).unwrap_err();
        let lines = error.to_string();
        let lines: Vec<_> = lines.lines().skip(1).collect();
        let wanted = ["m1", "m2", "m3"].map(|host| format!("  {host}: no route to host"));
        assert_eq!(lines, wanted);
    }

    /// Also where another master has come since, which has nothing.
    #[test]
    fn a_cluster_that_has_lost_them_gets_no_others() {
        let now = SystemTime::now();
        let all = masters([Ok(Kept::Lost), Ok(Kept::None), Ok(Kept::Lost)]);
        let error = settle(&all, now).unwrap_err().to_string();
        assert!(
            error.starts_with("m1, m3 belong to a cluster, and no"),
            "{error}"
        );
        let text = Material::new(now).unwrap().text();
        let all = masters([Ok(Kept::Lost), Ok(Kept::All(text)), silent()]);
        settle(&all, now).unwrap();
        // It may have a copy.
        let all = masters([Ok(Kept::Lost), silent(), Ok(Kept::None)]);
        let error = settle(&all, now).unwrap_err();
        assert!(matches!(error, HeldError::Unknown { .. }), "{error}");
    }

    #[test]
    fn what_one_master_holds_is_taken_up() {
        let now = SystemTime::now();
        let material = Material::new(now).unwrap();
        let settled = settle(
            &masters([silent(), Ok(Kept::All(material.text())), Ok(Kept::None)]),
            now,
        );
        assert_eq!(settled.unwrap().file(KEY), material.file(KEY));
        let error = settle(
            &masters([Ok(Kept::All("{}".into())), Ok(Kept::None), Ok(Kept::None)]),
            now,
        );
        assert!(
            matches!(error, Err(HeldError::Material { .. })),
            "{error:?}"
        );
    }

    #[test]
    fn two_clusters_are_not_made_one() {
        let now = SystemTime::now();
        let text = || Ok(Kept::All(Material::new(now).unwrap().text()));
        let error = settle(&masters([text(), text(), Ok(Kept::None)]), now).unwrap_err();
        assert!(matches!(error, HeldError::Different { .. }), "{error}");
    }
}
