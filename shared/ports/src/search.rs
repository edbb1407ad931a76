//! The search index: documents by id, found by a typed filter.

use std::borrow::Cow;

use async_trait::async_trait;
use bytes::Bytes;
use tributary_model::record::Codec;
use tributary_model::{Day, Invocation, Kind, ProjectId, ReportId, RetentionClass, TimestampMs, Version};

use crate::{PortError, Upserted};

/// An invocation as it is indexed, with its report.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Decides which of two writes of the id wins.
    pub version: Version,
    /// With the id's day, the index it lives in.
    pub retention: RetentionClass,
    /// What is searched and shown.
    pub invocation: Invocation,
    /// The report as it was received, stored and not searched.
    pub original: Original,
}

/// A report as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// JSON, or a JWS that holds it.
    pub kind: Kind,
    /// How `payload` is compressed.
    pub codec: Codec,
    /// Bytes before compression.
    pub payload_bytes: u32,
    /// The compressed bytes.
    pub payload: Bytes,
}

/// A filter over documents. Texts are compared exactly unless said otherwise; nothing in it is an engine's own syntax.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Every document.
    All,
    /// All of these.
    And(Vec<Filter>),
    /// Any of these.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// The field has exactly this text.
    Is(TextField, String),
    /// The field begins with this text.
    StartsWith(TextField, String),
    /// The field is true.
    True(BoolField),
    /// The number lies within the range.
    InRange(NumberField, Range),
    /// Some metric of the name has this text.
    MetricIs(String, String),
    /// Some metric of the name has a number within the range.
    MetricInRange(String, Range),
    /// Some metric has the name.
    HasMetric(String),
    /// The words, in this order and next to each other, in one of [`Filter::texts`]; compared without case. One word is a
    /// phrase of one. A word is a run of letters and digits: a text without any finds nothing, and `a-b` is a phrase of two.
    Words(Vec<String>),
    /// Any error was reported.
    HasError,
}

impl Filter {
    /// What [`Filter::Words`] looks at: the function's name, the error's name and message, labels, and texts of metrics.
    pub fn texts(invocation: &Invocation) -> impl Iterator<Item = &str> {
        let error = invocation.error.iter().flat_map(|error| [error.name.as_str(), error.message.as_str()]);
        let labels = invocation.labels.iter().map(String::as_str);
        let metrics = invocation.metrics.iter().filter_map(|metric| metric.s.as_deref());
        std::iter::once(invocation.function.as_str()).chain(error).chain(labels).chain(metrics)
    }
}

/// Fields with exact text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextField {
    /// `id`
    Id,
    /// `function`
    Function,
    /// `version`
    Version,
    /// `region`
    Region,
    /// `request_id`
    RequestId,
    /// `process_id`
    ProcessId,
    /// `error.name`
    ErrorName,
    /// `error.fingerprint`
    ErrorFingerprint,
    /// A label.
    Label,
    /// `agent.runtime`
    AgentRuntime,
    /// `agent.version`
    AgentVersion,
    /// `event_source`
    EventSource,
    /// `step_function.id`
    StepFunction,
    /// `aws.account_id`
    AwsAccount,
    /// `aws.trace_id`
    TraceId,
    /// `token`
    Token,
}

impl TextField {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 16] = [
        Self::Id,
        Self::Function,
        Self::Version,
        Self::Region,
        Self::RequestId,
        Self::ProcessId,
        Self::ErrorName,
        Self::ErrorFingerprint,
        Self::Label,
        Self::AgentRuntime,
        Self::AgentVersion,
        Self::EventSource,
        Self::StepFunction,
        Self::AwsAccount,
        Self::TraceId,
        Self::Token,
    ];

    /// The field's texts in an invocation: none where it has no value, many for labels. An empty text is a text.
    #[must_use]
    pub fn of(self, invocation: &Invocation) -> Vec<Cow<'_, str>> {
        let text: &str = match self {
            Self::Id => return vec![invocation.id.to_string().into()],
            Self::Label => return invocation.labels.iter().map(|label| label.into()).collect(),
            Self::ErrorName => return invocation.error.iter().map(|error| (&error.name).into()).collect(),
            Self::ErrorFingerprint => {
                return invocation.error.iter().map(|error| (&error.fingerprint).into()).collect();
            }
            Self::EventSource => return invocation.event_source.iter().map(|source| source.into()).collect(),
            Self::StepFunction => return invocation.step_function.iter().map(|step| (&step.id).into()).collect(),
            Self::Function => &invocation.function,
            Self::Version => &invocation.version,
            Self::Region => invocation.region.as_str(),
            Self::RequestId => &invocation.request_id,
            Self::ProcessId => &invocation.process_id,
            Self::AgentRuntime => &invocation.agent.runtime,
            Self::AgentVersion => &invocation.agent.version,
            Self::AwsAccount => &invocation.aws.account_id,
            Self::TraceId => &invocation.aws.trace_id,
            Self::Token => invocation.token.as_str(),
        };
        vec![text.into()]
    }
}

/// Fields that are true or false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BoolField {
    /// `coldstart`
    Coldstart,
    /// `timeout`
    Timeout,
    /// `signed`
    Signed,
    /// Some field was removed by normalize.
    Removed,
}

impl BoolField {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::Coldstart, Self::Timeout, Self::Signed, Self::Removed];

    /// The field's value in an invocation.
    #[must_use]
    pub const fn of(self, invocation: &Invocation) -> bool {
        match self {
            Self::Coldstart => invocation.coldstart,
            Self::Timeout => invocation.timeout,
            Self::Signed => invocation.signed,
            Self::Removed => invocation.removed_count > 0,
        }
    }
}

/// Fields with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NumberField {
    /// `duration_ms`
    DurationMs,
    /// `memory.used_mib`
    MemoryUsedMib,
    /// `memory.used_percent`
    MemoryUsedPercent,
}

impl NumberField {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::DurationMs, Self::MemoryUsedMib, Self::MemoryUsedPercent];

    /// The field's value in an invocation.
    #[must_use]
    pub const fn of(self, invocation: &Invocation) -> Option<f64> {
        match self {
            Self::DurationMs => invocation.duration_ms,
            Self::MemoryUsedMib => invocation.memory.used_mib,
            Self::MemoryUsedPercent => invocation.memory.used_percent,
        }
    }
}

/// A range of numbers; a missing bound is open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The lower bound and whether it is part of the range.
    pub from: Option<(f64, bool)>,
    /// The upper bound and whether it is part of the range.
    pub to: Option<(f64, bool)>,
}

impl Range {
    /// Whether the number lies within the range. Zero has no sign.
    #[must_use]
    pub fn contains(&self, number: f64) -> bool {
        let above = self.from.is_none_or(|(from, included)| number > from || (included && number == from));
        let below = self.to.is_none_or(|(to, included)| number < to || (included && number == to));
        above && below
    }
}

/// What to search: one project, a time range, a filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    /// Only this project's documents, whatever the filter says.
    pub project: ProjectId,
    /// Timestamp at this time or later.
    pub from: TimestampMs,
    /// Timestamp before this time.
    pub to: TimestampMs,
    /// Received at this time or earlier: what makes paging stable while data arrives.
    pub received_until: TimestampMs,
    /// What else must hold.
    pub filter: Filter,
}

/// The order of a page. Equal keys are ordered by id, in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sort {
    /// The key; documents without it come last in both directions.
    pub key: SortKey,
    /// Greatest first.
    pub descending: bool,
}

/// What a page can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// `timestamp`
    Timestamp,
    /// `duration_ms`
    DurationMs,
    /// `memory.used_percent`
    MemoryUsedPercent,
}

impl SortKey {
    /// The key's value in an invocation: milliseconds for a timestamp.
    #[must_use]
    pub const fn of(self, invocation: &Invocation) -> Option<f64> {
        match self {
            // Exact up to 2^53 milliseconds, the year 287,396.
            Self::Timestamp => Some(invocation.timestamp.0 as f64),
            Self::DurationMs => invocation.duration_ms,
            Self::MemoryUsedPercent => invocation.memory.used_percent,
        }
    }
}

/// The last item of the page before: its sort key (none if it has none) and its id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct After {
    /// The key's value, as [`SortKey::of`] gives it.
    pub key: Option<f64>,
    /// The id.
    pub id: ReportId,
}

impl After {
    /// The place behind an invocation in the order of `key`.
    #[must_use]
    pub const fn invocation(key: SortKey, invocation: &Invocation) -> Self {
        Self { key: key.of(invocation), id: invocation.id }
    }
}

/// One function's invocations in a time range.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionSummary {
    /// The function's name.
    pub function: String,
    /// Invocations.
    pub count: u64,
    /// Invocations with an error.
    pub errors: u64,
    /// Cold starts.
    pub coldstarts: u64,
    /// Median, 95th and 99th percentile of the duration; none if no invocation has one. Within 2 % of the exact value.
    pub duration_ms: Option<Percentiles>,
    /// The latest timestamp.
    pub last_seen: TimestampMs,
}

/// Percentiles of a duration, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 95th.
    pub p95: f64,
    /// 99th.
    pub p99: f64,
}

/// The search index.
#[async_trait]
pub trait Search: Send + Sync {
    /// Writes documents by version and answers for each, in their order; returns when what was applied is durable.
    /// What was applied is found by [`Search::find`] soon after, not necessarily at once.
    ///
    /// # Errors
    /// If the store could not be asked or could not finish; some may be written. The same call again is safe.
    async fn upsert(&self, documents: Vec<Document>) -> Result<Vec<Upserted>, PortError>;

    /// A page of at most `limit` invocations in the order of `sort`, behind `after`.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn find(
        &self,
        scope: &Scope,
        sort: Sort,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<Invocation>, PortError>;

    /// The document of an id, if the project has it.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn get(&self, project: &ProjectId, id: ReportId) -> Result<Option<Document>, PortError>;

    /// For each id the versions under which it is stored, in the ids' order, whatever the project: none, one, or several
    /// where it is stored more than once, which a store may not be able to do and nothing of ours does. What was applied
    /// is seen when it is found.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn versions(&self, ids: &[ReportId]) -> Result<Vec<Vec<Version>>, PortError>;

    /// Deletes the documents that are past their retention on the day `today` ([`RetentionClass::expired`]), and no
    /// others. Those of a class that is kept by month may stay until the last of their month is past it.
    ///
    /// # Errors
    /// Bad luck of any kind; some may be deleted. The same call again is safe.
    async fn expire(&self, today: Day) -> Result<(), PortError>;

    /// The functions of the scope, the most invoked first (equal counts by name), at most `limit`.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn functions(&self, scope: &Scope, limit: usize) -> Result<Vec<FunctionSummary>, PortError>;
}
