//! Gives a tree to serde, value by value, each claiming the errors that occur in it.

mod access;

use crate::KeyPath;
use crate::error::Quoted;
use crate::fault::Fault;
use crate::tree::{Entry, Node, Value};
use access::{Entries, Items, Variant};
use serde::de::{DeserializeSeed, Deserializer, Visitor};
use std::collections::BTreeSet;
use std::fmt::Display;

/// One value of the tree. Values in `hidden` are known to be wrong: whatever holds
/// them is read as if they were not written, to find what else is wrong.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    node: &'a Node,
    at: KeyPath,
    hidden: &'a BTreeSet<KeyPath>,
}

type Read<T> = Result<T, Fault>;

impl<'a> Reader<'a> {
    pub(crate) fn new(root: &'a Node, hidden: &'a BTreeSet<KeyPath>) -> Self {
        Self {
            node: root,
            at: KeyPath::root(),
            hidden,
        }
    }

    /// Reads the value with `seed`. Types with rules of their own (addresses, times)
    /// refuse a text after it was read, so the place is noted here too.
    fn feed<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Read<S::Value> {
        let at = self.at.clone();
        seed.deserialize(self).map_err(|fault| fault.or_at(&at))
    }

    fn inner(&self, node: &'a Node, at: KeyPath) -> Self {
        Self {
            node,
            at,
            hidden: self.hidden,
        }
    }

    /// The text of a scalar and whether it is plain; `wanted` says what must stand.
    fn scalar(&self, wanted: &str) -> Read<(&'a str, bool)> {
        match &self.node.value {
            _ if self.node.is_null() => {
                Err(Fault::value(format!("has no value; write {wanted}")))
            }
            Value::Scalar { text, plain } => Ok((text, *plain)),
            Value::List(_) => Err(Fault::value(format!("is a list; write {wanted}"))),
            Value::Map(_) => Err(Fault::value(format!("is a mapping; write {wanted}"))),
        }
    }

    /// The text of a scalar that must not be quoted.
    fn plain(&self, wanted: &str) -> Read<&'a str> {
        match self.scalar(wanted)? {
            (text, true) => Ok(text),
            (_, false) => Err(Fault::value(format!(
                "stands in quotes; write {wanted} without them"
            ))),
        }
    }

    fn whole<T: TryFrom<i128>>(&self, range: &dyn Display) -> Read<T> {
        let wanted = format!("a whole number {range}");
        let number = whole(self.plain(&wanted)?);
        let fits = number.and_then(|number| T::try_from(number).ok());
        fits.ok_or_else(|| Fault::value(format!("is not {wanted}")))
    }

    fn real(&self) -> Read<f64> {
        let text = self.plain("a number")?;
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| Fault::value("is not a number"))
    }

    fn truth(&self) -> Read<bool> {
        match self.plain("true or false")? {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            _ => Err(Fault::value("is neither true nor false")),
        }
    }

    fn items(&self) -> Read<Items<'a>> {
        match &self.node.value {
            Value::List(items) => Ok(Items {
                reader: self.clone(),
                items: items.iter(),
                next: 0,
            }),
            _ if self.node.is_null() => Err(Fault::value(
                "has no value; write a list, or leave the key out",
            )),
            Value::Scalar { text, .. } => Err(Fault::value(format!(
                "is one value; write a list: [{}]",
                Quoted(text)
            ))),
            Value::Map(_) => Err(Fault::value(
                "is a mapping; write a list, each item with a dash before it",
            )),
        }
    }

    fn entries(&self) -> Read<&'a [Entry]> {
        match &self.node.value {
            Value::Map(entries) => Ok(entries),
            _ if self.node.is_null() => {
                Err(Fault::value("has no value; write {} or leave the key out"))
            }
            Value::Scalar { .. } => Err(Fault::value(
                "is one value; write a mapping of keys and values",
            )),
            Value::List(_) => Err(Fault::value(
                "is a list; write a mapping of keys and values",
            )),
        }
    }

    fn map(&self, entries: &'a [Entry]) -> Entries<'a> {
        Entries {
            reader: self.clone(),
            entries: entries.iter(),
            value: None,
        }
    }

    fn known_keys(&self, entries: &[Entry], allowed: &[&str]) -> Read<()> {
        for entry in entries {
            let at = self.at.key(&entry.key);
            if !allowed.contains(&entry.key.as_str()) && !self.hidden.contains(&at) {
                return Err(Fault::unknown_key(&entry.key, allowed).or_at(&at));
            }
        }
        Ok(())
    }

    fn any<'de, V: Visitor<'de>>(&self, visitor: V) -> Read<V::Value> {
        match &self.node.value {
            _ if self.node.is_null() => visitor.visit_unit(),
            Value::List(_) => visitor.visit_seq(self.items()?),
            Value::Map(entries) => visitor.visit_map(self.map(entries)),
            Value::Scalar { text, plain: false } => visitor.visit_str(text),
            Value::Scalar { text, plain: true } => {
                if let Ok(truth) = self.truth() {
                    visitor.visit_bool(truth)
                } else if let Ok(number) = self.whole::<u64>(&"") {
                    visitor.visit_u64(number)
                } else if let Ok(number) = self.whole::<i64>(&"") {
                    visitor.visit_i64(number)
                } else if let Ok(number) = self.real() {
                    visitor.visit_f64(number)
                } else {
                    visitor.visit_str(text)
                }
            }
        }
    }

    fn variant(&self) -> Read<Variant<'a>> {
        let Value::Map(entries) = &self.node.value else {
            let (name, _) = self.scalar("a name")?;
            return Ok(Variant {
                name,
                at: self.at.clone(),
                content: None,
            });
        };
        let mut seen = entries
            .iter()
            .filter(|e| !self.hidden.contains(&self.at.key(&e.key)));
        match (seen.next(), seen.next()) {
            (Some(entry), None) => {
                let at = self.at.key(&entry.key);
                let content = Some(self.inner(&entry.node, at.clone()));
                Ok(Variant {
                    name: &entry.key,
                    at,
                    content,
                })
            }
            (Some(one), Some(other)) => Err(Fault::value(format!(
                "has both \"{}\" and \"{}\"; keep one",
                one.key, other.key
            ))),
            (None, _) if entries.is_empty() => {
                Err(Fault::value("is an empty mapping; write one key"))
            }
            (None, _) => Err(Fault::echo()),
        }
    }
}

/// A whole number of YAML's core schema.
fn whole(text: &str) -> Option<i128> {
    let radix = |digits: &str, radix| {
        let plain = digits.chars().all(|c| c.is_ascii_alphanumeric());
        plain.then(|| i128::from_str_radix(digits, radix).ok())?
    };
    match text.get(..2) {
        Some("0x") => radix(text.get(2..)?, 16),
        Some("0o") => radix(text.get(2..)?, 8),
        _ => text.parse().ok(),
    }
}

/// Methods of `Deserializer` for whole numbers of one type.
macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty: $range:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
            let number = self.whole::<$type>(&$range).map_err(|fault| fault.or_at(&self.at))?;
            visitor.$visit(number).map_err(|fault: Fault| fault.or_at(&self.at))
        }
    )*};
}

/// Methods of `Deserializer` that read in the way of another.
macro_rules! same_as {
    ($target:ident: $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
            self.$target(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    whole_numbers! {
        deserialize_u8 visit_u8 u8: "from 0 to 255";
        deserialize_u16 visit_u16 u16: "from 0 to 65535";
        deserialize_u32 visit_u32 u32: "from 0 to 4294967295";
        deserialize_u64 visit_u64 u64: "from 0 to 18446744073709551615";
        deserialize_i8 visit_i8 i8: "from -128 to 127";
        deserialize_i16 visit_i16 i16: "from -32768 to 32767";
        deserialize_i32 visit_i32 i32: "from -2147483648 to 2147483647";
        deserialize_i64 visit_i64 i64: "from -9223372036854775808 to 9223372036854775807";
    }
    same_as! { deserialize_str: deserialize_string deserialize_char deserialize_bytes deserialize_byte_buf }
    same_as! { deserialize_f64: deserialize_f32 }
    same_as! { deserialize_any: deserialize_identifier deserialize_ignored_any }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.any(visitor).map_err(|fault| fault.or_at(&self.at))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let read = self.truth().and_then(|truth| visitor.visit_bool(truth));
        read.map_err(|fault| fault.or_at(&self.at))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let read = self.real().and_then(|number| visitor.visit_f64(number));
        read.map_err(|fault| fault.or_at(&self.at))
    }

    /// Text is taken as it is written, also when it looks like a number: a password
    /// of digits or a version keeps its zeros.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let read = self
            .scalar("one value")
            .and_then(|(text, _)| visitor.visit_str(text));
        read.map_err(|fault| fault.or_at(&self.at))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        if self.node.is_null() {
            return visitor.visit_none();
        }
        let at = self.at.clone();
        visitor.visit_some(self).map_err(|fault| fault.or_at(&at))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        if self.node.is_null() {
            return visitor.visit_unit();
        }
        Err(Fault::value("has a value where none must stand").or_at(&self.at))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Read<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Read<V::Value> {
        let at = self.at.clone();
        visitor
            .visit_newtype_struct(self)
            .map_err(|fault| fault.or_at(&at))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let read = self.items().and_then(|items| visitor.visit_seq(items));
        read.map_err(|fault| fault.or_at(&self.at))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Read<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Read<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let read = self
            .entries()
            .and_then(|entries| visitor.visit_map(self.map(entries)));
        read.map_err(|fault| fault.or_at(&self.at))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        let read = self.entries().and_then(|entries| {
            self.known_keys(entries, fields)?;
            visitor.visit_map(self.map(entries))
        });
        read.map_err(|fault| fault.or_at(&self.at))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        let read = self
            .variant()
            .and_then(|variant| visitor.visit_enum(variant));
        read.map_err(|fault| fault.or_at(&self.at))
    }
}
