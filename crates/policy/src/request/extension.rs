//! What a request asks to be put into the certificate besides subject and key.

use std::net::IpAddr;

use super::der::{Reader, Tag, bad};
use super::{Unreadable, oid};

/// An extension asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its type.
    pub oid: String,
    /// Whoever does not know it must refuse the certificate.
    pub critical: bool,
    /// The DER of its value.
    pub value: Vec<u8>,
}

/// The names of subjectAltName (RFC 5280, 4.2.1.6), as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// `dNSName`s.
    pub dns: Vec<String>,
    /// `iPAddress`es, IPv4 in IPv6 clothes undressed.
    pub addresses: Vec<IpAddr>,
    /// Kinds that are neither: `email`, `URI`, …
    pub others: Vec<&'static str>,
}

impl Names {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dns.len() + self.addresses.len() + self.others.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn of(extensions: &[Extension]) -> Result<Self, Unreadable> {
        let mut names = Self::default();
        let asked = |extension: &&Extension| extension.oid == oid::SUBJECT_ALT_NAME;
        for extension in extensions.iter().filter(asked) {
            let mut outer = Reader::new(&extension.value);
            let mut list = outer.sequence("subjectAltName")?;
            outer.end("subjectAltName")?;
            while !list.is_empty() {
                names.add(&mut list)?;
            }
        }
        Ok(names)
    }

    fn add(&mut self, list: &mut Reader<'_>) -> Result<(), Unreadable> {
        let value = list.value("name")?;
        let content = value.content;
        match value.tag.0 {
            0x82 if content.is_ascii() => {
                self.dns.push(String::from_utf8_lossy(content).into_owned());
            }
            0x82 => return Err(bad("DNS name", "is not ASCII")),
            0x87 => self.addresses.push(address(content)?),
            0xa0 => self.others.push("otherName"),
            0x81 => self.others.push("email"),
            0xa3 => self.others.push("x400Address"),
            0xa4 => self.others.push("directoryName"),
            0xa5 => self.others.push("ediPartyName"),
            0x86 => self.others.push("URI"),
            0x88 => self.others.push("registeredID"),
            _ => return Err(bad("name", "is of no kind that there is")),
        }
        Ok(())
    }
}

fn address(content: &[u8]) -> Result<IpAddr, Unreadable> {
    let v4 = <[u8; 4]>::try_from(content).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(content).map(IpAddr::from);
    let address = v4.or(v6).map_err(|_| bad("address", "is of no family"))?;
    Ok(address.to_canonical())
}

/// The types of attributes that are no extension request, and the extensions.
type Asked = (Vec<String>, Vec<Extension>);

/// attributes ::= SET OF SEQUENCE { type, values SET OF ANY }
pub(super) fn read(mut attributes: Reader<'_>) -> Result<Asked, Unreadable> {
    let (mut others, mut extensions) = (Vec::new(), Vec::new());
    let mut seen = false;
    while !attributes.is_empty() {
        let mut attribute = attributes.sequence("attribute")?;
        let kind = attribute.oid("attribute type")?;
        let mut values = attribute.inner(Tag::SET, "attribute values")?;
        attribute.end("attribute")?;
        if kind != oid::EXTENSION_REQUEST || seen {
            others.push(kind);
            continue;
        }
        seen = true;
        let list = values.sequence("extensions")?;
        values.end("extension request")?;
        extensions = read_list(list)?;
    }
    Ok((others, extensions))
}

/// Extensions ::= SEQUENCE OF SEQUENCE { extnID, critical DEFAULT FALSE, extnValue }
fn read_list(mut list: Reader<'_>) -> Result<Vec<Extension>, Unreadable> {
    let mut extensions = Vec::new();
    while !list.is_empty() {
        let mut fields = list.sequence("extension")?;
        let oid = fields.oid("extension type")?;
        let critical = match fields.optional(Tag::BOOLEAN, "critical")? {
            None => false,
            Some([0xff]) => true,
            Some(_) => {
                return Err(bad("critical", "is written though it is the default"));
            }
        };
        let value = fields.take(Tag::OCTET_STRING, "extension value")?.to_vec();
        fields.end("extension")?;
        extensions.push(Extension {
            oid,
            critical,
            value,
        });
    }
    Ok(extensions)
}
