//! Ten thousand clients that mean no good, beside those that do: half ClientHellos, garbage,
//! resets, scans. What reaches a server, what memory it costs, and what it costs the others.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::dials::dials;
use super::figures::Figures;
use super::load::{self, Demand, Lasting, Load};
use super::play::{SETTLE, pass};
use super::proxy::{PORT, Proxy};
use super::scene::{RATE, Size};
use super::stage::Stage;
use crate::error::LabError;
use crate::host::NamespaceHost;

/// Hostile clients in all, one each millisecond, and of those how many at a time.
const CROWD: u32 = 10_000;
const EVERY: Duration = Duration::from_millis(1);
const AT_A_TIME: usize = 500;
/// A client that waits to be let go does not wait longer.
const LET_GO: Duration = Duration::from_secs(10);
/// What the crowd may cost a proxy in memory, in MiB: 4 KiB for each of those that are there at
/// a time, the good ones' share of noise, and the allocator's.
pub(super) const MEMORY: f64 = 8.0;

/// Good clients alone, then beside the crowd.
///
/// # Errors
/// When the lab cannot do its part.
pub(super) fn run(stage: &Stage, proxy: &Proxy, size: Size) -> Result<Figures, LabError> {
    let calm = Duration::from_secs(match size {
        Size::Short => 4,
        Size::Whole => 12,
    });
    let host = stage.lb()?;
    let address = (std::net::Ipv4Addr::LOCALHOST, PORT).into();
    let demand = Demand {
        rate: RATE,
        storm: 0,
        lasting: Lasting::Asking,
    };
    let load = Load::begin(host, address, demand)?;
    pass(SETTLE);
    let settled = load.now();
    pass(calm);
    let strangers = stage.strangers();
    let (before, memory) = (dials(proxy)?, proxy.memory());
    let began = load.now();
    let mut most = memory;
    Crowd::come(host, address, Kind::ALL, CROWD, || {
        most = most.max(proxy.memory());
    })?;
    let ended = load.now();
    let after = dials(proxy)?;
    let came = stage.strangers().since(strangers);
    let seen = load.end()?;
    // Beside good clients the loser of two dials goes without a word as a scan does; alone,
    // whoever says nothing to a server is one.
    let strangers = stage.strangers();
    Crowd::come(host, address, &[Kind::Scan], CROWD / 4, || ())?;
    pass(SETTLE);
    let silent = stage.strangers().since(strangers).silent;
    let mut figures = seen.figures(began);
    let extra = before.zip(after);
    figures.extra = extra.and_then(|(before, after)| after.extra_since(&before));
    let calm = seen.p99(settled, began).unwrap_or_default();
    let beside = seen.p99(began, ended).unwrap_or_default();
    let mib =
        |bytes: u64| f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0;
    let more = [
        ("reached", f64::from(came.spoke)),
        ("reachedSilent", f64::from(silent)),
        ("memoryMiB", mib(most.saturating_sub(memory))),
        ("p99Ms", 1000.0 * beside),
        ("p99Ratio", if calm > 0.0 { beside / calm } else { 0.0 }),
    ];
    figures.more = more.map(|(name, value)| (name.to_owned(), value)).into();
    Ok(figures)
}

/// What a hostile client does.
#[derive(Clone, Copy)]
enum Kind {
    /// Says half a ClientHello, and waits until it is let go.
    Half,
    /// Says something else, and waits likewise.
    Garbage,
    /// Says half a ClientHello, and resets.
    Reset,
    /// Says nothing, and goes.
    Scan,
}

impl Kind {
    const ALL: &[Self] = &[Self::Half, Self::Garbage, Self::Reset, Self::Scan];
}

/// The hostile clients, on a thread of their own.
struct Crowd {
    thread: JoinHandle<()>,
    /// How many were let in by the kernel at least.
    came: Arc<AtomicU32>,
}

impl Crowd {
    /// Has `size` of them come, each of the next kind, and waits until they are gone.
    ///
    /// # Errors
    /// When they did not all come: those who stay away harm nobody.
    fn come(
        host: &NamespaceHost,
        address: SocketAddr,
        kinds: &'static [Kind],
        size: u32,
        mut meanwhile: impl FnMut(),
    ) -> Result<(), LabError> {
        let crowd = Self::begin(host, address, kinds, size)?;
        crate::wait::until("the crowd to be gone", LET_GO * 12, || {
            meanwhile();
            crowd.thread.is_finished().then_some(())
        })?;
        match crowd.came.load(Ordering::Relaxed) {
            came if came < size / 100 * 99 => Err(LabError::Missing(format!(
                "a crowd: {came} of {size} hostile clients came"
            ))),
            _ => Ok(()),
        }
    }

    fn begin(
        host: &NamespaceHost,
        address: SocketAddr,
        kinds: &'static [Kind],
        size: u32,
    ) -> Result<Self, LabError> {
        let came = Arc::<AtomicU32>::default();
        let count = Arc::clone(&came);
        let thread = host.netns().thread("crowd", move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                let kinds = kinds.iter().copied().cycle();
                let kinds = kinds.zip(0..size).map(|(kind, _)| kind);
                runtime.block_on(come(address, kinds, &count));
            }
        })?;
        Ok(Self { thread, came })
    }
}

async fn come(
    address: SocketAddr,
    kinds: impl Iterator<Item = Kind>,
    came: &Arc<AtomicU32>,
) {
    let mut crowd = JoinSet::new();
    let mut at = Instant::now();
    for kind in kinds {
        tokio::time::sleep_until(at).await;
        at += EVERY;
        while crowd.try_join_next().is_some() {}
        let came = Arc::clone(came);
        crowd.spawn(async move {
            // The proxy is free to reset it at any moment.
            let _ = harm(kind, address, &came).await;
        });
        if crowd.len() >= AT_A_TIME {
            crowd.join_next().await;
        }
    }
    while crowd.join_next().await.is_some() {}
}

/// What one hostile client does; those that wait do so until they are let go.
async fn harm(kind: Kind, address: SocketAddr, came: &AtomicU32) -> io::Result<()> {
    let mut client = TcpStream::connect(address).await?;
    came.fetch_add(1, Ordering::Relaxed);
    let hello = load::hello();
    let half = hello.get(..hello.len() / 2).unwrap_or_default();
    match kind {
        Kind::Half => wait_after(&mut client, half).await,
        Kind::Garbage => wait_after(&mut client, b"SSH-2.0-OpenSSH_9.2\r\n").await,
        Kind::Reset => {
            client.write_all(half).await?;
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO))
        }
        Kind::Scan => Ok(()),
    }
}

async fn wait_after(client: &mut TcpStream, said: &[u8]) -> io::Result<()> {
    client.write_all(said).await?;
    let mut end = [0];
    tokio::time::timeout(LET_GO, client.read(&mut end))
        .await?
        .map(drop)
}
