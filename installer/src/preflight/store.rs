//! What speaks against using an etcd of others: what its members said to a host.

use std::fmt;

use serde::Serialize;

use super::what::Weight;
use crate::agent::Member;

/// A member that does not serve a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unserved {
    /// `https://…`
    pub endpoint: String,
    /// What it said.
    pub said: Member,
    /// Whether another serves it.
    pub others: bool,
}

/// The members that do not serve the host that was told this.
#[must_use]
pub fn unserved(members: &[(String, Member)]) -> Vec<Unserved> {
    let others = members.iter().any(|(_, said)| answers(said));
    let bad = members.iter().filter(|(_, said)| *said != Member::Well);
    let bad = bad.map(|(endpoint, said)| Unserved {
        endpoint: endpoint.clone(),
        said: said.clone(),
        others,
    });
    bad.collect()
}

/// Whether an API server may get what it asks: how well a member is can change at any moment,
/// and some say it on another port.
fn answers(said: &Member) -> bool {
    match said {
        Member::Well | Member::Ill(_) => true,
        Member::Silent(_) | Member::Refuses(_) | Member::Untrusted(_) => false,
    }
}

impl Unserved {
    /// One that answers is enough for an API server to begin.
    #[must_use]
    pub fn weight(&self) -> Weight {
        match self.others {
            true => Weight::Warns,
            false => Weight::Blocks,
        }
    }

    /// The way out.
    #[must_use]
    pub fn way_out(&self) -> &'static str {
        match self.said {
            Member::Silent(_) => {
                "start it, let this host in to its port, or correct etcd.external.endpoints"
            }
            Member::Refuses(_) => {
                "name a certificate for clients that its own authority has signed as \
                 etcd.external.certFile, and its key as keyFile"
            }
            Member::Untrusted(_) => {
                "name the authority that has signed what it shows as etcd.external.caFile, and \
                 the member by what stands in its certificate"
            }
            Member::Ill(_) | Member::Well => {
                "have whoever looks after it ask \"etcdctl endpoint health\""
            }
        }
    }
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of etcd.external ", self.endpoint)?;
        match &self.said {
            Member::Silent(why) => write!(f, "does not answer: {why}"),
            Member::Refuses(why) => {
                write!(f, "does not take the certificate that it is shown: {why}")
            }
            Member::Untrusted(why) => write!(f, "is not to be trusted: {why}"),
            Member::Ill(why) => write!(f, "is not well: {why}"),
            Member::Well => f.write_str("is well"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_answers_is_enough_and_each_other_is_named() {
        let said = |said: &[Member]| {
            let members = said.iter().enumerate();
            let members =
                members.map(|(number, said)| (number.to_string(), said.clone()));
            unserved(&members.collect::<Vec<_>>())
        };
        let silent = || Member::Silent("connection refused".to_owned());
        let ill = || Member::Ill("status 503".to_owned());
        assert_eq!(said(&[Member::Well, Member::Well]), []);
        let one = said(&[silent(), Member::Well]);
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].weight(), Weight::Warns);
        assert_eq!(
            one[0].to_string(),
            "0 of etcd.external does not answer: connection refused"
        );
        let both = said(&[silent(), Member::Refuses("alert 42".to_owned())]);
        let weights: Vec<_> = both.iter().map(Unserved::weight).collect();
        assert_eq!(weights, [Weight::Blocks, Weight::Blocks]);
        assert_eq!(said(&[ill()])[0].weight(), Weight::Warns);
    }
}
