//! Latencies as counts in buckets: 64 per power of two, so within 1.6 % of the truth.

/// Buckets per power of two, as a power of two.
const PRECISION: u32 = 6;
const BUCKETS: usize = (64 - PRECISION as usize + 1) << PRECISION;

/// How often each latency was seen, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS].into_boxed_slice(),
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn add(&mut self, nanos: u64) {
        if let Some(count) = self.counts.get_mut(bucket_of(nanos)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// Counts everything that `other` has.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    /// How many values were counted.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.total
    }

    /// Whether nothing was counted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The value that `per_mille` of a thousand values do not exceed, in nanoseconds.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> u64 {
        let wanted = (self.total * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return highest_of(bucket);
            }
        }
        0
    }
}

/// Below 2^[`PRECISION`] each value has its bucket; above, each power of two has as many.
fn bucket_of(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    let shift = bits.saturating_sub(PRECISION + 1);
    let bucket = (u64::from(shift) << PRECISION) + (value >> shift);
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

fn highest_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket >> PRECISION).saturating_sub(1);
    let base = bucket - (shift << PRECISION);
    ((base + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_values_within_the_promised_precision() {
        for value in (0..5_000).chain((0..50).map(|n| 3u64.pow(n % 39) + u64::from(n))) {
            let highest = highest_of(bucket_of(value));
            assert!(highest >= value, "{value} in a bucket up to {highest}");
            assert!(
                highest - value <= value / 64,
                "{value} in a bucket up to {highest}"
            );
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|n| histogram.add(n * 1000));
        for (per_mille, value) in [(500, 500_000), (990, 990_000), (999, 999_000)] {
            let found = histogram.quantile(per_mille);
            assert!(
                found >= value && found <= value + value / 64,
                "{per_mille}: {found}"
            );
        }
    }
}
