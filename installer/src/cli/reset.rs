//! `sternpost reset`: everything of ours off the hosts, each by its own journal.

use clap::Args;
use daemon::exit;

use super::Sentence;
use super::reach::{self, Reach};
use crate::agent::{Answer, Order};
use crate::reset::{self, Data, Inventory, Removal};
use crate::transport::Piped;

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Reset {
    #[command(flatten)]
    reach: Reach,
    /// Remove data too: what etcd, kubelet and containerd hold, the audit log, what api-lb has
    /// recorded of failures, and the authorities, without which kept data cannot be read.
    #[arg(long)]
    data: bool,
    /// Print what would be removed and what stays, and touch nothing. Ends with 3 when there
    /// is something.
    #[arg(long)]
    dry_run: bool,
    /// The name of the cluster, as a word that it is meant.
    #[arg(long, value_name = "CLUSTER", required_unless_present = "dry_run")]
    confirm: Option<String>,
}

impl Reset {
    /// Each host's removal; 1 when a host is silent or a step failed.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        if let Some(confirm) = self.confirm.as_ref().filter(|name| **name != cluster.name)
        {
            return Err(format!(
                "--confirm {confirm}: the cluster is called {}; nothing was touched",
                cluster.name
            ));
        }
        let data = match self.data {
            true => Data::Remove,
            false => Data::Keep,
        };
        let answers = self.reach.each(
            &cluster,
            |_| true,
            |_, way| {
                if self.dry_run {
                    return Ok(reset::plan(&inventory(way)?, data));
                }
                reach::lock(way)?;
                let removal = reset::plan(&inventory(way)?, data);
                done(way, &removal)?;
                Ok(removal)
            },
        );
        let mut code = exit::DONE;
        let mut text = String::new();
        for (host, answer) in answers {
            match answer {
                Err(error) => {
                    code = exit::FAILED;
                    text.push_str(&format!("{host}: FAILED: {error}\n"));
                }
                Ok(removal) => {
                    if self.dry_run && !removal.steps.is_empty() && code == exit::DONE {
                        code = exit::PENDING;
                    }
                    text.push_str(&reset::show(&host, &removal));
                }
            }
        }
        Ok((text.trim_end().to_owned(), code))
    }
}

fn inventory(way: &mut Piped) -> Result<Inventory, String> {
    let answer = reach::asked(way, Order::Inventory)?;
    let Answer::Inventory(inventory) = answer else {
        return Err(format!("the agent answered {answer:?}"));
    };
    Ok(inventory)
}

fn done(way: &mut Piped, removal: &Removal) -> Result<(), String> {
    for step in &removal.steps {
        let refused = |error| format!("{}: {error}", reset::line(step));
        reach::asked(way, Order::Remove(step.clone())).map_err(refused)?;
    }
    Ok(())
}
