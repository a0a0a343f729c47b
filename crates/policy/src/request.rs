//! A PKCS #10 request (RFC 2986), read strictly: one form for one meaning.
//!
//! What other parsers shrug at is refused here, because two parsers that shrug
//! differently see two different certificates: text around the PEM block, a second
//! block, bytes behind the DER, lengths in more octets than they need, strings of odd
//! types. What kubelets send passes: Go's encoder writes DER and nothing else.

mod der;
mod extension;
mod key;
pub mod oid;
mod pem;
mod signature;
mod subject;

use std::fmt::Write as _;

use ring::digest;

pub use extension::{Extension, Names};
pub use key::Key;
pub use signature::SelfSignature;
pub use subject::Attribute;

use crate::Reason;
use der::{Reader, Tag};

/// Largest PEM text that is looked at, in bytes. A kubelet's with an RSA key of 4096
/// bits and 32 names has 3 KiB.
pub const LARGEST: usize = 32 * 1024;

/// Why a request cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", reason.sentence())]
pub struct Unreadable {
    /// The reason it is denied for.
    pub reason: Reason,
    /// Where and what.
    pub detail: String,
}

impl Unreadable {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { reason, detail }
    }
}

/// A request as it stands in its DER, and what follows from that alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The subject's attributes in order, one per relative distinguished name.
    pub subject: Vec<Attribute>,
    /// The public key.
    pub key: Key,
    /// SHA-256 of the SubjectPublicKeyInfo, in hexadecimal: what tells keys apart.
    pub key_id: String,
    /// Object identifiers of attributes that are no extension request.
    pub attributes: Vec<String>,
    /// The extensions asked for, in order.
    pub extensions: Vec<Extension>,
    /// The names asked for.
    pub names: Names,
    /// Whether it is signed with its own key.
    pub signature: SelfSignature,
}

impl Request {
    /// Reads the PEM text of `spec.request`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(text: &[u8]) -> Result<Self, Unreadable> {
        if text.len() > LARGEST {
            let detail = format!("{} bytes, at most {LARGEST}", text.len());
            return Err(Unreadable::new(Reason::RequestTooLarge, detail));
        }
        Self::of_der(&pem::decode(text)?)
    }

    /// `CertificationRequest ::= SEQUENCE { info, signatureAlgorithm, signature }`
    fn of_der(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut outer = Reader::new(bytes);
        let mut request = outer.sequence("request")?;
        if !outer.is_empty() {
            let detail = format!("{} bytes", outer.rest().len());
            return Err(Unreadable::new(Reason::DerTrailing, detail));
        }
        let signed = request.whole(Tag::SEQUENCE, "request info")?;
        let algorithm = signature::Algorithm::read(&mut request)?;
        let signature = request.bit_string("signature")?;
        request.end("request")?;
        Self::of_info(signed, &algorithm, signature)
    }

    /// `CertificationRequestInfo ::= SEQUENCE { version, subject, subjectPKInfo, [0] attributes }`
    fn of_info(
        signed: &[u8],
        algorithm: &signature::Algorithm,
        signature: &[u8],
    ) -> Result<Self, Unreadable> {
        let mut info = Reader::new(signed).sequence("request info")?;
        if info.take(Tag::INTEGER, "version")? != [0] {
            return Err(Unreadable::new(Reason::DerInvalid, "version is not 0"));
        }
        let subject = subject::read(info.sequence("subject")?)?;
        let key_info = info.whole(Tag::SEQUENCE, "public key")?;
        let key = Key::read(key_info)?;
        let attributes = info.inner(Tag::ATTRIBUTES, "attributes")?;
        info.end("request info")?;
        let (attributes, extensions) = extension::read(attributes)?;
        let names = Names::of(&extensions)?;
        let signature = signature::check(&key, algorithm, signed, signature);
        Ok(Self {
            subject,
            key,
            key_id: hexadecimal(digest::digest(&digest::SHA256, key_info).as_ref()),
            attributes,
            extensions,
            names,
            signature,
        })
    }

    /// The subject's values of one attribute, in order.
    pub fn subject_values<'a>(
        &'a self,
        oid: &'a str,
    ) -> impl Iterator<Item = &'a str> + 'a {
        let of_kind = self.subject.iter().filter(move |each| each.oid == oid);
        of_kind.map(|attribute| attribute.value.as_str())
    }

    /// The node the request is for: what follows `system:node:` in the only common name.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        let mut names = self.subject_values(oid::COMMON_NAME);
        let (name, more) = (names.next()?, names.next());
        name.strip_prefix("system:node:").filter(|_| more.is_none())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}
