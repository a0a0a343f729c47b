//! What feeds a driver: one task that hears adverts, one for each interface on which others
//! may say to have an address, one that reads the kernel's notices.

use std::any::Any;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::select_all;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use vrrp::Refusal;

use crate::driver::{Datagram, OVERFLOW, Record};
use crate::linux::{Claimant, Linux, Monitor, Notice, OpenError, Receiver, Witness};

/// Tasks that end when this is dropped.
pub(super) struct Feeders(pub(super) Vec<JoinHandle<()>>);

impl Feeders {
    /// And has waited for that.
    async fn end(mut self) {
        for task in &mut self.0 {
            task.abort();
            // How it ended, nobody asks.
            let _ = task.await;
        }
    }
}

impl Drop for Feeders {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// What is heard from, for one set of sockets.
pub(super) struct Ears {
    feeders: Feeders,
    /// What the feeders read.
    sockets: Vec<Arc<dyn Any + Send + Sync>>,
    adverts: mpsc::WeakSender<Result<Datagram, Refusal>>,
    claimants: mpsc::WeakSender<Claimant>,
}

/// Where what is heard goes.
type Mouths<'a> = (
    &'a mpsc::Sender<Result<Datagram, Refusal>>,
    &'a mpsc::Sender<Claimant>,
);

impl Ears {
    /// Opens what `linux` hears by. Inside a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`]
    pub(super) fn open(
        router: &str,
        linux: &Linux,
        (adverts, claimants): Mouths<'_>,
        record: &watch::Sender<Record>,
    ) -> Result<Self, OpenError> {
        let receivers: Vec<_> = linux.receivers()?.into_iter().map(Arc::new).collect();
        let witnesses: Vec<_> = linux.witnesses()?.into_iter().map(Arc::new).collect();
        let mut sockets: Vec<Arc<dyn Any + Send + Sync>> = Vec::new();
        sockets.extend(receivers.iter().map(|it| Arc::clone(it) as _));
        sockets.extend(witnesses.iter().map(|it| Arc::clone(it) as _));
        let mut tasks: Vec<_> = linux.lowering().map(tokio::spawn).into_iter().collect();
        let hearing = receivers.into_iter().map(|receiver| {
            let (name, record) = (router.to_owned(), record.clone());
            Box::pin(hear(name, receiver, adverts.clone(), record))
        });
        // When one ends, all do, and the driver learns of it.
        tasks.push(tokio::spawn(select_all(hearing).map(drop)));
        for witness in witnesses {
            let listening = listen(router.to_owned(), witness, claimants.clone());
            tasks.push(tokio::spawn(listening));
        }
        Ok(Self {
            feeders: Feeders(tasks),
            sockets,
            adverts: adverts.downgrade(),
            claimants: claimants.downgrade(),
        })
    }

    /// Others for the same driver, beside these: nothing is missed between the two. `None`
    /// where these have ended.
    ///
    /// # Errors
    /// [`OpenError`]
    pub(super) fn again(
        &self,
        router: &str,
        linux: &Linux,
        record: &watch::Sender<Record>,
    ) -> Result<Option<Self>, OpenError> {
        let mouths = (self.adverts.upgrade(), self.claimants.upgrade());
        let (Some(adverts), claimants) = mouths else {
            return Ok(None);
        };
        // Ended where nobody listens; then a queue that nobody reads stands in for it.
        let claimants = claimants.unwrap_or_else(|| mpsc::channel(1).0);
        Self::open(router, linux, (&adverts, &claimants), record).map(Some)
    }
}

/// Ends what is heard from, and closes it and what else a router had open. Not on this thread:
/// before it gives a packet socket up, the kernel waits until no CPU can be about to use it
/// (tens of milliseconds each), and other routers are to advertise meanwhile.
pub(super) fn close(ears: Ears, rest: impl Send + 'static) {
    tokio::spawn(async move {
        let Ears {
            feeders, sockets, ..
        } = ears;
        feeders.end().await;
        // Nobody waits for it.
        drop(spawn_blocking(move || drop((sockets, rest))));
    });
}

/// Feeds adverts to the driver. When its queue is full, what comes is dropped and
/// counted: the next advert says the same.
async fn hear(
    router: String,
    receiver: Arc<Receiver>,
    adverts: mpsc::Sender<Result<Datagram, Refusal>>,
    record: watch::Sender<Record>,
) {
    loop {
        match receiver.next().await {
            Ok(heard) => {
                if let Err(mpsc::error::TrySendError::Full(_)) = adverts.try_send(heard) {
                    record.send_if_modified(|record| {
                        *record.counts.refused.entry(OVERFLOW).or_default() += 1;
                        // Of no count is anybody told.
                        false
                    });
                }
            }
            // The link is down: it is the monitor that says so, and that it is back.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
            Err(error) => {
                tracing::error!(router, "cannot receive adverts: {error}");
                return;
            }
        }
        if adverts.is_closed() {
            return;
        }
    }
}

/// Feeds whoever says to have our addresses to the driver. When its queue is full, what
/// comes is dropped: whoever means it says it again.
async fn listen(
    router: String,
    witness: Arc<Witness>,
    claimants: mpsc::Sender<Claimant>,
) {
    loop {
        match witness.next().await {
            Ok(claimant) => {
                if let Err(mpsc::error::TrySendError::Closed(_)) =
                    claimants.try_send(claimant)
                {
                    return;
                }
            }
            // The link is down: it is the monitor that says so, and that it is back.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
            Err(error) => {
                tracing::warn!(
                    router,
                    "cannot listen to ARP or neighbour discovery any more: {error}"
                );
                return;
            }
        }
    }
}

/// Feeds the kernel's notices to the driver; waits when it is busy, the kernel keeps them.
pub(super) async fn watch_kernel(
    router: String,
    mut monitor: Monitor,
    notices: mpsc::Sender<Notice>,
) {
    loop {
        match monitor.next().await {
            Ok(notice) => {
                if notices.send(notice).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(router, "cannot watch the kernel: {error}");
                return;
            }
        }
    }
}
