//! The connection under a check, and the note it keeps of how far the check got.
//!
//! [`Progress`] outlives the check's future: when the timeout drops that future in the
//! middle, the note says where it stood.

use std::io;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::{Heard, Outcome, Stage};

/// How far a check got. Written by the check, read by whoever bounds it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    stage: AtomicU8,
    heard: AtomicBool,
    decided: OnceLock<(Outcome, Instant)>,
}

impl Progress {
    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(code(stage), Ordering::Relaxed);
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Connect,
            1 => Stage::Handshake,
            2 => Stage::Request,
            _ => Stage::Body,
        }
    }

    pub(crate) fn heard(&self) -> Heard {
        if self.heard.load(Ordering::Relaxed) {
            Heard::Bytes
        } else {
            Heard::Nothing
        }
    }

    /// Fixes the outcome, whatever the rest of the connection brings.
    pub(crate) fn decide(&self, outcome: Outcome) -> Outcome {
        self.decided.get_or_init(|| (outcome, Instant::now())).0
    }

    /// When that was.
    pub(crate) fn decided_at(&self) -> Option<Instant> {
        self.decided.get().map(|(_, at)| *at)
    }

    /// What it means that time ran out here.
    pub(crate) fn timed_out(&self) -> Outcome {
        self.decided
            .get()
            .map(|(outcome, _)| *outcome)
            .unwrap_or_else(|| match self.stage() {
                Stage::Connect => Outcome::ConnectTimeout,
                Stage::Handshake => Outcome::HandshakeTimeout(self.heard()),
                Stage::Request => Outcome::NoResponse(self.heard()),
                Stage::Body => Outcome::BodyTimeout,
            })
    }

    pub(crate) fn reset(&self) -> Outcome {
        Outcome::Reset(self.stage(), self.heard())
    }

    pub(crate) fn closed(&self) -> Outcome {
        Outcome::Closed(self.stage(), self.heard())
    }
}

fn code(stage: Stage) -> u8 {
    match stage {
        Stage::Connect => 0,
        Stage::Handshake => 1,
        Stage::Request => 2,
        Stage::Body => 3,
    }
}

/// A TCP stream that notes when the peer's first byte came.
#[derive(Debug)]
pub(crate) struct Wire<'a> {
    stream: TcpStream,
    progress: &'a Progress,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(stream: TcpStream, progress: &'a Progress) -> Self {
        Self { stream, progress }
    }
}

impl AsyncRead for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.progress.heard.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
