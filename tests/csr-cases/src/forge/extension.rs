//! Extensions that a request asks for.

use std::net::IpAddr;

use super::ForgeError;
use super::der::{boolean_true, integer, null, octet_string, oid, sequence, value};
use crate::case::Sans;

const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];

/// The extension with the names; `None` without any.
pub(super) fn names(sans: &Sans) -> Result<Option<Vec<u8>>, ForgeError> {
    let mut names = Vec::new();
    names.extend(sans.dns.iter().map(|name| value(0x82, name.as_bytes())));
    names.extend(sans.email.iter().map(|name| value(0x81, name.as_bytes())));
    for address in &sans.ip {
        names.push(value(0x87, &octets(address)?));
    }
    names.extend(sans.uri.iter().map(|name| value(0x86, name.as_bytes())));
    let extension = extension(SUBJECT_ALT_NAME, &sequence(&names));
    Ok((!names.is_empty()).then_some(extension))
}

/// An IPv4 address in IPv6 clothes keeps its sixteen octets.
fn octets(text: &str) -> Result<Vec<u8>, ForgeError> {
    match text.parse() {
        Ok(IpAddr::V4(v4)) => Ok(v4.octets().to_vec()),
        Ok(IpAddr::V6(v6)) => Ok(v6.octets().to_vec()),
        Err(_) => Err(ForgeError::Address(text.to_owned())),
    }
}

fn extension(kind: &[u64], content: &[u8]) -> Vec<u8> {
    sequence(&[oid(kind), octet_string(content)])
}

/// The extension written as openssl writes it, or an object identifier alone.
pub(super) fn of(text: &str) -> Result<Vec<u8>, ForgeError> {
    let eku = |last| extension(&[2, 5, 29, 37], &sequence(&[oid(last)]));
    Ok(match text {
        "basicConstraints=CA:TRUE" => {
            extension(&[2, 5, 29, 19], &sequence(&[boolean_true()]))
        }
        "basicConstraints=CA:TRUE,pathlen:0" => {
            let content = sequence(&[boolean_true(), integer(&[0])]);
            extension(&[2, 5, 29, 19], &content)
        }
        "basicConstraints=CA:FALSE" => extension(&[2, 5, 29, 19], &sequence(&[])),
        // Bits 5 and 6, of eight in which the last one is unused.
        "keyUsage=keyCertSign,cRLSign" => {
            extension(&[2, 5, 29, 15], &value(0x03, &[1, 0x06]))
        }
        "keyUsage=digitalSignature" => {
            extension(&[2, 5, 29, 15], &value(0x03, &[7, 0x80]))
        }
        "extendedKeyUsage=serverAuth" => eku(&[1, 3, 6, 1, 5, 5, 7, 3, 1]),
        "extendedKeyUsage=clientAuth" => eku(&[1, 3, 6, 1, 5, 5, 7, 3, 2]),
        "extendedKeyUsage=anyExtendedKeyUsage" => eku(&[2, 5, 29, 37, 0]),
        other => extension(&components(other)?, &null()),
    })
}

fn components(text: &str) -> Result<Vec<u64>, ForgeError> {
    let parsed: Option<Vec<u64>> =
        text.split('.').map(|part| part.parse().ok()).collect();
    parsed
        .filter(|components| components.len() > 2)
        .ok_or_else(|| ForgeError::Extension(text.to_owned()))
}
