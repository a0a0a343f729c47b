//! haproxy.cfg: sections of lines; `defaults` are inherited by what stands below them.

mod bind;
mod build;
mod check;
mod counting;
mod global;
mod lacking;
mod plain;
mod proxy;
mod routes;
mod rules;
mod server;
mod stats;
mod watching;
mod words;

use super::draft::Draft;
use super::{ImportError, Report, Surroundings};
pub(super) use rules::networks;

use counting::Counting;
use proxy::{Mode, Scene, Settings};
use words::Line;

/// What a section is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Global,
    Defaults,
    Frontend,
    Backend,
    Listen,
    /// `resolvers`, `peers`, `userlist` and the like.
    Other,
}

#[derive(Debug)]
struct Section {
    kind: Kind,
    name: String,
    head: Line,
    lines: Vec<Line>,
}

/// A proxy with all that holds for it.
#[derive(Debug)]
struct Proxy {
    kind: Kind,
    name: String,
    line: usize,
    settings: Settings,
    /// What each client may have at a time, and how fast it may come.
    sources: counting::Limits,
}

const OUTSIDE: &str = "a directive stands before the first section; a file of haproxy begins with a section such as `global` or `frontend NAME`";

/// Reads a file.
pub(super) fn read(
    file: &str,
    text: &str,
    around: &Surroundings<'_>,
    report: &mut Report,
) -> Result<Draft, ImportError> {
    let sections = sections(file, words::lines(file, text, around)?)?;
    let mut draft = Draft::default();
    let mut defaults: Vec<(String, Settings)> = vec![];
    let mut proxies = Vec::new();
    let logs = sections.iter().flat_map(|section| &section.lines);
    let has_log = logs.clone().any(|l| l.words().first() == Some(&"log"));
    let counting = Counting::of(&sections);
    for (at, section) in sections.iter().enumerate() {
        let inherited = inherited(section, &defaults);
        let is_http = match section.kind {
            Kind::Defaults => has_http_heir(&sections, at),
            Kind::Global
            | Kind::Frontend
            | Kind::Backend
            | Kind::Listen
            | Kind::Other => mode(section, inherited.mode) == Mode::Http,
        };
        let scene = Scene {
            kind: section.kind,
            is_http,
            has_log,
            lines: &section.lines,
            counting: &counting,
            around,
        };
        match section.kind {
            Kind::Global => global::read(section, &mut draft, report),
            Kind::Defaults => {
                let settings = proxy::read(inherited, &scene, report);
                defaults.push((section.name.clone(), settings));
            }
            Kind::Frontend | Kind::Backend | Kind::Listen => proxies.push(Proxy {
                kind: section.kind,
                name: section.name.clone(),
                line: section.head.number,
                settings: proxy::read(inherited, &scene, report),
                sources: counting.limits(section.head.number),
            }),
            Kind::Other => other(section, report),
        }
    }
    lacking::tell(&sections, &proxies, report);
    let defaults = defaults.iter().map(|(_, settings)| settings);
    draft.stats_path = stats::path(defaults, &proxies, report);
    build::build(&proxies, &mut draft, around, report);
    Ok(draft)
}

fn sections(file: &str, lines: Vec<Line>) -> Result<Vec<Section>, ImportError> {
    let mut sections: Vec<Section> = Vec::new();
    for line in lines {
        let words = line.words();
        let first = words.first().copied().unwrap_or_default();
        if let Some(kind) = kind(first) {
            let name = words.get(1).copied().unwrap_or_default().to_owned();
            sections.push(Section {
                kind,
                name,
                head: line,
                lines: vec![],
            });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(line);
        } else {
            return Err(ImportError::Form {
                file: file.to_owned(),
                line: line.number,
                problem: OUTSIDE,
            });
        }
    }
    Ok(sections)
}

fn kind(word: &str) -> Option<Kind> {
    match word {
        "global" => Some(Kind::Global),
        "defaults" => Some(Kind::Defaults),
        "frontend" => Some(Kind::Frontend),
        "backend" => Some(Kind::Backend),
        "listen" => Some(Kind::Listen),
        "resolvers" | "peers" | "mailers" | "userlist" | "cache" | "program" | "ring"
        | "http-errors" | "log-forward" | "fcgi-app" | "crt-store" | "traces"
        | "log-profile" | "acme" => Some(Kind::Other),
        _ => None,
    }
}

/// What a section begins with: the defaults it names, or the last above it.
fn inherited(section: &Section, defaults: &[(String, Settings)]) -> Settings {
    let words = section.head.words();
    let named = words.windows(2).find_map(|pair| match pair {
        ["from", name] => Some(*name),
        _ => None,
    });
    let is_proxy = matches!(section.kind, Kind::Frontend | Kind::Backend | Kind::Listen);
    let found = match named {
        Some(name) => defaults.iter().rev().find(|(known, _)| known == name),
        None if is_proxy => defaults.last(),
        None => None,
    };
    found
        .map(|(_, settings)| settings.clone())
        .unwrap_or_default()
}

fn mode(section: &Section, inherited: Mode) -> Mode {
    let mode = |line: &Line| match line.words()[..] {
        ["mode", "http"] => Some(Mode::Http),
        ["mode", _] => Some(Mode::Tcp),
        _ => None,
    };
    section
        .lines
        .iter()
        .rev()
        .find_map(mode)
        .unwrap_or(inherited)
}

/// Whether a proxy below these defaults is of HTTP and carries connections: pages of
/// haproxy itself do not count.
fn has_http_heir(sections: &[Section], at: usize) -> bool {
    let Some((defaults, below)) = sections.get(at..).and_then(<[_]>::split_first) else {
        return false;
    };
    let own = mode(defaults, Mode::Tcp);
    let heirs = below.iter().take_while(|heir| heir.kind != Kind::Defaults);
    let carries = |section: &&Section| {
        let has = |words: &[&str]| {
            let begins = |line: &Line| {
                words.contains(&line.words().first().copied().unwrap_or_default())
            };
            section.lines.iter().any(begins)
        };
        section.kind != Kind::Global
            && section.kind != Kind::Other
            && has(&["server", "default_backend", "use_backend"])
    };
    heirs
        .filter(carries)
        .any(|heir| mode(heir, own) == Mode::Http)
}

fn other(section: &Section, report: &mut Report) {
    let head = section.head.text();
    let begin = section
        .head
        .words()
        .first()
        .copied()
        .unwrap_or_default()
        .to_owned();
    report.unsupported(
        section.head.number,
        &head,
        format!(
            "api-lb has no {begin}; whatever refers to it is reported where it stands"
        ),
    );
    for line in &section.lines {
        report.unsupported(line.number, &line.text(), format!("of {head}"));
    }
}
