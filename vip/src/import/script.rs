//! `vrrp_script`, `vrrp_track_process`, `vrrp_track_file`: what `track_…` lists name.

use std::collections::BTreeMap;
use std::time::Duration;

use super::draft::{Track, number, quoted};
use super::native::{Native, native, process};
use super::report::Report;
use super::shared::{RIGHTS, groupless};
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
        let (name, mut definition) = define(block, report);
        if block.inner().iter().any(|at| at.name() == "quorum_max") {
            // One that runs may be one too many.
            definition.what.clear();
        }
        self.processes.insert(name, definition);
    }

    pub(super) fn file(&mut self, block: &Directive, report: &mut Report) {
        let (name, mut definition) = define(block, report);
        let said = |at: &Directive| at.name() == "weight";
        if !block.inner().iter().any(said) {
            // keepalived's default, for files only (its manual says so of processes, too).
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
        let (target, how, rest) = match kind {
            Kind::Script => command(definition, user, report),
            Kind::Process => {
                let Some(process) = process(&definition.what) else {
                    let what = "only whether a program of that name runs is looked at, not \
                                its arguments, nor how many: nothing is checked";
                    report.unsupported(at, what);
                    return None;
                };
                (process.target, String::new(), definition.rest(None))
            }
            Kind::File => {
                let path = quoted(&definition.what);
                // keepalived is told of each change.
                let rest = vec!["interval: 100ms".to_owned()];
                (format!("fileValue: {{path: {path}}}"), String::new(), rest)
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
                if let Some(group) = at.words.get(2) {
                    report.unsupported(at, groupless("script.user", group));
                    continue;
                }
                "script.user"
            }
            "init_fail" => {
                definition.init_fail = true;
                "init: failed"
            }
            _ => {
                beyond(at, report);
                continue;
            }
        };
        report.honoured(at, how);
    }
    (block.value().to_owned(), definition)
}

/// What of a definition has no key in ours.
fn beyond(at: &Directive, report: &mut Report) {
    let what = match (at.name(), at.value()) {
        ("quorum", "1") => return report.not_needed(at, "one that runs is enough"),
        ("init_file", "" | "0") if at.words.len() < 3 => {
            return report.not_needed(at, "a file that is not there counts as 0");
        }
        ("init_file", _) => "no file is written; have it made by tmpfiles.d",
        ("quorum", _) => {
            "how many run is not counted, one is enough; count them in a script"
        }
        ("quorum_max", _) => "how many run is not counted; count them in a script",
        ("param_match" | "full_command", _) => {
            "only a program's name is compared, not its arguments; write a script"
        }
        ("delay" | "fork_delay" | "terminate_delay", _) => {
            "it is looked for every second; write interval, fall \
             and rise of the check"
        }
        _ => "unknown",
    };
    report.unsupported(at, what);
}

/// What is checked, how that is reported, and the keys beside it.
fn command(
    definition: &Definition,
    user: Option<&str>,
    report: &mut Report,
) -> (String, String, Vec<String>) {
    if let Some(native) = native(&definition.what) {
        let Native {
            target,
            how,
            timeout,
            trap,
        } = native;
        if let Some(trap) = trap {
            report.trap(definition.line, trap);
        }
        return (target, format!(" ({how})"), definition.rest(timeout));
    }
    let words: Vec<_> = split(&definition.what)
        .iter()
        .map(|word| quoted(word))
        .collect();
    // keepalived's default is this user where it exists, else root.
    let user = definition.user.as_deref().or(user).unwrap_or("root");
    let user = quoted(user);
    let target = format!("script: {{command: [{}], user: {user}}}", words.join(", "));
    report.trap_once(definition.line, RIGHTS);
    let how = "; enable vip-daemon-scripts.service";
    (target, how.to_owned(), definition.rest(None))
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
    /// A command that gives up by itself, `own`, does so before it is stopped.
    fn rest(&self, own: Option<Duration>) -> Vec<String> {
        let duration = |text: &String| super::instance::seconds(text);
        let interval = self.interval.as_ref().and_then(duration);
        let said = self.timeout.as_ref().or(self.interval.as_ref());
        let said = said.map_or("1", String::as_str).parse::<f64>();
        let given = said
            .ok()
            .and_then(|it| Duration::try_from_secs_f64(it).ok());
        let own = own.filter(|own| given.is_none_or(|given| *own < given));
        let timeout = match own {
            Some(own) => Some(format!("{}ms", own.as_millis())),
            None => self.timeout.as_ref().and_then(duration),
        };
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
