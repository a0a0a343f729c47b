//! `sternpost status`: how a whole cluster is, on one screen.

use std::io::IsTerminal;
use std::thread;
use std::time::{Duration, SystemTime};

use clap::Args;
use daemon::exit;

use super::certs;
use super::kubeconfig;
use super::reach::{self, Reach};
use super::{Output, Sentence};
use crate::agent::{Answer, Order, Question};
use crate::apply::PLACE;
use crate::facts::Wanted;
use crate::render;
use crate::resource;
use crate::spec::{Cluster, Host, Role};
use crate::status::{self, Said, Seen, Trouble};
use crate::transport::Piped;

/// Between two looks of `--watch`.
const EVERY: Duration = Duration::from_secs(2);
/// Clears a terminal and puts the cursor home (ECMA-48).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    reach: Reach,
    /// Again every 2 s, until interrupted.
    #[arg(long)]
    watch: bool,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Status {
    /// The screen; 1 when something is not as it is to be.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        let mut ways = self.reach.ways(&cluster, |_| true);
        loop {
            let seen = ways.ask(|host, way| seen(&cluster, host, way));
            let mut status = status::status(&seen);
            status.troubles.extend(own(&cluster));
            let text = match self.output {
                Output::Text => status::screen(&status).trim_end().to_owned(),
                Output::Json => {
                    serde_json::to_string_pretty(&status).map_err(|e| e.to_string())?
                }
            };
            let code = match status.troubles.is_empty() {
                true => exit::DONE,
                false => exit::FAILED,
            };
            if !self.watch {
                return Ok((text, code));
            }
            let terminal = std::io::stdout().is_terminal();
            super::say(&format!("{}{text}", if terminal { CLEAR } else { "" }));
            thread::park_timeout(EVERY);
        }
    }
}

/// What is wrong with this person's own way in.
fn own(cluster: &Cluster) -> impl Iterator<Item = Trouble> {
    let lines = kubeconfig::own(cluster, SystemTime::now()).into_iter();
    lines.filter_map(|line| {
        let (host, why) = (kubeconfig::OWN.to_owned(), line.trouble()?);
        let name = line.name;
        Some(Trouble::Certificate { host, name, why })
    })
}

/// What a host says. A program that does not answer is seen, and holds up nothing else.
pub(super) fn seen(
    cluster: &Cluster,
    host: &Host,
    way: &mut Piped,
) -> Result<Seen, String> {
    let wanted = render::host(cluster, host, &certs::known());
    let units = Wanted {
        units: Wanted::of(&wanted).units,
        paths: vec![PLACE.to_owned()],
        ..Wanted::default()
    };
    let names = units.units.clone();
    let answer = reach::asked(way, Order::Look(units))?;
    let Answer::Facts(mut facts) = answer else {
        return Err(format!("the agent answered {answer:?}"));
    };
    let units = names.into_iter().map(|name| {
        let unit = facts.units.remove(&name);
        (name, unit)
    });
    let units = units.collect();
    let keeps = facts.entries.contains_key(PLACE);
    let endpoint = render::store(host);
    let nodes = Question::Api {
        server: None,
        path: "/api/v1/nodes".to_owned(),
    };
    let has_nodes = cluster.with(Role::Node).next().is_some();
    let mut told = |program: &str, question: Question| -> Option<Said> {
        resource::runs(&wanted, program).then(|| reach::told(way, question))
    };
    Ok(Seen {
        units,
        address: told("vip-daemon", Question::Address),
        balancer: told("api-lb", Question::Balancer),
        nodes: has_nodes.then(|| told("kube-apiserver", nodes)).flatten(),
        member: told("etcdctl", Question::Members(vec![endpoint])),
        keeps: host.is(Role::ControlPlane).then_some(keeps),
        certificates: certs::of_host(cluster, host, way)?,
    })
}
