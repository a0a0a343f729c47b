//! The table of metrics in the manual, against what the daemon prints.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::rig::{CHECK_ONCE, Lb, PATIENCE, loopback, simple};
use crate::servers::Echo;

const MANUAL: &str = "../docs/config/api-lb.md";

/// By its name: the type of a family and the labels of its samples.
type Families = BTreeMap<String, (String, BTreeSet<String>)>;

fn printed(metrics: &str) -> Families {
    let mut families = Families::new();
    for line in metrics.lines() {
        if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
        {
            families.entry(name.to_owned()).or_default().0 = kind.to_owned();
        } else if let Some((name, rest)) = line.split_once('{') {
            let (labels, _) = rest.rsplit_once('}').unwrap_or_default();
            let labels = labels.split(',').filter_map(|l| Some(l.split_once('=')?.0));
            let family = families.entry(name.to_owned()).or_default();
            family.1.extend(labels.map(str::to_owned));
        }
    }
    families
}

fn described(manual: &str) -> Families {
    let rows = manual.lines().filter(|line| line.starts_with("| `api_lb_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split(", ").filter(|label| *label != "–");
        let plain = |text: &str| text.trim_matches('`').to_owned();
        let family = (cells[2].to_owned(), labels.map(plain).collect());
        (plain(cells[1]), family)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manual_lists_every_metric_with_its_type_and_labels() {
    let server = Echo::start(b'a').await.unwrap();
    let discovery = "  discovery: {dns: {names: [\"localhost:1\"]}, file: off}\n";
    let more = format!("{CHECK_ONCE}{discovery}");
    let body = simple(loopback(6443), &[server.address], &more);
    let mut lb = Lb::start(&body).unwrap();
    // What is known of checks is printed from the first one on.
    lb.enters("s0", "up").unwrap();
    lb.line(|line| line["message"] == "servers found").unwrap();
    let manual = described(&std::fs::read_to_string(MANUAL).unwrap());
    // What is counted of discovery is printed from the first answer on, which is counted
    // once its servers are in.
    let until = Instant::now() + PATIENCE;
    loop {
        let metrics = lb.get("/metrics").await.unwrap();
        let printed = printed(metrics.as_str().unwrap());
        let answered = printed.contains_key("api_lb_discovery_answers_total");
        if answered || Instant::now() > until {
            assert_eq!(manual, printed);
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
