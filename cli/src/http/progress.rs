//! How far a connection is with its request, and since when: what its deadlines are counted from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Settings;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing of a request has come.
    Idle,
    /// Some of a request's head has come.
    Head,
    /// The request is being read and answered, which have deadlines of their own.
    Busy,
    /// The answer is being written.
    Answering,
}

/// One connection's phase, shared by what reads, answers and watches it. All of these run in one task, so that the
/// atomics are never contended; they are there to let the task move between threads.
#[derive(Debug)]
pub(super) struct Progress {
    opened: Instant,
    phase: AtomicU8,
    since_us: AtomicU64,
    read_closed: AtomicBool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            phase: AtomicU8::new(0),
            since_us: AtomicU64::new(0),
            read_closed: AtomicBool::new(false),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Busy,
            _ => Phase::Answering,
        }
    }

    /// The connection enters `phase` now.
    pub(super) fn enter(&self, phase: Phase) {
        let since_us = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.since_us.store(since_us, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The service has a request; no deadline is counted from here, so that the clock is not read.
    pub(super) fn enter_busy(&self) {
        self.phase.store(Phase::Busy as u8, Ordering::Relaxed);
    }

    /// The peer will send no more.
    pub(super) fn close_read(&self) {
        self.read_closed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_read_closed(&self) -> bool {
        self.read_closed.load(Ordering::Relaxed)
    }

    /// When the phase must have ended; none where something else watches.
    pub(super) fn deadline(&self, settings: &Settings, crowd: &Crowd) -> Option<Instant> {
        let timeout = match self.phase() {
            Phase::Idle if crowd.is_dense() => settings.idle_timeout_crowded,
            Phase::Idle => settings.idle_timeout,
            Phase::Head => settings.header_timeout,
            Phase::Busy => return None,
            Phase::Answering => settings.write_timeout,
        };
        let since = Duration::from_micros(self.since_us.load(Ordering::Relaxed));
        Some(self.opened + since + timeout)
    }
}

/// The places for connections.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    places: Arc<Semaphore>,
    places_max: usize,
}

impl Crowd {
    pub(super) fn new(places_max: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places_max)), places_max }
    }

    /// Waits for a place, which is free again when the answer is dropped.
    pub(super) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    fn is_dense(&self) -> bool {
        self.places.available_permits() < self.places_max / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_counted_from_the_phase_s_begin() {
        let (settings, crowd, progress) = (Settings::default(), Crowd::new(8), Progress::new());
        let opened = Instant::now();
        assert_eq!(progress.deadline(&settings, &crowd), Some(opened + settings.idle_timeout));
        tokio::time::advance(Duration::from_secs(3)).await;
        progress.enter(Phase::Head);
        assert_eq!(
            progress.deadline(&settings, &crowd),
            Some(opened + Duration::from_secs(3) + settings.header_timeout)
        );
        progress.enter_busy();
        assert_eq!(progress.deadline(&settings, &crowd), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_shortens_the_idle_time() {
        let (settings, crowd, progress) = (Settings::default(), Crowd::new(4), Progress::new());
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(crowd.enter().await);
        }
        assert_eq!(progress.deadline(&settings, &crowd), Some(Instant::now() + settings.idle_timeout_crowded));
        places.pop();
        assert_eq!(progress.deadline(&settings, &crowd), Some(Instant::now() + settings.idle_timeout));
    }
}
