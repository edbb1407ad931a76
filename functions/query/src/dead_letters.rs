//! `GET /v1/dead-letters` and `GET /v1/dead-letters/{id}`.
//!
//! An operate token sees the dead letters of its own project. A record whose header could not be read has no project; any
//! project's data may be in its bytes, so only those who run the installation see it ([`Query::operators`]).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde::Serialize;
use tributary_access::Caller;
use tributary_model::Problem;
use tributary_model::dead_letter::DeadLetter;
use tributary_model::limits::CURSOR_BYTES_MAX;
use tributary_ports::keys::Purpose;
use tributary_ports::ledger::{DeadLetterFilter, DeadLetterRow};
use tributary_ports::{PortError, PortErrorKind, envelope};

use crate::Query;
use crate::answer::{Answer, Page};
use crate::failure::Failure;
use crate::parameters::Parameters;

/// A dead letter with its record's bytes, base64; null if the object is gone.
#[derive(Serialize)]
struct OpenedDeadLetter {
    #[serde(flatten)]
    row: DeadLetterRow,
    record: Option<String>,
}

fn visible(query: &Query, caller: &Caller, row: &DeadLetterRow) -> bool {
    match &row.project {
        Some(project) => *project == caller.project,
        None => query.operators.as_ref() == Some(&caller.project),
    }
}

pub(crate) async fn list(query: &Query, caller: &Caller, text: &str) -> Result<Answer, Failure> {
    let parameters = Parameters::read(text, &["limit", "cursor"])?;
    let limit = parameters.limit()?;
    let after = parameters.text("cursor").map(place).transpose()?;
    // One more than the page holds tells whether there is a page behind it.
    let rows = rows(query, caller, after.as_deref(), limit + 1).await?;
    let mut page = Page::new();
    let mut last = None;
    for (items, row) in rows.iter().enumerate() {
        if items == limit || !page.add(row)? {
            return page.answer(last.map(|id: &String| URL_SAFE_NO_PAD.encode(id)).as_deref());
        }
        last = Some(&row.id);
    }
    page.answer(None)
}

/// What is [`visible`], by id, behind `after`: at least the first `limit` of it.
async fn rows(
    query: &Query,
    caller: &Caller,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<DeadLetterRow>, PortError> {
    let own = DeadLetterFilter { project: Some(caller.project.clone()), ..DeadLetterFilter::default() };
    let mut rows = query.ledger.dead_letters(&own, after, limit).await?;
    if query.operators.as_ref() == Some(&caller.project) {
        rows.extend(query.ledger.dead_letters(&DeadLetterFilter::default(), after, limit).await?);
        rows.sort_by(|one, other| one.id.cmp(&other.id));
    }
    Ok(rows)
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
    let row = query.ledger.dead_letter(id).await?.filter(|row| visible(query, caller, row));
    let row = row.ok_or_else(|| Problem::not_found("there is no dead letter of this id in the token's project"))?;
    let record = match query.objects.get(&row.object_key).await? {
        Some(object) => Some(STANDARD.encode(record(query, &row.object_key, &object.bytes).await?)),
        None => None,
    };
    Answer::one(&OpenedDeadLetter { row, record })
}

/// The record in the object under `key`.
async fn record(query: &Query, key: &str, object: &[u8]) -> Result<Bytes, Failure> {
    let damaged = || Failure::damaged(format!("{key} is no dead letter"));
    let letter: DeadLetter = serde_json::from_slice(object).map_err(|_| damaged())?;
    let sealed = STANDARD.decode(letter.sealed_record).map_err(|_| damaged())?;
    envelope::open(&*query.keys, Purpose::DeadLetter, key, &sealed).await.map_err(|error| match error.kind {
        PortErrorKind::Invalid => Failure::damaged(error.to_string()),
        _ => error.into(),
    })
}
