//! Moments without a pattern, the same ones again for the same seed, and the settings by which
//! a longer run asks for more of them.

use std::time::Duration;

use libtest_mimic::Failed;

/// A row of numbers without a pattern (Marsaglia's xorshift64), for tests that say their seed.
#[derive(Debug, Clone)]
pub struct Moments(u64);

impl Moments {
    /// The row that begins at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Nothing ever follows from 0.
        Self(seed.max(1))
    }

    /// The next number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }

    /// The next moment before `end`.
    pub fn before(&mut self, end: Duration) -> Duration {
        let micros = u64::try_from(end.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(micros))
    }
}

/// The number that an environment variable says, or another one.
///
/// # Errors
/// When it says something else.
pub fn setting(name: &str, other: u64) -> Result<u64, Failed> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .map_err(|error| format!("{name}={text}: {error}").into()),
        Err(_) => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_own_moments_all_over_the_time() {
        let row = |seed| {
            let mut moments = Moments::new(seed);
            let end = Duration::from_secs(10);
            let row = (0..100).map(|_| moments.before(end));
            row.collect::<Vec<_>>()
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
        let late = row(7).iter().filter(|at| at.as_secs() >= 5).count();
        assert!((30..70).contains(&late), "{late}");
        assert!(row(0).iter().any(|at| !at.is_zero()));
    }
}
