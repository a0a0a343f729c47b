//! `sternpost plan`: what would be done on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use daemon::exit;

use super::fetch::{Kept, programs};
use super::{Output, Sentence, SpecFile};
use crate::agent::{Agent, Answer, Order, Systemd};
use crate::architecture::Architecture;
use crate::facts::{Facts, Wanted};
use crate::layout;
use crate::plan::{self, Inputs, Trust};
use crate::render::{self, Known, Newcomers};
use crate::resource::Authority;
use crate::spec;

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    spec: SpecFile,
    /// Which host of the description this machine is.
    #[arg(long)]
    host: String,
    /// The machine's files are looked at below this folder.
    #[arg(long, default_value = "/")]
    root: PathBuf,
    /// The interface that has the host's addresses.
    #[arg(long, default_value = "eth0")]
    interface: String,
    #[command(flatten)]
    kept: Kept,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Plan {
    /// The plan as text, and the exit code that says whether there is something to do.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let path = &self.spec.spec;
        let cluster = spec::read(path)
            .map_err(|errors| errors.to_string())?
            .cluster;
        let host = super::host(&cluster, path, &self.host)?;
        let known = Known {
            interface: self.interface.clone(),
            resolv_conf: None,
            newcomers: Newcomers::None,
        };
        let architecture = Architecture::own().map_err(|error| error.to_string())?;
        let names = programs(&cluster, host, &known);
        let wanted = BTreeMap::from([(architecture, names)]);
        let mut stock = Kept::local(&cluster)?;
        self.kept.fetch(&mut stock, &cluster, &wanted)?;
        let there = stock.programs(architecture);
        let wanted = render::host(&cluster, host, &known);
        let facts = self.look(&Wanted::of(&wanted))?;
        let plan = plan::plan(Inputs {
            host: &host.name,
            wanted: &wanted,
            facts: &facts,
            programs: &|name| Some(there.get(name)?.sha256.clone()),
            trust: &Laid::below(&self.root),
            now: SystemTime::now(),
        });
        let code = if plan.steps.is_empty() {
            exit::DONE
        } else {
            exit::PENDING
        };
        let text = match self.output {
            Output::Text => plan::show(&plan),
            Output::Json => {
                serde_json::to_string_pretty(&plan).map_err(|e| e.to_string())?
            }
        };
        Ok((text.trim_end().to_owned(), code))
    }
}

impl Plan {
    fn look(&self, wanted: &Wanted) -> Result<Facts, Sentence> {
        match Agent::new(&self.root, Systemd).obey(Order::Look(wanted.clone())) {
            Answer::Facts(facts) => Ok(facts),
            Answer::Failed { error, .. } => Err(error),
            other @ (Answer::Done
            | Answer::Machine(_)
            | Answer::Fetched(_)
            | Answer::Told(_)
            | Answer::Collected(_)
            | Answer::Probed(_)
            | Answer::Inventory(_)) => Err(format!("{other:?}")),
        }
    }
}

/// The authorities' certificates that lie on this machine.
struct Laid(BTreeMap<Authority, String>);

impl Laid {
    fn below(root: &Path) -> Self {
        let read = |authority: Authority| {
            let path = layout::certificate(authority.name());
            let text = fs::read_to_string(root.join(path.trim_start_matches('/')));
            Some((authority, text.ok()?))
        };
        Self(Authority::ALL.into_iter().filter_map(read).collect())
    }
}

impl Trust for Laid {
    fn certificate(&self, authority: Authority) -> Option<&str> {
        self.0.get(&authority).map(String::as_str)
    }
}
