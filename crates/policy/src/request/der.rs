//! DER (X.690, 10): definite lengths in as few octets as they need, low tag numbers.

use std::fmt::Write as _;

use super::Unreadable;
use crate::Reason;

/// The octet that says what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(pub(super) u8);

impl Tag {
    pub(super) const BOOLEAN: Self = Self(0x01);
    pub(super) const INTEGER: Self = Self(0x02);
    pub(super) const BIT_STRING: Self = Self(0x03);
    pub(super) const OCTET_STRING: Self = Self(0x04);
    pub(super) const NULL: Self = Self(0x05);
    pub(super) const OID: Self = Self(0x06);
    pub(super) const UTF8_STRING: Self = Self(0x0c);
    pub(super) const PRINTABLE_STRING: Self = Self(0x13);
    pub(super) const SEQUENCE: Self = Self(0x30);
    pub(super) const SET: Self = Self(0x31);
    /// `[0] IMPLICIT SET OF`, the attributes of a request.
    pub(super) const ATTRIBUTES: Self = Self(0xa0);
}

/// Numbers of this many bits and more in the low five of a tag's octet go on in the next.
const HIGH_TAG: u8 = 0x1f;

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

/// One value: its tag, its content and all of its octets.
pub(super) struct Value<'a> {
    pub(super) tag: Tag,
    pub(super) content: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next value, whatever it is; `what` names it in errors.
    pub(super) fn value(&mut self, what: &str) -> Result<Value<'a>, Unreadable> {
        let start = self.0;
        let tag = self.octet(what)?;
        if tag & HIGH_TAG == HIGH_TAG {
            return Err(bad(what, "has a tag of several octets"));
        }
        let length = self.length(what)?;
        let Some((content, rest)) = self.0.split_at_checked(length) else {
            return Err(bad(what, "is cut short"));
        };
        self.0 = rest;
        let whole = start.get(..start.len().saturating_sub(rest.len()));
        Ok(Value {
            tag: Tag(tag),
            content,
            whole: whole.unwrap_or(start),
        })
    }

    /// The content of the next value, which must have `tag`.
    pub(super) fn take(&mut self, tag: Tag, what: &str) -> Result<&'a [u8], Unreadable> {
        self.expect(tag, what).map(|value| value.content)
    }

    /// All octets of the next value, which must have `tag`.
    pub(super) fn whole(&mut self, tag: Tag, what: &str) -> Result<&'a [u8], Unreadable> {
        self.expect(tag, what).map(|value| value.whole)
    }

    /// A reader of what is inside the next value, which must have `tag`.
    pub(super) fn inner(&mut self, tag: Tag, what: &str) -> Result<Self, Unreadable> {
        self.take(tag, what).map(Self)
    }

    pub(super) fn sequence(&mut self, what: &str) -> Result<Self, Unreadable> {
        self.inner(Tag::SEQUENCE, what)
    }

    /// The next value if it has `tag`.
    pub(super) fn optional(
        &mut self,
        tag: Tag,
        what: &str,
    ) -> Result<Option<&'a [u8]>, Unreadable> {
        if self.0.first() == Some(&tag.0) {
            self.take(tag, what).map(Some)
        } else {
            Ok(None)
        }
    }

    /// An object identifier in dotted form.
    pub(super) fn oid(&mut self, what: &str) -> Result<String, Unreadable> {
        let content = self.take(Tag::OID, what)?;
        dotted(content).ok_or_else(|| bad(what, "is no object identifier"))
    }

    /// A bit string of whole octets.
    pub(super) fn bit_string(&mut self, what: &str) -> Result<&'a [u8], Unreadable> {
        match self.take(Tag::BIT_STRING, what)?.split_first() {
            Some((0, bits)) => Ok(bits),
            Some(_) | None => Err(bad(what, "is no string of whole octets")),
        }
    }

    /// An integer above zero, without its sign octet.
    pub(super) fn positive(&mut self, what: &str) -> Result<&'a [u8], Unreadable> {
        match self.take(Tag::INTEGER, what)? {
            [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => {
                Ok(rest)
            }
            whole @ [1..=0x7f, ..] => Ok(whole),
            _ => Err(bad(
                what,
                "is no positive integer in as few octets as it needs",
            )),
        }
    }

    /// Nothing may be left.
    pub(super) fn end(&self, what: &str) -> Result<(), Unreadable> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(bad(what, "goes on where it must end"))
        }
    }

    fn expect(&mut self, tag: Tag, what: &str) -> Result<Value<'a>, Unreadable> {
        let value = self.value(what)?;
        if value.tag == tag {
            Ok(value)
        } else {
            let (is, must) = (value.tag.0, tag.0);
            Err(bad(
                what,
                &format!("has the tag {is:#04x} and not {must:#04x}"),
            ))
        }
    }

    fn octet(&mut self, what: &str) -> Result<u8, Unreadable> {
        let (first, rest) = self
            .0
            .split_first()
            .ok_or_else(|| bad(what, "is missing"))?;
        self.0 = rest;
        Ok(*first)
    }

    /// X.690, 10.1: short form below 128, else as few octets as it needs. Two octets
    /// hold more than the largest request.
    fn length(&mut self, what: &str) -> Result<usize, Unreadable> {
        let first = self.octet(what)?;
        let long = |this: &mut Self| this.octet(what).map(usize::from);
        let (length, least) = match first {
            0..=0x7f => return Ok(usize::from(first)),
            0x81 => (long(self)?, 0x80),
            0x82 => (long(self)? << 8 | long(self)?, 0x100),
            _ => return Err(bad(what, "has a length of no definite size")),
        };
        if length < least {
            return Err(bad(what, "has a length in more octets than it needs"));
        }
        Ok(length)
    }
}

pub(super) fn bad(what: &str, how: &str) -> Unreadable {
    Unreadable::new(Reason::DerInvalid, format!("{what} {how}"))
}

/// X.690, 8.19: groups of seven bits, none beginning with an empty one. Components up to
/// 63 bits, which is more than any that is registered.
fn dotted(content: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut component: u64 = 0;
    let mut inside = false;
    for octet in content {
        if !inside && *octet == 0x80 {
            return None;
        }
        if component >> 56 != 0 {
            return None;
        }
        component = component << 7 | u64::from(octet & 0x7f);
        inside = octet & 0x80 != 0;
        if !inside {
            push(&mut text, component);
            component = 0;
        }
    }
    (!inside && !text.is_empty()).then_some(text)
}

/// The first component holds two: 40 times the first (0 to 2), plus the second.
fn push(text: &mut String, component: u64) {
    if text.is_empty() {
        let root = (component / 40).min(2);
        _ = write!(text, "{root}.{}", component.saturating_sub(40 * root));
    } else {
        _ = write!(text, ".{component}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_form() {
        let long = |head: &[u8], n: usize| [head, &vec![0; n]].concat();
        for (bytes, good) in [
            (vec![0x04, 0], true),
            (vec![0x04, 1], false),
            (long(&[0x04, 0x7f], 0x7f), true),
            (long(&[0x04, 0x81, 0x7f], 0x7f), false),
            (long(&[0x04, 0x81, 0x80], 0x80), true),
            (long(&[0x04, 0x82, 0, 0xff], 0xff), false),
            (long(&[0x04, 0x82, 1, 0], 0x100), true),
            (long(&[0x04, 0x83, 0, 1, 0], 0x100), false),
            (vec![0x04, 0x80, 0, 0], false),
            (vec![0x1f, 0x04, 0], false),
            (vec![0x04], false),
            (vec![], false),
        ] {
            let read = Reader::new(&bytes).take(Tag::OCTET_STRING, "it");
            assert_eq!(read.is_ok(), good, "{:02x?}", bytes.get(..4));
        }
    }

    #[test]
    fn integers_are_positive_and_short() {
        for (content, value) in [
            (&[1_u8][..], Some(&[1_u8][..])),
            (&[0], None),
            (&[], None),
            (&[0, 1], None),
            (&[0, 0x80], Some(&[0x80])),
            (&[0x80], None),
            (&[0x7f, 0], Some(&[0x7f, 0])),
        ] {
            let bytes = [&[2, u8::try_from(content.len()).unwrap()], content].concat();
            let read = Reader::new(&bytes).positive("it").ok();
            assert_eq!(read, value, "{content:02x?}");
        }
    }

    #[test]
    fn identifiers() {
        for (content, text) in [
            (&[0x55, 4, 3][..], Some("2.5.4.3")),
            (
                &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1],
                Some("1.2.840.10045.2.1"),
            ),
            (&[0x88, 0x37], Some("2.999")),
            (&[0x55, 0x80, 3], None),
            (&[0x55, 0x84], None),
            (&[0xff; 12], None),
            (&[], None),
        ] {
            assert_eq!(dotted(content).as_deref(), text, "{content:02x?}");
        }
    }
}
