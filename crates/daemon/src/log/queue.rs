//! The queue between those who log and the thread that writes.
//!
//! Owned by the [`Log`](super::Log); fed by every thread; ended by [`Queue::finish`].

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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

/// Of these, places for what does not come by the thousand.
const RESERVED: usize = 512;

/// Time for the lines that wait when the process ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes that are written at once: what a pipe takes.
const WRITE: usize = 64 * 1024;

/// Whole lines that travel together.
struct Chunk {
    bytes: Vec<u8>,
    lines: usize,
}

/// Lines on their way.
#[derive(Debug)]
pub(super) struct Queue {
    /// Gone once finished.
    sender: Mutex<Option<SyncSender<Chunk>>>,
    /// Lines that wait.
    waiting: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
    /// Disconnects when the thread has written everything.
    written: Mutex<Receiver<()>>,
}

impl Queue {
    /// Starts the thread that writes to this sink.
    #[cfg(test)]
    pub(super) fn to(sink: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        Self::with(|_| Box::new(sink))
    }

    /// Starts the thread that writes to what `open` returns, which may count what it drops.
    pub(super) fn with(
        open: impl FnOnce(&Arc<AtomicU64>) -> Box<dyn Write + Send>,
    ) -> io::Result<Arc<Self>> {
        let dropped = Arc::new(AtomicU64::new(0));
        let sink = open(&dropped);
        let (sender, lines) = sync_channel(WAITING);
        let (done, written) = sync_channel(0);
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                write_all(&lines, &left, sink);
                drop::<SyncSender<()>>(done);
            })?;
        Ok(Arc::new(Self {
            sender: Mutex::new(Some(sender)),
            waiting,
            dropped,
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

    /// Queues one line, or drops and counts it when too many wait.
    pub(super) fn push(&self, line: Vec<u8>) {
        self.push_within(line, 1, WAITING);
    }

    /// Queues `lines` whole lines of those that come by the thousand, or drops and counts
    /// them when too many wait. The last places are not for them: a change of state is logged
    /// also when the connections of a storm fill the queue.
    pub(super) fn push_many(&self, bytes: Vec<u8>, lines: usize) {
        self.push_within(bytes, lines, WAITING - RESERVED);
    }

    fn push_within(&self, bytes: Vec<u8>, lines: usize, most: usize) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that no two see the same room.
        let room = self.waiting.load(Ordering::Relaxed) < most;
        self.waiting.fetch_add(lines, Ordering::Relaxed);
        let sent = sender
            .as_ref()
            .filter(|_| room)
            .map(|sender| sender.try_send(Chunk { bytes, lines }));
        match sent {
            Some(Ok(())) => {}
            None | Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) => {
                self.waiting.fetch_sub(lines, Ordering::Relaxed);
                self.dropped.fetch_add(lines as u64, Ordering::Relaxed);
            }
        }
    }
}

/// Writes what waits together, so that a burst costs few calls. An error of stderr has
/// nowhere to be reported; what comes next is tried all the same.
fn write_all(chunks: &Receiver<Chunk>, waiting: &AtomicUsize, mut sink: impl Write) {
    while let Ok(first) = chunks.recv() {
        let Chunk {
            mut bytes,
            mut lines,
        } = first;
        while bytes.len() < WRITE
            && let Ok(next) = chunks.try_recv()
        {
            bytes.extend_from_slice(&next.bytes);
            lines += next.lines;
        }
        let _ = sink.write_all(&bytes);
        waiting.fetch_sub(lines, Ordering::Relaxed);
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
    fn a_storm_of_connections_leaves_room_for_changes_of_state() {
        let (release, stuck) = sync_channel(0);
        let queue = Queue::to(Stuck(stuck)).unwrap();
        for _ in 0..2 * WAITING {
            queue.push_many(b"connection\n".to_vec(), 1);
        }
        let dropped = queue.dropped();
        assert!(dropped > 0);
        for _ in 0..RESERVED - 1 {
            queue.push(b"server\n".to_vec());
        }
        assert_eq!(queue.dropped(), dropped);
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
