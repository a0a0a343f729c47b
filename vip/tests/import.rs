//! keepalived's files, and exactly what comes of each: YAML and a verdict on every
//! directive.
//!
//! `import/NAME.conf` becomes `NAME.yaml` and `NAME.txt`. Where there is a `NAME.peer` it
//! is compared with that of another node; `NAME.node` holds the node's name.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use vip_daemon::config::Config;
use vip_daemon::import::{ImportError, Imported, Source, import};

type Tested = Result<(), Box<dyn Error>>;

fn beside(path: &Path, extension: &str) -> Option<String> {
    fs::read_to_string(path.with_extension(extension)).ok()
}

fn files() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let entries = fs::read_dir("tests/import")?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths: Vec<PathBuf> = paths.map_err(|error: std::io::Error| error)?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "conf"));
    paths.sort();
    Ok(paths)
}

fn imported(path: &Path) -> Result<Imported, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let peer = beside(path, "peer");
    let peers: Vec<_> = peer
        .iter()
        .map(|text| Source { name: "peer", text })
        .collect();
    let node = beside(path, "node");
    let source = Source {
        name: &name,
        text: &text,
    };
    Ok(import(source, node.as_deref(), &peers)?)
}

/// The report, and what `check` says about the YAML.
fn report(imported: &Imported) -> String {
    let checked = match Config::parse("vip-daemon.yaml", &imported.checkable()) {
        Ok(config) => config.warnings.join("\n"),
        Err(errors) => errors.to_string(),
    };
    format!("{}{checked}\n", imported.report)
}

#[test]
fn i1_i2_i3_well_known_files_become_exactly_this() -> Tested {
    let mut failures = Vec::new();
    for path in files()? {
        let imported = imported(&path)?;
        for (extension, said) in
            [("yaml", imported.yaml.clone()), ("txt", report(&imported))]
        {
            if std::env::var_os("STERNPOST_BLESS").is_some() {
                fs::write(path.with_extension(extension), said)?;
            } else if beside(&path, extension).as_deref() != Some(&said) {
                failures.push(format!("{} .{extension}:\n{said}", path.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

#[test]
fn i4_every_directive_has_a_verdict() -> Tested {
    for path in files()? {
        let text = fs::read_to_string(&path)?;
        let imported = imported(&path)?;
        let named: BTreeSet<_> = imported
            .report
            .findings()
            .iter()
            .map(|finding| finding.line)
            .collect();
        for (number, line) in text.lines().enumerate() {
            let code = line.split(['#', '!']).next().unwrap_or("").trim();
            let silent = code.is_empty() || code == "}" || code.starts_with('$');
            assert!(
                silent || named.contains(&(number + 1)),
                "{}:{} has no verdict: {line}",
                path.display(),
                number + 1
            );
        }
    }
    Ok(())
}

/// keepalived's own directives, each in its block, one at a time: what nobody here has thought
/// of is told from what nobody has ever heard of.
#[test]
fn i4_no_directive_of_keepalived_is_unknown() -> Tested {
    let keywords = fs::read_to_string("tests/import/keywords.txt")?;
    let rows = keywords.lines().filter(|line| !line.starts_with('#'));
    let mut unknown = Vec::new();
    let mut asked = 0;
    for row in rows {
        let (block, words) = row.split_once(": ").ok_or("a row without its block")?;
        for word in words.split(' ').chain(["frobnicate"]) {
            let said = alone(block, word)?;
            asked += 1;
            if said != (word == "frobnicate") {
                unknown.push(format!("{block}: {word}"));
            }
        }
    }
    assert!(asked > 200, "only {asked} were asked for");
    assert!(
        unknown.is_empty(),
        "unknown, or all too well known: {unknown:?}"
    );
    Ok(())
}

/// Whether a directive that stands in such a block is unknown.
fn alone(block: &str, word: &str) -> Result<bool, Box<dyn Error>> {
    let instance = "vrrp_instance A {\n interface eth0\n virtual_router_id 51\n}\n";
    let text = match block {
        "file" => format!("{word} x {{\n}}\n{instance}"),
        "vrrp_instance" => instance.replace("A {\n", &format!("A {{\n {word} 1\n")),
        _definition => format!("{block} x {{\n {word} 1\n}}\n{instance}"),
    };
    let text = &text;
    let imported = import(Source { name: "k", text }, None, &[])?;
    let shown = imported.report.to_string();
    Ok(shown.contains(&format!("{word} 1: unknown"))
        || shown.contains(&format!("{word} x: unknown")))
}

#[test]
fn i5_k6_every_trap_is_pointed_at() -> Tested {
    let traps = imported(Path::new("tests/import/traps.conf"))?;
    let origin = imported(Path::new("tests/import/origin-003.conf"))?;
    let rke2 = imported(Path::new("tests/import/rke2.conf"))?;
    let said = format!("{}{}{}", traps.report, origin.report, rke2.report);
    for trap in [
        "a weight (-3) moves nothing where the others have nopreempt",
        "nopreempt with state MASTER",
        "another node has the same priority (100)",
        "VRRPv2 has whole seconds only",
        "is not larger than the gap to another node's priority",
        "nowhere is used but not defined",
        "unused is defined but not used",
        "unicast_peer is empty",
        "lies outside the network of 10.1.0.11",
        "virtual_router_id 300 is not 1 to 255",
        "the password has more than 8 bytes",
        "another node speaks another version",
        "another node has another advert_int",
        "one node sends unicast, another multicast",
    ] {
        assert!(said.contains(trap), "nobody says: {trap}\n{said}");
    }
    Ok(())
}

#[test]
fn passwords_are_shown_nowhere() -> Tested {
    let rke2 = imported(Path::new("tests/import/rke2.conf"))?;
    let all = format!("{}{}", rke2.yaml, rke2.report);
    assert!(!all.contains("rke2servers"), "{all}");
    Ok(())
}

#[test]
fn what_is_no_such_file_is_one_sentence() {
    let read = |text| {
        let source = Source { name: "k", text };
        import(source, None, &[]).map(|_| ()).unwrap_err()
    };
    assert_eq!(read("global_defs {\n}"), ImportError::Nothing("k".into()));
    let said = read("vrrp_instance A {\n state MASTER").to_string();
    assert_eq!(said, "k:1: a block without its }");
}

#[test]
fn cut_or_garbled_files_are_errors_and_no_panic() -> Tested {
    for path in files()? {
        let text = fs::read_to_string(&path)?;
        for (at, letter) in text.char_indices() {
            let (before, after) = (&text[..at], &text[at + letter.len_utf8()..]);
            for changed in ["", "{", "}", "\"", "\n", "@x ", "$", "\\"] {
                let garbled = format!("{before}{changed}{after}");
                for text in [before, garbled.as_str()] {
                    let source = Source { name: "k", text };
                    if let Ok(imported) = import(source, Some("one"), &[source]) {
                        // Whatever it came to is a file that can be read or refused.
                        drop(Config::parse("k", &imported.checkable()));
                    }
                }
                if at % 7 != 0 {
                    break;
                }
            }
        }
    }
    Ok(())
}
