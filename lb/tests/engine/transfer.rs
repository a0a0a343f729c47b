//! Random transfers: whatever the client sends the server has to get, and the other way
//! round, byte for byte, with the end of file where it belongs.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// A small random generator: the same plan for the same seed, on both sides.
#[derive(Clone, Copy)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.next();
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }
}

/// What everybody sends: a window into one megabyte of noise, and again from its start.
fn noise() -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    NOISE.get_or_init(|| {
        let mut random = Random::new(99);
        (0..(1 << 17))
            .flat_map(|_| random.next().to_ne_bytes())
            .collect()
    })
}

fn chunk(at: usize, len: usize) -> &'static [u8] {
    let noise = noise();
    let start = at % noise.len();
    &noise[start..noise.len().min(start + len)]
}

/// Lengths around everything that has a size in the data path, and ordinary ones: a page, the
/// scratch buffer and a usual pipe (64 KiB), the two full reads after which a flow is spliced,
/// and a wide pipe (1 MiB).
fn length(random: &mut Random) -> usize {
    const KIB: usize = 1024;
    const EDGES: [usize; 18] = [
        0,
        1,
        2,
        1_448,
        4 * KIB,
        16 * KIB,
        32 * KIB,
        64 * KIB - 1,
        64 * KIB,
        64 * KIB + 1,
        128 * KIB - 1,
        128 * KIB,
        128 * KIB + 1,
        192 * KIB,
        256 * KIB + 1,
        1024 * KIB - 1,
        1024 * KIB,
        1024 * KIB + 1,
    ];
    let n = match random.below(100) {
        0..25 => EDGES[random.below(EDGES.len() as u64) as usize] as u64,
        25..70 => random.below(3_000),
        70..94 => random.below(100_000),
        94..99 => random.below(1_000_000),
        _ => random.below(6_000_000),
    };
    usize::try_from(n).unwrap_or(0)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finish {
    /// Both read to the end.
    Orderly,
    /// The client resets after this many bytes were received by it.
    ClientResets,
    /// The server resets after it has sent.
    ServerResets,
}

/// One transfer, as both sides know it from its seed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    up: usize,
    down: usize,
    /// The server answers only after the client's end of file.
    answers_after_eof: bool,
    /// Pauses between reads, as a slow reader makes.
    slow: bool,
    /// The largest write.
    write: usize,
    pub finish: Finish,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (up, down) = (length(&mut random), length(&mut random));
        let finish = match random.below(20) {
            0 => Finish::ClientResets,
            1 => Finish::ServerResets,
            _ => Finish::Orderly,
        };
        let tiny = up < 2_000 && down < 2_000 && random.below(8) == 0;
        Self {
            seed,
            up,
            down,
            answers_after_eof: random.below(3) == 0,
            slow: random.below(40) == 0,
            write: if tiny {
                1
            } else {
                1 + random.below(300_000) as usize
            },
            finish,
        }
    }
}

fn wrong(what: &str, plan: &Plan) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {plan:?}"))
}

async fn send(
    to: &mut (impl AsyncWriteExt + Unpin),
    len: usize,
    write: usize,
) -> io::Result<()> {
    let mut at = 0;
    while at < len {
        let bytes = chunk(at, write.min(len - at));
        to.write_all(bytes).await?;
        at += bytes.len();
    }
    Ok(())
}

/// Reads to the end and compares; the error of a reset comes through.
async fn receive(
    from: &mut (impl AsyncReadExt + Unpin),
    len: usize,
    plan: &Plan,
) -> io::Result<()> {
    let mut buffer = vec![0; 48 * 1024];
    let mut at = 0;
    loop {
        if plan.slow {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return if at == len {
                Ok(())
            } else {
                Err(wrong("short", plan))
            };
        }
        let mut got = &buffer[..n];
        while !got.is_empty() {
            let expected = chunk(at, got.len());
            if at + expected.len() > len || got[..expected.len()] != *expected {
                return Err(wrong("other bytes", plan));
            }
            at += expected.len();
            got = &got[expected.len()..];
        }
    }
}

/// The client's side of one transfer.
pub async fn client(address: SocketAddr, plan: Plan) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&plan.seed.to_be_bytes()).await?;
    if plan.finish == Finish::ClientResets {
        stream.write_all(chunk(0, plan.up.min(10_000))).await?;
        stream.set_zero_linger()?;
        return Ok(());
    }
    let (mut read, mut write) = stream.split();
    let up = async {
        send(&mut write, plan.up, plan.write).await?;
        write.shutdown().await
    };
    let (sent, received) = tokio::join!(up, receive(&mut read, plan.down, &plan));
    if plan.finish == Finish::Orderly {
        return sent.and(received);
    }
    // The kernel says it once: whichever call comes first after the reset hears of it.
    match sent.and(received) {
        Err(error) if is_reset(&error) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(wrong("a reset looked like an orderly end", &plan)),
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let seed = match stream.read_u64().await {
        // A reset may overtake what was sent before it. An orderly client whose session was
        // reset complains itself.
        Err(error) if is_reset(&error) => return Ok(()),
        seed => seed?,
    };
    let plan = Plan::of(seed);
    if plan.finish == Finish::ClientResets {
        let mut all = Vec::new();
        return match stream.read_to_end(&mut all).await {
            Err(error) if is_reset(&error) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(wrong("a reset looked like an orderly end", &plan)),
        };
    }
    if plan.finish == Finish::ServerResets {
        let _ = send(&mut stream, plan.down.min(10_000), plan.write).await;
        return stream.set_zero_linger();
    }
    let (mut read, mut write) = stream.split();
    if plan.answers_after_eof {
        receive(&mut read, plan.up, &plan).await?;
        send(&mut write, plan.down, plan.write).await?;
        return write.shutdown().await;
    }
    let down = async {
        send(&mut write, plan.down, plan.write).await?;
        write.shutdown().await
    };
    let (sent, received) = tokio::join!(down, receive(&mut read, plan.up, &plan));
    sent.and(received)
}

/// A server that plays its side of every transfer; failures come out of the receiver.
pub async fn server() -> io::Result<(SocketAddr, tokio::sync::mpsc::Receiver<io::Error>)>
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (failures, receiver) = tokio::sync::mpsc::channel(1024);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let failures = failures.clone();
            tokio::spawn(async move {
                if let Err(error) = serve(stream).await {
                    let _ = failures.send(error).await;
                }
            });
        }
    });
    Ok((address, receiver))
}

/// Runs the transfers of these seeds, 64 at a time, and returns what went wrong.
pub async fn all(address: SocketAddr, seeds: std::ops::Range<u64>) -> Vec<String> {
    let slots = Arc::new(Semaphore::new(64));
    let mut tasks = tokio::task::JoinSet::new();
    let mut failures = Vec::new();
    for seed in seeds {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            break;
        };
        tasks.spawn(async move {
            let limit = Duration::from_secs(30);
            let outcome =
                tokio::time::timeout(limit, client(address, Plan::of(seed))).await;
            drop(slot);
            match outcome {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("{:?}: {error}", Plan::of(seed))),
                Err(_) => Some(format!("stalled: {:?}", Plan::of(seed))),
            }
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        failures.extend(outcome.unwrap_or_else(|error| Some(error.to_string())));
    }
    failures
}
