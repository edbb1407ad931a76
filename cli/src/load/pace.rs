//! When the next report is due.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The turns of all connections together: at a rate or flat out, until a time, a count, or a stop.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    until: Option<Instant>,
    rate_per_s: Option<u32>,
    count_max: u64,
    taken: Cell<u64>,
    stopped: Cell<bool>,
    stopping: Notify,
}

impl Pace {
    pub(super) fn new(begun: Instant, rate_per_s: Option<u32>, duration: Option<Duration>, count: Option<u64>) -> Self {
        Self {
            begun,
            until: duration.and_then(|duration| begun.checked_add(duration)), // one beyond all clocks never ends
            rate_per_s,
            count_max: count.unwrap_or(u64::MAX),
            taken: Cell::new(0),
            stopped: Cell::new(false),
            stopping: Notify::new(),
        }
    }

    /// Waits for the next turn and answers the instant from which its latency counts; none once all are taken.
    ///
    /// At a rate that is when the report was due, if nobody was free then: a collector that holds every connection up
    /// must not hide the time for which reports waited (coordinated omission).
    pub(super) async fn turn(&self) -> Option<Instant> {
        let now = Instant::now();
        let due = self.take(now)?;
        if due <= now {
            return Some(due);
        }
        tokio::select! {
            () = sleep_until(due) => Some(Instant::now()),
            () = self.stopping.notified() => None,
        }
    }

    fn take(&self, now: Instant) -> Option<Instant> {
        let turn = self.taken.get();
        let due = self.rate_per_s.map_or(now, |rate| self.begun + offset(turn, rate));
        let over = self.until.is_some_and(|until| due.max(now) >= until);
        if over || turn == self.count_max || self.stopped.get() {
            return None;
        }
        self.taken.set(turn + 1);
        Some(due)
    }

    /// Gives no more turns, also to those who wait for one.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
        self.stopping.notify_waiters();
    }

    /// How much of all is done at `now`, in thousandths.
    pub(super) fn permille(&self, now: Instant) -> u64 {
        let of_time = self.until.map_or(0, |until| {
            let whole_ms = (until - self.begun).as_millis().max(1);
            u64::try_from((now - self.begun).as_millis() * 1000 / whole_ms).unwrap_or(1000)
        });
        let of_count = self.taken.get().saturating_mul(1000) / self.count_max.max(1);
        of_time.max(of_count).min(1000)
    }
}

/// When a turn is due, from the beginning.
fn offset(turn: u64, rate_per_s: u32) -> Duration {
    let rate = u64::from(rate_per_s.max(1));
    Duration::from_secs(turn / rate) + Duration::from_nanos(turn % rate * 1_000_000_000 / rate)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::task::LocalSet;

    use super::*;

    /// Takes turns with four takers, each of which is held up by every turn, until there are none.
    async fn turns(pace: Pace, held_up: Duration) -> Vec<Duration> {
        let (pace, taken) = (Rc::new(pace), Rc::new(std::cell::RefCell::new(Vec::new())));
        let local = LocalSet::new();
        for _ in 0..4 {
            let (pace, taken) = (Rc::clone(&pace), Rc::clone(&taken));
            local.spawn_local(async move {
                while let Some(from) = pace.turn().await {
                    taken.borrow_mut().push(from - pace.begun);
                    tokio::time::sleep(held_up).await;
                }
            });
        }
        local.await;
        taken.take()
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_held_to_the_end_of_the_time() {
        let pace = Pace::new(Instant::now(), Some(50), Some(Duration::from_secs(2)), None);
        let turns = turns(pace, Duration::from_millis(7)).await;
        assert_eq!(turns.len(), 100);
        for (turn, at) in turns.iter().enumerate() {
            assert_eq!(at.as_millis(), turn as u128 * 20);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_nobody_was_free_for_counts_from_when_it_was_due() {
        let pace = Pace::new(Instant::now(), Some(1000), None, Some(40));
        let turns = turns(pace, Duration::from_secs(1)).await;
        assert_eq!(turns.iter().map(Duration::as_millis).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn flat_out_ends_with_the_count_or_the_time() {
        let counted = Pace::new(Instant::now(), None, Some(Duration::from_secs(60)), Some(10));
        assert_eq!(turns(counted, Duration::from_millis(1)).await.len(), 10);
        let timed = Pace::new(Instant::now(), None, Some(Duration::from_millis(50)), None);
        assert_eq!(turns(timed, Duration::from_millis(10)).await.len(), 4 * 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_wakes_who_waits() {
        let pace = Pace::new(Instant::now(), Some(1), None, None);
        assert!(pace.turn().await.is_some());
        let (next, ()) = tokio::join!(pace.turn(), async { pace.stop() });
        assert_eq!(next, None);
        assert_eq!(pace.turn().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_beyond_all_clocks_is_no_end() {
        let pace = Pace::new(Instant::now(), None, Some(Duration::MAX), Some(2));
        assert_eq!(turns(pace, Duration::from_secs(1)).await.len(), 2);
    }

    #[test]
    fn a_rate_does_not_drift() {
        assert_eq!(offset(2_999_999_997, 3), Duration::from_secs(999_999_999));
        assert_eq!(offset(1, 3), Duration::from_nanos(333_333_333));
        assert_eq!(offset(u64::MAX, 1_000_000).as_secs(), u64::MAX / 1_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_is_that_of_what_ends_first() {
        let pace = Pace::new(Instant::now(), None, Some(Duration::from_secs(10)), Some(4));
        assert_eq!(pace.permille(Instant::now() + Duration::from_secs(2)), 200);
        pace.turn().await;
        assert_eq!(pace.permille(Instant::now() + Duration::from_secs(2)), 250);
    }
}
