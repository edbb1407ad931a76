//! Outages: a consumer whose store fails is paused, tried again now and then, and resumed.
//!
//! The consumers' marks say what fails. A store is out when a shard's batches failed several times one after another,
//! or once for missing rights, which no retry mends. The probe is the consumer itself: it is resumed, and its next batch goes
//! the way of all others, with the same rights and the same kind of write. If that fails too, it is paused again, for
//! longer. A secret that was changed is found so as well.
//!
//! The outage's object says what is intended: it is written before the consumer is paused or resumed, and every run makes the
//! consumer follow it. A consumer that is paused without an outage was paused by a person, and stays so.

use serde::{Deserialize, Serialize};
use tributary_model::limits::{
    MARKS_MAX, OUTAGE_BATCHES_MIN, OUTAGE_MARK_AGE_MAX, PROBE_DELAY_MAX, PROBE_DELAY_MIN, PROBE_IDLE_MAX,
};
use tributary_model::outages::open_outage_key;
use tributary_model::{Target, TimestampMs};
use tributary_ports::{ConsumerState, Kept, PortError, PortErrorKind};
use tributary_worker::{Failure, Mark, marks_prefix};

use crate::Custodian;

/// An outage that is not over, and what is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Its id: `ledger-eu-west-1-1795284061873`.
    pub id: String,
    /// What the store answered.
    pub cause: PortErrorKind,
    /// When it began.
    pub started_at: TimestampMs,
    /// Batches that failed in it, as far as marks tell.
    pub failed_batches: u64,
    /// Records of those batches.
    pub failed_records: u64,
    /// Probes that failed.
    pub probes: u32,
    /// What the consumer is to do.
    pub step: Step,
}

/// What a consumer is to do in an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// It is paused until then.
    PausedUntil(TimestampMs),
    /// It has been running since then, to see whether the store is back.
    ProbingSince(TimestampMs),
}

/// What is next for an outage.
enum Next {
    Stays,
    Becomes(Step),
    Ends(TimestampMs),
}

impl Custodian {
    /// Looks after one consumer, by the marks that its workers left; answers its outage, if there is one now.
    ///
    /// # Errors
    /// Bad luck of any kind; the next run goes on.
    pub(crate) async fn look_after(
        &self,
        now: TimestampMs,
        chance: f64,
        consumer: Target,
        marks: &[Mark],
    ) -> Result<Option<PortErrorKind>, PortError> {
        let (objects, key) = (self.objects.as_ref(), open_outage_key(&self.region, consumer));
        let Some(mut kept) = Kept::<Outage>::read(objects, key.clone()).await? else {
            let Some(failure) = tripping(marks, now) else { return Ok(None) };
            let outage = self.begin(now, chance, consumer, failure);
            Kept::create(objects, key, outage.clone()).await?;
            self.follow(consumer, outage.step).await?;
            self.keep_row(now, consumer, &outage, None).await?;
            return Ok(Some(outage.cause));
        };
        let mut outage = kept.value.clone();
        outage.count(marks);
        match outage.next(marks, now, chance) {
            Next::Stays => {}
            Next::Becomes(step) => {
                outage.step = step;
                kept.value = outage.clone();
                kept.save(objects).await?;
            }
            // The consumer has to run before the outage ends: without its object nobody would resume it.
            Next::Ends(at) if self.follow(consumer, outage.step).await? => {
                self.keep_row(now, consumer, &outage, Some(at)).await?;
                objects.delete(&key).await?;
                return Ok(None);
            }
            Next::Ends(_) => {}
        }
        self.follow(consumer, outage.step).await?;
        Ok(Some(outage.cause))
    }

    /// The marks that a consumer's workers left.
    ///
    /// # Errors
    /// Bad luck of any kind.
    pub(crate) async fn marks(&self, consumer: Target) -> Result<Vec<Mark>, PortError> {
        let keys = self.objects.list(&marks_prefix(&self.region, consumer), None, MARKS_MAX).await?;
        let mut marks = Vec::new();
        for key in keys {
            marks.extend(Kept::<Mark>::read(self.objects.as_ref(), key).await?.map(|mark| mark.value));
        }
        Ok(marks)
    }

    fn begin(&self, now: TimestampMs, chance: f64, consumer: Target, failure: &Failure) -> Outage {
        Outage {
            id: format!("{}-{}-{}", consumer.as_str(), self.region, failure.since.0),
            cause: failure.kind,
            started_at: failure.since,
            failed_batches: failure.batches,
            failed_records: failure.records,
            probes: 0,
            step: Step::PausedUntil(now.plus_ms(delay_ms(0, chance))),
        }
    }

    /// Makes the consumer do what it is to do; true if it did so already.
    async fn follow(&self, consumer: Target, step: Step) -> Result<bool, PortError> {
        let state = self.control.state(consumer).await?;
        match (step, state) {
            (Step::PausedUntil(_), ConsumerState::Running | ConsumerState::Resuming) => {
                self.control.pause(consumer).await?;
                Ok(false)
            }
            (Step::ProbingSince(_), ConsumerState::Paused | ConsumerState::Pausing) => {
                self.control.resume(consumer).await?;
                Ok(false)
            }
            _ => Ok(true),
        }
    }
}

/// What says that the store is out.
fn tripping(marks: &[Mark], now: TimestampMs) -> Option<&Failure> {
    let trips = |failure: &&Failure| {
        let enough = match failure.kind {
            PortErrorKind::Denied => 1,
            PortErrorKind::Unavailable | PortErrorKind::Throttled => OUTAGE_BATCHES_MIN,
            // Our own mistakes: a pause mends none of them.
            PortErrorKind::NotFound | PortErrorKind::Conflict | PortErrorKind::Invalid => u64::MAX,
        };
        failure.batches >= enough && failure.last.plus(OUTAGE_MARK_AGE_MAX) >= now
    };
    marks.iter().filter_map(|mark| mark.failure.as_ref()).filter(trips).min_by_key(|failure| failure.since)
}

impl Outage {
    /// What has failed since it began, as far as marks tell: a mark forgets its failures when a batch is handled.
    fn count(&mut self, marks: &[Mark]) {
        let failures = || marks.iter().filter_map(|mark| mark.failure.as_ref());
        self.failed_batches = self.failed_batches.max(failures().map(|failure| failure.batches).sum());
        self.failed_records = self.failed_records.max(failures().map(|failure| failure.records).sum());
        if let Some(last) = failures().max_by_key(|failure| failure.last) {
            self.cause = last.kind;
        }
    }

    fn next(&mut self, marks: &[Mark], now: TimestampMs, chance: f64) -> Next {
        let since = match self.step {
            Step::PausedUntil(at) if at > now => return Next::Stays,
            Step::PausedUntil(_) => return Next::Becomes(Step::ProbingSince(now)),
            Step::ProbingSince(since) => since,
        };
        if marks.iter().filter_map(|mark| mark.failure.as_ref()).any(|failure| failure.last > since) {
            self.probes = self.probes.saturating_add(1);
            return Next::Becomes(Step::PausedUntil(now.plus_ms(delay_ms(self.probes, chance))));
        }
        let handled = marks.iter().filter(|mark| mark.failure.is_none() && mark.at > since).map(|mark| mark.at).min();
        match handled {
            Some(at) => Next::Ends(at),
            None if since.plus(PROBE_IDLE_MAX) <= now => Next::Ends(now),
            None => Next::Stays,
        }
    }
}

/// From half to all of the delay that belongs to so many failed probes.
fn delay_ms(probes: u32, chance: f64) -> i64 {
    let delay = PROBE_DELAY_MIN.saturating_mul(2_u32.saturating_pow(probes)).min(PROBE_DELAY_MAX);
    let spread = delay.mul_f64(chance.clamp(0.0, 1.0) / 2.0);
    i64::try_from((delay / 2 + spread).as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_their_most_and_are_spread() {
        assert_eq!(
            [0, 1, 2, 3, 4, 40].map(|probes| delay_ms(probes, 1.0)),
            [5000, 10_000, 20_000, 40_000, 60_000, 60_000]
        );
        assert_eq!([0, 4].map(|probes| delay_ms(probes, 0.0)), [2500, 30_000]);
        assert_eq!(delay_ms(0, 0.5), 3750);
    }
}
