//! The bytes of a file as text, or one sentence why not.

use crate::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest file that is read: 1,000 servers take about 100 KiB.
const LARGEST: u64 = 1 << 20;

/// The first line, from 1, with a character that no YAML may hold (YAML 1.2.2 section 5.1):
/// a control character but tab and line end, a noncharacter. A program that writes files of
/// ours from another's looks for it before.
#[must_use]
pub fn unprintable(text: &str) -> Option<usize> {
    let is_printable = |character: char| {
        matches!(
            character,
            '\t' | '\n'
                | '\r'
                | ' '..='~'
                | '\u{85}'
                | '\u{a0}'..='\u{fffd}'
                | '\u{10000}'..
        )
    };
    let line = |line: &str| !line.chars().all(is_printable);
    Some(text.split('\n').position(line)? + 1)
}

/// Reads the whole of `path`.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let name = path.display().to_string();
    let bytes = bytes(path).map_err(|error| Error::of_file(&name, unreadable(&error)))?;
    if bytes.len() > usize::try_from(LARGEST).unwrap_or(usize::MAX) {
        let problem = format!(
            "is larger than {} KiB; is it the right file?",
            LARGEST >> 10
        );
        return Err(Error::of_file(&name, problem));
    }
    decode(&name, bytes)
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds that have a way out; the kernel has more"
)]
fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "does not exist; name the file with --config".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "may not be read by this user; its mode should be 0644".to_owned()
        }
        io::ErrorKind::IsADirectory => {
            "is a directory; name a file in it with --config".to_owned()
        }
        _ => format!("cannot be read: {error}"),
    }
}

fn decode(name: &str, bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..good).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Error::of_file(name, "is not UTF-8 text; save the file as UTF-8").on_line(line)
    })
}

#[cfg(test)]
mod tests {
    use super::unprintable;

    #[test]
    fn finds_what_no_yaml_may_hold() {
        for (text, line) in [
            ("", None),
            ("\ta: b\r\nc: \u{e9}\u{85}\u{1f600}\n", None),
            ("a\0", Some(1)),
            ("a\nb\u{1b}[0m\n", Some(2)),
            ("\n\n\u{7f}", Some(3)),
            ("\u{9f}", Some(1)),
            ("\u{fffe}", Some(1)),
        ] {
            assert_eq!(unprintable(text), line, "{text:?}");
        }
    }
}
