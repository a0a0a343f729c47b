//! What instances and groups have in common: what they track, and whom they tell.

use super::draft::{Track, quoted};
use super::report::Report;
use super::script::{Definitions, Kind, split, weighed};
use super::words::Directive;

/// What the lists of tracked things are read with.
pub(super) struct Tracking<'a> {
    /// As whom scripts run that do not say.
    pub(super) user: Option<&'a str>,
    pub(super) definitions: &'a mut Definitions,
    pub(super) report: &'a mut Report,
}

impl Tracking<'_> {
    /// The checks of one `track_…` list of a router on `interface`; `None` for any other
    /// directive.
    pub(super) fn tracks(
        &mut self,
        at: &Directive,
        interface: &str,
    ) -> Option<Vec<Track>> {
        let kind = match at.name() {
            "track_script" => Kind::Script,
            "track_process" => Kind::Process,
            "track_file" => Kind::File,
            "track_interface" => {
                self.report.honoured(at, "track");
                let all = at.inner().iter();
                return Some(all.filter_map(|one| self.link(one, interface)).collect());
            }
            _ => return None,
        };
        self.report.honoured(at, "track");
        let all = at.inner().iter();
        let tracks = all
            .filter_map(|one| self.definitions.track(kind, one, self.user, self.report));
        Some(tracks.collect())
    }

    fn link(&mut self, at: &Directive, interface: &str) -> Option<Track> {
        if at.name() == interface && at.words.len() == 1 {
            let why = "a router steps out when its own interface is down";
            self.report.not_needed(at, why);
            return None;
        }
        let (weight, reverse) = weighed(at, 0, false);
        let target = format!("interface: {{name: {}}}", quoted(at.name()));
        self.report.honoured(at, format!("track {target}"));
        Some(Track {
            line: at.line,
            target,
            weight,
            reverse,
            rest: vec!["interval: 100ms".to_owned(), "fall: 1, rise: 1".to_owned()],
        })
    }
}

/// What a `notify…` directive has told to whom, as flow YAML into `into`; false for any
/// other directive.
pub(super) fn programs(
    at: &Directive,
    user: Option<&str>,
    into: &mut Vec<String>,
    report: &mut Report,
) -> bool {
    let key = match at.name() {
        "notify" => "any",
        "notify_master" => "master",
        "notify_backup" => "backup",
        "notify_fault" => "fault",
        "notify_stop" => "stop",
        _ => return false,
    };
    let known = |one: &String| one.starts_with(&format!("{key}: "));
    if into.iter().any(known) {
        let why = "keepalived runs the first of them alone, which is taken over";
        report.not_needed(at, why);
        return true;
    }
    let command = match at.words.get(1..) {
        // A quoted command with its arguments, and perhaps a user after it.
        Some([command, user @ ..]) if command.contains(' ') || user.is_empty() => {
            split(command)
        }
        Some([program, ..]) => vec![program.clone()],
        Some([]) | None => Vec::new(),
    };
    if command
        .first()
        .is_some_and(|program| program.starts_with("/container/"))
    {
        let sentence = "that program exists only in keepalived's container image; \
                        copy it to the host";
        report.trap(at.line, sentence);
    }
    let words: Vec<_> = command.iter().map(|word| quoted(word)).collect();
    let notify = format!("{key}: [{}]", words.join(", "));
    let how = format!("notify.{key}; enable vip-daemon-scripts.service");
    report.honoured(at, how);
    if into.is_empty() {
        let user = user.unwrap_or("root");
        into.push(format!("user: {}", quoted(user)));
    }
    into.push(notify);
    true
}
