//! The facts of each function.

use serde::{Serialize, Serializer};
use tributary_model::limits::LOG_TEXT_BYTES_MAX;
use tributary_model::{Level, Outcome, Outcomes, ProjectId, Region, Target};

use crate::{Embedded, Facts, Metric, Metrics, Unit};

/// One request to the collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CollectorFacts {
    /// The answer's status.
    pub status: u16,
    /// Why this status: `accepted`, `overflowed`, `unauthorized`, `too-large`, ...; one of a fixed set, since it becomes a label.
    pub reason: &'static str,
    /// The project of the token, if it was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// Bytes of the body as it was sent.
    pub body_bytes: usize,
    /// From the request's arrival to its answer.
    pub duration_us: u64,
    /// The bad luck behind a 429 or 503, or behind a 200 for a record that went to the overflow; the answer does not show
    /// it. Cut in the log.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "cut")]
    pub error: Option<String>,
}

impl Facts for CollectorFacts {
    const EVENT: &'static str = "collector.request";
    const EMBEDDED: Option<Embedded> = Some(Embedded {
        dimension: "reason",
        metrics: &[Metric::new("body_bytes", Unit::Bytes), Metric::new("duration_us", Unit::Microseconds)],
    });

    /// An acknowledged report whose record the stream refused is an error of ours, though nothing is lost.
    fn level(&self) -> Level {
        if self.error.is_some() { Level::Error } else { level_of(self.status) }
    }

    fn count(&self, metrics: &Metrics) {
        metrics.count_report(self.status, self.reason, self.body_bytes, self.duration_us);
    }
}

/// One batch that a worker was given.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerFacts {
    /// The store that it writes to, and so the consumer.
    pub target: Target,
    /// The shard from which the batch came.
    pub shard: Box<str>,
    /// What became of its records; all record counters come from here. In the log each is a member of its own.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// Records of the batch; equals the outcomes' total.
    pub records: usize,
    /// Bytes of the batch's records.
    pub bytes: usize,
    /// From the batch's arrival to its answer.
    pub duration_ms: u64,
    /// What kept records from being applied: bad luck, without customer data. Cut in the log.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "cut")]
    pub error: Option<String>,
}

impl Facts for WorkerFacts {
    const EVENT: &'static str = "worker.batch";
    const EMBEDDED: Option<Embedded> = Some(Embedded {
        dimension: "target",
        metrics: &[
            Metric::new("records", Unit::Count),
            Metric::new("bytes", Unit::Bytes),
            Metric::new("duration_ms", Unit::Milliseconds),
            Metric::new(Outcome::Applied.as_str(), Unit::Count),
            Metric::new(Outcome::AlreadyThere.as_str(), Unit::Count),
            Metric::new(Outcome::Superseded.as_str(), Unit::Count),
            Metric::new(Outcome::Expired.as_str(), Unit::Count),
            Metric::new(Outcome::Erased.as_str(), Unit::Count),
            Metric::new(Outcome::DeadLettered.as_str(), Unit::Count),
            Metric::new(Outcome::Redelivered.as_str(), Unit::Count),
        ],
    });

    fn level(&self) -> Level {
        let of = |outcome| self.outcomes.of(outcome);
        if self.error.is_some() {
            Level::Error
        } else if of(Outcome::DeadLettered) + of(Outcome::Redelivered) > 0 {
            Level::Warn
        } else {
            Level::Info
        }
    }

    fn count(&self, metrics: &Metrics) {
        metrics.count_batch(self.target, &self.outcomes, self.bytes, self.duration_ms, self.error.is_some());
    }
}

/// One page of a replay or an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplayFacts {
    /// The replay's id.
    pub replay: String,
    /// What it does: `apply`, `dry-run`, `audit`, `heal`; one of a fixed set, since it becomes a label.
    pub mode: &'static str,
    /// The region and the shard that were read.
    pub shard: String,
    /// Records of its range.
    pub read: u64,
    /// Those that it is not about.
    pub skipped: u64,
    /// What became of the others in the search index, or would have.
    pub search: Outcomes,
    /// The same in the ledger.
    pub ledger: Outcomes,
    /// Reports that a store lacks, has in an older version, or has twice.
    pub found: u64,
    /// What kept a part of the page from its end. Cut in the log.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "cut")]
    pub error: Option<String>,
}

impl Facts for ReplayFacts {
    const EVENT: &'static str = "replay.page";
    const EMBEDDED: Option<Embedded> = Some(Embedded {
        dimension: "mode",
        metrics: &[Metric::new("read", Unit::Count), Metric::new("found", Unit::Count)],
    });

    fn level(&self) -> Level {
        if self.error.is_some() {
            Level::Error
        } else if self.found > 0 {
            Level::Warn
        } else {
            Level::Info
        }
    }

    fn count(&self, metrics: &Metrics) {
        metrics.count_replay(self.mode, Target::Search, &self.search);
        metrics.count_replay(self.mode, Target::Ledger, &self.ledger);
        metrics.count_findings(self.mode, self.found);
    }
}

/// One request to the read API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueryFacts {
    /// The route's pattern, `/v1/invocations/{id}`; one of a fixed set, since it becomes a label.
    pub route: &'static str,
    /// The answer's status.
    pub status: u16,
    /// Items of the answer.
    pub items: usize,
    /// From the request's arrival to its answer.
    pub duration_us: u64,
    /// The bad luck behind a 503, which the answer does not show. Cut in the log.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "cut")]
    pub error: Option<String>,
}

impl Facts for QueryFacts {
    const EVENT: &'static str = "query.request";
    const EMBEDDED: Option<Embedded> = Some(Embedded {
        dimension: "route",
        metrics: &[Metric::new("items", Unit::Count), Metric::new("duration_us", Unit::Microseconds)],
    });

    fn level(&self) -> Level {
        level_of(self.status)
    }

    fn count(&self, metrics: &Metrics) {
        metrics.count_query(self.route, self.status, self.items, self.duration_us);
    }
}

/// One run of the custodian.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CustodianFacts {
    /// The region that it looks after.
    pub region: Region,
    /// Consumers whose store is out, and what it answers.
    pub outages: Vec<(Target, &'static str)>,
    /// Records that went from the overflow into the stream.
    pub drained: usize,
    /// Records that a mapping gave up and that are dead letters now.
    pub given_up: usize,
    /// Objects of the overflow that are no records, and of what was given up that are no batches; they stay where they are.
    pub unreadable: usize,
    /// 1 while the stream keeps its records longer than usual, for a consumer that is days behind.
    pub retention_raised: u8,
    /// What could not be done now: bad luck, without customer data.
    pub errors: Vec<String>,
    /// How many consumers are in an outage.
    pub consumers_out: usize,
    /// How many chores failed.
    pub failed: usize,
}

impl CustodianFacts {
    /// A run that has done nothing yet.
    #[must_use]
    pub fn of(region: &Region) -> Self {
        Self {
            region: region.clone(),
            outages: Vec::new(),
            drained: 0,
            given_up: 0,
            unreadable: 0,
            retention_raised: 0,
            errors: Vec::new(),
            consumers_out: 0,
            failed: 0,
        }
    }
}

impl Facts for CustodianFacts {
    const EVENT: &'static str = "custodian.run";
    const EMBEDDED: Option<Embedded> = Some(Embedded {
        dimension: "region",
        metrics: &[
            Metric::new("consumers_out", Unit::Count),
            Metric::new("drained", Unit::Count),
            Metric::new("given_up", Unit::Count),
            Metric::new("unreadable", Unit::Count),
            Metric::new("retention_raised", Unit::Count),
            Metric::new("failed", Unit::Count),
        ],
    });

    fn level(&self) -> Level {
        let well =
            self.consumers_out + self.failed + self.given_up + self.unreadable == 0 && self.retention_raised == 0;
        if well { Level::Info } else { Level::Error }
    }

    fn count(&self, metrics: &Metrics) {
        let is_out = |target| self.outages.iter().any(|(out, _)| *out == target);
        Target::ALL.into_iter().for_each(|target| metrics.set_outage(target, is_out(target)));
        metrics.count_drained(self.drained);
    }
}

/// What the sender did wrong is a warning: nothing of ours is broken.
const fn level_of(status: u16) -> Level {
    match status {
        ..400 => Level::Info,
        400..500 => Level::Warn,
        _ => Level::Error,
    }
}

fn cut<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = text.as_deref().unwrap_or_default();
    let end = (0..=LOG_TEXT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    match text.get(..end) {
        Some(start) if text.len() > LOG_TEXT_BYTES_MAX => serializer.collect_str(&format_args!("{start}...")),
        _ => serializer.serialize_str(text),
    }
}
