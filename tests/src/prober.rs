//! The 1 ms UDP prober and the echo servers that answer it: how long nobody answered.
//!
//! One thread sends on an absolute schedule and takes the answers between two sends; another
//! answers for all hosts, each with its number. A send that is more than [`GAP`] late is the
//! machine's doing: the stretch it lies in is void.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike};

use crate::error::{Doing, LabError};
use crate::host::NamespaceHost;
use crate::schedule;

/// Where the echo servers listen.
const PORT: u16 = 7;
/// Between two probes.
const EVERY: Duration = Duration::from_millis(1);
/// A gap of the prober's own clock that voids what it saw.
pub const GAP: Duration = Duration::from_millis(5);

/// A machine on which nothing was late for so long is calm.
const CALM: Duration = Duration::from_secs(1);

/// One probe.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// When it was to be sent.
    pub due: Instant,
    /// When it was sent.
    pub sent: Instant,
    /// Which host answered, by its place in the list of echo servers.
    pub answered: Option<(Instant, usize)>,
}

/// A running prober; dropping it ends it.
#[derive(Debug)]
pub struct Prober {
    record: Arc<Mutex<Vec<Probe>>>,
    ending: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Prober {
    /// Probes `address` from `client`; `hosts` answer.
    ///
    /// # Errors
    /// When a socket cannot be made.
    pub fn start(
        address: Ipv4Addr,
        client: &NamespaceHost,
        hosts: &[Arc<NamespaceHost>],
    ) -> Result<Self, LabError> {
        let record = Arc::new(Mutex::new(Vec::with_capacity(120_000)));
        let ending = Arc::new(AtomicBool::new(false));
        let mut echoes = Vec::new();
        for host in hosts {
            echoes.push(host.run(|| bound(PORT))??);
        }
        let socket = client.run(|| bound(0))??;
        let target = SocketAddr::from((address, PORT));
        let (echo_end, probe_end, to) = (ending.clone(), ending.clone(), record.clone());
        let echo = spawn("echo", move || echo(&echoes, &echo_end))?;
        let probe = spawn("prober", move || probe(&socket, target, &to, &probe_end))?;
        Ok(Self {
            record,
            ending,
            threads: vec![echo, probe],
        })
    }

    /// Every probe that was sent in `from..to`.
    #[must_use]
    pub fn probes(&self, from: Instant, to: Instant) -> Vec<Probe> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let first = record.partition_point(|p| p.sent < from);
        let last = record.partition_point(|p| p.sent < to);
        record.get(first..last).unwrap_or_default().to_vec()
    }

    /// Who answered last, by place.
    #[must_use]
    pub fn last(&self) -> Option<Probe> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record
            .iter()
            .rev()
            .take(20)
            .find(|p| p.answered.is_some())
            .copied()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// The longest time without an answered probe, by send times, the open end included. Of no
/// probes nothing is known, which is no answer: the longest time there is.
#[must_use]
pub fn outage(probes: &[Probe]) -> Duration {
    let (Some(first), Some(last)) = (probes.first(), probes.last()) else {
        return Duration::MAX;
    };
    let answered = probes
        .iter()
        .filter(|p| p.answered.is_some())
        .map(|p| p.sent);
    let ends = [first.sent].into_iter().chain(answered).chain([last.sent]);
    let ends: Vec<Instant> = ends.collect();
    ends.windows(2)
        .filter_map(|pair| Some(pair.last()?.saturating_duration_since(*pair.first()?)))
        .max()
        .unwrap_or_default()
}

/// The longest delay of a send against its schedule: the machine's own share. What was never
/// sent is as late as can be.
#[must_use]
pub fn lateness(probes: &[Probe]) -> Duration {
    probes
        .iter()
        .map(|p| p.sent.saturating_duration_since(p.due))
        .max()
        .unwrap_or(Duration::MAX)
}

/// Waits until a thread that sleeps for a millisecond at a time wakes in time again for
/// a second, at most so long: what disturbs one cycle need not disturb the next.
///
/// # Errors
/// When no thread can be started.
pub fn calm(at_most: Duration) -> Result<(), LabError> {
    let still = move || {
        let deadline = Instant::now() + at_most;
        let mut since = Instant::now();
        while since.elapsed() < CALM && Instant::now() < deadline {
            let due = Instant::now() + EVERY;
            thread::park_timeout(EVERY);
            if due.elapsed() > GAP {
                since = Instant::now();
            }
        }
    };
    // A thread that died has waited for nothing, which costs a void cycle more.
    drop(spawn("calm", still)?.join());
    Ok(())
}

fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, LabError> {
    let preferred = || {
        schedule::prefer();
        body();
    };
    thread::Builder::new()
        .name(name.into())
        .spawn(preferred)
        .doing("start a thread")
}

fn bound(port: u16) -> Result<UdpSocket, LabError> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).doing("bind UDP")?;
    socket
        .set_nonblocking(true)
        .doing("set a socket non-blocking")?;
    Ok(socket)
}

fn wait_for(sockets: &[UdpSocket], at_most: Duration) {
    let mut waits: Vec<_> = sockets
        .iter()
        .map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN))
        .collect();
    let nanos = i64::try_from(at_most.as_nanos()).unwrap_or(i64::MAX);
    // A signal may end the wait early, which the callers' loops allow for.
    let _ = ppoll(&mut waits, Some(TimeSpec::nanoseconds(nanos)), None);
}

fn echo(sockets: &[UdpSocket], ending: &AtomicBool) {
    let mut packet = [0_u8; 9];
    while !ending.load(Ordering::Relaxed) {
        wait_for(sockets, Duration::from_millis(50));
        for (place, socket) in sockets.iter().enumerate() {
            while let Ok((8, from)) = socket.recv_from(&mut packet) {
                let [.., tag] = &mut packet;
                *tag = u8::try_from(place).unwrap_or(u8::MAX);
                // An answer that cannot go out is a probe that was not answered.
                drop(socket.send_to(&packet, from));
            }
        }
    }
}

fn probe(
    socket: &UdpSocket,
    target: SocketAddr,
    record: &Mutex<Vec<Probe>>,
    ending: &AtomicBool,
) {
    let mut due = Instant::now();
    let mut number: u64 = 0;
    let sockets = [socket.try_clone()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    while !ending.load(Ordering::Relaxed) {
        let sent = Instant::now();
        record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Probe {
                due,
                sent,
                answered: None,
            });
        // No route or no neighbour: a probe that was not answered.
        drop(socket.send_to(&number.to_be_bytes(), target));
        number += 1;
        due = next(due, sent);
        loop {
            take(socket, record);
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            wait_for(&sockets, left);
        }
    }
}

/// The next slot of the schedule; slots that a stall has swallowed are left out, the first
/// send after it still shows how late it is. A stall while a probe is on its way out is one of
/// the next: it is behind by what has passed since `sent`.
fn next(due: Instant, sent: Instant) -> Instant {
    let behind = sent.saturating_duration_since(due);
    let from = if behind <= GAP * 2 { due } else { sent };
    from + EVERY
}

fn take(socket: &UdpSocket, record: &Mutex<Vec<Probe>>) {
    let mut packet = [0_u8; 9];
    while let Ok((9, _)) = socket.recv_from(&mut packet) {
        let [number @ .., place] = packet;
        let at = usize::try_from(u64::from_be_bytes(number)).unwrap_or(usize::MAX);
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(probe) = record.get_mut(at) {
            probe.answered = Some((Instant::now(), usize::from(place)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(answered: &[bool]) -> Vec<Probe> {
        let zero = Instant::now();
        (0_u32..)
            .zip(answered)
            .map(|(ms, yes)| {
                let sent = zero + EVERY * ms;
                Probe {
                    due: sent,
                    sent,
                    answered: yes.then_some((sent, 0)),
                }
            })
            .collect()
    }

    #[test]
    fn an_outage_is_the_longest_gap_and_counts_the_open_end() {
        assert_eq!(outage(&probes(&[true, true, true])), EVERY);
        assert_eq!(
            outage(&probes(&[true, false, false, true, true])),
            EVERY * 3
        );
        assert_eq!(
            outage(&probes(&[true, true, false, false, false])),
            EVERY * 3
        );
        assert_eq!(outage(&probes(&[])), Duration::MAX);
    }

    #[test]
    fn the_schedule_begins_anew_behind_what_a_stall_has_swallowed() {
        let due = Instant::now();
        for (sent, expected) in [
            (Duration::ZERO, EVERY),
            (GAP * 2, EVERY),
            (GAP * 3, GAP * 3 + EVERY),
        ] {
            assert_eq!(next(due, due + sent), due + expected, "{sent:?}");
        }
    }

    #[test]
    fn a_stall_shows_as_lateness() {
        let mut late = probes(&[true, true]);
        late[1].sent += GAP * 2;
        assert_eq!(lateness(&late), GAP * 2);
        assert_eq!(lateness(&[]), Duration::MAX);
    }
}
