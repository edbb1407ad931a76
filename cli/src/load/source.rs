//! Where requests come from.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;
use tributary_model::limits::{LOAD_SPREAD_MS, LOAD_TEMPLATES, LOAD_TEMPLATES_BYTES_MAX, LOAD_TEMPLATES_MIN};
use tributary_model::{Rejection, TimestampMs};

use super::report;
use super::template::Template;

/// An endless row of requests, each with a report of its own.
#[derive(Debug)]
pub(super) struct Source {
    templates: Vec<Template>,
    turn: usize,
    /// Draws ids and times; from its start, too, so that two runs with one seed don't report the same invocations.
    names: StdRng,
    /// An instant by both clocks.
    begun: (Instant, TimestampMs),
}

impl Source {
    /// Makes the reports that all requests are made of. `head` is [`Template::new`]'s, `now` the time at `begun`.
    ///
    /// # Errors
    /// If a capture is no report.
    pub(super) fn new(
        head: &str,
        token: &str,
        size: Option<usize>,
        seed: u64,
        begun: (Instant, TimestampMs),
    ) -> Result<Self, Rejection> {
        let mut random = StdRng::seed_from_u64(seed);
        let fit = LOAD_TEMPLATES_BYTES_MAX / size.unwrap_or(1).max(1);
        let count = fit.clamp(LOAD_TEMPLATES_MIN, LOAD_TEMPLATES);
        let made = (0..count).map(|_| Template::new(head, &report::make(token, size, &mut random)?));
        let templates = made.collect::<Result<_, _>>()?;
        let names = StdRng::seed_from_u64(random.random::<u64>() ^ begun.1.0.unsigned_abs());
        Ok(Self { templates, turn: 0, names, begun })
    }

    /// Writes the next request into `request`; the answer is its report's size in bytes.
    pub(super) fn next(&mut self, now: Instant, request: &mut Vec<u8>) -> usize {
        let at = self.turn;
        self.turn = (at + 1) % self.templates.len();
        let ended = self.wall_clock(now).plus_ms(-self.names.random_range(0..LOAD_SPREAD_MS));
        let Some(template) = self.templates.get(at) else { return 0 };
        template.fill(request, ended, &mut self.names);
        template.body_bytes()
    }

    fn wall_clock(&self, now: Instant) -> TimestampMs {
        let (begun, at) = self.begun;
        at.plus_ms(i64::try_from((now - begun).as_millis()).unwrap_or(i64::MAX))
    }
}
