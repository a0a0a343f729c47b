//! Streams of bytes that anybody can tell whether they are whole: each byte follows from the
//! stream's seed and its place. Sent to a server that echoes, so that one look at what comes
//! back sees both directions.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::rig::{Fallible, PATIENCE};

/// How a stream is used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// Much at a time: spliced on its way.
    Bulk,
    /// A few bytes, and their answer.
    Small,
    /// Sends until nothing more fits anywhere, and reads only in the end: bytes lie in every
    /// buffer on the way.
    Stalled,
}

const BULK: usize = 512 * 1024;
const SMALL: usize = 100;
/// Between two exchanges, so that the streams leave the machine to others.
const REST: Duration = Duration::from_millis(50);

/// An open stream.
pub(crate) struct Stream {
    socket: TcpStream,
    seed: u64,
    manner: Manner,
    sent: u64,
    got: u64,
}

impl Stream {
    /// Connects, and hears the server's name.
    pub(crate) async fn open(
        to: SocketAddr,
        seed: u64,
        manner: Manner,
    ) -> Fallible<Self> {
        let mut socket = TcpStream::connect(to).await?;
        timeout(PATIENCE, socket.read_u8()).await??;
        Ok(Self {
            socket,
            seed,
            manner,
            sent: 0,
            got: 0,
        })
    }

    /// Sends and reads until told to stop, then ends in order: whether every byte came back,
    /// and nothing else. `moved` counts what came.
    pub(crate) async fn run(
        mut self,
        stop: Arc<AtomicBool>,
        moved: Arc<AtomicU64>,
    ) -> Fallible<()> {
        while !stop.load(Ordering::Relaxed) {
            match self.manner {
                Manner::Bulk => self.exchange(BULK, &moved).await?,
                Manner::Small => self.exchange(SMALL, &moved).await?,
                Manner::Stalled => self.stuff().await?,
            }
            sleep(REST).await;
        }
        self.exchange(SMALL, &moved).await?;
        self.socket.shutdown().await?;
        match timeout(PATIENCE, self.socket.read(&mut [0])).await?? {
            0 => Ok(()),
            _ => Err(format!("stream {}: there is more than was sent", self.seed).into()),
        }
    }

    /// Sends so many bytes, and reads until all that was ever sent has come back.
    async fn exchange(&mut self, count: usize, moved: &AtomicU64) -> Fallible<()> {
        let from = self.sent;
        self.sent += count as u64;
        let (sent, seed, mut got) = (self.sent, self.seed, self.got);
        let (mut reader, mut writer) = self.socket.split();
        let read = async {
            let mut buffer = vec![0; 64 * 1024];
            while got < sent {
                let len = timeout(PATIENCE, reader.read(&mut buffer)).await??;
                if len == 0 {
                    return Err(format!("stream {seed}: ends after {got}").into());
                }
                if !are_of(&buffer[..len], seed, got) {
                    return Err(format!("stream {seed}: wrong after {got}").into());
                }
                got += len as u64;
                moved.fetch_add(len as u64, Ordering::Relaxed);
            }
            Fallible::Ok(())
        };
        let write = async {
            for piece in bytes_of(seed, from, count) {
                writer.write_all(piece).await?;
            }
            Ok(())
        };
        tokio::try_join!(read, write)?;
        self.got = got;
        Ok(())
    }

    /// Sends what fits, for a moment.
    async fn stuff(&mut self) -> Fallible<()> {
        let mut pieces = bytes_of(self.seed, self.sent, BULK);
        let piece = pieces.next().unwrap_or_default();
        // Full: a write that is given up has written nothing.
        if let Ok(written) = timeout(REST, self.socket.write(piece)).await {
            self.sent += written? as u64;
        }
        Ok(())
    }
}

/// The bytes of a stream from this place on: of a table that all share, begun elsewhere by
/// each. Its length is no power of two, so that a buffer lost or doubled is seen.
fn bytes_of(seed: u64, from: u64, count: usize) -> impl Iterator<Item = &'static [u8]> {
    const LENGTH: usize = 1_000_003;
    static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut state = 1_u64;
        let next = |_| {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[4]
        };
        (0..LENGTH).map(next).collect()
    });
    let mut at = usize::try_from((seed * 7919 + from) % LENGTH as u64).unwrap_or(0);
    let mut left = count;
    std::iter::from_fn(move || {
        let piece = &TABLE[at..LENGTH.min(at + left)];
        at = 0;
        left -= piece.len();
        (!piece.is_empty()).then_some(piece)
    })
}

fn are_of(mut got: &[u8], seed: u64, from: u64) -> bool {
    bytes_of(seed, from, got.len()).all(|piece| {
        let (own, rest) = got.split_at(piece.len());
        got = rest;
        own == piece
    })
}
