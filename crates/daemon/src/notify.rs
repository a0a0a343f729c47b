//! Tells systemd how it goes: the protocol of `sd_notify(3)`, on one datagram socket.
//!
//! Without `NOTIFY_SOCKET` every call does nothing, so that a daemon started by hand
//! behaves the same. A message that cannot be sent is logged: systemd ends a unit
//! that never said it is ready.

use rustix::time::{ClockId, clock_gettime};
use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// Everything is bound and works; also ends a reload.
pub fn ready() {
    send("READY=1");
}

/// A reload begins; [`ready`] ends it. Carries the monotonic time, by which systemd
/// tells this reload from an earlier one (`Type=notify-reload`).
pub fn reloading() {
    send(&format!(
        "RELOADING=1\nMONOTONIC_USEC={}",
        monotonic_micros()
    ));
}

/// The daemon is going.
pub fn stopping() {
    send("STOPPING=1");
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    send(&format!("STATUS={}", one_line(line)));
}

/// Still alive; due at each [`Beat`].
pub fn watchdog() {
    send("WATCHDOG=1");
}

/// When [`watchdog`] is due: four times in what the unit allows, so that neither one that is
/// late nor one that is left out ends a daemon that is well again.
#[derive(Debug)]
pub struct Beat(Option<Interval>);

impl Beat {
    /// As systemd asks for it; never, where it does not. Inside a tokio runtime. One for the
    /// whole life of a daemon: what else it does must not put the next one off.
    pub fn begin() -> Self {
        let text = |name| env::var(name).ok();
        let period = period(
            text("WATCHDOG_USEC").as_deref(),
            text("WATCHDOG_PID").as_deref(),
            process::id(),
        );
        Self::every(period)
    }

    fn every(period: Option<Duration>) -> Self {
        Self(period.map(|period| {
            let mut interval = interval(period);
            // After a stall once, not once for each that is missing.
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    /// Returns when it is due; the first time at once.
    pub async fn due(&mut self) {
        match &mut self.0 {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }
}

/// A quarter of `micros`, unless the watchdog is meant for another process.
fn period(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let meant = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let micros = micros?.parse().ok().filter(|micros| *micros > 0)?;
    meant.then(|| Duration::from_micros(micros) / 4)
}

/// A line break would begin a variable of its own.
fn one_line(line: &str) -> String {
    line.replace(['\n', '\r'], " ")
}

fn monotonic_micros() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

fn send(message: &str) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send_to(&socket, message) {
        tracing::warn!(%error, message, "systemd was not told");
    }
}

fn send_to(socket: &OsStr, message: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let datagram = UnixDatagram::unbound()?;
    // A full queue must not stop the daemon; the message is lost and logged.
    datagram.set_nonblocking(true)?;
    datagram
        .send_to_addr(message.as_bytes(), &address)
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_to_a_path_and_to_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let abstract_name = format!("sternpost-notify-{}", process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        for (socket, name) in [
            (
                UnixDatagram::bind(&path).unwrap(),
                path.display().to_string(),
            ),
            (
                UnixDatagram::bind_addr(&address).unwrap(),
                format!("@{abstract_name}"),
            ),
        ] {
            socket
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            send_to(OsStr::new(&name), "READY=1").unwrap();
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1");
        }
        assert!(send_to(folder.path().join("none").as_os_str(), "READY=1").is_err());
    }

    #[test]
    fn a_quarter_of_the_watchdog_of_this_process() {
        let quarter = Some(Duration::from_millis(7500));
        for (micros, pid, expected) in [
            (Some("30000000"), Some("7"), quarter),
            (Some("30000000"), None, quarter),
            (Some("30000000"), Some("8"), None),
            (Some("30000000"), Some("x"), None),
            (Some("0"), Some("7"), None),
            (Some("x"), Some("7"), None),
            (None, Some("7"), None),
        ] {
            assert_eq!(period(micros, pid, 7), expected, "{micros:?} {pid:?}");
        }
    }

    /// Whoever waits for it beside other things asks anew each time round.
    #[tokio::test(start_paused = true)]
    async fn what_else_is_done_does_not_put_it_off() {
        use tokio::time::{Instant, sleep};
        let (begun, period) = (Instant::now(), Duration::from_secs(10) / 4);
        let mut beat = Beat::every(Some(period));
        let mut at = Vec::new();
        while at.len() < 3 {
            tokio::select! {
                () = beat.due() => at.push(begun.elapsed()),
                () = sleep(period - Duration::from_millis(1)) => {}
            }
        }
        assert_eq!(at, [Duration::ZERO, period, period * 2]);
    }

    #[test]
    fn a_status_stays_one_variable() {
        assert_eq!(one_line("a\nREADY=1\r"), "a READY=1 ");
    }

    #[test]
    fn the_clock_moves() {
        assert!(monotonic_micros() > 0);
    }
}
