//! The plan: what must be done on a host so that it holds what it is to hold. A function of
//! what is wanted, what is there, the authorities and the time; nothing is done here.

mod content;
mod joined;
mod show;
mod step;
mod unit;

use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::facts::{Entry, Facts, Kind, sha256};
use crate::judge::{self, Why, judge};
use crate::layout;
use crate::reset;
use crate::resource::{
    Authority, Block, Certificate, File, Folder, Owner, Program, Resource, Shared,
};
use crate::spec::Signed;
use pki::KeyKind;

pub use content::Content;
pub use show::{line, show};
pub use step::{Change, Plan, StageName, Step};
pub(crate) use unit::files;
use unit::run;

/// What is known of the cluster's authorities: their certificates, where they are made.
pub trait Trust {
    /// The certificate of an authority in PEM form; `None` while it is not made.
    fn certificate(&self, authority: Authority) -> Option<&str>;

    /// What the keys of the certificates that it signs are to be; nothing where that is
    /// somebody else's matter.
    fn key_kind(&self, authority: Authority) -> Option<KeyKind> {
        let _ = authority;
        None
    }

    /// What the keeper of an external authority has signed for the host that is planned for;
    /// nothing for a certificate that is issued here.
    fn signed(&self, name: &str) -> Option<&Signed> {
        let _ = name;
        None
    }

    /// What is to be in a file of something shared, where that is known.
    fn content(&self, shared: Shared, path: &str) -> Option<String> {
        let (_, _) = (shared, path);
        None
    }
}

/// What is given to [`plan`].
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The host.
    pub host: &'a str,
    /// What it is to hold.
    pub wanted: &'a [Resource],
    /// What it holds.
    pub facts: &'a Facts,
    /// Checksums of the programs that are to be there, by name.
    pub programs: &'a dyn Fn(&str) -> Option<String>,
    /// The authorities.
    pub trust: &'a dyn Trust,
    /// The time.
    pub now: SystemTime,
}

/// The steps from what is there to what is wanted: files and programs in the order of the
/// resources, then units in the order of their stages.
#[must_use]
pub fn plan(inputs: Inputs<'_>) -> Plan {
    let mut changed = BTreeSet::new();
    let mut steps = Vec::new();
    let mut shared = BTreeSet::new();
    for resource in inputs.wanted {
        let step = match resource {
            Resource::Folder(folder) => make(folder, inputs.facts),
            Resource::File(file) => write(file, inputs.facts),
            Resource::Block(block) => within(block, inputs.facts),
            Resource::Certificate(certificate) => issue(certificate, inputs),
            Resource::Shared(one) if shared.insert(*one) => share(*one, inputs),
            Resource::Program(program) => install(program, inputs),
            Resource::Shared(_) | Resource::Unit(_) => None,
        };
        if let Some(step) = step {
            let paths = touched(&step);
            steps.extend(replaced(resource, &step, &paths, inputs.facts));
            changed.extend(paths);
            steps.push(step);
        }
    }
    let units = inputs.wanted.iter().filter_map(|resource| match resource {
        Resource::Unit(unit) => Some(unit),
        Resource::Folder(_)
        | Resource::File(_)
        | Resource::Block(_)
        | Resource::Certificate(_)
        | Resource::Shared(_)
        | Resource::Program(_) => None,
    });
    let mut units: Vec<_> = units.collect();
    units.sort_by_key(|unit| unit.after);
    for unit in units {
        let away = joined::elsewhere(unit, inputs);
        steps.extend(
            away.iter()
                .flat_map(|path| joined::away(path, inputs.facts)),
        );
        changed.extend(away);
        steps.extend(run(unit, inputs.facts, &changed));
    }
    Plan {
        host: inputs.host.to_owned(),
        steps,
    }
}

/// What a step would take the place of, and is not ours. A file in which lines of ours stand
/// among those of others keeps these, and one whose rights alone change is what it was.
fn replaced(
    resource: &Resource,
    step: &Step,
    paths: &[String],
    facts: &Facts,
) -> Vec<Step> {
    let stays = match (resource, step) {
        (Resource::Block(_), _) => true,
        (_, Step::Write { change, .. }) => *change == Change::Rights,
        (_, _) => false,
    };
    // What a component of ours has written for itself is none of theirs.
    let own = |path: &String| {
        let unit = reset::writer(path).map(|unit| format!("{}/{unit}", layout::UNITS));
        unit.is_some_and(|unit| facts.laid.contains(&unit))
    };
    let others = paths.iter().filter(|path| facts.others.contains(*path));
    let others = others.filter(|path| !own(path));
    let keep = |path: &String| Step::Keep { path: path.clone() };
    others.filter(|_| !stays).map(keep).collect()
}

fn make(folder: &Folder, facts: &Facts) -> Option<Step> {
    let change = match facts.entries.get(&folder.path) {
        None => Change::New,
        Some(entry) if entry.kind != Kind::Folder => Change::Content,
        Some(entry) => rights(entry, folder.mode, folder.owner)?,
    };
    Some(Step::Folder {
        path: folder.path.clone(),
        mode: folder.mode,
        owner: folder.owner.name(),
        change,
    })
}

fn write(file: &File, facts: &Facts) -> Option<Step> {
    let hash = sha256(file.content.as_bytes());
    let entry = facts.entries.get(&file.path);
    let change = match entry.map(|entry| (&entry.kind, entry)) {
        None => Change::New,
        Some((Kind::File { sha256, .. }, entry)) if *sha256 == hash => {
            rights(entry, file.mode, file.owner)?
        }
        Some(_) => Change::Content,
    };
    let before = entry.and_then(|entry| match &entry.kind {
        Kind::File { text, .. } => text.clone(),
        Kind::Folder | Kind::Other => None,
    });
    Some(Step::Write {
        path: file.path.clone(),
        mode: file.mode,
        owner: file.owner.name(),
        content: Content::of(file),
        before,
        change,
    })
}

/// A file that others write to as well keeps what they wrote.
fn within(block: &Block, facts: &Facts) -> Option<Step> {
    let text = match facts.entries.get(&block.path).map(|entry| &entry.kind) {
        None => "",
        Some(Kind::File {
            text: Some(text), ..
        }) => text,
        // What cannot be seen is not written over.
        Some(Kind::File { text: None, .. } | Kind::Folder | Kind::Other) => return None,
    };
    write(&File::public(block.path.clone(), block.within(text)), facts)
}

fn rights(entry: &Entry, mode: u32, owner: Owner) -> Option<Change> {
    let right = entry.mode == mode && entry.owner == owner.name();
    (!right).then_some(Change::Rights)
}

fn issue(certificate: &Certificate, inputs: Inputs<'_>) -> Option<Step> {
    let why = why(certificate, inputs.facts, inputs.trust, inputs.now)?;
    Some(Step::Issue {
        name: certificate.name.clone(),
        authority: certificate.authority.common_name(),
        why,
    })
}

/// Why a certificate is issued anew; nothing when the one that is there will do.
#[must_use]
pub fn why(
    certificate: &Certificate,
    facts: &Facts,
    trust: &dyn Trust,
    now: SystemTime,
) -> Option<Why> {
    let Some(there) = facts.certificates.get(&certificate.name) else {
        return Some(Why::Missing);
    };
    let signed = trust.signed(&certificate.name);
    let same = |signed: &Signed| signed.certificate.text == there.pem;
    // Before all else: one that serves nobody is no reason to be careful.
    if judge::has_ended(&there.pem, now) && !signed.is_some_and(same) {
        return Some(Why::Ended);
    }
    let Some(authority) = trust.certificate(certificate.authority) else {
        return Some(Why::Authority);
    };
    let owned = there.key_owner.as_deref() == Some(certificate.owner.name());
    if !there.key_fits || !owned {
        return Some(Why::Key);
    }
    if let Some(signed) = signed {
        // Whoever signs says how long it lasts; what he gave is what is to be there.
        return (!same(signed)).then_some(Why::Given);
    }
    let kind = trust.key_kind(certificate.authority);
    if kind.is_some_and(|kind| KeyKind::of_certificate(&there.pem) != Some(kind)) {
        return kind.map(Why::Kind);
    }
    judge(&there.pem, &certificate.profile, authority, now).err()
}

/// What is shared is brought where a file of it is missing, is another, or has the wrong
/// rights. A kubelet that has its certificate needs no way to a first one.
fn share(shared: Shared, inputs: Inputs<'_>) -> Option<Step> {
    if shared == Shared::Join && joined::has(inputs) {
        return None;
    }
    let paths = shared.paths();
    let right = paths.iter().all(|(path, mode)| {
        let entry = inputs.facts.entries.get(path);
        let owner = if *mode == 0o644 {
            Owner::Root
        } else {
            shared.owner()
        };
        let other =
            |entry: &Entry| match (&entry.kind, inputs.trust.content(shared, path)) {
                (Kind::File { sha256: there, .. }, Some(wanted)) => {
                    *there != sha256(wanted.as_bytes())
                }
                (Kind::File { .. }, None) => false,
                (Kind::Folder | Kind::Other, _) => true,
            };
        entry.is_some_and(|entry| rights(entry, *mode, owner).is_none() && !other(entry))
    });
    let paths = paths.into_iter().map(|(path, _)| path).collect();
    (!right).then_some(Step::Share { paths })
}

fn install(program: &Program, inputs: Inputs<'_>) -> Option<Step> {
    let (name, path) = (&program.name, program.path());
    let entry = inputs.facts.entries.get(&path);
    let before = entry.and_then(|entry| match &entry.kind {
        Kind::File { sha256, .. } => Some(sha256.clone()),
        Kind::Folder | Kind::Other => None,
    });
    let wanted = (inputs.programs)(name);
    (before.is_none() || before != wanted).then(|| Step::Install {
        program: name.to_owned(),
        path,
        before,
    })
}

/// The paths that a step changes.
pub(crate) fn touched(step: &Step) -> Vec<String> {
    match step {
        Step::Folder { .. } | Step::Keep { .. } => Vec::new(),
        Step::Write { path, .. } => vec![path.clone()],
        Step::Issue { name, .. } => vec![layout::certificate(name), layout::key(name)],
        Step::Share { paths } => paths.clone(),
        Step::Install { path, .. } => vec![path.clone()],
        Step::Enable { .. }
        | Step::Start { .. }
        | Step::Restart { .. }
        | Step::Reload { .. }
        | Step::Remove { .. } => Vec::new(),
    }
}
