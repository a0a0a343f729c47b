//! `sternpost verify`: whether the cluster serves, a line a check.

use std::thread::park_timeout;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use daemon::exit;
use serde_json::json;

use super::interrupt::Interrupt;
use super::reach::{self, Reach, Ways};
use super::{Output, Sentence, certs, status as look};
use crate::spec::{Cluster, Host};
use crate::status;
use crate::transport::Piped;
use crate::verify::{
    Check, Drill, Finding, Pace, Trial, Verdict, certificates, line, standing,
};

/// From one question for what is not there yet to the next.
const AGAIN: Duration = Duration::from_millis(500);

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    reach: Reach,
    /// Lay no Pods down: ask what can be asked without them.
    #[arg(long)]
    no_pods: bool,
    /// When nothing was bad: kill kube-apiserver, then api-lb, on the host that holds the
    /// address by then, and look whether the address answers all the same. Requests that are
    /// under way there are lost. Other operators are kept from the masters meanwhile.
    #[arg(long)]
    drill: bool,
    /// How long leaders, nodes, holders of addresses and servers of api-lb may take until they
    /// are there, Pods until they answer and until they are gone again, s.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    patience: u64,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What was found so far; each is told as it is found.
struct Findings {
    output: Output,
    all: Vec<Finding>,
}

impl Findings {
    fn tell(&mut self, finding: Finding) {
        if matches!(self.output, Output::Text) {
            super::say(&line(&finding));
        }
        self.all.push(finding);
    }

    fn bad(&self) -> usize {
        self.all.iter().filter(|one| one.is_bad()).count()
    }

    fn ended(&self) -> Result<(String, u8), Sentence> {
        let bad = self.bad();
        let code = match bad {
            0 => exit::DONE,
            _ => exit::FAILED,
        };
        let text = match self.output {
            Output::Text => format!("{} checks, {bad} bad", self.all.len()),
            Output::Json => {
                let all = json!({"findings": self.all, "bad": bad});
                serde_json::to_string_pretty(&all).map_err(|e| e.to_string())?
            }
        };
        Ok((text, code))
    }
}

impl Verify {
    /// A line a check; 1 when one of them is not so.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let mut cluster = self.reach.cluster()?;
        let interrupt = Interrupt::listen()
            .map_err(|error| format!("signals cannot be heard: {error}"))?;
        let mut found = Findings {
            output: self.output,
            all: Vec::new(),
        };
        let mut ways = self.reach.ways(&cluster, |_| true);
        let until = Instant::now() + Duration::from_secs(self.patience);
        let patient = || Instant::now() < until && !interrupt.asked();
        let hosts = ways.ask(|host, way| Ok(of_host(&cluster, host, way, &patient)));
        for (host, answer) in hosts {
            match answer {
                Ok(findings) => findings.into_iter().for_each(|one| found.tell(one)),
                Err(error) => found.tell(silent(&host, error)),
            }
        }
        // What rests on something that is bad is not waited for.
        let sound = found.bad() == 0;
        let standing = stands(&cluster, &mut ways, &|| sound && patient());
        standing.into_iter().for_each(|one| found.tell(one));
        let mut ways = ways.open();
        let stop = || interrupt.asked();
        if !self.no_pods {
            // Of a part of the hosts, only their Pods are asked.
            cluster.hosts.retain(|host| self.reach.chosen(&host.name));
            let pace = Pace {
                patience: Duration::from_secs(self.patience),
                ..Pace::default()
            };
            let trial = Trial::new(&cluster, pace, SystemTime::now(), &stop);
            trial.run(&mut ways, &mut |one| found.tell(one));
        }
        if self.drill {
            match found.bad() {
                0 => {
                    let (cluster, who) = (&cluster, &reach::who());
                    let stop = &stop;
                    let drill = Drill { cluster, who, stop };
                    drill.run(&mut ways, &mut |one| found.tell(one));
                }
                _ => {
                    let verdict = Verdict::Skipped("something is bad already");
                    found.tell(Finding::new("-", "drill", verdict, Duration::ZERO));
                }
            }
        }
        found.ended()
    }
}

/// Who holds the addresses, and what each api-lb sees. A server counts once some of its checks
/// have gone well, and an address moves when its holder has changed: both come by themselves.
fn stands(
    cluster: &Cluster,
    ways: &mut Ways<'_>,
    patient: &dyn Fn() -> bool,
) -> Vec<Finding> {
    let begun = Instant::now();
    let mut waits = false;
    loop {
        let seen = ways.ask(|host, way| look::seen(cluster, host, way));
        let status = status::status(&seen);
        let found = standing(&status, begun.elapsed());
        let bad = found.iter().find(|one| one.is_bad());
        match bad {
            Some(bad) if patient() => {
                if !waits {
                    super::complain(&format!("waits: {}", line(bad)));
                    waits = true;
                }
                park_timeout(AGAIN);
            }
            Some(_) | None => return found,
        }
    }
}

fn silent(host: &str, error: String) -> Finding {
    Finding::new(host, "host", Verdict::Bad(error), Duration::ZERO)
}

/// What a host says by itself: masters and hosts with members of etcd of their checks, all of
/// their certificates.
fn of_host(
    cluster: &Cluster,
    host: &Host,
    way: &mut Piped,
    patient: &(dyn Fn() -> bool + Sync),
) -> Vec<Finding> {
    let mut all = Vec::new();
    for check in Check::of(cluster, host) {
        // What rests on something that is bad is not waited for.
        let sound = !all.iter().any(Finding::is_bad);
        all.push(Finding::timed(&host.name, check.name(), || {
            settled(cluster, way, &check, &|| sound && patient())
        }));
    }
    all.push(Finding::timed(
        &host.name,
        "certificates",
        || match certs::of_host(cluster, host, way) {
            Ok(lines) => certificates(&lines),
            Err(error) => Verdict::Bad(error),
        },
    ));
    all
}

/// Asked again and again where it comes by itself.
fn settled(
    cluster: &Cluster,
    way: &mut Piped,
    check: &Check,
    patient: &dyn Fn() -> bool,
) -> Verdict {
    loop {
        let verdict = judged(cluster, way, check);
        let waits = matches!(verdict, Verdict::Bad(_)) && check.comes_by_itself();
        if !waits || !patient() {
            return verdict;
        }
        park_timeout(AGAIN);
    }
}

fn judged(cluster: &Cluster, way: &mut Piped, check: &Check) -> Verdict {
    match check.question(cluster) {
        Err(why) => Verdict::Skipped(why),
        Ok(question) => match reach::told(way, question) {
            Ok(said) => check.judge(cluster, &said, SystemTime::now()),
            Err(error) => Verdict::Bad(error),
        },
    }
}
