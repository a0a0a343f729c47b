//! A removal for people: a line a step, and what stays with its reason.

use super::{Kept, Removal, Route, Step, Table, Theirs};
use crate::swap::FSTAB;

/// Names of a folder that are shown.
const NAMES: usize = 4;

/// The removal from one host.
#[must_use]
pub fn show(host: &str, removal: &Removal) -> String {
    let mut text = match removal.steps.len() {
        0 => format!("{host}: nothing to remove\n"),
        1 => format!("{host}: 1 step\n"),
        count => format!("{host}: {count} steps\n"),
    };
    for step in &removal.steps {
        text.push_str(&format!("  {}\n", line(step)));
    }
    for kept in &removal.kept {
        text.push_str(&format!("  {}\n", stays(kept)));
    }
    text
}

/// A step in words.
#[must_use]
pub fn line(step: &Step) -> String {
    match step {
        Step::Stop { unit } => format!("stop {unit}"),
        Step::Containers { sandboxes } => {
            format!("end {sandboxes} sandbox(es) of Pods with their containers")
        }
        Step::Unmount { at } => format!("unmount {at}"),
        Step::Space { name } => format!("remove network namespace {name}"),
        Step::Interface { name } => format!("remove interface {name}"),
        Step::Route(Route { to, via }) => format!("remove route to {to} via {via}"),
        Step::Table(Table { family, name }) => {
            format!("remove nftables' table {family} {name}")
        }
        Step::Chains { program, count } => {
            format!("remove {count} chain(s) of {program}, and what leads to them")
        }
        Step::Strip { path } if path == FSTAB => {
            format!("bring the lines back that swap in {path}")
        }
        Step::Strip { path } => format!("take our lines out of {path}"),
        Step::File { path, .. } => format!("remove file {path}"),
        Step::Link { path, .. } => format!("remove link {path}"),
        Step::Back { path, .. } => format!("put back what stood at {path} before"),
        Step::Tree { path } => format!("remove folder {path} with all that is in it"),
        Step::Folder { path } => format!("remove folder {path}"),
        Step::Reread => "have systemd read its units again".to_owned(),
        Step::Bring(Theirs {
            unit,
            enabled,
            active,
        }) => {
            let was = match (enabled, active) {
                (true, true) => "started at boot, and running",
                (true, false) => "started at boot",
                (false, _) => "running",
            };
            format!("bring {unit} back as it was before: {was}")
        }
        Step::Forget => "remove the journal".to_owned(),
    }
}

fn stays(kept: &Kept) -> String {
    match kept {
        Kept::Changed { path } => {
            format!("keep {path}: it is not what was laid down; remove it by hand")
        }
        Kept::Replaced { path } => format!(
            "keep {path}: another stood there before, which is not kept; bring that back by hand"
        ),
        Kept::Others { path, names } => {
            let shown: Vec<_> = names.iter().take(NAMES).map(String::as_str).collect();
            let more = match names.len().saturating_sub(NAMES) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("keep {path}: it holds {}{more} of others", shown.join(", "))
        }
        Kept::Data { path } => format!("keep {path}: it is data; --data removes it"),
        Kept::Mounted { path, at } => {
            format!(
                "keep {path}: something is mounted at {at}; unmount it, and reset again"
            )
        }
    }
}
