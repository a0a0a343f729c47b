//! Makes the bytes of a request, odd ones too: no library of certificates writes two
//! common names, a NUL in a name or an RSA key of 1024 bits.

mod der;
mod extension;
mod key;
mod mutation;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::case::Case;
use der::{context, oid, sequence, set, text};
pub use key::Signer;

const COMMON_NAME: &[u64] = &[2, 5, 4, 3];
const ORGANIZATION: &[u64] = &[2, 5, 4, 10];
const EXTENSION_REQUEST: &[u64] = &[1, 2, 840, 113_549, 1, 9, 14];
/// RFC 7468, 2.
const LINE: usize = 64;

/// Why the bytes of a case cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// A key of a kind that is not known.
    #[error("key: {0:?} is not known; known: {kinds}", kinds = key::KINDS.join(", "))]
    Key(String),
    /// An attribute of the subject that is not known.
    #[error("context.extraRDN: {0:?} is not known")]
    Attribute(String),
    /// An extension that is not known.
    #[error("context.csrExt: {0:?} is not known")]
    Extension(String),
    /// A mutation that is not known.
    #[error("context.csrMutation: {0:?} is not known; known: {kinds}", kinds = mutation::KINDS.join(", "))]
    Mutation(String),
    /// An address that is none.
    #[error("sans.ip: {0:?} is not an address")]
    Address(String),
    /// The machine gives no randomness, or a kept key is damaged.
    #[error("no key can be made")]
    NoKey,
}

/// What is between the fields of a case and the text of `spec.request`.
pub(crate) struct Parts {
    /// DER of the subject.
    subject: Vec<u8>,
    /// DER of each attribute.
    attributes: Vec<Vec<u8>>,
}

/// The PEM text of a case's request.
///
/// # Errors
/// A field has a value that is not known.
pub fn pem(case: &Case) -> Result<Vec<u8>, ForgeError> {
    let mutation = mutation::Mutation::of(case.context.csr_mutation.as_deref())?;
    let signer = Signer::new(&case.key)?;
    let mut parts = Parts {
        subject: subject(case)?,
        attributes: attributes(case)?,
    };
    mutation.of_parts(&mut parts);
    let der = mutation.of_der(sign(&parts, &signer)?);
    Ok(mutation.of_text(block("CERTIFICATE REQUEST", &der), &der))
}

/// CertificationRequest (RFC 2986, 4.2).
fn sign(parts: &Parts, signer: &Signer) -> Result<Vec<u8>, ForgeError> {
    let info = sequence(&[
        der::integer(&[0]),
        parts.subject.clone(),
        signer.public_key_info(),
        context(0, &parts.attributes.concat()),
    ]);
    let signature = signer.sign(&info)?;
    let algorithm = signer.algorithm();
    Ok(sequence(&[info, algorithm, der::bit_string(&signature)]))
}

/// O first, then CN, as Go's encoder writes them, then whatever else.
fn subject(case: &Case) -> Result<Vec<u8>, ForgeError> {
    let organizations = case.subject_o.iter().map(|value| (ORGANIZATION, value));
    let names = case.subject_cn.iter().map(|value| (COMMON_NAME, value));
    let mut parts: Vec<Vec<u8>> = organizations
        .chain(names)
        .map(|(kind, value)| set(&[attribute(kind, value)]))
        .collect();
    for (name, value) in &case.context.extra_rdn {
        let kind = short_name(name).ok_or_else(|| ForgeError::Attribute(name.clone()))?;
        parts.push(set(&[attribute(kind, value)]));
    }
    Ok(sequence(&parts))
}

fn attribute(kind: &[u64], value: &str) -> Vec<u8> {
    sequence(&[oid(kind), text(value)])
}

/// Attributes by the names of RFC 4514, 3.
fn short_name(name: &str) -> Option<&'static [u64]> {
    match name {
        "CN" => Some(COMMON_NAME),
        "O" => Some(ORGANIZATION),
        "OU" => Some(&[2, 5, 4, 11]),
        "C" => Some(&[2, 5, 4, 6]),
        "L" => Some(&[2, 5, 4, 7]),
        "ST" => Some(&[2, 5, 4, 8]),
        "STREET" => Some(&[2, 5, 4, 9]),
        "SERIALNUMBER" | "serialNumber" => Some(&[2, 5, 4, 5]),
        "DC" => Some(&[0, 9, 2342, 19_200_300, 100, 1, 25]),
        "UID" => Some(&[0, 9, 2342, 19_200_300, 100, 1, 1]),
        "emailAddress" => Some(&[1, 2, 840, 113_549, 1, 9, 1]),
        _ => None,
    }
}

fn attributes(case: &Case) -> Result<Vec<Vec<u8>>, ForgeError> {
    let names = extension::names(&case.sans)?;
    let asked = case.context.csr_ext.as_deref().map(extension::of);
    let extensions: Vec<Vec<u8>> = names.into_iter().chain(asked.transpose()?).collect();
    if extensions.is_empty() {
        return Ok(Vec::new());
    }
    let values = set(&[sequence(&extensions)]);
    Ok(vec![sequence(&[oid(EXTENSION_REQUEST), values])])
}

/// A PEM block as Go's encoder writes it.
fn block(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines = base64.as_bytes().chunks(LINE).map(String::from_utf8_lossy);
    let body: String = lines.map(|line| format!("{line}\n")).collect();
    format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n")
}
