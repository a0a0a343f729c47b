//! Bytes that can be told from their neighbours wherever a stream is cut.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::rig::Fallible;

/// A prime, so that no power of two of a buffer hides a repetition.
const LENGTH: usize = 1_048_573;

/// What one read takes.
const READ: usize = 256 * 1024;

/// Small numbers by xorshift, the same for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`, small ones as often as large ones.
    pub(crate) fn size(&mut self, bound: usize) -> usize {
        let bits = self.next() % 63;
        let number = usize::try_from(self.next() >> bits).unwrap_or(usize::MAX);
        number % bound
    }
}

/// An endless stream of bytes, known at each offset.
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self(
            (0..LENGTH)
                .map(|_| random.next().to_be_bytes()[0])
                .collect(),
        )
    }

    fn at(&self, offset: usize, most: usize) -> &[u8] {
        let rest = &self.0[offset % LENGTH..];
        &rest[..most.min(rest.len())]
    }

    /// Fills a buffer with what stands at an offset.
    pub(crate) fn fill(&self, offset: usize, buffer: &mut [u8]) {
        let mut done = 0;
        while done < buffer.len() {
            let piece = self.at(offset + done, buffer.len() - done);
            buffer[done..done + piece.len()].copy_from_slice(piece);
            done += piece.len();
        }
    }

    /// Sends `total` bytes from the start of the pattern, in writes of at most `write`.
    pub(crate) async fn send(
        &self,
        to: &mut (impl AsyncWrite + Unpin),
        total: usize,
        write: usize,
    ) -> Fallible<()> {
        let mut sent = 0;
        while sent < total {
            let piece = self.at(sent, write.min(total - sent));
            to.write_all(piece).await?;
            sent += piece.len();
        }
        Ok(())
    }

    /// Takes in all that comes until the end of the stream and compares each byte.
    pub(crate) async fn receive(
        &self,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Fallible<usize> {
        self.receive_most(from, usize::MAX).await
    }

    /// As [`Pattern::receive`], but stops after `most` bytes.
    pub(crate) async fn receive_most(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        most: usize,
    ) -> Fallible<usize> {
        let mut buffer = vec![0; READ];
        let mut received = 0;
        while received < most {
            let room = READ.min(most - received);
            let count = from.read(&mut buffer[..room]).await?;
            if count == 0 {
                break;
            }
            self.compare(received, &buffer[..count])?;
            received += count;
        }
        Ok(received)
    }

    fn compare(&self, offset: usize, bytes: &[u8]) -> Fallible<()> {
        let mut done = 0;
        while done < bytes.len() {
            let expected = self.at(offset + done, bytes.len() - done);
            if bytes[done..done + expected.len()] != *expected {
                return Err(format!("wrong bytes after {}", offset + done).into());
            }
            done += expected.len();
        }
        Ok(())
    }
}
