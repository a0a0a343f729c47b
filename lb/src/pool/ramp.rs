//! Slow start: a server that has just come up gets its share little by little.
//!
//! An apiserver that starts fills its caches while it serves; a full share at once slows all
//! of its clients. Decides weights for an instant; control publishes them as time goes on.

use std::time::Duration;

/// A ramp goes up in so many steps.
pub const STEPS: u16 = 10;

/// One server of a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rising {
    /// Its share when it is warm, 1 to 256.
    pub weight: u16,
    /// How long it has been up, when it came up after it had been down.
    pub up_for: Option<Duration>,
}

/// The step, 1 to [`STEPS`], of a server that is up for so long; the last one is its whole
/// share.
#[must_use]
pub fn step(up_for: Option<Duration>, slow_start: Duration) -> u16 {
    let Some(up_for) = up_for.filter(|up_for| *up_for < slow_start) else {
        return STEPS;
    };
    let nanos = slow_start.as_nanos().max(1);
    let done = up_for.as_nanos() * u128::from(STEPS) / nanos;
    u16::try_from(done)
        .unwrap_or(STEPS)
        .saturating_add(1)
        .min(STEPS)
}

/// The weights at this instant. While nobody rises they are those of the configuration; else
/// all are scaled, so that a step of the smallest weight is a whole number.
#[must_use]
pub fn weights(servers: &[Rising], slow_start: Duration) -> Vec<u16> {
    let steps = servers.iter().map(|server| step(server.up_for, slow_start));
    if steps.clone().all(|step| step == STEPS) {
        return servers.iter().map(|server| server.weight).collect();
    }
    let both = servers.iter().zip(steps);
    both.map(|(server, step)| server.weight.saturating_mul(step))
        .collect()
}

/// When the weights change next, counted from now; `None` when nobody rises.
#[must_use]
pub fn next_change(servers: &[Rising], slow_start: Duration) -> Option<Duration> {
    let left = |server: &Rising| {
        let up_for = server.up_for.filter(|up_for| *up_for < slow_start)?;
        let ends =
            slow_start * u32::from(step(Some(up_for), slow_start)) / u32::from(STEPS);
        Some(ends.saturating_sub(up_for).max(Duration::from_millis(1)))
    };
    servers.iter().filter_map(left).min()
}
