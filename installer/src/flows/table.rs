//! Flows and what came of them, as a table: a row a way, a column a host that is gone to.

use std::collections::{BTreeMap, BTreeSet};

use super::{Flow, Passage, Purpose, Way};

/// What stands in a cell.
#[derive(Default)]
struct Cell {
    tried: usize,
    closed: Vec<String>,
    untried: usize,
}

/// For people. A cell says from how many hosts it passes, and from which it does not.
#[must_use]
pub fn table(hosts: &[String], flows: &[(Flow, Passage)]) -> String {
    let mut rows: BTreeMap<(Purpose, Way), BTreeMap<&str, Cell>> = BTreeMap::new();
    for (flow, passage) in flows {
        let row = rows.entry((flow.purpose, flow.way)).or_default();
        let cell = row.entry(flow.to.as_str()).or_default();
        match passage {
            Passage::Passes => cell.tried += 1,
            Passage::Closed { .. } => {
                cell.tried += 1;
                cell.closed.push(flow.from.clone());
            }
            Passage::Untried { .. } => cell.untried += 1,
        }
    }
    let columns: Vec<_> = hosts.iter().map(String::as_str).collect();
    let mut lines = vec![line(
        "TO",
        "",
        columns.iter().map(|name| (*name).to_owned()),
    )];
    for ((purpose, way), row) in &rows {
        let cells = columns
            .iter()
            .map(|name| row.get(name).map_or_else(none, text));
        lines.push(line(purpose.name(), &way.to_string(), cells));
    }
    aligned(&lines)
}

fn none() -> String {
    "-".to_owned()
}

fn text(cell: &Cell) -> String {
    let closed: BTreeSet<_> = cell.closed.iter().map(String::as_str).collect();
    if !closed.is_empty() {
        let from: Vec<_> = closed.into_iter().collect();
        return format!("CLOSED from {}", from.join(","));
    }
    match (cell.tried, cell.untried) {
        (0, _) => "untried".to_owned(),
        (tried, 0) => format!("ok {tried}"),
        (tried, untried) => format!("ok {tried}, untried {untried}"),
    }
}

fn line(first: &str, second: &str, rest: impl Iterator<Item = String>) -> Vec<String> {
    [first.to_owned(), second.to_owned()]
        .into_iter()
        .chain(rest)
        .collect()
}

/// Two blanks between columns, none at the end of a line.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(String::len).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let rows = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    rows.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::Saw;

    #[test]
    fn a_cell_says_what_is_closed_from_where() {
        let flow = |purpose, way, from: &str, to: &str| Flow {
            purpose,
            way,
            from: from.into(),
            to: to.into(),
            address: "192.0.2.1".parse().unwrap(),
        };
        let peers = |from, to| flow(Purpose::Members, Way::Tcp(2380), from, to);
        let pods = |from, to| flow(Purpose::Pods, Way::Udp(8472), from, to);
        let untried = || Passage::Untried { why: "x".into() };
        let flows = [
            (peers("m2", "m1"), Passage::Passes),
            (peers("m3", "m1"), Passage::Passes),
            (peers("m1", "m2"), Passage::Closed { saw: Saw::Silence }),
            (peers("m3", "m2"), Passage::Passes),
            (pods("m1", "m2"), untried()),
        ];
        let hosts = ["m1", "m2"].map(str::to_owned);
        assert_eq!(
            table(&hosts, &flows),
            "TO                      m1    m2\n\
             etcd members  tcp/2380  ok 2  CLOSED from m1\n\
             Pods (VXLAN)  udp/8472  -     untried"
        );
    }
}
