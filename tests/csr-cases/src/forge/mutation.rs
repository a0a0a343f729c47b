//! What is done to a finished request to make it odd.

use super::der::{oid, sequence, set, text};
use super::{ForgeError, Parts, block};

/// The names of all mutations, as cases write them.
pub(super) const KINDS: [&str; 17] = [
    "wrong-type",
    "two-blocks",
    "junk-before",
    "junk-after",
    "headers",
    "crlf",
    "no-newline",
    "empty",
    "not-pem",
    "not-base64",
    "der-trailing",
    "der-truncated",
    "der-long-length",
    "bad-signature",
    "challenge-password",
    "multi-valued-rdn",
    "none",
];

/// One of [`KINDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mutation(&'static str);

impl Mutation {
    pub(super) fn of(name: Option<&str>) -> Result<Self, ForgeError> {
        let name = name.unwrap_or("none");
        let known = KINDS.into_iter().find(|kind| *kind == name);
        known
            .map(Self)
            .ok_or_else(|| ForgeError::Mutation(name.to_owned()))
    }

    /// Before it is signed.
    pub(super) fn of_parts(self, parts: &mut Parts) {
        match self.0 {
            "challenge-password" => {
                let kind = oid(&[1, 2, 840, 113_549, 1, 9, 7]);
                let password = sequence(&[kind, set(&[text("secret")])]);
                parts.attributes.push(password);
            }
            "multi-valued-rdn" => parts.subject = merged(&parts.subject),
            _ => {}
        }
    }

    /// After it is signed.
    pub(super) fn of_der(self, mut der: Vec<u8>) -> Vec<u8> {
        match self.0 {
            "der-trailing" => der.extend([0x05, 0x00]),
            "der-truncated" => der.truncate(der.len().saturating_sub(1)),
            "der-long-length" => der = long_length(&der),
            "bad-signature" => {
                if let Some(last) = der.last_mut() {
                    *last ^= 1;
                }
            }
            _ => {}
        }
        der
    }

    /// After it became text.
    pub(super) fn of_text(self, pem: String, der: &[u8]) -> Vec<u8> {
        let odd = match self.0 {
            "wrong-type" => block("CERTIFICATE", der),
            "two-blocks" => format!("{pem}{pem}"),
            "junk-before" => format!("Certificate Request:\n{pem}"),
            "junk-after" => format!("{pem}# made by hand\n"),
            "headers" => pem.replacen("-----\n", "-----\nProc-Type: 4,CLEAR\n\n", 1),
            "crlf" => pem.replace('\n', "\r\n"),
            "no-newline" => pem.trim_end().to_owned(),
            "empty" => String::new(),
            "not-pem" => "a request".to_owned(),
            "not-base64" => pem.replacen("-----\nM", "-----\n!", 1),
            _ => pem,
        };
        odd.into_bytes()
    }
}

/// One SET with the attributes of the first two: what was two sequences of SETs of one.
fn merged(subject: &[u8]) -> Vec<u8> {
    let sets = members(subject);
    let (pair, rest) = sets.split_at(sets.len().min(2));
    let mut attributes: Vec<Vec<u8>> = pair.iter().flat_map(|set| members(set)).collect();
    // DER sorts what is in a SET (X.690, 11.6).
    attributes.sort();
    let one = vec![set(&attributes)];
    sequence(&[one, rest.to_vec()].concat())
}

/// The values inside a value, each shorter than 128 octets or with a long length.
fn members(value: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = content(value);
    let mut members = Vec::new();
    while !rest.is_empty() {
        let length = rest.len().min(size(rest));
        let (member, tail) = rest.split_at(length);
        members.push(member.to_vec());
        rest = tail;
    }
    members
}

fn content(value: &[u8]) -> &[u8] {
    value.get(header(value)..).unwrap_or_default()
}

fn header(value: &[u8]) -> usize {
    match value.get(1) {
        Some(long @ 0x81..) => 2 + usize::from(long & 0x7f),
        Some(_) | None => 2,
    }
}

fn size(value: &[u8]) -> usize {
    let header = header(value);
    let length = match value.get(1..header) {
        Some([short]) => usize::from(*short),
        Some([_, long @ ..]) => {
            let fold = |sum: usize, octet: &u8| sum << 8 | usize::from(*octet);
            long.iter().fold(0, fold)
        }
        Some([]) | None => 0,
    };
    header + length
}

/// The same length in one octet more than it needs: BER, not DER.
fn long_length(der: &[u8]) -> Vec<u8> {
    let inside = content(der);
    let [.., third, high, low] = inside.len().to_be_bytes();
    [&[0x30, 0x83, third, high, low][..], inside].concat()
}
