//! The textual encoding (RFC 7468), in its strict form: one block and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Unreadable;
use crate::Reason;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
const LABEL: &str = "CERTIFICATE REQUEST";
/// RFC 7468, 2: base64 lines hold exactly 64 characters, the last one at most.
const LINE: usize = 64;

/// The DER in a PEM text. Lines end with LF or with CR LF; the last line may go without.
pub(super) fn decode(text: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let text = std::str::from_utf8(text).map_err(|_| damaged("it is not text"))?;
    let mut lines = text
        .strip_suffix('\n')
        .unwrap_or(text)
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line));
    begin(lines.next().unwrap_or_default(), text)?;
    let mut base64 = String::with_capacity(text.len());
    let mut short = false;
    for line in lines.by_ref() {
        if let Some(label) = line.strip_prefix(END) {
            end(label)?;
            return match lines.next() {
                None => STANDARD.decode(base64).map_err(|_| damaged("not base64")),
                Some(_) => Err(alone("something follows the block")),
            };
        }
        if short || line.is_empty() || line.len() > LINE {
            return Err(damaged("its lines are not of 64 characters"));
        }
        short = line.len() < LINE;
        base64.push_str(line);
    }
    Err(damaged("it has no end"))
}

fn begin(line: &str, text: &str) -> Result<(), Unreadable> {
    let label = line
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(DASHES));
    match label {
        Some(LABEL) => Ok(()),
        Some(other) => {
            let kind: String = other.chars().take(LINE).collect();
            Err(Unreadable::new(Reason::PemTypeWrong, format!("{kind:?}")))
        }
        None if text.contains(BEGIN) => Err(alone("something precedes the block")),
        None => Err(damaged("it does not begin with a PEM block")),
    }
}

fn end(label: &str) -> Result<(), Unreadable> {
    if label.strip_suffix(DASHES) == Some(LABEL) {
        Ok(())
    } else {
        Err(damaged("it ends as something else than it began"))
    }
}

fn alone(how: &str) -> Unreadable {
    Unreadable::new(Reason::PemNotAlone, how)
}

fn damaged(how: &str) -> Unreadable {
    Unreadable::new(Reason::PemInvalid, how)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(label: &str, body: &str) -> String {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    #[test]
    fn one_block_and_nothing_else() {
        let good = block(LABEL, "AAAA");
        let full = "A".repeat(64);
        for (text, reason) in [
            (good.clone(), None),
            (good.trim_end().to_owned(), None),
            (good.replace('\n', "\r\n"), None),
            (block(LABEL, &format!("{full}\nAAAA")), None),
            (format!("{good}\n"), Some(Reason::PemNotAlone)),
            (format!("{good} "), Some(Reason::PemNotAlone)),
            (format!("{good}{good}"), Some(Reason::PemNotAlone)),
            (format!("junk\n{good}"), Some(Reason::PemNotAlone)),
            (format!("\n{good}"), Some(Reason::PemNotAlone)),
            (format!(" {good}"), Some(Reason::PemNotAlone)),
            (format!("{good}junk"), Some(Reason::PemNotAlone)),
            (block("CERTIFICATE", "AAAA"), Some(Reason::PemTypeWrong)),
            (
                block("NEW CERTIFICATE REQUEST", "AAAA"),
                Some(Reason::PemTypeWrong),
            ),
            (block(LABEL, "Key: value\n\nAAAA"), Some(Reason::PemInvalid)),
            (block(LABEL, "AAA="), None),
            (block(LABEL, "AAB="), Some(Reason::PemInvalid)),
            (block(LABEL, "AAA"), Some(Reason::PemInvalid)),
            (block(LABEL, " AAAA"), Some(Reason::PemInvalid)),
            (block(LABEL, "AAAA\nAAAA"), Some(Reason::PemInvalid)),
            (block(LABEL, &"A".repeat(68)), Some(Reason::PemInvalid)),
            (block(LABEL, "AA\rAA"), Some(Reason::PemInvalid)),
            (good.replace("END C", "END X"), Some(Reason::PemInvalid)),
            (
                good.replace("-----END", "----END"),
                Some(Reason::PemInvalid),
            ),
            (String::new(), Some(Reason::PemInvalid)),
            ("junk".to_owned(), Some(Reason::PemInvalid)),
        ] {
            let read = decode(text.as_bytes()).err().map(|error| error.reason);
            assert_eq!(read, reason, "{text:?}");
        }
        assert!(decode(&[0xff]).is_err());
    }
}
