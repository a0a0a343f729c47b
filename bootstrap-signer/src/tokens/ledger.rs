//! What is known of tokens and of `cluster-info`, and what is to be done about it. Without
//! a clock, a client or a runtime.

use std::collections::BTreeMap;
use std::time::SystemTime;

use token::{Stored, Update, cluster_info};

use super::{ClusterInfo, Duties, Expired};

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub version: String,
}

/// Something that was seen.
#[derive(Debug)]
pub enum Change {
    /// A list of tokens begins: what is not in it is gone.
    Listing,
    /// A token's Secret, by its name.
    Token(String, Stored, Version),
    /// All of a list was seen.
    Listed,
    /// The Secret of that name is gone.
    Gone(String),
    /// `cluster-info` as it is.
    Info(BTreeMap<String, String>, Version),
    /// There is no `cluster-info`.
    NoInfo,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Todo {
    /// Write this into the data of that version of `cluster-info`.
    Sign(Update, Version),
    /// Delete that version of the Secret of this name.
    Delete(String, Version),
}

#[derive(Debug)]
struct Kept {
    stored: Stored,
    version: Version,
    round: u64,
}

/// The ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    tokens: BTreeMap<String, Kept>,
    info: Option<(BTreeMap<String, String>, Version)>,
    /// Lists seen; a token carries the last it was in.
    round: u64,
    whole: bool,
}

impl Ledger {
    /// Takes a change in.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Listing => self.round += 1,
            Change::Token(name, stored, version) => {
                let kept = Kept {
                    stored,
                    version,
                    round: self.round,
                };
                self.tokens.insert(name, kept);
            }
            Change::Listed => {
                let round = self.round;
                self.tokens.retain(|_, kept| kept.round == round);
                self.whole = true;
            }
            Change::Gone(name) => _ = self.tokens.remove(&name),
            Change::Info(data, version) => self.info = Some((data, version)),
            Change::NoInfo => self.info = None,
        }
    }

    /// What is to be done at `now`: nothing before all tokens were seen, since what is not
    /// seen would lose its signature.
    #[must_use]
    pub fn todo(&self, duties: Duties, now: SystemTime) -> Vec<Todo> {
        let mut todo = Vec::new();
        if !self.whole {
            return todo;
        }
        match (duties.cluster_info, &self.info) {
            (ClusterInfo::Sign, Some((data, version))) => {
                let stored = self.tokens.values().map(|kept| &kept.stored);
                let update = cluster_info(data, stored, now);
                if !update.is_empty() {
                    todo.push(Todo::Sign(update, version.clone()));
                }
            }
            (ClusterInfo::Sign, None) | (ClusterInfo::Leave, _) => {}
        }
        match duties.expired {
            Expired::Leave => {}
            Expired::Delete => {
                let over = self.tokens.iter();
                let over = over.filter(|(_, kept)| kept.stored.expiry.is_over(now));
                todo.extend(over.map(|(name, kept)| {
                    Todo::Delete(name.clone(), kept.version.clone())
                }));
            }
        }
        todo
    }

    /// When the clock makes something to do, if nothing else does.
    #[must_use]
    pub fn due(&self, now: SystemTime) -> Option<SystemTime> {
        let expiries = self.tokens.values().map(|kept| kept.stored.expiry);
        expiries.filter_map(|expiry| expiry.ahead(now)).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BOTH: Duties = Duties {
        cluster_info: ClusterInfo::Sign,
        expired: Expired::Delete,
    };

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds)
    }

    fn version(number: u8) -> Version {
        Version {
            uid: "u".to_owned(),
            version: number.to_string(),
        }
    }

    fn token(ledger: &mut Ledger, id: &str, seconds: u64) {
        let name = format!("bootstrap-token-{id}");
        let end = token::rfc3339(at(seconds));
        let fields = [
            ("token-id", id),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-signing", "true"),
            ("expiration", &end),
        ];
        let fields = fields.map(|(key, value)| (key, value.as_bytes()));
        let stored = Stored::read(&name, fields);
        ledger.apply(Change::Token(name, stored, version(1)));
    }

    fn signed(todo: &[Todo]) -> Vec<(&str, bool)> {
        let update = todo.iter().find_map(|one| match one {
            Todo::Sign(update, _) => Some(update),
            Todo::Delete(..) => None,
        });
        let keys = update.into_iter().flatten();
        keys.map(|(key, value)| {
            (key.trim_start_matches("jws-kubeconfig-"), value.is_some())
        })
        .collect()
    }

    #[test]
    fn the_life_of_a_token() {
        let mut ledger = Ledger::default();
        let data = BTreeMap::from([
            ("kubeconfig".to_owned(), "x".to_owned()),
            ("jws-kubeconfig-oldold".to_owned(), "y".to_owned()),
        ]);
        ledger.apply(Change::Info(data.clone(), version(1)));
        ledger.apply(Change::Listing);
        token(&mut ledger, "aaaaaa", 10);
        token(&mut ledger, "bbbbbb", 20);
        assert!(ledger.todo(BOTH, at(0)).is_empty(), "not all were seen");
        ledger.apply(Change::Listed);
        let todo = ledger.todo(BOTH, at(9));
        assert_eq!(
            signed(&todo),
            [("aaaaaa", true), ("bbbbbb", true), ("oldold", false)]
        );
        assert_eq!(todo.len(), 1);
        assert_eq!(ledger.due(at(9)), Some(at(10)));
        let todo = ledger.todo(BOTH, at(10));
        assert_eq!(signed(&todo), [("bbbbbb", true), ("oldold", false)]);
        let gone = "bootstrap-token-aaaaaa".to_owned();
        assert_eq!(todo.last(), Some(&Todo::Delete(gone.clone(), version(1))));
        assert_eq!(ledger.due(at(10)), Some(at(20)));
        ledger.apply(Change::Gone(gone));
        assert_eq!(ledger.todo(BOTH, at(10)).len(), 1);
        // A new list that lacks the other one.
        ledger.apply(Change::Listing);
        assert_eq!(signed(&ledger.todo(BOTH, at(10))).len(), 2);
        ledger.apply(Change::Listed);
        assert_eq!(signed(&ledger.todo(BOTH, at(10))), [("oldold", false)]);
        ledger.apply(Change::NoInfo);
        assert!(ledger.todo(BOTH, at(10)).is_empty());
        assert_eq!(ledger.due(at(10)), None);
    }

    #[test]
    fn only_what_it_is_told_to() {
        let mut ledger = Ledger::default();
        let data = BTreeMap::from([("kubeconfig".to_owned(), "x".to_owned())]);
        ledger.apply(Change::Info(data, version(1)));
        ledger.apply(Change::Listing);
        token(&mut ledger, "aaaaaa", 10);
        token(&mut ledger, "bbbbbb", 20);
        ledger.apply(Change::Listed);
        for (cluster_info, expired, count) in [
            (ClusterInfo::Leave, Expired::Leave, 0),
            (ClusterInfo::Sign, Expired::Leave, 1),
            (ClusterInfo::Leave, Expired::Delete, 1),
            (ClusterInfo::Sign, Expired::Delete, 2),
        ] {
            let duties = Duties {
                cluster_info,
                expired,
            };
            assert_eq!(ledger.todo(duties, at(15)).len(), count, "{duties:?}");
        }
    }
}
