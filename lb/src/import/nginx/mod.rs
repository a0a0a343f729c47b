//! nginx.conf: blocks; what `stream` holds is carried, the rest explained.

mod admission;
mod block;
mod build;
mod main_block;
mod map;
mod server;
mod upstream;

use super::draft::Draft;
use super::{ImportError, Report, Surroundings};
use block::Directive;
use build::Targets;
use map::Map;
use server::{Entry, Shared};
use upstream::Upstream;

/// All `stream` blocks, included files among them.
#[derive(Debug, Default)]
struct Stream {
    upstreams: Vec<Upstream>,
    maps: Vec<Map>,
    entries: Vec<Entry>,
    shared: Shared,
}

/// Files that include one another end somewhere.
const DEPTH: usize = 8;

/// Reads a file.
pub(super) fn read(
    file: &str,
    text: &str,
    around: &Surroundings<'_>,
    report: &mut Report,
) -> Result<Draft, ImportError> {
    let mut draft = Draft::default();
    let mut stream = Stream::default();
    let all = block::parse(file, text)?;
    main_level(&all, &mut draft, &mut stream, around, report, 0)?;
    let targets = Targets {
        upstreams: stream.upstreams,
        maps: stream.maps,
    };
    build::build(&targets, stream.entries, &mut draft, around, report);
    Ok(draft)
}

fn main_level(
    all: &[Directive],
    draft: &mut Draft,
    stream: &mut Stream,
    around: &Surroundings<'_>,
    report: &mut Report,
    depth: usize,
) -> Result<(), ImportError> {
    for directive in all {
        match directive.name() {
            "stream" => {
                report.honoured(directive.line, "stream", "");
                stream_level(&directive.block, stream, around, report, depth)?;
            }
            "include" => {
                for (name, text) in included(directive, around, report, depth) {
                    let inner = block::parse(&name, &text)?;
                    let outer = report.within(Some(name));
                    main_level(&inner, draft, stream, around, report, depth + 1)?;
                    report.within(outer);
                }
            }
            _ => main_block::directive(directive, draft, report),
        }
    }
    Ok(())
}

fn stream_level(
    all: &[Directive],
    stream: &mut Stream,
    around: &Surroundings<'_>,
    report: &mut Report,
    depth: usize,
) -> Result<(), ImportError> {
    // What stands beside the servers holds for all of them, wherever it stands.
    for directive in all {
        match directive.name() {
            "upstream" => stream.upstreams.push(upstream::read(directive, report)),
            "server" => {}
            "include" => {
                for (name, text) in included(directive, around, report, depth) {
                    let inner = block::parse(&name, &text)?;
                    let outer = report.within(Some(name));
                    stream_level(&inner, stream, around, report, depth + 1)?;
                    report.within(outer);
                }
            }
            _ => match Map::read(directive, report) {
                Some(map) => stream.maps.push(map),
                None => server::shared(directive, &mut stream.shared, report),
            },
        }
    }
    for directive in all.iter().filter(|directive| directive.name() == "server") {
        let entry = server::read(directive, &stream.shared, around, report);
        stream.entries.push(entry);
    }
    Ok(())
}

/// The files of an `include`, each with its name; what cannot be read is reported.
fn included(
    directive: &Directive,
    around: &Surroundings<'_>,
    report: &mut Report,
    depth: usize,
) -> Vec<(String, String)> {
    let (line, text) = (directive.line, directive.text());
    let pattern = directive
        .words()
        .get(1)
        .copied()
        .unwrap_or_default()
        .to_owned();
    if depth >= DEPTH {
        report.unsupported(line, &text, "files include one another more than 8 deep");
        return vec![];
    }
    match (around.include)(&pattern) {
        Ok(files) if files.is_empty() => {
            report.honoured(line, &text, "no file is there");
            files
        }
        Ok(files) => {
            let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
            report.honoured(line, &text, names.join(", "));
            files
        }
        Err(error) => {
            report.unsupported(
                line,
                &text,
                format!(
                    "it cannot be read here ({error}); what it holds is not imported"
                ),
            );
            vec![]
        }
    }
}
