//! Which nodes a key was used for, and for which first.

use std::collections::{BTreeMap, BTreeSet};

/// One request that uses a key. What is decided comes before all that is pending, and of
/// those what came first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Use {
    pub(super) is_pending: bool,
    pub(super) turn: u64,
    pub(super) name: String,
}

/// The uses of every key.
#[derive(Debug, Default)]
pub(super) struct Keys(BTreeMap<String, Users>);

#[derive(Debug, Default)]
struct Users {
    /// Of each node.
    uses: BTreeMap<String, BTreeSet<Use>>,
    /// Each node's first use.
    firsts: BTreeSet<(Use, String)>,
}

impl Keys {
    pub(super) fn put(&mut self, key: &str, node: &str, one: Use) {
        let users = self.0.entry(key.to_owned()).or_default();
        users.change(node, |uses| {
            uses.insert(one);
        });
    }

    pub(super) fn take(&mut self, key: &str, node: &str, one: &Use) {
        let Some(users) = self.0.get_mut(key) else {
            return;
        };
        users.change(node, |uses| {
            uses.remove(one);
        });
        if users.uses.is_empty() {
            self.0.remove(key);
        }
    }

    /// The nodes that `key` was used for before `turn`: of all of them the first two, so that
    /// one of them is another than the asker's own whenever there is another.
    pub(super) fn before(&self, key: &str, turn: u64) -> BTreeSet<&str> {
        let firsts = self.0.get(key).into_iter().flat_map(|users| &users.firsts);
        firsts
            .take(2)
            .filter(|(one, _)| !one.is_pending || one.turn < turn)
            .map(|(_, node)| node.as_str())
            .collect()
    }
}

impl Users {
    fn change(&mut self, node: &str, how: impl FnOnce(&mut BTreeSet<Use>)) {
        let uses = self.uses.entry(node.to_owned()).or_default();
        let old = uses.first().cloned();
        how(uses);
        let new = uses.first().cloned();
        if uses.is_empty() {
            self.uses.remove(node);
        }
        if let Some(old) = old {
            self.firsts.remove(&(old, node.to_owned()));
        }
        if let Some(new) = new {
            self.firsts.insert((new, node.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(turn: u64, name: &str) -> Use {
        Use {
            is_pending: true,
            turn,
            name: name.to_owned(),
        }
    }

    fn decided(turn: u64, name: &str) -> Use {
        Use {
            is_pending: false,
            ..pending(turn, name)
        }
    }

    #[test]
    fn many_later_uses_hide_no_earlier_one() {
        let mut keys = Keys::default();
        keys.put("k", "a", pending(900, "z"));
        for turn in 1000..1100 {
            keys.put("k", "a", pending(turn, &format!("a{turn}")));
            keys.put("k", &format!("{turn}"), pending(turn, "b"));
        }
        assert_eq!(keys.before("k", 950), BTreeSet::from(["a"]));
        assert_eq!(keys.before("k", 900), BTreeSet::new());
    }

    #[test]
    fn what_is_decided_was_before_whatever_its_turn() {
        let mut keys = Keys::default();
        keys.put("k", "a", decided(50, "later"));
        keys.put("k", "b", pending(7, "own"));
        assert_eq!(keys.before("k", 7), BTreeSet::from(["a"]));
        keys.take("k", "a", &decided(50, "later"));
        assert_eq!(keys.before("k", 7), BTreeSet::new());
    }

    #[test]
    fn two_of_them_are_one_of_another_node() {
        let mut keys = Keys::default();
        for (turn, node) in [(1, "own"), (2, "own"), (3, "b"), (4, "c")] {
            keys.put("k", node, pending(turn, &format!("r{turn}")));
        }
        assert_eq!(keys.before("k", 9), BTreeSet::from(["b", "own"]));
        assert_eq!(keys.before("other", 9), BTreeSet::new());
    }

    #[test]
    fn nothing_is_left_of_what_was_taken() {
        let mut keys = Keys::default();
        keys.put("k", "a", pending(1, "x"));
        keys.take("k", "a", &pending(2, "y"));
        keys.take("j", "a", &pending(1, "x"));
        assert_eq!(keys.before("k", 3), BTreeSet::from(["a"]));
        keys.take("k", "a", &pending(1, "x"));
        assert!(keys.0.is_empty());
    }
}
