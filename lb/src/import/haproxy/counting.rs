//! `stick-table`, `track-sc0 src` and the rules that look at what is counted there: limits of one
//! source, where they say the same as ours.
//!
//! ```text
//!  stick-table … store conn_cur ◀── track-sc0 src      counts
//!            ▲
//!            └── tcp-request … reject if { src_conn_cur gt N } ──▶ sources.maxConnections: N
//! ```
//! A rule may stand before or after what counts, and the table in another section, so that all of
//! it is looked at before the verdicts on single lines are given.

mod condition;
mod table;

use std::collections::HashMap;

use super::super::draft;
use super::words::Line;
use super::{Kind, Section, bind};
use condition::{Condition, Via, Word};
use config::Report;
use table::{Key, Table};

pub(super) use condition::is_counted;

/// What the rules of one proxy come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Connections of a source at a time.
    pub(super) connections: Option<u32>,
    /// New connections of a source in a second.
    pub(super) rate: Option<u32>,
    /// Sources that are remembered.
    pub(super) table: Option<u32>,
}

/// What becomes of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// The same is written.
    Honoured(String),
    /// It turns nobody away in haproxy either; why.
    Idle(&'static str),
    /// What is written does not do it; why.
    Lost(String),
}

/// What is counted by source in a file, and what becomes of the lines that say so.
#[derive(Debug, Default)]
pub(super) struct Counting {
    /// By the line.
    found: HashMap<usize, Found>,
    /// By the line of the proxy's head.
    limits: HashMap<usize, Limits>,
}

impl Counting {
    /// Of all sections of a file.
    pub(super) fn of(sections: &[Section]) -> Self {
        let tables: Vec<Table> = sections.iter().filter_map(Table::of).collect();
        let mut counting = Self::default();
        for section in sections {
            if matches!(section.kind, Kind::Frontend | Kind::Listen) {
                counting.read(section, sections, &tables);
            }
        }
        counting
    }

    /// The limits of the proxy whose head stands at this line.
    pub(super) fn limits(&self, head: usize) -> Limits {
        self.limits.get(&head).copied().unwrap_or_default()
    }

    /// Gives the verdict on a line, if it is one of these.
    pub(super) fn tell(&self, line: &Line, report: &mut Report) -> bool {
        let Some(found) = self.found.get(&line.number) else {
            return false;
        };
        let (number, text) = (line.number, line.text());
        match found {
            Found::Honoured(how) => report.honoured(number, &text, how.clone()),
            Found::Idle(why) => {
                report.not_needed(number, &text, *why);
                report.trap_once(number, TRAP);
            }
            Found::Lost(what) => report.unsupported(number, &text, what.clone()),
        }
        true
    }

    fn read(&mut self, section: &Section, sections: &[Section], tables: &[Table]) {
        let mut rules: Vec<&Line> =
            section.lines.iter().filter(|line| is_rule(line)).collect();
        rules.sort_by_key(|line| stage(line));
        let mut seen = Seen::default();
        let mut limits = Limits::default();
        for &line in &rules {
            let words = line.words();
            let Some(&action) = words.get(2) else {
                continue;
            };
            seen.enter(stage(line));
            if let Some(counter) = action.strip_prefix("track-sc") {
                seen.trackers
                    .push(Tracker::of(counter, &words, &section.name));
            } else if action == "accept" {
                seen.accepts = true;
            }
            let Some(condition) = Condition::of(line, &section.lines) else {
                continue;
            };
            let around = Around {
                section,
                sections,
                tables,
                trackers: Tracker::all(&rules, section),
                seen: &seen,
            };
            let limit = around.limit(line, &condition);
            let found = match limit {
                Ok(Limit { most, table }) => {
                    limits.take(condition.word, most, table.size);
                    self.found.insert(table.line, written_table(table));
                    self.track(&rules, table, &section.name);
                    honoured(&condition, most, action, around.counts_itself(table))
                }
                Err(found) => found,
            };
            self.found.insert(line.number, found);
        }
        if limits != Limits::default() {
            self.limits.insert(section.head.number, limits);
        }
        self.others(&rules);
    }

    /// What fills a table that a limit looks at.
    fn track(&mut self, rules: &[&Line], table: &Table, own: &str) {
        for line in rules {
            let words = line.words();
            let counter = words.get(2).and_then(|word| word.strip_prefix("track-sc"));
            let tracker = counter.map(|counter| Tracker::of(counter, &words, own));
            if tracker.is_some_and(|tracker| tracker.table == table.name) {
                let how = Found::Honoured("sources of the frontend".to_owned());
                self.found.insert(line.number, how);
            }
        }
    }

    /// What counts for no limit that is written.
    fn others(&mut self, rules: &[&Line]) {
        let is_track = |line: &&&Line| {
            line.words()
                .get(2)
                .is_some_and(|action| action.starts_with("track-sc"))
        };
        for line in rules.iter().filter(is_track) {
            self.found
                .entry(line.number)
                .or_insert_with(|| Found::Lost(NOT_COUNTED.to_owned()));
        }
    }
}

impl Limits {
    fn take(&mut self, word: Word, most: u32, table: Option<u32>) {
        let least = |limit: &mut Option<u32>, most: u32| {
            *limit = Some(limit.map_or(most, |before| before.min(most)));
        };
        match word {
            Word::Connections => {
                least(&mut self.connections, most.min(draft::MOST_CONNECTIONS));
            }
            Word::Rate => least(&mut self.rate, most.min(draft::MOST_RATE)),
        }
        self.table = self.table.max(table);
    }
}

const TRAP: &str = "haproxy turns nobody away here: what the rule looks at is never counted (`tcp-request connection track-sc0 src` would, in a table that stores it); sources of the frontend limits each client";
const NOT_COUNTED: &str =
    "no table of clients is kept but for the limits in sources of the frontend";
const IDLE: &str = "nothing counts what it looks at, so that haproxy turns nobody away";
const ACCEPTED: &str = "an `accept` before it lets clients pass that it would count; sources has no exceptions: write its limits yourself, or leave it";
const NOT_BY_CLIENT: &str = "what is counted is not a client's address; write sources of the frontend with limits that fit";
const SOME: &str =
    "only some clients are counted; write sources of the frontend with limits that fit";
const SHARED: &str = "several proxies count in one table, and here each frontend counts by itself; write sources of each with limits that fit";
const NOBODY: &str = "it lets nobody in";
const NETWORKS: &str = "the frontend has an IPv6 bind, and here an IPv6 /64 is one source, which all nodes of a network may share; write sources with limits that fit";
const NO_TABLE: &str = "no section has such a table";

fn honoured(
    condition: &Condition,
    most: u32,
    action: &str,
    counts_itself: bool,
) -> Found {
    let mut how = match condition.word {
        Word::Connections => format!("sources.maxConnections: {most}"),
        Word::Rate => format!("sources.maxRate: {most}"),
    };
    if condition.word == Word::Rate && counts_itself {
        how += "; who is turned away is not counted, so that a client that keeps coming is let in at this rate, where haproxy shuts it out until it slows down";
    }
    if action == "silent-drop" {
        how += "; the client is reset, where haproxy leaves it waiting";
    }
    Found::Honoured(how)
}

fn written_table(table: &Table) -> Found {
    Found::Honoured(table.size.map_or_else(
        || "sources of the frontend".to_owned(),
        |size| format!("sources.table: {size}"),
    ))
}

fn is_rule(line: &Line) -> bool {
    line.words().first() == Some(&"tcp-request")
}

/// Where a rule is looked at: connections first, contents last.
fn stage(line: &Line) -> u8 {
    match line.words().get(1) {
        Some(&"connection") => 0,
        Some(&"session") => 1,
        _ => 2,
    }
}

/// What was seen before a rule is looked at.
#[derive(Debug, Default)]
struct Seen {
    stage: u8,
    /// Some clients have left this stage already.
    accepts: bool,
    trackers: Vec<Tracker>,
}

impl Seen {
    fn enter(&mut self, stage: u8) {
        if stage != self.stage {
            (self.stage, self.accepts) = (stage, false);
        }
    }
}

/// A `track-scN`.
#[derive(Debug)]
struct Tracker {
    counter: String,
    table: String,
    is_of_sources: bool,
    is_of_all: bool,
}

impl Tracker {
    fn of(counter: &str, words: &[&str], own: &str) -> Self {
        let after = |word: &str| {
            let place = words.iter().position(|w| *w == word)?;
            words.get(place + 1).map(|name| (*name).to_owned())
        };
        Self {
            counter: counter.to_owned(),
            table: after("table").unwrap_or_else(|| own.to_owned()),
            is_of_sources: words.get(3) == Some(&"src"),
            is_of_all: !words.iter().any(|word| matches!(*word, "if" | "unless")),
        }
    }

    /// Those of a section, by the rules in their order.
    fn all(rules: &[&Line], section: &Section) -> Vec<Self> {
        let (mut seen, mut all) = (Seen::default(), Vec::new());
        for line in rules {
            let words = line.words();
            seen.enter(stage(line));
            let Some(&action) = words.get(2) else {
                continue;
            };
            if let Some(counter) = action.strip_prefix("track-sc") {
                let mut tracker = Self::of(counter, &words, &section.name);
                // Who was let in before is not counted.
                tracker.is_of_all &= !seen.accepts;
                tracker.is_of_sources &= !bind::sees_proxies(line, &section.lines);
                all.push(tracker);
            } else if action == "accept" {
                seen.accepts = true;
            }
        }
        all
    }
}

/// A limit as ours has it.
struct Limit<'a> {
    most: u32,
    table: &'a Table,
}

/// What a rule is judged by.
struct Around<'a> {
    section: &'a Section,
    sections: &'a [Section],
    tables: &'a [Table],
    /// All of the section.
    trackers: Vec<Tracker>,
    /// Before the rule.
    seen: &'a Seen,
}

impl<'a> Around<'a> {
    /// # Errors
    /// What becomes of the rule instead.
    fn limit(&self, line: &Line, condition: &Condition) -> Result<Limit<'a>, Found> {
        let lost = |what: &str| Err(Found::Lost(what.to_owned()));
        let name = match &condition.via {
            Via::Table(Some(name)) => name.clone(),
            Via::Table(None) => self.section.name.clone(),
            Via::Counter(counter) => {
                let is_it = |tracker: &&Tracker| tracker.counter == *counter;
                match self.seen.trackers.iter().find(is_it) {
                    Some(tracker) => tracker.table.clone(),
                    // A counter that is not set yet has no figures.
                    None => return Err(Found::Idle(IDLE)),
                }
            }
        };
        let Some(table) = self.tables.iter().find(|table| table.name == name) else {
            return lost(NO_TABLE);
        };
        if self.others_track(&name) {
            return lost(SHARED);
        }
        let Some(tracker) = self.trackers.iter().find(|t| t.table == name) else {
            return Err(Found::Idle(IDLE));
        };
        let (stored, period) = (table.stores(condition.word), table.period());
        match (tracker, stored) {
            (_, false) => return Err(Found::Idle(IDLE)),
            (tracker, true) if !tracker.is_of_sources || table.key != Key::Address => {
                return lost(NOT_BY_CLIENT);
            }
            (tracker, true) if !tracker.is_of_all => return lost(SOME),
            (_, true) => {}
        }
        if self.seen.accepts {
            return lost(ACCEPTED);
        }
        if bind::sees_proxies(line, &self.section.lines) {
            return lost(NOT_BY_CLIENT);
        }
        if self.section.lines.iter().any(bind::is_of_six) {
            return lost(NETWORKS);
        }
        let Some(most) = condition.most(self.counts_itself(table)) else {
            return lost(NOBODY);
        };
        match (condition.word, period) {
            (Word::Rate, Some(period)) if period != table::SECOND => {
                Err(Found::Lost(other_period(period, most)))
            }
            (Word::Rate | Word::Connections, _) => Ok(Limit { most, table }),
        }
    }

    /// Whether a connection is counted before the rule looks.
    fn counts_itself(&self, table: &Table) -> bool {
        self.seen.trackers.iter().any(|t| t.table == table.name)
    }

    fn others_track(&self, table: &str) -> bool {
        let mut others = self.sections.iter().filter(|section| {
            section.kind != Kind::Defaults
                && section.head.number != self.section.head.number
        });
        others.any(|section| {
            let rules: Vec<&Line> =
                section.lines.iter().filter(|line| is_rule(line)).collect();
            let trackers = Tracker::all(&rules, section);
            trackers.iter().any(|tracker| tracker.table == table)
        })
    }
}

fn other_period(period: std::time::Duration, most: u32) -> String {
    let period = config::Period(period);
    format!(
        "haproxy counts over {period}, in which {most} may come at once; sources.maxRate is of each second: write one that bears the bursts you want to let in"
    )
}
