//! What instances and groups have in common: what they track, and whom they tell.

use super::draft::{Track, quoted};
use super::report::Report;
use super::script::{Definitions, Kind, split, weighed};
use super::words::Directive;

/// What the unit of the scripts is, beside keepalived's own process.
pub(super) const RIGHTS: &str = "programs run in vip-daemon-scripts.service, which may not \
    change addresses, routes, rules or connections, finds /tmp its own and all files but \
    those in /run/sternpost read-only, and ends what runs for 60 s: one that needs more \
    gets it from a drop-in of that unit (docs/config/vip-daemon.md, Scripts)";

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
    let Some(((command, more), user)) = told(at, user, into, report) else {
        return true;
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
    if into.is_empty() {
        into.push(user);
    }
    report.trap_once(at.line, RIGHTS);
    let how = format!("notify.{key}");
    match more {
        None => report.honoured(at, how + "; enable vip-daemon-scripts.service"),
        Some(group) => report.unsupported(at, groupless(&how, group)),
    }
    into.push(notify);
    true
}

/// A command, and the group that stands behind its user.
type Command<'a> = (Vec<String>, Option<&'a str>);

/// `COMMAND [USER [GROUP]]`: the command and its group, and its user as flow YAML; nothing
/// where another of the same router or group already runs as somebody else.
fn told<'a>(
    at: &'a Directive,
    default: Option<&str>,
    into: &[String],
    report: &mut Report,
) -> Option<(Command<'a>, String)> {
    let mut words = at.words.iter().skip(1).map(String::as_str);
    // A quoted command has its arguments in it.
    let command = split(words.next().unwrap_or_default());
    let user = words.next().or(default).unwrap_or("root");
    let written = format!("user: {}", quoted(user));
    if into.first().is_some_and(|known| *known != written) {
        let what = format!(
            "not written: it runs as {user}, and the one before it as another; a router's \
             programs run as one user (notify.user)"
        );
        report.unsupported(at, what);
        return None;
    }
    Some(((command, words.next()), written))
}

/// What is lost with a group behind a user.
pub(super) fn groupless(key: &str, group: &str) -> String {
    format!("written as {key}, without group {group}: it has its user's first group")
}
