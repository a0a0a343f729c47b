//! The subject: a Name (RFC 5280, 4.1.2.4) whose every part is one attribute.

use super::Unreadable;
use super::der::{Reader, Tag, bad};
use crate::Reason;

/// One attribute of the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its type.
    pub oid: String,
    /// Its value.
    pub value: String,
}

/// RDNSequence ::= SEQUENCE OF SET OF SEQUENCE { type, value }
pub(super) fn read(mut name: Reader<'_>) -> Result<Vec<Attribute>, Unreadable> {
    let mut attributes = Vec::new();
    while !name.is_empty() {
        let mut part = name.inner(Tag::SET, "subject part")?;
        attributes.push(attribute(part.sequence("subject attribute")?)?);
        if !part.is_empty() {
            let detail = "one part of it holds several attributes";
            return Err(Unreadable::new(Reason::SubjectNotExact, detail));
        }
    }
    Ok(attributes)
}

fn attribute(mut fields: Reader<'_>) -> Result<Attribute, Unreadable> {
    let oid = fields.oid("subject attribute type")?;
    let value = fields.value("subject attribute value")?;
    fields.end("subject attribute")?;
    let text = match value.tag {
        Tag::UTF8_STRING => std::str::from_utf8(value.content).ok(),
        Tag::PRINTABLE_STRING => printable(value.content),
        _ => {
            let detail = format!("{oid} is a string of another type than kubelets use");
            return Err(Unreadable::new(Reason::SubjectNotExact, detail));
        }
    };
    let value = text.ok_or_else(|| bad("subject attribute value", "is no text"))?;
    Ok(Attribute {
        oid,
        value: value.to_owned(),
    })
}

/// X.680, 41.4. Go's encoder takes the type for what consists of these alone.
fn printable(content: &[u8]) -> Option<&str> {
    let allowed =
        |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(byte);
    let text = std::str::from_utf8(content).ok()?;
    content.iter().all(allowed).then_some(text)
}
