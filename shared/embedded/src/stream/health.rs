//! What went wrong with a stream's files and did not stop it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tributary_model::limits;

use super::frames::Damage;
use super::log::lock;

/// Counts, for metrics and alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamHealth {
    /// Segments that hold records.
    pub segments: usize,
    /// Records in them, expired ones included.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Places in segments that readers or the opening found damaged and went past: acknowledged records may be lost
    /// there. Anything but 0 is an alarm. Told apart up to `STREAM_DAMAGE_PLACES_MAX`.
    pub damaged_places: usize,
    /// Bytes at these places.
    pub damaged_bytes: u64,
    /// Bytes behind the last record that the opening cut off: what a crash left of records that nobody was told are
    /// stored.
    pub cut_bytes: u64,
    /// Commits that failed; all their senders were told.
    pub failed_commits: u64,
}

/// The counts as they grow.
#[derive(Debug, Default)]
pub(super) struct Health {
    damages: Mutex<BTreeSet<(u64, Damage)>>,
    cut_bytes: AtomicU64,
    failed_commits: AtomicU64,
}

impl Health {
    /// Damage in the segment that begins with the number `first`; several readers meet the same.
    pub(super) fn damaged(&self, first: u64, damage: Damage) {
        let mut damages = lock(&self.damages);
        if damages.len() < limits::STREAM_DAMAGE_PLACES_MAX {
            damages.insert((first, damage));
        }
    }

    pub(super) fn cut(&self, bytes: u64) {
        self.cut_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn commit_failed(&self) {
        self.failed_commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self, (segments, records, bytes): (usize, u64, u64)) -> StreamHealth {
        let damages = lock(&self.damages);
        StreamHealth {
            segments,
            records,
            bytes,
            damaged_places: damages.len(),
            damaged_bytes: damages.iter().map(|(_, damage)| damage.bytes).sum(),
            cut_bytes: self.cut_bytes.load(Ordering::Relaxed),
            failed_commits: self.failed_commits.load(Ordering::Relaxed),
        }
    }
}
