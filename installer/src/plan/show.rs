//! A plan for people: a line a step, and the difference of every file.

use std::fmt::Write;

use similar::TextDiff;

use super::{Change, Plan, Step};
use crate::reset;

/// Lines around a difference, as `diff -u` shows them.
const AROUND: usize = 3;

/// The plan of one host. What is not for everybody is not among what is known of a file as it
/// is, so no difference shows it.
#[must_use]
pub fn show(plan: &Plan) -> String {
    let mut text = String::new();
    let count = plan.steps.len();
    // Writing to a String does not fail.
    let _ = match count {
        0 => writeln!(text, "{}: nothing to do", plan.host),
        1 => writeln!(text, "{}: 1 step", plan.host),
        count => writeln!(text, "{}: {count} steps", plan.host),
    };
    for step in &plan.steps {
        let _ = writeln!(text, "  {}", line(step));
        if let Some(difference) = difference(step) {
            text.push_str(&difference);
        }
    }
    text
}

/// A step in words.
#[must_use]
pub fn line(step: &Step) -> String {
    let rights = |mode: u32, owner: &str| format!("{mode:04o} {owner}");
    match step {
        Step::Folder {
            path,
            mode,
            owner,
            change,
        } => {
            format!("{} folder {path} {}", verb(*change), rights(*mode, owner))
        }
        Step::Keep { path } => {
            format!("keep what stands at {path}: it is not ours, and reset puts it back")
        }
        Step::Write {
            path,
            mode,
            owner,
            change,
            ..
        } => {
            format!("{} file {path} {}", verb(*change), rights(*mode, owner))
        }
        Step::Issue {
            name,
            authority,
            why,
        } => {
            format!("issue certificate {name} by {authority}: {why}")
        }
        Step::Share { paths } => format!("bring {}", paths.join(", ")),
        Step::Install {
            program,
            before: None,
            ..
        } => format!("install {program}"),
        Step::Install { program, .. } => format!("replace {program}"),
        Step::Enable { unit } => format!("enable {unit}"),
        Step::Start { unit, .. } => format!("start {unit}"),
        Step::Restart { unit, because, .. } => {
            format!("restart {unit}, since {} changed", because.join(", "))
        }
        Step::Remove { what } => reset::line(what),
        Step::Reload { unit, because, .. } => {
            format!("reload {unit}, since {} changed", because.join(", "))
        }
    }
}

fn verb(change: Change) -> &'static str {
    match change {
        Change::New => "make",
        Change::Content => "change",
        Change::Rights => "set the rights of",
    }
}

/// Of a file that changes; a new one is not shown line by line.
fn difference(step: &Step) -> Option<String> {
    let Step::Write {
        content,
        before: Some(before),
        change: Change::Content,
        ..
    } = step
    else {
        return None;
    };
    let diff = TextDiff::from_lines(before.as_str(), content.text());
    let shown = diff.unified_diff().context_radius(AROUND).to_string();
    let lines = shown.lines().map(|line| format!("    {line}\n"));
    Some(lines.collect())
}
