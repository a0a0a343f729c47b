//! What wakes a driver: a timer of the kernel's own (timerfd).
//!
//! The runtime's timers tick in milliseconds and round up, twice: a Backup would take over up
//! to two milliseconds after its down interval, and an Active wake for nothing each time the
//! wheel turns, once in 64 ms. This one is as exact as the kernel's clock. It costs a system
//! call to set and none to read: the event loop is told of each time it fires (edge-triggered),
//! and setting it forgets what it has counted.

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
    timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use super::sys;
use crate::driver;

/// The timer of one driver.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
    /// When it is going to ring.
    set: Option<Instant>,
}

impl Alarm {
    /// One that is not set. Inside a tokio runtime.
    ///
    /// # Errors
    /// When the process has too many files open.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self {
            timer: sys::watch(timer)?,
            set: None,
        })
    }
}

impl driver::Alarm for Alarm {
    fn set(&mut self, at: Instant) -> io::Result<()> {
        if self.set == Some(at) {
            return Ok(());
        }
        let left = at.saturating_duration_since(Instant::now());
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                // Nothing at all would mean never.
                tv_nsec: i64::from(left.subsec_nanos()).max(i64::from(left.is_zero())),
            },
        };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        self.set = Some(at);
        Ok(())
    }

    async fn rings(&mut self) -> io::Result<()> {
        self.timer.readable().await?.clear_ready();
        self.set = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::driver::Alarm as _;

    /// Never before its time; how long after it is the machine's to say.
    #[tokio::test]
    async fn it_rings_each_time_it_is_set_and_not_before() {
        let mut alarm = Alarm::new().unwrap();
        for micros in [0, 1, 300, 2_000, 1_500] {
            let at = Instant::now() + Duration::from_micros(micros);
            alarm.set(at).unwrap();
            alarm.rings().await.unwrap();
            assert!(Instant::now() >= at, "{micros} µs");
        }
    }

    #[tokio::test]
    async fn a_later_time_takes_the_place_of_an_earlier_one() {
        let mut alarm = Alarm::new().unwrap();
        let now = Instant::now();
        alarm.set(now + Duration::from_millis(1)).unwrap();
        let later = now + Duration::from_millis(20);
        alarm.set(later).unwrap();
        alarm.rings().await.unwrap();
        assert!(Instant::now() >= later);
    }

    /// What has rung unheard does not ring for what is set afterwards.
    #[tokio::test]
    async fn setting_it_forgets_a_ring_that_nobody_has_heard() {
        let mut alarm = Alarm::new().unwrap();
        alarm.set(Instant::now()).unwrap();
        // Without the event loop, which would have heard it.
        while timerfd_left(&alarm) > Duration::ZERO {
            std::hint::spin_loop();
        }
        let later = Instant::now() + Duration::from_millis(5);
        alarm.set(later).unwrap();
        alarm.rings().await.unwrap();
        assert!(Instant::now() >= later);
    }

    fn timerfd_left(alarm: &Alarm) -> Duration {
        let left = rustix::time::timerfd_gettime(alarm.timer.get_ref());
        Duration::try_from(left.unwrap().it_value).unwrap()
    }
}
