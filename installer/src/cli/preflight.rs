//! `sternpost preflight`: what speaks against making a cluster of these machines, and, when it
//! is asked for, what of it a program can put right.

use std::collections::BTreeMap;

use clap::Args;
use daemon::exit;
use serde_json::{Value, json};

use super::reach::{self, Answers, Reach, Ways};
use super::round::{self, Seen};
use super::{Output, Sentence};
use crate::flows;
use crate::preflight::{Finding, Fix, Round, Weight, fixes, preflight};
use crate::spec::Cluster;

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Preflight {
    #[command(flatten)]
    reach: Reach,
    /// Put right what is safe to: swap, modules, kernel settings, names in /etc/hosts, and what
    /// a firewalld or ufw keeps out. What is done is shown first.
    #[arg(long)]
    fix: bool,
    /// With --fix: show what would be done, and do nothing. Ends with 3 when there is something.
    #[arg(long, requires = "fix")]
    dry_run: bool,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What was done about the findings.
#[derive(Default)]
struct Fixed {
    fixes: Vec<Fix>,
    /// Of each host with a fix, once it was tried.
    done: Answers<()>,
}

impl Preflight {
    /// A line a finding; 1 when one of them blocks, a host does not answer, or a fix failed.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        let mut ways = self.reach.ways(&cluster, |_| true);
        let mut seen = round::look(&cluster, &mut ways)?;
        let mut findings = preflight(&cluster, &seen.round);
        let mut fixed = Fixed::default();
        if self.fix {
            fixed.fixes = fixes(&cluster, &seen.round, &findings);
            self.announce(&fixed.fixes);
            if !self.dry_run && !fixed.fixes.is_empty() {
                fixed.done = mended(&mut ways, &fixed.fixes);
                let again = round::look(&cluster, &mut ways)?;
                // Who did not answer at first was not asked again.
                seen.round = again.round;
                seen.silent.extend(again.silent);
                findings = preflight(&cluster, &seen.round);
            }
        }
        let code = self.code(&findings, &seen, &fixed);
        let text = match self.output {
            Output::Json => {
                let all = json(&findings, &seen, &fixed);
                serde_json::to_string_pretty(&all).map_err(|e| e.to_string())?
            }
            Output::Text => text(&cluster, &findings, &seen, &fixed),
        };
        Ok((text, code))
    }

    fn announce(&self, fixes: &[Fix]) {
        if matches!(self.output, Output::Json) {
            return;
        }
        for fix in fixes {
            for line in fix.repair.lines() {
                super::say(&format!("{}: fix: {line}", fix.host));
            }
        }
    }

    fn code(&self, findings: &[Finding], seen: &Seen, fixed: &Fixed) -> u8 {
        let mut weights = findings.iter().map(|one| one.what.weight());
        let blocked = weights.any(|weight| weight == Weight::Blocks);
        let failed = fixed.done.values().any(Result::is_err);
        if self.dry_run && !fixed.fixes.is_empty() {
            return exit::PENDING;
        }
        match blocked || failed || !seen.silent.is_empty() {
            true => exit::FAILED,
            false => exit::DONE,
        }
    }
}

/// Does what is to be done, on all hosts at once.
fn mended(ways: &mut Ways<'_>, fixes: &[Fix]) -> Answers<()> {
    let touched = |name: &str| fixes.iter().any(|fix| fix.host == name);
    let mut answers = ways.ask(|host, way| {
        let own: Vec<_> = fixes.iter().filter(|fix| fix.host == host.name).collect();
        if own.is_empty() {
            return Ok(());
        }
        reach::lock(way)?;
        for fix in own {
            for order in fix.repair.orders() {
                reach::asked(way, order)?;
            }
        }
        Ok(())
    });
    answers.retain(|name, _| touched(name));
    answers
}

fn json(findings: &[Finding], seen: &Seen, fixed: &Fixed) -> Value {
    let found = findings.iter().map(|finding| {
        let mut value = json!(finding);
        if let Value::Object(map) = &mut value {
            map.insert("weight".into(), json!(finding.what.weight()));
            map.insert("wayOut".into(), json!(finding.what.way_out()));
        }
        value
    });
    let reachability = seen.round.flows.iter().map(|(flow, passage)| {
        let mut value = json!(flow);
        if let (Value::Object(map), Value::Object(more)) = (&mut value, json!(passage)) {
            map.extend(more);
        }
        value
    });
    let failed: BTreeMap<_, _> = fixed
        .done
        .iter()
        .filter_map(|(host, done)| Some((host, done.as_ref().err()?)))
        .collect();
    json!({
        "findings": found.collect::<Vec<_>>(),
        "silent": seen.silent,
        "reachability": reachability.collect::<Vec<_>>(),
        "disks": disks(&seen.round),
        "fixes": fixed.fixes,
        "failed": failed,
    })
}

/// How long etcd's disks take, µs: 99 of 100 writes less than that.
fn disks(round: &Round) -> BTreeMap<&str, u128> {
    let sights = round.sights.iter();
    let measured = sights.filter_map(|(host, sight)| {
        let syncs = sight.syncs.as_ref()?.as_ref().ok()?;
        Some((host.as_str(), syncs.p99.as_micros()))
    });
    measured.collect()
}

fn text(cluster: &Cluster, findings: &[Finding], seen: &Seen, fixed: &Fixed) -> String {
    let silent = seen.silent.iter().map(|(host, error)| {
        let blocks = Weight::Blocks.name();
        match error.starts_with("the host does not answer") {
            true => format!("{host}: {blocks}: {error}"),
            false => format!("{host}: {blocks}: it does not answer: {error}"),
        }
    });
    let failed = fixed.done.iter().filter_map(|(host, done)| {
        let error = done.as_ref().err()?;
        Some(format!("{host}: fix failed: {error}"))
    });
    let found = findings.iter().map(|Finding { host, what }| {
        let weight = what.weight().name();
        format!("{host}: {weight}: {what}; {}", what.way_out())
    });
    let mut lines: Vec<_> = silent.chain(failed).chain(found).collect();
    if lines.is_empty() {
        let asked = seen.round.sights.len();
        lines.push(format!("{asked} host(s): nothing found"));
    }
    let disks = disks(&seen.round).into_iter();
    let disks: Vec<_> = disks
        .map(|(host, micros)| {
            format!("{host} {}.{} ms", micros / 1000, micros % 1000 / 100)
        })
        .collect();
    if !disks.is_empty() {
        let disks = disks.join(", ");
        lines.push(format!("\netcd's disks, 99 of 100 writes: {disks}"));
    }
    let hosts = cluster.hosts.iter().map(|host| host.name.clone());
    let there = hosts.filter(|name| seen.round.sights.contains_key(name));
    if !seen.round.flows.is_empty() {
        let table = flows::table(&there.collect::<Vec<_>>(), &seen.round.flows);
        lines.push(format!("\n{table}"));
    }
    lines.join("\n")
}
