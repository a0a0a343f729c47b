//! The certificates of a host, each with what is to be said of it: a function of what is
//! wanted, what is there, the authorities and the time.

use std::time::SystemTime;

use serde::Serialize;

use crate::facts::Facts;
use crate::judge;
use crate::plan::{Trust, why};
use crate::resource::Resource;

/// Seconds of a day.
const DAY: i64 = 86_400;

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
    /// Why the next `apply` issues it anew, if it does.
    pub why: Option<String>,
}

/// Those of a host, in the order in which they are made.
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
        })
    };
    wanted.iter().filter_map(line).collect()
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
}
