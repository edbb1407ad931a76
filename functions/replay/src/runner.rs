//! A runner: works on one shard after another, a page at a time.

use std::time::Duration;

use tributary_model::TimestampMs;
use tributary_model::limits::{REPLAY_PAUSE_MAX, REPLAY_POLL_INTERVAL};
use tributary_ports::{PortError, PortErrorKind};
use tributary_telemetry::ReplayFacts;

use crate::Replays;
use crate::claim::{Claim, claim};
use crate::look::{Turn, look};
use crate::step::{Step, step};

/// When a runner wants to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// There is more to do, at this time or later.
    At(TimestampMs),
    /// There is nothing to do now; a replay may be started at any time.
    Idle,
}

impl Next {
    /// How long its caller waits, at the time `now`.
    #[must_use]
    pub fn wait(self, now: TimestampMs) -> Duration {
        match self {
            Self::Idle => REPLAY_POLL_INTERVAL,
            Self::At(at) => Duration::from_millis(u64::try_from(at.0.saturating_sub(now.0)).unwrap_or_default())
                .min(REPLAY_PAUSE_MAX),
        }
    }
}

/// What a runner did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    /// When it wants to go on.
    pub next: Next,
    /// The page that it handled, if it did: for telemetry.
    pub facts: Option<ReplayFacts>,
}

impl From<Next> for Stepped {
    fn from(next: Next) -> Self {
        Self { next, facts: None }
    }
}

/// Works on replays under a name of its own, which no other runner has at the same time.
#[derive(Debug)]
pub struct Runner {
    name: String,
    claim: Option<Claim>,
}

impl Runner {
    /// A runner with nothing in hand. One that takes a name over takes over the shards that the name still has, too.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), claim: None }
    }

    /// Does one page of work, and says when to call it again. It may be dropped at any time: another runner goes on
    /// after `REPLAY_LEASE`.
    ///
    /// # Errors
    /// Bad luck with the object store. The runner lets go of its shard; the same call again is safe.
    pub async fn step(&mut self, replays: &Replays, now: TimestampMs) -> Result<Stepped, PortError> {
        let mut claim = match self.claim.take() {
            Some(claim) => claim,
            None => match claim(replays, now, &self.name).await? {
                Some(claim) => claim,
                None => {
                    replays.remove_readers(now).await?;
                    return Ok(Next::Idle.into());
                }
            },
        };
        let waits_for = match look(replays, now, &mut claim).await? {
            Turn::Work => None,
            Turn::Wait(error) => Some(error),
            Turn::LetGo => {
                release(replays, claim).await?;
                return Ok(Next::At(now).into());
            }
        };
        let (step, facts) = step(replays, now, &self.name, &mut claim, waits_for).await?;
        let next = match step {
            Step::Over => Next::At(now),
            // Others may have more to do meanwhile than to wait.
            Step::More(at) if at > now && claim.replay.request.records_per_second.is_none() => {
                release(replays, claim).await?;
                Next::At(now)
            }
            Step::More(at) => {
                self.claim = Some(claim);
                Next::At(at)
            }
        };
        Ok(Stepped { next, facts: Some(facts) })
    }

    /// Lets go of the shard in hand, so that another runner need not wait for the lease to end.
    ///
    /// # Errors
    /// Bad luck with the object store; the lease ends by itself then.
    pub async fn stop(&mut self, replays: &Replays) -> Result<(), PortError> {
        match self.claim.take() {
            Some(claim) => release(replays, claim).await,
            None => Ok(()),
        }
    }
}

async fn release(replays: &Replays, mut claim: Claim) -> Result<(), PortError> {
    claim.state.value.lease = None;
    match claim.state.save(replays.objects.as_ref()).await {
        Err(error) if error.kind != PortErrorKind::Conflict => Err(error),
        _ => Ok(()), // another runner has it by now
    }
}
