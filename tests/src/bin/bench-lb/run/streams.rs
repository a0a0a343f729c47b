//! Bulk: streams that run while something is measured.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use lab::load::bulk::{self, Direction};

use super::{Bench, joined, lab_sleep};
use crate::figures::{Figures, Spent, as_f64};
use crate::row::{DOWN, UP};

impl Bench<'_> {
    /// Streams alone.
    pub(super) fn bulk(
        &self,
        direction: Direction,
        streams: usize,
    ) -> io::Result<Figures> {
        let stream = Streams::start(self, direction, streams)?;
        lab_sleep(self.size.warm_up);
        let (before, bytes) = (Spent::by(self.proxy)?, stream.bytes());
        lab_sleep(self.size.time);
        let (after, total) = (Spent::by(self.proxy)?, stream.bytes());
        stream.stop()?;
        Ok(before.until(&after, total - bytes))
    }

    /// Small requests by the clock beside four streams.
    pub(super) fn mixed(&self) -> io::Result<Figures> {
        let stream = Streams::start(self, Direction::Down, 4)?;
        lab_sleep(self.size.warm_up);
        let bytes = stream.bytes();
        let figures = self.latency(2_000, self.size.warm_up, self.size.time)?;
        let total = stream.bytes();
        stream.stop()?;
        Ok(Figures {
            count: as_f64(total - bytes),
            ..figures
        })
    }
}

/// Streams that run until they are stopped.
struct Streams {
    bytes: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    runs: Vec<JoinHandle<io::Result<()>>>,
}

impl Streams {
    fn start(
        bench: &Bench<'_>,
        direction: Direction,
        streams: usize,
    ) -> io::Result<Self> {
        let manner = if direction == Direction::Down {
            DOWN
        } else {
            UP
        };
        let (bytes, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let threads = bench.load_cores.len();
        let runs = bench.threads(|n| {
            let share = streams / threads + usize::from(n < streams % threads);
            let (bytes, stop) = (Arc::clone(&bytes), Arc::clone(&stop));
            let address = bench.proxy.address(manner, n);
            move || bulk::run(address, share, direction, &bytes, &stop)
        })?;
        Ok(Self { bytes, stop, runs })
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn stop(self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.runs.into_iter().try_for_each(joined)
    }
}
