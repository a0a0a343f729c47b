//! A whole cluster for people.

use super::Status;

/// For people: who holds the addresses, a line a host, a line a trouble.
#[must_use]
pub fn screen(status: &Status) -> String {
    let mut text = String::new();
    for (router, hosts) in &status.holders {
        let by = match hosts.as_slice() {
            [] => "nobody that answers".to_owned(),
            hosts => hosts.join(" and "),
        };
        text.push_str(&format!("{router}: held by {by}\n"));
    }
    let none = || "-".to_owned();
    let rows = status.hosts.iter().map(|line| {
        let holds = line
            .holds
            .map(|holds| if holds { "holds" } else { "waits" });
        [
            line.host.clone(),
            line.units.to_string(),
            holds.map_or_else(none, str::to_owned),
            line.servers.map_or_else(none, |count| count.to_string()),
            line.member
                .map_or_else(none, |member| member.name().to_owned()),
            line.node.map_or_else(none, |node| node.name().to_owned()),
            line.days.map_or_else(none, |days| format!("{days} days")),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let head = [
        "HOST",
        "UNITS",
        "ADDRESS",
        "SERVERS",
        "ETCD",
        "NODE",
        "CERTIFICATES",
    ];
    text.push_str(&daemon::table::render(head, &rows));
    for trouble in &status.troubles {
        text.push_str(&format!("{trouble}\n"));
    }
    text
}
