//! What `status` knows, as findings: who holds the address, and what each api-lb sees.

use std::time::Duration;

use super::{Finding, Verdict};
use crate::certs::Line;
use crate::status::Status;

/// A finding for each virtual router, and one for each host with an api-lb.
#[must_use]
pub fn standing(status: &Status, took: Duration) -> Vec<Finding> {
    let mut all = Vec::new();
    for (router, hosts) in &status.holders {
        let (host, verdict) = match hosts.as_slice() {
            [one] => (one.as_str(), Ok(format!("{one} alone"))),
            [] => ("-", Err("nobody that answers".to_owned())),
            [first, ..] => (first.as_str(), Err(hosts.join(" and "))),
        };
        let name = format!("holder of {router}");
        all.push(Finding::new(host, name, Verdict::of(verdict), took));
    }
    for line in &status.hosts {
        if let Some(count) = line.servers {
            let said = format!("{count} up");
            let verdict = match count.good == count.of {
                true => Ok(said),
                false => Err(said),
            };
            let verdict = Verdict::of(verdict);
            all.push(Finding::new(&line.host, "servers of api-lb", verdict, took));
        }
    }
    all
}

/// What a host's certificates say together.
#[must_use]
pub fn certificates(lines: &[Line]) -> Verdict {
    let trouble = |line: &Line| Some(format!("{}: {}", line.name, line.trouble()?));
    let bad = lines.iter().find_map(trouble);
    let days = lines.iter().filter_map(|line| line.days).min();
    match (bad, days) {
        (Some(bad), _) => Verdict::Bad(bad),
        (None, Some(days)) => {
            let count = lines.len();
            Verdict::Good(format!("{count}, the first ends in {days} days"))
        }
        (None, None) => Verdict::Skipped("none of ours is to be here"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::status::{self, Count};

    #[test]
    fn one_holds_the_address_and_every_server_is_up() {
        let line = |good| status::Line {
            host: "m1".to_owned(),
            units: Count { good: 1, of: 1 },
            holds: None,
            servers: Some(Count { good, of: 3 }),
            member: None,
            days: None,
            node: None,
        };
        for (hosts, good, wanted) in [
            (&["m2"][..], 3, [false, false]),
            (&[][..], 3, [true, false]),
            (&["m1", "m2"][..], 2, [true, true]),
        ] {
            let hosts = hosts.iter().map(ToString::to_string).collect();
            let status = Status {
                holders: BTreeMap::from([("k8s-api".to_owned(), hosts)]),
                hosts: vec![line(good)],
                troubles: Vec::new(),
            };
            let found = standing(&status, Duration::ZERO);
            let bad: Vec<_> = found.iter().map(Finding::is_bad).collect();
            assert_eq!(bad, wanted, "{found:?}");
        }
    }

    #[test]
    fn certificates_are_as_good_as_the_worst_and_end_with_the_first() {
        let line = |days, why: Option<&str>| Line {
            name: "apiserver".to_owned(),
            subject: "x".to_owned(),
            authority: "y",
            days,
            why: why.map(str::to_owned),
            keeper: crate::certs::Keeper::Apply,
        };
        let good = certificates(&[line(Some(300), None), line(Some(200), None)]);
        let wanted = "2, the first ends in 200 days".to_owned();
        assert_eq!(good, Verdict::Good(wanted));
        let bad =
            certificates(&[line(Some(300), None), line(None, Some("there is none"))]);
        let wanted = "apiserver: there is none; apply issues it anew".to_owned();
        assert_eq!(bad, Verdict::Bad(wanted));
        assert!(matches!(certificates(&[]), Verdict::Skipped(_)));
    }
}
