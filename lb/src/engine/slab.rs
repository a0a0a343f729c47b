//! Where a worker keeps its sessions: slots in pages of a fixed size.
//!
//! Pages never move, so growing costs one allocation of a known size and no copying (a tail
//! that clients would see). The slot freed last is used first, while it is warm. A key names
//! a slot and its generation, so that an event for a session that has ended finds nothing.

/// Slots in one page: a page of sessions is some ten kilobytes.
const PAGE: usize = 64;

/// Names a slot for as long as its value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The key as one number, for what an event carries: 30 bits of index and 32 of
    /// generation, shifted so that the two lowest bits are free for the caller.
    #[must_use]
    pub(super) const fn to_bits(self) -> u64 {
        ((self.generation as u64) << 32) | ((self.index as u64) << 2)
    }

    /// The inverse of [`Key::to_bits`]; the two lowest bits are ignored.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of 64 bits")]
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self {
            index: (bits as u32) >> 2,
            generation: (bits >> 32) as u32,
        }
    }
}

struct Slot<T> {
    generation: u32,
    /// The next free slot, when this one is free.
    next: Option<u32>,
    value: Option<T>,
}

/// Values in slots that never move.
pub(super) struct Slab<T> {
    pages: Vec<Box<[Slot<T>]>>,
    free: Option<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            free: None,
            len: 0,
        }
    }
}

impl<T> Slab<T> {
    /// What one value costs, in bytes.
    #[cfg(test)]
    pub(super) const SLOT: usize = size_of::<Slot<T>>();

    /// Values held.
    #[must_use]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Puts what `make` returns for its key into a slot.
    pub(super) fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        if self.free.is_none() {
            self.grow();
        }
        let index = self.free.unwrap_or_default();
        let mut key = Key {
            index,
            generation: 0,
        };
        if let Some(slot) = Self::slot(&mut self.pages, index) {
            key.generation = slot.generation;
            let next = slot.next.take();
            slot.value = Some(make(key));
            self.free = next;
            self.len += 1;
        }
        key
    }

    /// The value of `key`, unless it was removed.
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = Self::slot(&mut self.pages, key.index)?;
        if slot.generation != key.generation {
            return None;
        }
        slot.value.as_mut()
    }

    /// Takes the value of `key` out, and its slot back.
    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = Self::slot(&mut self.pages, key.index)?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = self.free;
        self.free = Some(key.index);
        self.len -= 1;
        Some(value)
    }

    /// The keys of all values, in no order that means anything.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        let slots = self.pages.iter().flat_map(|page| page.iter());
        (0u32..)
            .zip(slots)
            .filter(|(_, slot)| slot.value.is_some())
            .map(|(index, slot)| Key {
                index,
                generation: slot.generation,
            })
    }

    /// All keys with their values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let slots = self.pages.iter().flat_map(|page| page.iter());
        (0u32..).zip(slots).filter_map(|(index, slot)| {
            let key = Key {
                index,
                generation: slot.generation,
            };
            slot.value.as_ref().map(|value| (key, value))
        })
    }

    fn slot(pages: &mut [Box<[Slot<T>]>], index: u32) -> Option<&mut Slot<T>> {
        let index = index as usize;
        pages.get_mut(index / PAGE)?.get_mut(index % PAGE)
    }

    fn grow(&mut self) {
        let base = u32::try_from(self.pages.len() * PAGE).unwrap_or(u32::MAX >> 2);
        let page = (0u32..).take(PAGE).map(|offset| Slot {
            generation: 0,
            next: (offset as usize + 1 < PAGE).then_some(base + offset + 1),
            value: None,
        });
        self.pages.push(page.collect());
        self.free = Some(base);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn a_key_survives_the_way_through_an_event() {
        let key = Key {
            index: (1 << 30) - 1,
            generation: u32::MAX,
        };
        assert_eq!(Key::from_bits(key.to_bits()), key);
        assert_eq!(Key::from_bits(key.to_bits() | 3), key);
    }

    #[test]
    fn the_key_of_a_removed_value_finds_nothing_in_the_reused_slot() {
        let mut slab = Slab::default();
        let old = slab.insert_with(|_| "old");
        slab.remove(old);
        let new = slab.insert_with(|_| "new");
        assert_eq!(old.index, new.index);
        assert_eq!(slab.get_mut(old), None);
        assert_eq!(slab.remove(old), None);
        assert_eq!(slab.get_mut(new), Some(&mut "new"));
    }

    #[test]
    fn it_holds_what_a_map_holds() {
        let mut slab = Slab::default();
        let mut map: HashMap<u64, u32> = HashMap::new();
        let mut random = 7u32;
        for round in 0..20_000u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if random >> 30 == 0 || map.len() > 300 {
                let bits = map
                    .keys()
                    .copied()
                    .min_by_key(|bits| bits ^ u64::from(random));
                let Some(bits) = bits else { continue };
                assert_eq!(slab.remove(Key::from_bits(bits)), map.remove(&bits));
            } else {
                let key = slab.insert_with(|_| round);
                assert_eq!(map.insert(key.to_bits(), round), None);
            }
            assert_eq!(slab.len(), map.len());
        }
        let held: HashMap<_, _> = slab
            .iter()
            .map(|(key, value)| (key.to_bits(), *value))
            .collect();
        assert_eq!(held, map);
        assert_eq!(slab.keys().count(), map.len());
    }
}
