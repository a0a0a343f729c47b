//! `sternpost certs`: every certificate of every host, and whether it will do; `certs check` says
//! those alone that will not.

use std::collections::BTreeMap;
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use daemon::exit;
use pki::KeyKind;
use serde_json::json;

use super::kubeconfig;
use super::reach::{self, Answers, Reach};
use super::{Output, Sentence};
use crate::agent::{Answer, Order};
use crate::certs::{self, Line};
use crate::facts::Wanted;
use crate::layout;
use crate::plan::Trust;
use crate::render::{self, Known, Newcomers};
use crate::resource::{Authority, Shared};
use crate::spec::{Cluster, Host, Role};
use crate::transport::Piped;

/// Which certificates are said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum What {
    /// All of them.
    #[default]
    List,
    /// Those that will not do.
    Check,
}

impl What {
    fn says(self, line: &Line) -> bool {
        match self {
            Self::List => true,
            Self::Check => line.why.is_some(),
        }
    }
}

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Certs {
    /// Which of them are printed.
    #[arg(value_enum, default_value_t)]
    what: What,
    #[command(flatten)]
    reach: Reach,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Certs {
    /// A line a certificate; 1 when one of them is to be issued anew, or a host is silent.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        let mut answers =
            self.reach
                .each(&cluster, |_| true, |host, way| of_host(&cluster, host, way));
        let good = |answer: &Result<Vec<Line>, String>| {
            answer
                .as_ref()
                .is_ok_and(|lines| lines.iter().all(|line| line.why.is_none()))
        };
        let mut own = kubeconfig::own(&cluster, SystemTime::now());
        let lasts = own.iter().all(|line| line.why.is_none());
        let code = match lasts && answers.values().all(good) {
            true => exit::DONE,
            false => exit::FAILED,
        };
        let known: usize = answers.values().flatten().map(Vec::len).sum();
        let known = known + own.len();
        for lines in answers.values_mut().flatten().chain([&mut own]) {
            lines.retain(|line| self.what.says(line));
        }
        let text = match self.output {
            Output::Text if self.what == What::Check && code == exit::DONE => {
                format!("{known} certificates, all good")
            }
            Output::Text => text(&answers, &own),
            Output::Json => {
                let file = json!({"file": kubeconfig::OWN, "certificates": own});
                let file = (!own.is_empty()).then_some(file);
                let hosts = answers.iter().map(|(host, answer)| match answer {
                    Ok(lines) => json!({"host": host, "certificates": lines}),
                    Err(error) => json!({"host": host, "error": error}),
                });
                let hosts: Vec<_> = hosts.chain(file).collect();
                serde_json::to_string_pretty(&hosts).map_err(|e| e.to_string())?
            }
        };
        Ok((text, code))
    }
}

/// The authorities' certificates of a host.
struct There<'a> {
    cluster: &'a Cluster,
    files: BTreeMap<String, String>,
}

impl Trust for There<'_> {
    fn key_kind(&self, authority: Authority) -> Option<KeyKind> {
        let cluster = self.cluster;
        (!cluster.is_external(authority)).then_some(cluster.key_kind)
    }

    fn certificate(&self, authority: Authority) -> Option<&str> {
        let paths = Shared::Trust(authority).paths();
        let (path, _) = paths.first()?;
        self.files.get(path).map(String::as_str)
    }

    fn content(&self, _: Shared, path: &str) -> Option<String> {
        self.files.get(path).cloned()
    }
}

/// The certificates of a host.
pub(super) fn of_host(
    cluster: &Cluster,
    host: &Host,
    way: &mut Piped,
) -> Result<Vec<Line>, String> {
    let wanted = render::host(cluster, host, &known());
    let asked = Wanted {
        certificates: Wanted::of(&wanted).certificates,
        rotated: match host.is(Role::Node) {
            true => certs::ROTATED.map(str::to_owned).to_vec(),
            false => Vec::new(),
        },
        ..Wanted::default()
    };
    let answer = reach::asked(way, Order::Look(asked))?;
    let Answer::Facts(facts) = answer else {
        return Err(format!("the agent answered {answer:?}"));
    };
    let trusts = Authority::ALL
        .into_iter()
        .flat_map(|one| Shared::Trust(one).paths());
    let shown = layout::certificate("etcd/external-client");
    let paths = trusts.map(|(path, _)| path).chain([shown]).collect();
    let files = reach::fetched(way, paths)?;
    let there = There { cluster, files };
    Ok(certs::lines(&wanted, &facts, &there, SystemTime::now()))
}

/// What no certificate, unit or program depends on.
pub(super) fn known() -> Known {
    Known {
        interface: String::new(),
        resolv_conf: None,
        newcomers: Newcomers::None,
        dials: None,
    }
}

fn text(answers: &Answers<Vec<Line>>, own: &[Line]) -> String {
    let mut lines = Vec::new();
    for (host, answer) in answers {
        match answer {
            Err(error) => lines.push(format!("{host}: it does not answer: {error}")),
            Ok(all) => lines.extend(all.iter().map(|line| said(host, line))),
        }
    }
    lines.extend(own.iter().map(|line| said(kubeconfig::OWN, line)));
    lines.join("\n")
}

/// A certificate, and where it is.
fn said(place: &str, line: &Line) -> String {
    let days = match line.days {
        Some(days) => format!("{days} days"),
        None => "none".to_owned(),
    };
    let verdict = line.why.as_deref().unwrap_or("good");
    let Line {
        name,
        subject,
        authority,
        ..
    } = line;
    format!("{place}  {name:<26} {days:>10}  {subject} by {authority}: {verdict}")
}
