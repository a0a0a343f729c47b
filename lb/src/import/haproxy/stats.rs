//! `stats`: haproxy's page of itself; ours is on the admin listener.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use config::Report;

use super::super::Surroundings;
use super::super::times::{Bare, time};
use super::Proxy;
use super::proxy::Settings;
use super::words::Line;
use crate::config::stats_path;

/// What was said of the page.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    /// The page is on.
    pub(super) is_on: bool,
    /// The first line about it.
    line: Option<usize>,
    /// Where it is; the last one counts.
    uris: Vec<Uri>,
    /// Where the hashes of its users are.
    pub(super) passwords: Option<String>,
}

/// A line that says where the page is.
#[derive(Clone, Debug)]
struct Uri {
    line: usize,
    text: String,
    /// None where ours cannot be there, which was said at once.
    path: Option<String>,
}

/// Whether some proxy has its page where a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Here,
    Nowhere,
}

/// Where haproxy has it when nothing says so.
const DEFAULT_URI: &str = "/haproxy?stats";
/// How often our page asks anew.
const ASKS_EACH: Duration = Duration::from_secs(2);

/// Where ours is in any case.
const OURS: [&str; 2] = ["/", "/stats"];

impl Stats {
    /// Where it is.
    fn path(&self) -> Option<&str> {
        match self.uris.last() {
            Some(uri) => uri.path.as_deref(),
            None => self.line.map(|_| DEFAULT_URI),
        }
    }
}

/// Where the page of these proxies is, if that is none of our own places. There is one path
/// more for all, so that only now each line that says one has its verdict, those of `defaults`
/// that nobody inherits too.
pub(super) fn path<'a>(
    defaults: impl Iterator<Item = &'a Settings>,
    proxies: &[Proxy],
    report: &mut Report,
) -> Option<String> {
    let pages = || proxies.iter().map(|proxy| &proxy.settings.stats);
    let mut paths = pages().filter_map(Stats::path);
    let first = paths.find(|path| !OURS.contains(path)).map(str::to_owned);
    let said = defaults.map(|settings| &settings.stats).chain(pages());
    // By line: what is inherited is said once.
    let said: BTreeMap<usize, &Uri> = said
        .flat_map(|stats| &stats.uris)
        .map(|uri| (uri.line, uri))
        .collect();
    for uri in said.into_values() {
        let holds = |stats: &Stats| stats.uris.last().is_some_and(|l| l.line == uri.line);
        let page = if pages().any(holds) {
            Page::Here
        } else {
            Page::Nowhere
        };
        uri.verdict(page, first.as_deref(), report);
    }
    let silent = pages().filter(|stats| stats.uris.is_empty());
    let silent: BTreeSet<usize> = silent.filter_map(|stats| stats.line).collect();
    for line in silent {
        if let Some(first) = first.as_deref().filter(|first| *first != DEFAULT_URI) {
            report.unsupported(line, &format!("stats uri {DEFAULT_URI}"), one(first));
        }
    }
    first
}

impl Uri {
    /// `first` is the one path more that there is.
    fn verdict(&self, page: Page, first: Option<&str>, report: &mut Report) {
        let Some(path) = self.path.as_deref() else {
            return;
        };
        if page == Page::Nowhere {
            let why =
                "no page is there: a later line says another path, or nobody inherits it";
            report.not_needed(self.line, &self.text, why);
        } else if OURS.contains(&path) {
            let to = format!("the page is at {path}, its table at {path};csv");
            report.honoured(self.line, &self.text, to);
        } else if let Some(first) = first.filter(|first| *first != path) {
            report.unsupported(self.line, &self.text, one(first));
        } else {
            let to = format!("admin.statsPath: {path}, its table at {path};csv");
            report.honoured(self.line, &self.text, to);
        }
    }
}

fn one(first: &str) -> String {
    format!("the page has one path more, and that is {first}")
}

pub(super) fn directive(
    line: &Line,
    settings: &mut Settings,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let (number, text) = (line.number, line.text());
    let words = line.words();
    settings.stats.is_on = true;
    settings.stats.line.get_or_insert(number);
    match words.get(1).copied().unwrap_or_default() {
        "enable" => {
            report.honoured(number, &text, "the page is always there, on admin.address")
        }
        "hide-version" | "realm" | "show-desc" | "show-legends" | "show-node"
        | "show-modules" | "scope" => {
            report.not_needed(
                number,
                &text,
                "the page shows what it shows; no setting changes it",
            );
        }
        "refresh" => match time(words.get(2).copied().unwrap_or_default(), Bare::Seconds)
        {
            Some(each) if each < ASKS_EACH => report.unsupported(
                number,
                &text,
                "the page asks anew every 2 s, not more often",
            ),
            Some(_) => report.not_needed(
                number,
                &text,
                "the page asks anew every 2 s, while it is seen",
            ),
            None => report.unsupported(number, &text, "it is no time"),
        },
        "auth" => {
            let user = words.get(2).and_then(|word| word.split_once(':'));
            let (user, password) = user.unwrap_or_default();
            // The password itself is never shown.
            let text = format!("stats auth {user}:…");
            match (around.keep_password)(user, password) {
                Ok(file) => {
                    report.honoured(number, &text, format!("its hash is in {file}"));
                    settings.stats.passwords = Some(file);
                }
                Err(why) => report.unsupported(number, &text, why),
            }
        }
        "admin" => report.not_needed(
            number,
            &text,
            "who has signed in may drain, enable and disable servers",
        ),
        "uri" => {
            let uri = words.get(2).copied().unwrap_or_default();
            let path = match stats_path(uri) {
                Ok(()) => Some(uri.to_owned()),
                Err(why) => {
                    let what = format!("it {why}; the page is at / and at /stats");
                    report.unsupported(number, &text, what);
                    None
                }
            };
            settings.stats.uris.push(Uri {
                line: number,
                text,
                path,
            });
        }
        _ => report.unsupported(number, &text, "api-lb does not know it"),
    }
}
