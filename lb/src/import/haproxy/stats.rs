//! `stats`: haproxy's page of itself; ours is on the admin listener.

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
    /// Where it is, and the line that says so.
    uri: Option<(usize, String)>,
    /// Where the hashes of its users are.
    pub(super) passwords: Option<String>,
}

/// Where haproxy has it when nothing says so.
const DEFAULT_URI: &str = "/haproxy?stats";
/// How often our page asks anew.
const ASKS_EACH: Duration = Duration::from_secs(2);

/// Where ours is in any case.
const OURS: [&str; 2] = ["/", "/stats"];

impl Stats {
    /// Where it is, and the line that says so.
    fn path(&self) -> Option<(usize, String)> {
        let silent = || Some((self.line?, DEFAULT_URI.to_owned()));
        self.uri.clone().or_else(silent)
    }
}

/// Where the page of these proxies is, if that is none of our own places. There is one path
/// more for all.
pub(super) fn path(proxies: &[Proxy], report: &mut Report) -> Option<String> {
    let all = proxies
        .iter()
        .filter_map(|proxy| proxy.settings.stats.path());
    let mut others = all.filter(|(_, path)| !OURS.contains(&&**path));
    let (_, first) = others.next()?;
    for (line, other) in others {
        if other != first {
            let what = format!("the page has one path more, and that is {first}");
            report.unsupported(line, &format!("stats uri {other}"), what);
        }
    }
    Some(first)
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
            match stats_path(uri) {
                Ok(()) => {
                    settings.stats.uri = Some((number, uri.to_owned()));
                    let to = if OURS.contains(&uri) {
                        format!("the page is at {uri}, its table at {uri};csv")
                    } else {
                        format!("admin.statsPath: {uri}, its table at {uri};csv")
                    };
                    report.honoured(number, &text, to);
                }
                Err(why) => {
                    settings.stats.uri = Some((number, "/stats".to_owned()));
                    let what = format!("it {why}; the page is at / and at /stats");
                    report.unsupported(number, &text, what);
                }
            }
        }
        _ => report.unsupported(number, &text, "api-lb does not know it"),
    }
}
