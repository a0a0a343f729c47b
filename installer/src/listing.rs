//! What a host is to hold, for people: each thing with its place, its rights and what is in
//! it. What is not for everybody, such as a manifest with a Secret, is its checksum alone.

use std::fmt::Write;

use pki::{Name, Profile};

use crate::layout;
use crate::plan::Content;
use crate::resource::{Certificate, Resource, Shared, Unit};

/// One paragraph a resource.
#[must_use]
pub fn listing(resources: &[Resource]) -> String {
    let mut text = String::new();
    for resource in resources {
        describe(resource, &mut text);
    }
    text
}

fn describe(resource: &Resource, text: &mut String) {
    // Writing to a String does not fail.
    let _ = match resource {
        Resource::Folder(folder) => {
            writeln!(
                text,
                "folder {} {:04o} {}",
                folder.path, folder.mode, folder.owner
            )
        }
        Resource::File(file) => {
            let header = format!("file {} {:04o} {}", file.path, file.mode, file.owner);
            writeln!(text, "{header}\n{}", indented(&Content::of(file).printed()))
        }
        Resource::Block(block) => {
            let lines = indented(&block.lines.join("\n"));
            writeln!(text, "lines in {}\n{lines}", block.path)
        }
        Resource::Certificate(certificate) => {
            writeln!(text, "{}", describe_certificate(certificate))
        }
        Resource::Shared(shared) => writeln!(text, "shared {}", describe_shared(*shared)),
        Resource::Program(program) => {
            writeln!(text, "program {}", program.path())
        }
        Resource::Unit(unit) => writeln!(text, "{}", describe_unit(unit)),
    };
}

fn describe_unit(unit: &Unit) -> String {
    let verb = match unit.on_change {
        crate::resource::OnChange::Restart => "restarted",
        crate::resource::OnChange::Reload => "reloaded",
        crate::resource::OnChange::Apply => "reloaded, also after a start,",
    };
    let reads = unit.reads.join(", ");
    format!(
        "unit {} in stage {:?}; {verb} when one of these changes: {reads}",
        unit.name, unit.after
    )
}

fn describe_certificate(certificate: &Certificate) -> String {
    let Profile {
        common_name,
        organizations,
        names,
        purpose,
    } = &certificate.profile;
    let names: Vec<_> = names.iter().map(Name::to_string).collect();
    let mut text = format!(
        "certificate {} {} by {}: CN={common_name}",
        layout::certificate(&certificate.name),
        certificate.owner,
        certificate.authority.common_name(),
    );
    for organization in organizations {
        let _ = write!(text, " O={organization}");
    }
    let _ = write!(text, " {purpose:?}");
    if !names.is_empty() {
        let _ = write!(text, " for {}", names.join(" "));
    }
    text
}

fn describe_shared(shared: Shared) -> String {
    let paths = shared.paths().into_iter();
    let shown = paths.map(|(path, mode)| format!("{path} {mode:04o}"));
    format!(
        "{} {}",
        shown.collect::<Vec<_>>().join(", "),
        shared.owner()
    )
}

fn indented(content: &str) -> String {
    let lines = content
        .lines()
        .map(|line| format!("    {line}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}
