//! The certificates of a host, each with what is to be said of it: a function of what is
//! wanted, what is there, the authorities and the time.

use std::time::SystemTime;

use serde::Serialize;

use crate::facts::Facts;
use crate::judge;
use crate::layout;
use crate::plan::{Trust, why};
use crate::resource::{Authority, Resource, Shared};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// An authority that ends takes all with it that it has signed: so long before that somebody has
/// to know.
const AUTHORITY: i64 = 90 * DAY;

/// An administrator without a way in has no time to look for the reason.
const PERSON: i64 = 30 * DAY;

/// Who sees to it that there is another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keeper {
    /// The next `apply`.
    #[default]
    Apply,
    /// Whoever gave it, or the program that shows it.
    Others,
}

/// What kubelets ask for and renew by themselves, each with its key in one file.
pub const ROTATED: [&str; 2] = [
    layout::KUBELET_CLIENT,
    "/var/lib/kubelet/pki/kubelet-server-current.pem",
];

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Its name below the folder of certificates.
    pub name: String,
    /// Whom it names.
    pub subject: String,
    /// Who signs it.
    pub authority: &'static str,
    /// Whole days until it ends; less than none when it has, nothing when there is none.
    pub days: Option<i64>,
    /// Why it will not do, or not for long.
    pub why: Option<String>,
    /// Who sees to it that there is another.
    #[serde(skip)]
    pub keeper: Keeper,
}

impl Line {
    /// Why it will not do, with the way out.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let why = self.why.as_ref()?;
        Some(match self.keeper {
            Keeper::Apply => format!("{why}; apply issues it anew"),
            Keeper::Others => why.clone(),
        })
    }
}

/// Those of a host: its own in the order in which they are made, then the authorities', then
/// what others have given.
#[must_use]
pub fn lines(
    wanted: &[Resource],
    facts: &Facts,
    trust: &dyn Trust,
    now: SystemTime,
) -> Vec<Line> {
    let line = |resource: &Resource| {
        let Resource::Certificate(certificate) = resource else {
            return None;
        };
        let there = facts.certificates.get(&certificate.name);
        let left = there.and_then(|there| judge::left(&there.pem, now));
        Some(Line {
            name: certificate.name.clone(),
            subject: certificate.profile.common_name.clone(),
            authority: certificate.authority.common_name(),
            days: left.map(|seconds| seconds.div_euclid(DAY)),
            why: why(certificate, facts, trust, now).map(|why| why.to_string()),
            keeper: Keeper::Apply,
        })
    };
    let has = |one: Shared| wanted.contains(&Resource::Shared(one));
    let mut all: Vec<_> = wanted.iter().filter_map(line).collect();
    let mut trusts = Authority::ALL.to_vec();
    trusts.retain(|one| has(Shared::Trust(*one)));
    all.extend(trusts.into_iter().map(|one| authority(one, trust, now)));
    if has(Shared::ExternalEtcd) {
        let name = "etcd/external-client";
        let pem = trust.content(Shared::ExternalEtcd, &layout::certificate(name));
        all.push(given(
            name,
            "who is let in by the etcd of others",
            pem.as_deref(),
            now,
        ));
    }
    let rotated = ROTATED.iter().filter_map(|path| {
        let pem = &facts.certificates.get(*path)?.pem;
        let name = path.rsplit('/').next().unwrap_or(path);
        Some(given(name, "this host's node", Some(pem), now))
    });
    all.extend(rotated);
    all
}

/// An administrator's, which a kubeconfig shows: nothing issues another by itself.
#[must_use]
pub fn person(user: &str, pem: &str, now: SystemTime) -> Line {
    let why = match judge::left(pem, now) {
        None => Some("it cannot be read"),
        Some(..=0) => Some("it has ended; sternpost kubeconfig --merge brings another"),
        Some(1..PERSON) => {
            Some("it ends soon; sternpost kubeconfig --merge brings another")
        }
        Some(_) => None,
    };
    Line {
        subject: user.to_owned(),
        authority: Authority::Kubernetes.common_name(),
        why: why.map(str::to_owned),
        ..given(user, user, Some(pem), now)
    }
}

fn authority(one: Authority, trust: &dyn Trust, now: SystemTime) -> Line {
    let left = trust.certificate(one).and_then(|pem| judge::left(pem, now));
    let why = match left {
        None => Some("there is none"),
        Some(..0) => Some("it has ended, and with it all that it has signed"),
        Some(..AUTHORITY) => Some("it ends soon, and with it all that it has signed"),
        Some(_) => None,
    };
    Line {
        name: one.name().to_owned(),
        subject: one.common_name().to_owned(),
        authority: "itself or its issuer",
        days: left.map(|seconds| seconds.div_euclid(DAY)),
        why: why.map(str::to_owned),
        keeper: Keeper::Others,
    }
}

fn given(name: &str, subject: &str, pem: Option<&str>, now: SystemTime) -> Line {
    let left = pem.and_then(|pem| judge::left(pem, now));
    let why = match left {
        None => Some("there is none"),
        Some(..0) => Some("it has ended"),
        Some(_) => None,
    };
    Line {
        name: name.to_owned(),
        subject: subject.to_owned(),
        authority: "others",
        days: left.map(|seconds| seconds.div_euclid(DAY)),
        why: why.map(str::to_owned),
        keeper: Keeper::Others,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use pki::Profile;

    use super::*;
    use crate::facts;
    use crate::resource::{Authority, Certificate, Owner};

    struct One(pki::Authority);

    impl Trust for One {
        fn certificate(&self, _: Authority) -> Option<&str> {
            Some(self.0.certificate_pem())
        }
    }

    #[test]
    fn a_certificate_has_its_days_and_its_verdict() {
        let now = SystemTime::now();
        let trust = One(pki::Authority::new("kubernetes-ca", now).unwrap());
        let wanted = Certificate {
            name: "admin".to_owned(),
            owner: Owner::Root,
            authority: Authority::Kubernetes,
            profile: Profile::client("kubernetes-admin", &[]),
        };
        let issued = trust.0.issue(&wanted.profile, now).unwrap();
        let there = facts::Certificate {
            pem: issued.certificate_pem,
            key_fits: true,
            key_owner: Some("root".to_owned()),
        };
        let facts = Facts {
            certificates: BTreeMap::from([("admin".to_owned(), there)]),
            ..Facts::default()
        };
        let at = |facts: &Facts, days: u64| {
            let now = now + Duration::from_secs(days * 86_400 + 60);
            let mut lines = lines(&[wanted.clone().into()], facts, &trust, now);
            let line = lines.remove(0);
            (line.days, line.why)
        };
        let life = i64::try_from(pki::LEAF_LIFETIME.as_secs()).unwrap() / 86_400;
        assert_eq!(at(&facts, 0), (Some(life - 1), None));
        let (days, why) = at(&facts, 300);
        assert_eq!((days, why.is_some()), (Some(life - 301), true));
        let (days, why) = at(&facts, 400);
        assert_eq!(
            (days, why.as_deref()),
            (Some(life - 401), Some("it has ended"))
        );
        let none = at(&Facts::default(), 0);
        assert_eq!(none, (None, Some("there is none".to_owned())));
    }

    #[test]
    fn an_administrators_has_its_days_and_the_way_to_another() {
        let now = SystemTime::now();
        let authority = pki::Authority::new("kubernetes-ca", now).unwrap();
        let profile = Profile::client("kubernetes-admin", &[]);
        let pem = authority.issue(&profile, now).unwrap().certificate_pem;
        let day = Duration::from_secs(86_400);
        let life = pki::LEAF_LIFETIME;
        for (later, days, wanted) in [
            (life - day * 31, Some(31), ""),
            (
                life - day * 29,
                Some(29),
                "it ends soon; sternpost kubeconfig",
            ),
            (life, Some(0), "it has ended; sternpost kubeconfig --merge"),
        ] {
            let line = person("admin@prod", &pem, now + later);
            let why = line.trouble().unwrap_or_default();
            assert_eq!((line.days, line.name.as_str()), (days, "admin@prod"));
            assert!(why.starts_with(wanted) && why.is_empty() == wanted.is_empty());
        }
        let line = person("admin@prod", "no", now);
        assert_eq!(
            (line.days, line.why.as_deref()),
            (None, Some("it cannot be read"))
        );
    }

    /// Authorities, what is shown to an etcd of others, and what a kubelet renews by itself.
    #[test]
    fn what_apply_does_not_issue_is_counted_too() {
        let now = SystemTime::now();
        let trust = One(pki::Authority::new("kubernetes-ca", now).unwrap());
        let issued = trust.0.issue(&Profile::client("a", &[]), now).unwrap();
        let wanted = [
            Resource::Shared(Shared::Trust(Authority::Kubernetes)),
            Resource::Shared(Shared::ExternalEtcd),
        ];
        let there = facts::Certificate {
            pem: issued.certificate_pem,
            key_fits: true,
            key_owner: None,
        };
        let facts = Facts {
            certificates: BTreeMap::from([(ROTATED[0].to_owned(), there)]),
            ..Facts::default()
        };
        let at = |days: u64| {
            let now = now + Duration::from_secs(days * 86_400 + 60);
            let lines = lines(&wanted, &facts, &trust, now).into_iter();
            let said = lines.map(|line| (line.name, line.why.unwrap_or_default()));
            said.collect::<Vec<_>>()
        };
        let row = |ca: &str, kubelet: &str| {
            [
                ("ca".to_owned(), ca.to_owned()),
                (
                    "etcd/external-client".to_owned(),
                    "there is none".to_owned(),
                ),
                ("kubelet-client-current.pem".to_owned(), kubelet.to_owned()),
            ]
        };
        let life = pki::CA_LIFETIME.as_secs() / 86_400;
        let (soon, over) = (
            "it ends soon, and with it all that it has signed",
            "it has ended, and with it all that it has signed",
        );
        assert_eq!(at(0), row("", ""));
        assert_eq!(at(400), row("", "it has ended"));
        assert_eq!(at(life - 92), row("", "it has ended"));
        assert_eq!(at(life - 90), row(soon, "it has ended"));
        assert_eq!(at(life + 1), row(over, "it has ended"));
    }
}
