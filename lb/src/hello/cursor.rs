//! Reading what is prefixed by its length, without ever reaching beyond it.

use super::Flaw;

/// Bytes that are still to be read.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Flaw> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Flaw::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Flaw> {
        let (byte, rest) = self.0.split_first().ok_or(Flaw::Length)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Flaw> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Flaw::Length)?;
        self.0 = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    /// A vector with a length of one byte.
    pub(super) fn vector8(&mut self) -> Result<Self, Flaw> {
        let len = self.u8()?;
        self.take(usize::from(len)).map(Self)
    }

    /// A vector with a length of two bytes.
    pub(super) fn vector16(&mut self) -> Result<Self, Flaw> {
        let len = self.u16()?;
        self.take(usize::from(len)).map(Self)
    }

    /// Nothing is left over.
    pub(super) const fn end(self) -> Result<(), Flaw> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Flaw::Length)
        }
    }
}
