//! From keepalived's configuration to ours, with a verdict on every directive.
//!
//! ```text
//! text ─words─▶ tree ─one verdict each─▶ Report ◀─ lint ─┐
//!                 └────────────────────▶ Draft ──────────┴─yaml─▶ text
//! ```
//!
//! Nothing is left out in silence: what the importer does not know is `unsupported`, and
//! what keepalived does there and vip-daemon does by itself is `not needed`, with the
//! reason. Passwords are shown nowhere. Reads no file.

mod address;
mod beside;
mod draft;
mod global;
mod group;
mod instance;
mod lint;
mod native;
mod report;
mod script;
mod seldom;
mod settle;
mod shared;
mod words;

pub use config::{Finding, Verdict};
use draft::Draft;
pub use report::Report;
use words::Directive;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The configuration for vip-daemon.
    pub yaml: String,
    /// One verdict for each directive, and what a person should look at.
    pub report: Report,
}

impl Imported {
    /// The YAML without what is not there yet, the files that are to hold passwords; its
    /// lines keep their numbers.
    #[must_use]
    pub fn checkable(&self) -> String {
        let lines = self.yaml.lines().map(|line| {
            let secret = line.starts_with("  auth: ");
            if secret {
                "\n".to_owned()
            } else {
                format!("{line}\n")
            }
        });
        lines.collect()
    }
}

/// Why nothing could be made of a file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ImportError {
    /// It is not of keepalived's form.
    #[error("{file}:{line}: {problem}")]
    Form {
        /// The file.
        file: String,
        /// Where, from 1.
        line: usize,
        /// What is wrong, with the way out.
        problem: &'static str,
    },
    /// Nothing in it moves an address.
    #[error("{0}: no vrrp_instance; nothing that moves an address is in this file")]
    Nothing(String),
}

/// A file to import.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// As findings call it.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Imports `source` for `node`, the name that `@name` conditions ask for. `peers` are the
/// files of the group's other nodes, only compared.
///
/// # Errors
/// It cannot be read as what it should be, or holds nothing to import.
pub fn import(
    source: Source<'_>,
    node: Option<&str>,
    peers: &[Source<'_>],
) -> Result<Imported, ImportError> {
    let mut report = Report::new(source.name);
    let draft = read(source, node, &mut report)?;
    let mut others = Vec::new();
    for peer in peers {
        others.push(read(*peer, node, &mut Report::new(peer.name))?);
    }
    lint::lint(&draft, &others, &mut report);
    Ok(Imported {
        yaml: draft.yaml(source.name),
        report,
    })
}

fn read(
    source: Source<'_>,
    node: Option<&str>,
    report: &mut Report,
) -> Result<Draft, ImportError> {
    if let Some(line) = config::unprintable(source.text) {
        return Err(ImportError::Form {
            file: source.name.to_owned(),
            line,
            problem: "holds a control character; take it out, keepalived has no use for it",
        });
    }
    let tree = words::tree(source.text, node, report).map_err(|error| {
        let words::FormError { line, problem } = error;
        ImportError::Form {
            file: source.name.to_owned(),
            line,
            problem,
        }
    })?;
    let (mut definitions, mut defaults) = (script::Definitions::default(), None);
    let (mut instances, mut groups) = (Vec::new(), Vec::new());
    for directive in &tree {
        match directive.name() {
            "global_defs" => {
                defaults = Some(global::read(directive, defaults.take(), report));
            }
            "vrrp_script" => definitions.script(directive, report),
            "vrrp_track_process" | "track_process" => {
                definitions.process(directive, report);
            }
            "vrrp_track_file" | "track_file" => definitions.file(directive, report),
            "vrrp_instance" => instances.push(directive),
            "vrrp_sync_group" => groups.push(directive),
            _ => elsewhere(directive, report),
        }
    }
    if instances.is_empty() {
        return Err(ImportError::Nothing(source.name.to_owned()));
    }
    let defaults = defaults.unwrap_or_default();
    let mut draft = Draft {
        fifo: defaults.fifo.clone(),
        ..Draft::default()
    };
    for directive in instances {
        let router = instance::read(directive, &defaults, &mut definitions, report);
        draft.routers.push(router);
    }
    for directive in groups {
        group::read(directive, &defaults, &mut definitions, &mut draft, report);
    }
    for router in &mut draft.routers {
        router.priority_changes = router.priority_changes.or(defaults.priority_changes);
    }
    definitions.unused(report);
    Ok(draft)
}

/// Blocks that are no router's.
fn elsewhere(directive: &Directive, report: &mut Report) {
    let what = match directive.name() {
        "virtual_server" | "virtual_server_group" | "virtual_server_by_name" => {
            "vip-daemon moves addresses; what balances behind them is api-lb"
        }
        "static_ipaddress" | "static_routes" | "static_rules" => {
            "only virtual addresses are put; leave these to the network's configuration"
        }
        "include" | "includer" | "includem" | "includew" | "includeb" => {
            "other files are not read; put their text where this stands"
        }
        "garp_group" => {
            return report
                .not_needed(directive, "bursts follow each other without a gap");
        }
        // Some stand beside `global_defs` as well as in it.
        _ => return global::verdict(directive, report),
    };
    report.all_unsupported(directive, what);
}
