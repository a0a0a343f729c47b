//! A condition that looks at what is counted of a client: `{ src_conn_cur gt 20 }`.

use super::super::words::Line;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import::haproxy) enum Word {
    /// Connections at a time.
    Connections,
    /// New connections.
    Rate,
}

/// Where a condition finds the figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// By the client's address in this table, or in that of its own section.
    Table(Option<String>),
    /// Where this counter counts.
    Counter(String),
}

/// From which figure on a client is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    /// `gt`
    Above(u32),
    /// `ge`
    At(u32),
}

/// What turns a client away by a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) word: Word,
    pub(super) via: Via,
    edge: Edge,
}

impl Condition {
    /// Of a rule that turns clients away by this alone. `lines` has the section's ACLs.
    pub(super) fn of(rule: &Line, lines: &[Line]) -> Option<Self> {
        let words = rule.words();
        if !matches!(words.get(2), Some(&"reject" | &"silent-drop")) {
            return None;
        }
        let at = words
            .iter()
            .position(|word| matches!(*word, "if" | "unless"))?;
        let is_unless = words.get(at) == Some(&"unless");
        let (is_not, test) = match words.get(at + 1..)? {
            ["!", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        match test {
            ["{", inner @ .., "}"] => Self::test(inner, is_not != is_unless),
            ["!{", inner @ .., "}"] => Self::test(inner, is_not == is_unless),
            [name] => {
                let (is_turned, name) = match name.strip_prefix('!') {
                    Some(name) => (true, name),
                    None => (false, *name),
                };
                let test = acl(name, lines)?;
                let test: Vec<&str> = test.iter().map(String::as_str).collect();
                Self::test(&test, (is_not != is_turned) != is_unless)
            }
            _ => None,
        }
    }

    /// `src_conn_cur gt 20`, or the opposite of `src_conn_cur le 20`.
    fn test(words: &[&str], is_turned: bool) -> Option<Self> {
        let [fetch, operator, number] = words else {
            return None;
        };
        let number: u32 = number.parse().ok()?;
        let edge = match (*operator, is_turned) {
            ("gt", false) | ("le", true) => Edge::Above(number),
            ("ge", false) | ("lt", true) => Edge::At(number),
            _ => return None,
        };
        let (word, via) = fetched(fetch)?;
        Some(Self { word, via, edge })
    }

    /// The most that it lets in; `counts_itself` when a connection is counted before it is
    /// looked at. None, when that is nobody.
    pub(super) fn most(&self, counts_itself: bool) -> Option<u32> {
        let first_refused = match self.edge {
            Edge::Above(number) => number.saturating_add(1),
            Edge::At(number) => number,
        };
        let most = if counts_itself {
            first_refused.saturating_sub(1)
        } else {
            first_refused
        };
        (most > 0).then_some(most)
    }
}

/// Whether an ACL is of such figures alone.
pub(in crate::import::haproxy) fn is_counted(name: &str, lines: &[Line]) -> bool {
    acl(name, lines).is_some_and(|test| {
        let test: Vec<&str> = test.iter().map(String::as_str).collect();
        Condition::test(&test, false)
            .or_else(|| Condition::test(&test, true))
            .is_some()
    })
}

/// The words of an ACL that has one line.
fn acl(name: &str, lines: &[Line]) -> Option<Vec<String>> {
    let mut found = lines.iter().filter(|line| {
        let words = line.words();
        words.first() == Some(&"acl") && words.get(1) == Some(&name)
    });
    let one = found.next()?;
    let test = one.words.get(2..)?.to_vec();
    found.next().is_none().then_some(test)
}

/// `src_conn_cur(TABLE)`, `sc0_conn_cur`, `sc_conn_rate(0)` and the like.
fn fetched(fetch: &str) -> Option<(Word, Via)> {
    let (name, argument) = match fetch.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')')?)),
        None => (fetch, None),
    };
    let (by, what) = name.split_once('_')?;
    let word = match what {
        "conn_cur" => Word::Connections,
        "conn_rate" => Word::Rate,
        _ => return None,
    };
    let via = match (by, argument) {
        ("src", table) => Via::Table(table.map(str::to_owned)),
        ("sc", Some(counter)) if !counter.contains(',') => {
            Via::Counter(counter.to_owned())
        }
        ("sc0" | "sc1" | "sc2", None) => {
            Via::Counter(by.trim_start_matches("sc").to_owned())
        }
        _ => return None,
    };
    Some((word, via))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Line {
        Line {
            number: 1,
            words: text.split(' ').map(str::to_owned).collect(),
            unset: vec![],
        }
    }

    /// The most that are let in, when the connection itself is counted and when it is not.
    #[test]
    fn how_many_are_let_in() {
        let acls = [
            rule("acl many src_conn_cur ge 10"),
            rule("acl few sc0_conn_rate lt 5"),
        ];
        for (condition, expected) in [
            ("if { src_conn_cur gt 10 }", Some((10, 11))),
            ("if { src_conn_cur ge 10 }", Some((9, 10))),
            ("unless { src_conn_cur le 10 }", Some((10, 11))),
            ("unless { src_conn_cur lt 10 }", Some((9, 10))),
            ("if !{ src_conn_cur lt 10 }", Some((9, 10))),
            ("unless !{ src_conn_cur gt 10 }", Some((10, 11))),
            ("if many", Some((9, 10))),
            ("unless few", Some((4, 5))),
            ("if !few", Some((4, 5))),
            ("unless many", None),
            ("if { src_conn_cur lt 10 }", None),
            ("if { src_conn_cur 10 }", None),
            ("if { src_conn_cnt gt 10 }", None),
            ("if { src_conn_cur gt 10 } many", None),
            ("if unknown", None),
        ] {
            let line = rule(&format!("tcp-request connection reject {condition}"));
            let found = Condition::of(&line, &acls);
            let most = found.map(|c| (c.most(true).unwrap(), c.most(false).unwrap()));
            assert_eq!(most, expected, "{condition}");
        }
        let all = rule("tcp-request connection reject if { src_conn_cur ge 1 }");
        assert_eq!(Condition::of(&all, &[]).unwrap().most(true), None);
    }

    #[test]
    fn where_a_figure_is_found() {
        for (fetch, expected) in [
            ("src_conn_cur", Some(Via::Table(None))),
            ("src_conn_rate(st)", Some(Via::Table(Some("st".to_owned())))),
            ("sc1_conn_cur", Some(Via::Counter("1".to_owned()))),
            ("sc_conn_rate(2)", Some(Via::Counter("2".to_owned()))),
            ("sc_conn_rate(2,st)", None),
            ("sc0_conn_cur(st)", None),
            ("src_http_req_rate", None),
            ("src", None),
        ] {
            assert_eq!(fetched(fetch).map(|(_, via)| via), expected, "{fetch}");
        }
    }
}
