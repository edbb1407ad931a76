//! An invocation: one run of a customer's function, in the normal form that engineers search. Units are in the names.
//!
//! It is what normalize makes of a report, what the search stores hold, and what the query API answers (as JSON, with
//! these names).

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ProjectId, Region, ReportId, TokenId};
use crate::time::TimestampMs;

/// One run of a function, normalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// The report's id.
    pub id: ReportId,
    /// The project of the token.
    pub project: ProjectId,
    /// The account of the token.
    pub account: AccountId,
    /// The function's region, from its ARN; the collector's if the ARN names none.
    pub region: Region,
    /// Lambda's request id; a retry by Lambda uses it again.
    pub request_id: String,
    /// The agent's id for the process, one per warm container.
    pub process_id: String,
    /// The function's name; empty if the report has none.
    pub function: String,
    /// The function's version, `$LATEST` or a number; empty if the report has none.
    pub version: String,
    /// When the invocation began, by the function's clock.
    pub timestamp: TimestampMs,
    /// When the agent prepared the report, by the function's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_end: Option<TimestampMs>,
    /// When the collector took the report in.
    pub received_at: TimestampMs,
    /// How long the function ran, the agent's overhead included; without the agent's own measure (a timeout in Java) the
    /// difference of `timestamp_end` and `timestamp`. Null if the report says neither.
    pub duration_ms: Option<f64>,
    /// Whether this was the first invocation in its process.
    pub coldstart: bool,
    /// Whether the agent reported because the deadline was near.
    pub timeout: bool,
    /// What went wrong; null if nothing was reported.
    pub error: Option<ErrorInfo>,
    /// Labels, the automatic ones (`@iopipe/...`) included, sorted, each once.
    pub labels: Vec<String>,
    /// Custom metrics in the order in which they were recorded; a name may come again.
    pub metrics: Vec<Metric>,
    /// The agent.
    pub agent: Named,
    /// The language runtime: `node` `v20.20.2`.
    pub runtime: RuntimeInfo,
    /// Where the function runs, as AWS names it.
    pub aws: AwsInfo,
    /// Memory of the process and the host.
    pub memory: MemoryInfo,
    /// Processor time of the process within this invocation.
    pub cpu: CpuInfo,
    /// `/tmp`; null if the agent doesn't look.
    pub disk: Option<DiskInfo>,
    /// The host.
    pub host: HostInfo,
    /// What triggered the function (`api-gateway`, `sqs`, `s3`, ...); null if the agent did not find out.
    pub event_source: Option<String>,
    /// The step function's execution of which this is a step.
    pub step_function: Option<StepFunction>,
    /// Trace marks and measures, by their start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// HTTP requests that the function made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http_traces: Vec<HttpTrace>,
    /// Database requests that the function made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub db_traces: Vec<DbTrace>,
    /// The agent's plugins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<Plugin>,
    /// How the agent was installed (`manual`, ...); empty if not said.
    pub install_method: String,
    /// The id (`jti`) of the token that the sender used.
    pub token: TokenId,
    /// Whether the report came signed.
    pub signed: bool,
    /// What normalize removed or cut because it broke a limit or had no sense.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
    /// How many fields were removed or cut in all; `removed` lists the first ones.
    #[serde(default)]
    pub removed_count: u32,
    /// Keys of the report that this build doesn't know, as they came.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub unknown: serde_json::Map<String, serde_json::Value>,
    /// The version of the normalizer that made this.
    pub normalizer: u16,
}

/// What went wrong in an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// The error's class, as the language names it (short in JavaScript and Python, qualified in Java).
    pub name: String,
    /// The error's text.
    pub message: String,
    /// The stack as the agent sent it.
    pub stack: String,
    /// 16 hexadecimal digits over name and stack without line numbers, columns and addresses: equal for errors of one
    /// origin, whatever their message.
    pub fingerprint: String,
}

/// A custom metric: a number or a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The metric's name.
    pub name: String,
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<f64>,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s: Option<String>,
}

/// The agent: `nodejs` `1.19.5`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Named {
    /// The agent's language: `nodejs`, `python`, `go`, `java`.
    pub runtime: String,
    /// The agent's version.
    pub version: String,
}

/// The language runtime.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuntimeInfo {
    /// `node`, `CPython`, `go`, `java`.
    pub name: String,
    /// Its version, as it names it itself.
    pub version: String,
    /// Who made it (Java only; else empty).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vendor: String,
}

/// Where the function runs, as AWS names it. Texts are empty if the report has none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AwsInfo {
    /// The function's ARN as it was invoked.
    pub arn: String,
    /// The twelve digits of the AWS account in the ARN.
    pub account_id: String,
    /// CloudWatch log group.
    pub log_group: String,
    /// CloudWatch log stream.
    pub log_stream: String,
    /// X-Ray header.
    pub trace_id: String,
    /// Milliseconds left when the report was prepared (Go: at the start).
    pub remaining_ms: Option<i64>,
}

/// Memory.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MemoryInfo {
    /// The function's limit, MiB.
    pub limit_mib: Option<f64>,
    /// Resident memory of the process at the end, MiB.
    pub used_mib: Option<f64>,
    /// `used_mib` of `limit_mib`, 0 to 100 (over 100 where the process outgrew a limit that was not enforced).
    pub used_percent: Option<f64>,
    /// The host's memory, MiB.
    pub host_total_mib: Option<f64>,
    /// The host's free memory, MiB.
    pub host_free_mib: Option<f64>,
}

/// Processor time of the process within the invocation; null where the agent gives no start or end. Go counts in whole
/// seconds. Java's start is that of the agent's loading, so that only cold starts have a time, with that loading in it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CpuInfo {
    /// In the function's own code, milliseconds (Linux counts in steps of 10).
    pub user_ms: Option<f64>,
    /// In the kernel, milliseconds.
    pub system_ms: Option<f64>,
    /// Processors of the host.
    pub count: u32,
}

/// `/tmp`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiskInfo {
    /// Its size, MiB.
    pub total_mib: Option<f64>,
    /// Used of it, MiB.
    pub used_mib: Option<f64>,
    /// Used of it, 0 to 100.
    pub used_percent: Option<f64>,
}

/// The host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HostInfo {
    /// Its name.
    pub name: String,
    /// Its boot's id, without the newline that agents leave in it.
    pub boot_id: String,
    /// Threads of the process.
    pub threads: Option<u32>,
    /// File descriptors of the process.
    pub file_descriptors: Option<u32>,
}

/// A step of a step function's execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFunction {
    /// The execution's id, the same in all its steps.
    pub id: String,
    /// The step, counted from 0.
    pub step: Option<u32>,
}

/// A trace mark or measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Its name without `start:`, `end:`, `measure:`.
    pub name: String,
    /// What it is.
    pub kind: MarkKind,
    /// When it began, milliseconds since the invocation's start.
    pub start_ms: Option<f64>,
    /// How long it took; 0 for a start or an end.
    pub duration_ms: Option<f64>,
}

/// The kinds of [`Mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkKind {
    /// `start:<name>`
    Start,
    /// `end:<name>`
    End,
    /// `measure:<name>`: from a start to its end.
    Measure,
    /// Anything else.
    Mark,
}

/// An HTTP request that the function made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpTrace {
    /// GET if the agent did not record it (JavaScript leaves it out when the call gave only a URL).
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// The host's name.
    pub host: String,
    /// The status; null without an answer.
    pub status: Option<u16>,
    /// When it began, milliseconds since the invocation's start.
    pub start_ms: Option<f64>,
    /// How long it took; null without an answer.
    pub duration_ms: Option<f64>,
}

/// A database request that the function made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DbTrace {
    /// `redis`, `mongodb`, `mysql`, `postgresql`.
    pub database: String,
    /// The command: `get`, `find`, `select`.
    pub command: String,
    /// The key or table.
    pub target: String,
    /// The host's name.
    pub host: String,
    /// Whether it failed.
    pub failed: bool,
    /// When it began, milliseconds since the invocation's start.
    pub start_ms: Option<f64>,
    /// How long it took.
    pub duration_ms: Option<f64>,
}

/// A plugin of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// Its name without `@iopipe/`: `trace`, `event-info`, `profiler`, `logger`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it was on; a plugin that doesn't say is.
    pub enabled: bool,
    /// How many files it says it uploaded.
    pub uploads: u32,
}

/// A field that normalize removed or cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The field's path in the report: `custom_metrics[3].s`.
    pub field: String,
    /// Which limit it broke, and its size.
    pub reason: String,
}
