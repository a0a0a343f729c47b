//! `sternpost apply`: all hosts of a description, each by itself, at once.

mod bare;
mod behind;
mod guards;
mod joined;
mod membership;
mod over;
mod planned;
mod raised;
mod returns;
mod run;
mod site;
pub(super) mod stands;
mod token;
mod turns;
mod well;

use clap::Args;
use daemon::exit;

use super::Sentence;
use super::fetch::Kept;
use super::interrupt::Interrupt;
use super::outcome::{self, Outcomes};
use super::progress::{Event, Output, Printer};
use super::reach::{self, Reach};
use super::record;
use crate::apply::Material;
use crate::spec::Cluster;
use crate::stock::Stock;
use run::Run;
use site::{Lost, Meant, Sites};
use stands::Outage;

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
    /// Start anew also what the cluster does not serve without, while others of its kind are
    /// down: etcd is without its majority for that time, or no API server is there.
    #[arg(long)]
    allow_outage: bool,
    /// This host was the node of its name and has no certificate any more: first have the cluster
    /// forget that node, whose Pods it makes anew elsewhere.
    #[arg(long, value_name = "HOST")]
    replace: Vec<String>,
    /// Begin also on hosts that something blocks, as `preflight` says it.
    #[arg(long)]
    no_preflight: bool,
    /// How progress is shown.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// The hosts that have answered, and why the others have not.
struct Answered<'a> {
    cluster: &'a Cluster,
    sites: Sites<'a>,
    stand: membership::Stand,
    silent: Lost,
}

/// The hosts that are worked on, and what with.
struct Ready<'a> {
    sites: Sites<'a>,
    /// They answer, and were not chosen.
    apart: Sites<'a>,
    material: Material,
    stock: Stock,
}

impl Apply {
    /// One that touches nothing.
    pub(super) fn dry(reach: Reach, kept: Kept, output: Output) -> Self {
        Self {
            reach,
            kept,
            record: record::Noted::default(),
            dry_run: true,
            allow_outage: false,
            replace: Vec::new(),
            no_preflight: false,
            output,
        }
    }

    /// What came of it, in words, and the exit code.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        self.reach.has(&cluster, &self.replace)?;
        let stock = Kept::local(&cluster)?;
        let interrupt = Interrupt::listen()
            .map_err(|error| format!("signals cannot be heard: {error}"))?;
        let (meant, record) = match self.dry_run {
            true => (Meant::Shown, None),
            false => {
                let opened = self.record.open(&cluster.name, &reach::who(), "apply");
                (Meant::Done, opened?)
            }
        };
        let mut printer = Printer::new(self.output.look(), record);
        let (mut sites, mut lost) = site::all(&self.reach, &cluster);
        if meant == Meant::Done
            && let Err((host, holder)) = site::locked(&cluster, &mut sites, &mut lost)
        {
            // Whatever was locked is free again.
            drop(sites);
            return Ok(self.kept_out(&mut printer, &cluster, &host, &holder));
        }
        let mut blocked = match self.no_preflight {
            true => Lost::new(),
            false => bare::blocked(&cluster, &mut sites),
        };
        blocked.retain(|name, _| self.reach.chosen(name));
        if meant == Meant::Done {
            site::refuse(&mut sites, &blocked);
        }
        let stand = membership::stand(&mut sites, &mut lost);
        let answered = Answered {
            cluster: &cluster,
            sites,
            stand,
            silent: lost.clone(),
        };
        lost.extend(site::refused(&answered.sites));
        lost.retain(|name, _| self.reach.chosen(name));
        for (host, error) in &lost {
            let (host, error) = (host.clone(), error.clone());
            self.tell(&mut printer, &Event::Failed { host, error });
        }
        let ready = match self.ready(answered, stock) {
            Ok(ready) => ready,
            Err(error) => return self.nothing_done(&mut printer, error),
        };
        let mut outcomes = Outcomes::new();
        for (name, error) in lost {
            outcomes.insert(name, Err(error));
        }
        let run = Run {
            cluster: &cluster,
            stock: &ready.stock,
            material: &ready.material,
            interrupt,
            meant,
            replaced: &self.replace,
            outage: match self.allow_outage {
                true => Outage::Allowed,
                false => Outage::Refused,
            },
        };
        outcomes.extend(run.work(printer, ready.sites, ready.apart));
        if self.dry_run {
            return outcome::planned(&outcomes, &blocked, self.output);
        }
        let (text, code) = outcome::done(&outcomes);
        Ok((self.output.not_told(text), code))
    }

    /// What no host can be worked on without.
    fn ready<'a>(
        &self,
        answered: Answered<'a>,
        mut stock: Stock,
    ) -> Result<Ready<'a>, Sentence> {
        let Answered {
            cluster,
            mut sites,
            stand,
            silent,
        } = answered;
        membership::unchanged(cluster, &mut sites, &stand)?;
        let material = site::authorities(&mut sites, &silent, cluster)?;
        site::expect(&mut sites, &material);
        sites.retain(|_, site| site.refused.is_none());
        let (sites, apart) = sites
            .into_iter()
            .partition(|(name, _)| self.reach.chosen(name));
        let missing = site::unsigned(cluster, &sites);
        if !missing.is_empty() {
            return Err(missing);
        }
        let wanted = site::wanted(cluster, &sites);
        self.kept.fetch(&mut stock, cluster, &wanted)?;
        Ok(Ready {
            sites,
            apart,
            material,
            stock,
        })
    }

    /// Another operator is at work: no host is touched.
    fn kept_out(
        &self,
        printer: &mut Printer,
        cluster: &Cluster,
        held: &str,
        holder: &str,
    ) -> (String, u8) {
        let names = cluster.hosts.iter().map(|host| &host.name);
        let mut outcomes = Outcomes::new();
        for host in names.filter(|name| self.reach.chosen(name)) {
            let error = match host == held {
                true => holder.to_owned(),
                false => site::kept_out(held, holder),
            };
            let (host, said) = (host.clone(), error.clone());
            outcomes.insert(host.clone(), Err(error));
            self.tell(printer, &Event::Failed { host, error: said });
        }
        let (text, code) = outcome::done(&outcomes);
        (self.output.not_told(text), code)
    }

    fn nothing_done(
        &self,
        printer: &mut Printer,
        error: Sentence,
    ) -> Result<(String, u8), Sentence> {
        if self.dry_run {
            return outcome::refused(error, self.output);
        }
        let told = error.clone();
        self.tell(printer, &Event::Refused { error: told });
        Ok((self.output.not_told(error), exit::FAILED))
    }

    /// A plan is no event.
    fn tell(&self, printer: &mut Printer, event: &Event) {
        if !self.dry_run {
            printer.tell(event);
        }
    }
}
