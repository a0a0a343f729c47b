//! `sternpost apply`: all hosts of a description, each by itself, at once.

mod run;
mod site;

use std::io::IsTerminal;

use clap::Args;
use daemon::exit;

use super::Sentence;
use super::fetch::Kept;
use super::interrupt::Interrupt;
use super::outcome::{self, Outcomes};
use super::progress::{Event, Look, Output};
use super::reach::{self, Reach};
use super::record;
use run::Run;
use site::{authorities, expect, unsigned, wanted};

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Apply {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    record: record::Noted,
    /// Print what would be done, and touch nothing. Ends with 3 when there is something.
    #[arg(long)]
    dry_run: bool,
    /// How progress is shown.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Apply {
    /// One that touches nothing.
    pub(super) fn dry(reach: Reach, kept: Kept, output: Output) -> Self {
        Self {
            reach,
            kept,
            record: record::Noted::default(),
            dry_run: true,
            output,
        }
    }

    /// What came of it, in words, and the exit code.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        let mut stock = Kept::local(&cluster)?;
        let interrupt = Interrupt::listen()
            .map_err(|error| format!("signals cannot be heard: {error}"))?;
        let mut record = match self.dry_run {
            true => None,
            false => self.record.open(&cluster.name, &reach::who())?,
        };
        let (mut sites, mut lost) = self.reach(&cluster);
        for (host, error) in &lost {
            let (host, error) = (host.clone(), error.clone());
            let event = Event::Failed { host, error };
            if let Some(Err(error)) = record.as_mut().map(|record| record.note(&event)) {
                super::complain(&error);
            }
        }
        let material = match authorities(&mut sites, &lost, &cluster) {
            Ok(material) => material,
            Err(error) => return Ok((error, exit::FAILED)),
        };
        expect(&mut sites);
        sites.retain(|name, _| self.reach.chosen(name));
        lost.retain(|name, _| self.reach.chosen(name));
        let missing = unsigned(&cluster, &sites);
        if !missing.is_empty() {
            return Ok((missing, exit::FAILED));
        }
        let wanted = wanted(&cluster, &sites);
        if let Err(error) = self.kept.fetch(&mut stock, &cluster, &wanted) {
            return Ok((error, exit::FAILED));
        }
        let mut outcomes = Outcomes::new();
        for (name, error) in lost {
            outcomes.insert(name, Err(error));
        }
        let run = Run {
            cluster: &cluster,
            stock: &stock,
            material: &material,
            interrupt,
            dry_run: self.dry_run,
        };
        outcomes.extend(run.work(self.look(), record, sites));
        if self.dry_run {
            return outcome::planned(&outcomes, self.output);
        }
        let (text, code) = outcome::done(&outcomes);
        match self.output {
            // Each host's end was an event.
            Output::Json => Ok((String::new(), code)),
            Output::Text => Ok((text, code)),
        }
    }

    fn look(&self) -> Look {
        match self.output {
            Output::Json => Look::Json,
            Output::Text if std::io::stderr().is_terminal() => Look::Live,
            Output::Text => Look::Plain,
        }
    }
}
