//! `tributary show`.

use std::path::Path;

use serde_json::Value;
use tributary_access::verify_signed;
use tributary_model::directory::{Project, SenderKey};
use tributary_model::{AccountId, ProjectId, TimestampMs};

use super::key::read_key;
use crate::arguments::{Form, ShowArguments};
use crate::client::Client;
use crate::clock;
use crate::failure::{Context, Failure};
use crate::folder::{Folder, SavedToken};
use crate::output::{Output, cell, milliseconds};

pub(super) async fn run(folder: &Folder, output: &Output, arguments: ShowArguments) -> Result<(), Failure> {
    let client = Client::new(folder, SavedToken::Local, &arguments.endpoint)?;
    let invocation = client.get(&format!("/v1/invocations/{}", arguments.id), &[]).await?;
    if arguments.verify {
        return verify(folder, output, &invocation, arguments.public_key.as_deref()).await;
    }
    match arguments.output.output {
        Form::Json => output.json(&invocation),
        Form::Table => show(output, &invocation),
    }
}

fn show(output: &Output, item: &Value) -> Result<(), Failure> {
    for (title, fields) in SECTIONS {
        let fields: Vec<_> = fields.iter().map(|(name, pointer)| (*name, value(item, pointer))).collect();
        output.section(title, &fields)?;
    }
    let metrics: Vec<_> =
        list(item, "/metrics").map(|metric| (cell(metric, "/name"), number_or_text(metric))).collect();
    let metrics: Vec<_> = metrics.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    output.section("Metrics", &metrics)?;
    let traces: Vec<_> = list(item, "/http_traces").map(|trace| ("http", http_trace(trace))).collect();
    output.section("HTTP requests", &traces)?;
    let traces: Vec<_> = list(item, "/db_traces").map(|trace| ("db", db_trace(trace))).collect();
    output.section("Database requests", &traces)?;
    let marks: Vec<_> = list(item, "/marks").filter(|mark| cell(mark, "/kind") == "measure").collect();
    let marks: Vec<_> = marks.iter().map(|mark| (cell(mark, "/name"), milliseconds(mark.get("duration_ms")))).collect();
    let marks: Vec<_> = marks.iter().map(|(name, duration)| (name.as_str(), duration.clone())).collect();
    output.section("Measures", &marks)?;
    output.line("--output json shows everything, the report as it was received included")
}

type Section = (&'static str, &'static [(&'static str, &'static str)]);

const SECTIONS: &[Section] = &[
    (
        "Invocation",
        &[
            ("id", "/id"),
            ("function", "/function"),
            ("version", "/version"),
            ("region", "/region"),
            ("request", "/request_id"),
            ("process", "/process_id"),
            ("began", "/timestamp"),
            ("received", "/received_at"),
            ("duration", "/duration_ms"),
            ("cold start", "/coldstart"),
            ("timeout", "/timeout"),
            ("signed", "/signed"),
            ("labels", "/labels"),
            ("event", "/event_source"),
            ("project", "/project"),
            ("token", "/token"),
            ("kept for", "/retention"),
        ],
    ),
    (
        "Error",
        &[
            ("name", "/error/name"),
            ("message", "/error/message"),
            ("fingerprint", "/error/fingerprint"),
            ("stack", "/error/stack"),
        ],
    ),
    (
        "Where it ran",
        &[
            ("agent", "/agent/runtime"),
            ("agent version", "/agent/version"),
            ("runtime", "/runtime/name"),
            ("runtime version", "/runtime/version"),
            ("ARN", "/aws/arn"),
            ("log group", "/aws/log_group"),
            ("log stream", "/aws/log_stream"),
            ("X-Ray trace", "/aws/trace_id"),
            ("memory limit MiB", "/memory/limit_mib"),
            ("memory used MiB", "/memory/used_mib"),
            ("memory used %", "/memory/used_percent"),
            ("CPU user ms", "/cpu/user_ms"),
            ("CPU system ms", "/cpu/system_ms"),
            ("disk used MiB", "/disk/used_mib"),
            ("host", "/host/name"),
        ],
    ),
];

fn value(item: &Value, pointer: &str) -> String {
    if pointer == "/duration_ms" { milliseconds(item.pointer(pointer)) } else { cell(item, pointer) }
}

fn list<'a>(item: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    item.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn number_or_text(metric: &Value) -> String {
    if metric.get("n").is_some() { cell(metric, "/n") } else { cell(metric, "/s") }
}

fn http_trace(trace: &Value) -> String {
    let status = match cell(trace, "/status") {
        status if status.is_empty() => "no answer".to_owned(),
        status => status,
    };
    format!("{} {} {status} {}", cell(trace, "/method"), cell(trace, "/url"), milliseconds(trace.get("duration_ms")))
}

fn db_trace(trace: &Value) -> String {
    let duration = milliseconds(trace.get("duration_ms"));
    format!("{} {} {} {duration}", cell(trace, "/database"), cell(trace, "/command"), cell(trace, "/target"))
}

/// Checks the stored JWS against the project's keys, as they were when it was received.
async fn verify(folder: &Folder, output: &Output, item: &Value, public_key: Option<&Path>) -> Result<(), Failure> {
    let id = cell(item, "/id");
    let jws = item
        .get("jws")
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::new(format!("{id} came without a signature; there is nothing to verify")))?;
    let received_at: TimestampMs = cell(item, "/received_at").parse().context("received_at")?;
    let project = match public_key {
        Some(path) => project_with(path)?,
        None => project_of(folder, &cell(item, "/project")).await?,
    };
    let signed = verify_signed(&project, jws, received_at)
        .map_err(|error| Failure::new(format!("{id} is NOT genuine: {error}")))?;
    // A report with `NaN` and the like is shown with null in its place; the signature has covered it as it was.
    let is_other = |report: &Value| item.get("original") != Some(report);
    if serde_json::from_slice(&signed.payload).is_ok_and(|report| is_other(&report)) {
        return Err(Failure::new(format!("{id} is NOT genuine: what is shown is not what was signed")));
    }
    output.line(format_args!("{id} is genuine: signed with {} and unchanged since", signed.key_id))
}

/// A project that has just this key.
fn project_with(path: &Path) -> Result<Project, Failure> {
    let key = read_key(path)?;
    let mut project = Project::new(AccountId::new(crate::folder::DEFAULT_ACCOUNT).context("account")?);
    project.sender_keys.insert(key.key_id, SenderKey { jwk: key.jwk, added_at: TimestampMs(0), revoked_at: None });
    Ok(project)
}

async fn project_of(folder: &Folder, name: &str) -> Result<Project, Failure> {
    let name = ProjectId::new(name).context("project")?;
    let mut stores = folder.open(clock::now()).await?;
    let none = || {
        Failure::new(format!("{} has no project {name}", folder.root().display()))
            .hint("--public-key FILE names the key to check against")
    };
    stores.directory.projects.remove(&name).ok_or_else(none)
}
