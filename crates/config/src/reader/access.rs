//! What stands inside a list, a mapping, or one of several.

use super::{Read, Reader};
use crate::KeyPath;
use crate::fault::Fault;
use crate::tree::{Entry, Node};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use std::slice;

/// The items of a list.
pub(super) struct Items<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) items: slice::Iter<'a, Node>,
    pub(super) next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Read<Option<S::Value>> {
        for item in self.items.by_ref() {
            let at = self.reader.at.index(self.next);
            self.next += 1;
            if !self.reader.hidden.contains(&at) {
                return self.reader.inner(item, at).feed(seed).map(Some);
            }
        }
        Ok(None)
    }
}

/// The keys and values of a mapping.
pub(super) struct Entries<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) entries: slice::Iter<'a, Entry>,
    pub(super) value: Option<Reader<'a>>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Read<Option<S::Value>> {
        for entry in self.entries.by_ref() {
            let at = self.reader.at.key(&entry.key);
            if !self.reader.hidden.contains(&at) {
                self.value = Some(self.reader.inner(&entry.node, at.clone()));
                let key: StrDeserializer<'_, Fault> =
                    entry.key.as_str().into_deserializer();
                return seed
                    .deserialize(key)
                    .map(Some)
                    .map_err(|fault| fault.or_at(&at));
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<S::Value> {
        match self.value.take() {
            Some(value) => value.feed(seed),
            None => Err(Fault::echo()),
        }
    }
}

/// One of several: a name alone, or a name with its content.
pub(super) struct Variant<'a> {
    pub(super) name: &'a str,
    pub(super) at: KeyPath,
    pub(super) content: Option<Reader<'a>>,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a> {
    type Error = Fault;
    type Variant = Content<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Read<(S::Value, Content<'a>)> {
        let name: StrDeserializer<'_, Fault> = self.name.into_deserializer();
        let variant = seed
            .deserialize(name)
            .map_err(|fault| fault.or_at(&self.at))?;
        Ok((
            variant,
            Content {
                name: self.name,
                content: self.content,
            },
        ))
    }
}

/// What stands behind the name of a variant.
pub(super) struct Content<'a> {
    pub(super) name: &'a str,
    pub(super) content: Option<Reader<'a>>,
}

impl<'a> Content<'a> {
    fn needed(self) -> Read<Reader<'a>> {
        let name = self.name;
        self.content.ok_or_else(|| {
            Fault::value(format!("needs its settings; write {{{name}: {{…}}}}"))
        })
    }
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Read<()> {
        match self.content {
            Some(content) if !content.node.is_null() => {
                let problem = format!("takes no settings; write \"{}\" alone", self.name);
                Err(Fault::value(problem).or_at(&content.at))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Read<S::Value> {
        self.needed()?.feed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Read<V::Value> {
        self.needed()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        self.needed()?.deserialize_struct("", fields, visitor)
    }
}
