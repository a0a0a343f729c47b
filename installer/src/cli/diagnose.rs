//! `sternpost diagnose`: what a maintainer would ask for, collected, and its likely causes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;
use daemon::{chain, exit, rfc3339};
use serde_json::{Value, json};

use super::reach::{self, Reach, Ways};
use super::{Output, Sentence, certs, round, status as look};
use crate::agent::{Answer, Collect, Order, Pieces, Question};
use crate::diagnose::{Archive, ArchiveError, OBJECTS, Seen, causes};
use crate::facts::Wanted;
use crate::flows;
use crate::layout;
use crate::preflight::{Round, preflight};
use crate::render;
use crate::resource::Resource;
use crate::spec::{Cluster, Host, Role};
use crate::status;
use crate::transport::Piped;

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Diagnose {
    #[command(flatten)]
    reach: Reach,
    /// Where the collection is written; a file that is there is left alone. By default
    /// sternpost-CLUSTER-TIME.tar.gz in this folder.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// How causes are printed.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What a host gave. What it does not say of itself is no reason to lose what was collected.
struct Given {
    seen: Result<status::Seen, String>,
    pieces: Pieces,
}

impl Diagnose {
    /// Every likely cause, and where the collection is; a host that is down is one.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let cluster = self.reach.cluster()?;
        let now = SystemTime::now();
        let name = format!("sternpost-{}-{}", cluster.name, stamp(now));
        let path = self.to.clone();
        let path = path.unwrap_or_else(|| PathBuf::from(format!("{name}.tar.gz")));
        let words = |error: ArchiveError| chain(&error);
        let mut archive = Archive::create(&path, &name, now).map_err(words)?;
        let mut ways = self.reach.ways(&cluster, |_| true);
        let answers = ways.ask(|host, way| given(&cluster, host, way));
        let (mut seen, mut pieces) = (BTreeMap::new(), BTreeMap::new());
        for (host, answer) in answers {
            let of_host = match answer {
                Ok(given) => {
                    pieces.insert(host.clone(), given.pieces);
                    given.seen
                }
                Err(error) => Err(error),
            };
            seen.insert(host, of_host);
        }
        // Who is silent is not waited for again.
        ways.retain(|name| pieces.contains_key(name));
        let round = round::look(&cluster, &mut ways)?.round;
        let status = status::status(&seen);
        let causes = causes(&Seen {
            troubles: &status.troubles,
            findings: &preflight(&cluster, &round),
            pieces: &pieces,
        });
        let mut all = vec![
            ("causes.txt".to_owned(), causes.join("\n")),
            ("status.txt".to_owned(), status::screen(&status)),
            ("reachability.txt".to_owned(), reachability(&round)),
            ("cluster.yaml".to_owned(), self.description()),
        ];
        let answered = pieces.len();
        all.extend(objects(&cluster, &mut ways));
        for (host, pieces) in pieces {
            let of_host = pieces.into_iter();
            all.extend(of_host.map(|(name, text)| (format!("{host}/{name}"), text)));
        }
        for (name, text) in &all {
            archive.add(name, text).map_err(words)?;
        }
        archive.finish().map_err(words)?;
        let text = match self.output {
            Output::Text => {
                let place = path.display();
                let count = all.len();
                let last = format!(
                    "{place}: {count} texts of {answered} host(s), secrets masked"
                );
                match causes.is_empty() {
                    true => format!("nothing found that would be a cause\n{last}"),
                    false => format!("{}\n{last}", causes.join("\n")),
                }
            }
            Output::Json => {
                let all = json!({"file": path, "causes": causes});
                serde_json::to_string_pretty(&all).map_err(|e| e.to_string())?
            }
        };
        Ok((text, exit::DONE))
    }

    /// The description as it was written.
    fn description(&self) -> String {
        // It was read a moment ago.
        fs::read_to_string(self.reach.path()).unwrap_or_default()
    }
}

/// What passes between the hosts that answered.
fn reachability(round: &Round) -> String {
    let hosts: Vec<_> = round.sights.keys().cloned().collect();
    flows::table(&hosts, &round.flows)
}

/// A time that may stand in the name of a file.
fn stamp(now: SystemTime) -> String {
    let digits = |one: &char| one.is_ascii_digit();
    rfc3339(now).chars().filter(digits).take(14).collect()
}

/// All that a host gives.
fn given(cluster: &Cluster, host: &Host, way: &mut Piped) -> Result<Given, String> {
    let pieces = collected(cluster, host, way)?;
    Ok(Given {
        seen: look::seen(cluster, host, way),
        pieces,
    })
}

fn collected(cluster: &Cluster, host: &Host, way: &mut Piped) -> Result<Pieces, String> {
    let wanted = render::host(cluster, host, &certs::known());
    let programs = wanted.iter().filter_map(Resource::program);
    let programs = programs.filter(|program| program.folder == layout::BIN);
    let asked = Wanted::of(&wanted);
    let order = Order::Collect(Collect {
        units: asked.units,
        programs: programs.map(|program| program.name.clone()).collect(),
        files: asked.paths,
    });
    let answer = reach::asked(way, order)?;
    let Answer::Collected(pieces) = answer else {
        return Err(format!("the agent answered {answer:?}"));
    };
    Ok(pieces)
}

/// What the API says, by the first master whose API server does.
fn objects(cluster: &Cluster, ways: &mut Ways<'_>) -> Vec<(String, String)> {
    for master in cluster.with(Role::ControlPlane) {
        let answers = ways.ask_of(
            |host| host.name == master.name,
            |_, way| {
                let mut all = Vec::new();
                for (name, path) in OBJECTS {
                    let path = path.to_owned();
                    let question = Question::Api { server: None, path };
                    let text = match reach::told(way, question) {
                        Ok(Value::String(text)) => text,
                        Ok(value) => value.to_string(),
                        // Of an API that does not answer nothing more is asked.
                        Err(error) if all.is_empty() => return Err(error),
                        Err(error) => format!("({error})\n"),
                    };
                    all.push((format!("api/{name}"), text));
                }
                Ok(all)
            },
        );
        if let Some(Ok(all)) = answers.into_values().next() {
            return all;
        }
    }
    Vec::new()
}
