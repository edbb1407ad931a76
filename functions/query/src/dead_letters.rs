//! `/v1/dead-letters`.
//!
//! An operate token sees the dead letters of its own project. A record whose header could not be read has no project; any
//! project's data may be in its bytes, so only those who run the installation see it ([`Query::operators`]).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tributary_access::Caller;
use tributary_model::limits::{CURSOR_BYTES_MAX, DEAD_LETTERS_RETRIED_MAX, DISCARD_REASON_BYTES_MAX};
use tributary_model::rejection::ErrorClass;
use tributary_model::{Problem, Reason, Target, TimestampMs};
use tributary_ports::ledger::{DeadLetterFilter, DeadLetterRow};
use tributary_ports::{PortError, PortErrorKind};
use tributary_replay::{
    OpenedDeadLetter, Redriven, Replays, edited, read_dead_letter, redrive, redrive_edited, report_of,
};

use crate::Query;
use crate::answer::{Answer, Page};
use crate::failure::Failure;
use crate::parameters::Parameters;
use crate::time_range::instant;

/// What narrows a list of dead letters.
const FILTERS: [&str; 5] = ["class", "reason", "target", "from", "to"];

/// A dead letter as it stands in a list.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    row: &'a DeadLetterRow,
    class: ErrorClass,
}

/// A dead letter with its record's bytes, base64, and the report in it; null if the object is gone, or no JSON that could
/// be edited.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    row: DeadLetterRow,
    class: ErrorClass,
    record: Option<String>,
    report: Option<Value>,
}

/// The body of `POST /v1/dead-letters/{id}/retry`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edited<'a> {
    /// The report in place of the record's own.
    #[serde(borrow)]
    report: &'a RawValue,
}

fn visible(query: &Query, caller: &Caller, row: &DeadLetterRow) -> bool {
    match &row.project {
        Some(project) => *project == caller.project,
        None => query.operators.as_ref() == Some(&caller.project),
    }
}

pub(crate) async fn list(query: &Query, now: TimestampMs, caller: &Caller, text: &str) -> Result<Answer, Failure> {
    let parameters = Parameters::read(text, &[&["limit", "cursor"], &FILTERS[..]].concat())?;
    let limit = parameters.limit()?;
    // One more than the page holds tells whether there is a page behind it.
    let rows = rows(query, now, caller, &parameters, limit + 1).await?;
    let mut page = Page::new();
    let mut last = None;
    for (items, row) in rows.iter().enumerate() {
        if items == limit || !page.add(&Listed { row, class: row.reason.class() })? {
            return page.answer(last.map(cursor).as_deref());
        }
        last = Some(row);
    }
    page.answer(None)
}

fn cursor(last: &DeadLetterRow) -> String {
    URL_SAFE_NO_PAD.encode(&last.id)
}

/// What is [`visible`] and wanted, by id, behind the cursor: at least the first `limit` of it.
async fn rows(
    query: &Query,
    now: TimestampMs,
    caller: &Caller,
    parameters: &Parameters<'_>,
    limit: usize,
) -> Result<Vec<DeadLetterRow>, Failure> {
    let after = parameters.text("cursor").map(place).transpose()?;
    let of_none = filter(parameters, now)?;
    let own = DeadLetterFilter { project: Some(caller.project.clone()), ..of_none.clone() };
    let mut rows = query.ledger.dead_letters(&own, after.as_deref(), limit).await?;
    if query.operators.as_ref() == Some(&caller.project) {
        rows.extend(query.ledger.dead_letters(&of_none, after.as_deref(), limit).await?);
        rows.sort_by(|one, other| one.id.cmp(&other.id));
    }
    Ok(rows)
}

fn filter(parameters: &Parameters<'_>, now: TimestampMs) -> Result<DeadLetterFilter, Problem> {
    let class = named(parameters, "class", &ErrorClass::ALL, ErrorClass::as_str)?;
    let reason = named(parameters, "reason", &Reason::ALL, Reason::as_str)?;
    let reasons = match (class, reason) {
        (None, None) => None,
        (None, Some(reason)) => Some(vec![reason]),
        (Some(class), reason) => {
            Some(class.reasons().filter(|of_class| reason.is_none_or(|reason| reason == *of_class)).collect())
        }
    };
    Ok(DeadLetterFilter {
        project: None,
        reasons,
        target: named(parameters, "target", &Target::ALL, Target::as_str)?,
        from: parameters.text("from").map(|text| instant("from", text, now)).transpose()?,
        to: parameters.text("to").map(|text| instant("to", text, now)).transpose()?,
    })
}

/// The one of `all` that a parameter names.
fn named<T: Copy>(
    parameters: &Parameters<'_>,
    name: &str,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Problem> {
    let Some(text) = parameters.text(name) else { return Ok(None) };
    let found = all.iter().copied().find(|known| as_str(*known) == text);
    let known = || all.iter().map(|known| as_str(*known)).collect::<Vec<_>>().join(", ");
    found.map(Some).ok_or_else(|| Problem::bad_request(format!("{name} must be one of {}", known())))
}

/// The id behind which a page begins. A made-up one moves the page and shows nothing more.
fn place(cursor: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().filter(|_| cursor.len() <= CURSOR_BYTES_MAX);
    let wrong =
        || Problem::bad_request("cursor is not one that this API gave; take `next` of the page before as it is");
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)
}

pub(crate) async fn open(query: &Query, caller: &Caller, id: &str, text: &str) -> Result<Answer, Failure> {
    Parameters::read(text, &[])?;
    let row = seen(query, caller, id).await?;
    let record = record(query, &row).await?;
    let report = record.as_ref().and_then(report_of);
    Answer::one(&Shown { class: row.reason.class(), row, record: record.map(|record| STANDARD.encode(record)), report })
}

/// The row of a dead letter that the caller may see.
async fn seen(query: &Query, caller: &Caller, id: &str) -> Result<DeadLetterRow, Failure> {
    let row = query.ledger.dead_letter(id).await?.filter(|row| visible(query, caller, row));
    Ok(row.ok_or_else(|| Problem::not_found("there is no dead letter of this id in the token's project"))?)
}

/// The record of a dead letter; none if its object is gone.
async fn record(query: &Query, row: &DeadLetterRow) -> Result<Option<Bytes>, Failure> {
    let opened = read_dead_letter(&*query.objects, &*query.keys, &row.object_key).await;
    let opened = opened.map_err(|error| match error.kind {
        PortErrorKind::Invalid => Failure::damaged(error.to_string()),
        _ => Failure::from(error),
    })?;
    Ok(opened.map(|OpenedDeadLetter { record, .. }| record))
}

pub(crate) async fn retry(
    query: &Query,
    now: TimestampMs,
    caller: &Caller,
    id: &str,
    body: &Bytes,
) -> Result<Answer, Failure> {
    let replays = repairs(query)?;
    let row = seen(query, caller, id).await?;
    let driven = if body.is_empty() || body == "null" {
        redrive(replays, now, &caller.token, &row).await?
    } else {
        let gone = || Problem::unprocessable_content("the record's bytes are gone; nothing can be edited");
        let record = record(query, &row).await?.ok_or_else(gone)?;
        let Edited { report } =
            serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("the body: {error}")))?;
        let record = edited(&record, report.get().as_bytes(), now);
        let record = record.map_err(|rejection| Problem::unprocessable_content(rejection.detail))?;
        redrive_edited(replays, now, &caller.token, &row, record).await?
    };
    Answer::one(&driven)
}

/// Applies those that match again, a page of them at a time.
pub(crate) async fn retry_all(query: &Query, now: TimestampMs, caller: &Caller, text: &str) -> Result<Answer, Failure> {
    let replays = repairs(query)?;
    let parameters = Parameters::read(text, &[&["cursor"], &FILTERS[..]].concat())?;
    let rows = rows(query, now, caller, &parameters, DEAD_LETTERS_RETRIED_MAX + 1).await?;
    let mut page = Page::new();
    for row in rows.iter().take(DEAD_LETTERS_RETRIED_MAX) {
        let driven: Result<Redriven, PortError> = redrive(replays, now, &caller.token, row).await;
        page.add(&driven?)?; // an id, two names and a sentence each
    }
    let last = rows.get(DEAD_LETTERS_RETRIED_MAX - 1).filter(|_| rows.len() > DEAD_LETTERS_RETRIED_MAX);
    page.answer(last.map(cursor).as_deref())
}

pub(crate) async fn discard(
    query: &Query,
    now: TimestampMs,
    caller: &Caller,
    id: &str,
    text: &str,
) -> Result<Answer, Failure> {
    let parameters = Parameters::read(text, &["reason"])?;
    let reason = parameters.text("reason").filter(|reason| reason.len() <= DISCARD_REASON_BYTES_MAX);
    let wanted = || format!("reason must say in 1 to {DISCARD_REASON_BYTES_MAX} bytes why it is given up");
    let reason = reason.ok_or_else(|| Problem::bad_request(wanted()))?;
    let row = seen(query, caller, id).await?;
    tributary_replay::discard(repairs(query)?, now, &caller.token, &row, reason).await?;
    Answer::one(&Listed { class: row.reason.class(), row: &row })
}

fn repairs(query: &Query) -> Result<&Replays, Problem> {
    query.replays.as_deref().ok_or_else(|| Problem::not_found("nothing can be repaired through this installation"))
}
