//! `vrrp_script`, `vrrp_track_process`, `vrrp_track_file`: what `track_…` lists name.

use std::collections::BTreeMap;

use super::draft::{Track, number, quoted};
use super::native::native;
use super::report::Report;
use super::words::Directive;

/// What can be tracked by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Definitions {
    scripts: BTreeMap<String, Definition>,
    processes: BTreeMap<String, Definition>,
    files: BTreeMap<String, Definition>,
}

/// Which list names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Script,
    Process,
    File,
}

#[derive(Clone, Debug, Default)]
struct Definition {
    line: usize,
    used: bool,
    /// The command, the program, the file.
    what: String,
    user: Option<String>,
    /// keepalived's: seconds, possibly with a fraction.
    interval: Option<String>,
    timeout: Option<String>,
    weight: i64,
    reverse: bool,
    rise: Option<String>,
    fall: Option<String>,
    init_fail: bool,
}

impl Definitions {
    pub(super) fn script(&mut self, block: &Directive, report: &mut Report) {
        let (name, definition) = define(block, report);
        self.scripts.insert(name, definition);
    }

    pub(super) fn process(&mut self, block: &Directive, report: &mut Report) {
        let (name, definition) = define(block, report);
        self.processes.insert(name, definition);
    }

    pub(super) fn file(&mut self, block: &Directive, report: &mut Report) {
        let (name, mut definition) = define(block, report);
        let said = |at: &Directive| at.name() == "weight";
        if !block.inner().iter().any(said) {
            // keepalived's default, for files only.
            definition.weight = 1;
        }
        self.files.insert(name, definition);
    }

    fn of(&mut self, kind: Kind) -> &mut BTreeMap<String, Definition> {
        match kind {
            Kind::Script => &mut self.scripts,
            Kind::Process => &mut self.processes,
            Kind::File => &mut self.files,
        }
    }

    /// The check that one line of a `track_…` list asks for: `name [weight N] [reverse]`.
    pub(super) fn track(
        &mut self,
        kind: Kind,
        at: &Directive,
        user: Option<&str>,
        report: &mut Report,
    ) -> Option<Track> {
        let Some(definition) = self.of(kind).get_mut(at.name()) else {
            let name = at.name();
            let what = "it is not defined: keepalived ignores it, and nothing is checked";
            report.unsupported(at, what);
            report.trap(
                at.line,
                format!("{name} is used but not defined: nothing is checked"),
            );
            return None;
        };
        definition.used = true;
        let (weight, reverse) = weighed(at, definition.weight, definition.reverse);
        let rest = match kind {
            Kind::Script | Kind::Process => definition.rest(),
            // keepalived is told of each change.
            Kind::File => vec!["interval: 100ms".to_owned()],
        };
        let (target, how) = match kind {
            Kind::Script => command(definition, user),
            Kind::Process => {
                let process = native(&format!("pidof {}", definition.what));
                process.map(|(target, _)| (target, String::new()))?
            }
            Kind::File => {
                let path = quoted(&definition.what);
                (format!("fileValue: {{path: {path}}}"), String::new())
            }
        };
        report.honoured(at, format!("track {target}{how}"));
        Some(Track {
            line: at.line,
            target,
            weight,
            reverse,
            rest,
        })
    }

    pub(super) fn unused(&self, report: &mut Report) {
        let all = [&self.scripts, &self.processes, &self.files];
        for (name, definition) in all.into_iter().flatten() {
            if !definition.used {
                let sentence = format!("{name} is defined but not used by any instance");
                report.trap(definition.line, sentence);
            }
        }
    }
}

/// What stands after the name: `weight -20`, `reverse`.
pub(super) fn weighed(at: &Directive, weight: i64, reverse: bool) -> (i64, bool) {
    let mut words = at.words.iter().map(String::as_str).skip(1);
    let (mut weight, mut reverse) = (weight, reverse);
    while let Some(word) = words.next() {
        match word {
            "weight" => {
                let number = words.next().and_then(|text| text.parse().ok());
                weight = number.unwrap_or(weight);
            }
            "reverse" => reverse = true,
            "noreverse" => reverse = false,
            _ => {}
        }
    }
    (weight, reverse)
}

fn define(block: &Directive, report: &mut Report) -> (String, Definition) {
    let mut definition = Definition {
        line: block.line,
        ..Definition::default()
    };
    report.honoured(block, "");
    for at in block.inner() {
        let value = at.value().to_owned();
        let how = match at.name() {
            "script" | "process" | "file" => {
                definition.what = at.words.get(1..).unwrap_or_default().join(" ");
                ""
            }
            "interval" | "delay" if block.name() == "vrrp_script" => {
                definition.interval = Some(value);
                "interval"
            }
            "timeout" => {
                definition.timeout = Some(value);
                "timeout"
            }
            "weight" => {
                definition.weight = value.parse().unwrap_or(0);
                definition.reverse = at.words.iter().any(|word| word == "reverse");
                "weight"
            }
            "rise" => {
                definition.rise = Some(value);
                "rise"
            }
            "fall" => {
                definition.fall = Some(value);
                "fall"
            }
            "user" => {
                definition.user = Some(value);
                "script.user"
            }
            "init_fail" => {
                definition.init_fail = true;
                "init: failed"
            }
            _ => {
                report.unsupported(at, "unknown");
                continue;
            }
        };
        report.honoured(at, how);
    }
    (block.value().to_owned(), definition)
}

fn command(definition: &Definition, user: Option<&str>) -> (String, String) {
    if let Some((target, how)) = native(&definition.what) {
        return (target, format!(" ({how})"));
    }
    let words: Vec<_> = split(&definition.what)
        .iter()
        .map(|word| quoted(word))
        .collect();
    // keepalived's default is this user where it exists, else root.
    let user = definition.user.as_deref().or(user).unwrap_or("root");
    let user = quoted(user);
    let target = format!("script: {{command: [{}], user: {user}}}", words.join(", "));
    let how = "; enable vip-daemon-scripts.service";
    (target, how.to_owned())
}

/// A command line as keepalived splits it: by spaces, quotes hold together.
pub(super) fn split(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote): (Option<String>, Option<char>) = (None, None);
    for letter in command.chars() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (Some(_) | None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

impl Definition {
    /// keepalived's defaults, where they are not ours: a second, once, good at the start.
    fn rest(&self) -> Vec<String> {
        let duration = |text: &String| super::instance::seconds(text);
        let interval = self.interval.as_ref().and_then(duration);
        let timeout = self.timeout.as_ref().and_then(duration);
        let number = |text: &Option<String>| number(text.as_deref().unwrap_or("1"));
        let mut rest = vec![
            format!("interval: {}", interval.unwrap_or_else(|| "1s".to_owned())),
            format!("fall: {}", number(&self.fall)),
            format!("rise: {}", number(&self.rise)),
        ];
        rest.extend(timeout.map(|timeout| format!("timeout: {timeout}")));
        if !self.init_fail {
            rest.push("init: passed".to_owned());
        }
        rest
    }
}
