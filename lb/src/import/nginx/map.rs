//! `map $ssl_preread_server_name $VARIABLE`: where the name in a ClientHello leads.

use super::block::Directive;
use crate::hello::Pattern;
use config::Report;

/// What a map makes of names.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) variable: String,
    file: Option<String>,
    line: usize,
    text: String,
    default: Option<String>,
    /// In the order of the file.
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    line: usize,
    text: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A name leads to a target.
    Name(String, String),
    /// All names below one do, at any depth.
    Below(String, String),
    /// All others.
    Default,
    /// It says how the map is read.
    Setting,
    /// It has no equal.
    Odd,
}

impl Map {
    /// Reads one of the name in a ClientHello; none when it is of something else.
    pub(super) fn read(directive: &Directive, report: &Report) -> Option<Self> {
        let ["map", "$ssl_preread_server_name", variable] = directive.words()[..] else {
            return None;
        };
        let mut map = Self {
            variable: variable.to_owned(),
            file: report.included(),
            line: directive.line,
            text: directive.text(),
            default: None,
            entries: Vec::new(),
        };
        for inner in &directive.block {
            let kind = match inner.words()[..] {
                ["default", target] => {
                    map.default = Some(target.to_owned());
                    Kind::Default
                }
                ["hostnames" | "volatile"] => Kind::Setting,
                [name, target] => kind(name, target),
                _ => Kind::Odd,
            };
            map.entries.push(Entry {
                line: inner.line,
                text: inner.text(),
                kind,
            });
        }
        Some(map)
    }

    /// All that it leads to.
    pub(super) fn targets(&self) -> impl Iterator<Item = &str> {
        let routes = self.routes().into_iter().map(|(_, target)| target);
        self.default.as_deref().into_iter().chain(routes)
    }

    /// Names with what they lead to. nginx takes a whole name first, then the longest that is
    /// above it.
    pub(super) fn routes(&self) -> Vec<(Vec<String>, &str)> {
        let mut all: Vec<(&String, &String)> = Vec::new();
        let mut below: Vec<(&String, &String)> = Vec::new();
        for entry in &self.entries {
            match &entry.kind {
                Kind::Name(name, target) => all.push((name, target)),
                Kind::Below(name, target) => below.push((name, target)),
                Kind::Default | Kind::Setting | Kind::Odd => {}
            }
        }
        below.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let each = all.into_iter().chain(below);
        each.map(|(name, target)| (vec![name.clone()], target.as_str()))
            .collect()
    }

    /// Where all others go.
    pub(super) fn fallback(&self, report: &mut Report) -> Option<&str> {
        if let Some(default) = &self.default {
            return Some(default);
        }
        let (_, first) = self.routes().into_iter().next()?;
        let what = format!(
            "without a default nginx closes clients of other names; here they go to {first}"
        );
        let outer = report.within(self.file.clone());
        report.unsupported(self.line, &format!("{}: no default", self.text), what);
        report.within(outer);
        Some(first)
    }

    /// The verdicts of one that a server uses.
    pub(super) fn report(&self, report: &mut Report) {
        let outer = report.within(self.file.clone());
        report.honoured(self.line, &self.text, "routes of the frontends that use it");
        for Entry { line, text, kind } in &self.entries {
            match kind {
                Kind::Name(..) => report.honoured(*line, text, "a route"),
                Kind::Default => report.honoured(*line, text, "the frontend's backend"),
                Kind::Setting => report.honoured(*line, text, ""),
                Kind::Below(name, _) => {
                    let what = format!(
                        "a route for {name} is written, which takes names one label below alone; deeper ones go to the default"
                    );
                    report.unsupported(*line, text, what);
                }
                Kind::Odd => {
                    let what =
                        "only names can be routed; these clients go to the default";
                    report.unsupported(*line, text, what);
                }
            }
        }
        report.within(outer);
    }

    /// The verdicts of one that no server uses.
    pub(super) fn report_idle(&self, report: &mut Report) {
        let outer = report.within(self.file.clone());
        let why = "no proxy_pass is this variable";
        report.not_needed(self.line, &self.text, why);
        for entry in &self.entries {
            report.not_needed(entry.line, &entry.text, why);
        }
        report.within(outer);
    }
}

fn kind(name: &str, target: &str) -> Kind {
    let is_plain = !target.contains('$') && Pattern::new(name).is_some();
    if !is_plain {
        return Kind::Odd;
    }
    let (name, target) = (name.to_owned(), target.to_owned());
    if name.starts_with("*.") {
        Kind::Below(name, target)
    } else {
        Kind::Name(name, target)
    }
}
