//! How long answers took, counted in buckets.

use std::time::Duration;

use serde::Serialize;

/// Bits of a value that its bucket keeps: the error is below a sixty-fourth.
const BITS: u32 = 7;
/// The longest latency that is told apart: twelve days.
const MICROSECONDS_MAX: u64 = (1 << 40) - 1;

/// Counts by microseconds: exact below 128, then 64 buckets for every doubling.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest_us: u64,
}

/// Latencies in milliseconds. A percentile is too high by at most 1.6 %.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// Half took no longer.
    pub p50: f64,
    /// 95 of 100 took no longer.
    pub p95: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Histogram {
    pub(super) fn add(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(MICROSECONDS_MAX).min(MICROSECONDS_MAX);
        let bucket = bucket(us);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.total += 1;
        self.longest_us = self.longest_us.max(us);
    }

    /// All zero if nothing was added.
    pub(super) fn latencies(&self) -> Latencies {
        let percentile = |percent| milliseconds(self.percentile_us(percent));
        Latencies { p50: percentile(50), p95: percentile(95), p99: percentile(99), max: milliseconds(self.longest_us) }
    }

    fn percentile_us(&self, percent: u64) -> u64 {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        reached.map_or(0, |bucket| highest(bucket).min(self.longest_us))
    }
}

fn milliseconds(us: u64) -> f64 {
    us as f64 / 1000.0
}

fn bucket(us: u64) -> usize {
    let shift = (u64::BITS - us.leading_zeros()).saturating_sub(BITS);
    usize::try_from((u64::from(shift) << (BITS - 1)) + (us >> shift)).unwrap_or(usize::MAX)
}

/// The longest latency of a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket >> (BITS - 1)).saturating_sub(1);
    ((bucket - (shift << (BITS - 1)) + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_are_narrow() {
        let mut previous = 0;
        for us in (0..5000).chain([1 << 20, 1 << 33, MICROSECONDS_MAX]) {
            let bucket = bucket(us);
            assert!(bucket == previous || bucket == previous + 1 || us > 5000, "{us}");
            assert!(highest(bucket) >= us && highest(bucket) - us <= us / 64, "{us} lies in {bucket}");
            previous = bucket;
        }
        assert!(bucket(MICROSECONDS_MAX) < 2500, "the buckets are few");
    }

    #[test]
    fn percentiles_are_those_of_a_sorted_list() {
        let mut histogram = Histogram::default();
        (1..=100).rev().for_each(|us| histogram.add(Duration::from_micros(us)));
        assert_eq!(histogram.latencies(), Latencies { p50: 0.05, p95: 0.095, p99: 0.099, max: 0.1 });
    }

    #[test]
    fn few_latencies_have_percentiles_too() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.latencies(), Latencies::default());
        histogram.add(Duration::from_secs(3));
        assert_eq!(histogram.latencies(), Latencies { p50: 3000.0, p95: 3000.0, p99: 3000.0, max: 3000.0 });
    }
}
