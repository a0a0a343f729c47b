//! The queue between those who log and the thread that writes.
//!
//! Owned by the [`Log`](super::Log); fed by every thread; ended by [`Queue::finish`].

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written: a burst of one second at 4,000 connections per
/// second, about 1 MiB.
const WAITING: usize = 4096;

/// Time for the lines that wait when the process ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines on their way.
#[derive(Debug)]
pub(super) struct Queue {
    /// Gone once finished.
    sender: Mutex<Option<SyncSender<Vec<u8>>>>,
    dropped: AtomicU64,
    /// Disconnects when the thread has written everything.
    written: Mutex<Receiver<()>>,
}

impl Queue {
    /// Starts the thread that writes to `sink`.
    pub(super) fn to(sink: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let (sender, lines) = sync_channel(WAITING);
        let (done, written) = sync_channel(0);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                write_all(&lines, sink);
                drop::<SyncSender<()>>(done);
            })?;
        Ok(Arc::new(Self {
            sender: Mutex::new(Some(sender)),
            dropped: AtomicU64::new(0),
            written: Mutex::new(written),
        }))
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Takes no more lines and waits, for a bounded time, until those it has are written.
    pub(super) fn finish(&self) {
        drop(
            self.sender
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match written.recv_timeout(PATIENCE) {
            Ok(()) | Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {}
        }
    }

    fn push(&self, line: Vec<u8>) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = sender.as_ref().map(|sender| sender.try_send(line));
        match sent {
            Some(Ok(())) => {}
            None | Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// An error of stderr has nowhere to be reported; the next line is tried all the same.
fn write_all(lines: &Receiver<Vec<u8>>, mut sink: impl Write) {
    for line in lines {
        let _ = sink.write_all(&line);
    }
    let _ = sink.flush();
}

/// Makes one line of one event.
pub(super) struct Writer(Arc<Queue>);

impl Writer {
    pub(super) fn new(queue: &Arc<Queue>) -> Self {
        Self(Arc::clone(queue))
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter {
            queue: Arc::clone(&self.0),
            line: Vec::new(),
        }
    }
}

/// Collects one line and queues it when dropped.
pub(super) struct LineWriter {
    queue: Arc<Queue>,
    line: Vec<u8>,
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.queue.push(one_line(std::mem::take(&mut self.line)));
    }
}

/// An event is one line, whatever a peer put into a value: a line of its own would
/// look like one of ours.
fn one_line(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.strip_suffix(b"\n").map_or(text.len(), <[u8]>::len);
    if text.iter().take(end).all(|byte| *byte != b'\n') {
        return text;
    }
    text.truncate(end);
    let mut line: Vec<u8> = Vec::with_capacity(text.len() + 8);
    for byte in text {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            other => line.push(other),
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::time::Instant;

    /// Does not take a byte until it is told to.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_sink_holds_nobody_back() {
        let (release, stuck) = sync_channel(0);
        let queue = Queue::to(Stuck(stuck)).unwrap();
        for _ in 0..WAITING + 100 {
            queue.push(b"line\n".to_vec());
        }
        // The thread may have taken one.
        assert!((99..=100).contains(&queue.dropped()), "{}", queue.dropped());
        let start = Instant::now();
        queue.finish();
        assert!(start.elapsed() >= PATIENCE);
        drop(release);
    }

    #[test]
    fn an_event_is_one_line() {
        for (event, line) in [
            ("a\n", "a\n"),
            ("a\nb\n", "a\\nb\n"),
            ("\n\n", "\\n\n"),
            ("a", "a"),
            ("a\nb", "a\\nb\n"),
            ("", ""),
        ] {
            assert_eq!(one_line(event.into()), line.as_bytes(), "{event:?}");
        }
    }

    #[test]
    fn everything_queued_is_written_in_order() {
        let (mut reader, writer) = io::pipe().unwrap();
        let queue = Queue::to(writer).unwrap();
        for line in 0..1000 {
            queue.push(format!("{line}\n").into_bytes());
        }
        queue.finish();
        queue.push(b"late\n".to_vec());
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let expected: String = (0..1000).map(|line| format!("{line}\n")).collect();
        assert_eq!(text, expected);
        assert_eq!(queue.dropped(), 1);
    }
}
