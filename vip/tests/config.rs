//! Configuration files, good and bad, with exactly what each gets; and the examples of the
//! manual, which must be good.
//!
//! A file in `config/valid` is read, and its warnings are those of the `.txt` beside it
//! (none without one). A file in `config/invalid` is refused with the text of its `.txt`.

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use vip_daemon::config::Config;

type Tested = Result<(), Box<dyn Error>>;

/// Passwords as they must lie on a disk; git keeps no such mode.
fn guard_secrets() -> Tested {
    for entry in fs::read_dir("tests/config/secrets")? {
        fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn files(folder: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let folder = Path::new("tests/config").join(folder);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn expected(path: &Path) -> String {
    fs::read_to_string(path.with_extension("txt")).unwrap_or_default()
}

fn read(path: &Path) -> Result<Result<Config, String>, Box<dyn Error>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let text = fs::read_to_string(path)?;
    Ok(Config::parse(&name, &text).map_err(|errors| format!("{errors}\n")))
}

/// Compares, or writes what was said when `STERNPOST_BLESS` asks for it.
fn compare(path: &Path, said: &str, failures: &mut Vec<String>) -> Tested {
    if std::env::var_os("STERNPOST_BLESS").is_some() && !said.is_empty() {
        fs::write(path.with_extension("txt"), said)?;
    } else if said != expected(path) {
        let (path, expected) = (path.display(), expected(path));
        failures.push(format!("{path}\n  said:     {said}  expected: {expected}"));
    }
    Ok(())
}

#[test]
fn good_files_are_read_with_the_warnings_they_deserve() -> Tested {
    guard_secrets()?;
    let mut failures = Vec::new();
    for path in files("valid")? {
        match read(&path)? {
            Ok(config) => {
                let said = config.warnings.iter().map(|line| format!("{line}\n"));
                compare(&path, &said.collect::<String>(), &mut failures)?;
            }
            Err(errors) => failures.push(errors),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    Ok(())
}

#[test]
fn bad_files_get_exactly_their_message() -> Tested {
    guard_secrets()?;
    let mut failures = Vec::new();
    for path in files("invalid")? {
        match read(&path)? {
            Ok(_) => failures.push(format!("{} was read", path.display())),
            Err(said) => compare(&path, &said, &mut failures)?,
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    Ok(())
}

#[test]
fn the_manual_s_examples_are_good() -> Tested {
    guard_secrets()?;
    let mut pages = fs::read_to_string("../docs/config/vip-daemon.md")?;
    pages.push_str(&fs::read_to_string("../README.md")?);
    let examples: Vec<_> = pages
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(example, _)| example.to_owned())
        .filter(|example| example.contains("kind: VipDaemon"))
        .collect();
    assert_eq!(examples.len(), 5);
    for example in examples {
        // Files that an example names and this machine does not have.
        let example = example
            .replace("/etc/sternpost/vip-password", "tests/config/secrets/good")
            .replace("/etc/sternpost/vip-channel-key", "tests/config/secrets/key");
        let read = Config::parse("manual", &example);
        assert!(
            read.is_ok(),
            "{}",
            read.err().map(|e| e.to_string()).unwrap_or_default()
        );
    }
    Ok(())
}
