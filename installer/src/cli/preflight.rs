//! `sternpost preflight`: what speaks against making a cluster of these machines.

use std::collections::BTreeMap;
use std::time::SystemTime;

use clap::Args;
use daemon::exit;
use serde_json::json;

use super::reach::{self, Reach};
use super::{Output, Sentence};
use crate::preflight::{Finding, Weight, preflight};

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Preflight {
    #[command(flatten)]
    reach: Reach,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Preflight {
    /// A line a finding; 1 when one of them blocks, or a host does not answer.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        let answers = self.reach.each(
            &cluster,
            |_| true,
            |_, way| Ok((reach::machine(way)?, SystemTime::now())),
        );
        let (mut machines, mut silent) = (BTreeMap::new(), BTreeMap::new());
        for (host, answer) in answers {
            match answer {
                Ok(machine) => drop(machines.insert(host, machine)),
                Err(error) => drop(silent.insert(host, error)),
            }
        }
        let findings = preflight(&cluster, &machines);
        let blocked = findings
            .iter()
            .any(|one| one.what.weight() == Weight::Blocks);
        let code = match blocked || !silent.is_empty() {
            true => exit::FAILED,
            false => exit::DONE,
        };
        let text = match self.output {
            Output::Json => {
                let all = json!({"findings": findings, "silent": silent});
                serde_json::to_string_pretty(&all).map_err(|e| e.to_string())?
            }
            Output::Text => text(&findings, &silent, machines.len()),
        };
        Ok((text, code))
    }
}

fn text(findings: &[Finding], silent: &BTreeMap<String, String>, asked: usize) -> String {
    let silent = silent
        .iter()
        .map(|(host, error)| format!("{host}: blocks: it does not answer: {error}"));
    let found = findings.iter().map(|Finding { host, what }| {
        let weight = match what.weight() {
            Weight::Blocks => "blocks",
            Weight::Warns => "warns",
        };
        format!("{host}: {weight}: {what}; {}", what.way_out())
    });
    let lines: Vec<_> = silent.chain(found).collect();
    match lines.is_empty() {
        true => format!("{asked} host(s): nothing found"),
        false => lines.join("\n"),
    }
}
