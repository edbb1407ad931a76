//! `/v1/replays` and `/v1/receipts`.
//!
//! A replay writes nothing but what the stream holds, so an operate token may start one for its own project. Replays of
//! all projects are for those who run the installation ([`Query::operators`]).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tributary_access::Caller;
use tributary_model::limits::{AUDIT_SETTLE, CURSOR_BYTES_MAX, REPLAY_IDS_MAX};
use tributary_model::{Problem, ProjectId, Region, ReportId, Target, TimestampMs};
use tributary_ports::stream::ShardId;
use tributary_replay::{Mode, Replay, Replays, Request, StartError, State, SteerError};

use crate::Query;
use crate::answer::{Answer, Page};
use crate::failure::Failure;
use crate::parameters::Parameters;
use crate::time_range::instant;

/// The body of `POST /v1/replays`. What is left out has its default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// `apply` unless told otherwise.
    mode: Option<Mode>,
    /// A time of arrival, or a time ago.
    from: Option<String>,
    /// Or an outage: from its beginning on, its region and its store.
    since_outage: Option<String>,
    /// Now unless told otherwise; an audit ends a minute ago.
    to: Option<String>,
    #[serde(default)]
    regions: Vec<Region>,
    #[serde(default)]
    shards: Vec<ShardId>,
    project: Option<ProjectId>,
    function: Option<String>,
    #[serde(default)]
    ids: Vec<ReportId>,
    /// Both unless told otherwise.
    targets: Option<Vec<Target>>,
    records_per_second: Option<u32>,
}

/// The body of `POST /v1/receipts`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptsBody {
    ids: Vec<ReportId>,
}

/// What stands in a list of replays.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    mode: Mode,
    from: TimestampMs,
    to: TimestampMs,
    state: State,
    started_at: TimestampMs,
    ended_at: Option<TimestampMs>,
}

pub(crate) async fn start(query: &Query, now: TimestampMs, caller: &Caller, body: &Bytes) -> Result<Answer, Failure> {
    let replays = replays(query)?;
    let request = read(query, now, caller, body).await?;
    let started = tributary_replay::start(replays, now, &caller.token, request).await;
    let replay = started.map_err(|error| match error {
        StartError::Refused(detail) => Problem::unprocessable_content(detail).into(),
        StartError::Port(error) => Failure::from(error),
    })?;
    open(query, now, caller, &replay.id).await
}

async fn read(query: &Query, now: TimestampMs, caller: &Caller, body: &Bytes) -> Result<Request, Failure> {
    let body = since_outage(query, json_body(body)?).await?;
    let mode = body.mode.unwrap_or(Mode::Apply);
    // Who names reports has receipts of them, and does not mean what may still be on its way.
    let settles = mode.names() && body.ids.is_empty();
    let latest = if settles { now.minus(AUDIT_SETTLE) } else { now };
    let mut targets = body.targets.unwrap_or_else(|| Target::ALL.to_vec());
    targets.sort_unstable();
    targets.dedup();
    Ok(Request {
        mode,
        from: instant("from", body.from.as_deref().unwrap_or_default(), now)?,
        to: body.to.map(|to| instant("to", &to, now)).transpose()?.unwrap_or(latest),
        regions: body.regions,
        shards: body.shards,
        project: own_project(query, caller, body.project)?,
        function: body.function,
        ids: body.ids,
        targets,
        records_per_second: body.records_per_second,
    })
}

/// The body with what its outage says.
async fn since_outage(query: &Query, body: Body) -> Result<Body, Failure> {
    let Some(id) = &body.since_outage else { return Ok(body) };
    if body.from.is_some() || body.targets.is_some() || !body.regions.is_empty() {
        let detail = "since_outage stands for from, targets and regions; none of them goes with it";
        return Err(Problem::bad_request(detail).into());
    }
    let outage = query.ledger.outage(id).await?;
    let outage = outage.ok_or_else(|| Problem::unprocessable_content("there is no outage of this id"))?;
    let (from, targets) = (Some(outage.started_at.to_string()), Some(vec![outage.target]));
    Ok(Body { from, targets, regions: vec![outage.region], ..body })
}

/// The project to which a replay is held.
fn own_project(query: &Query, caller: &Caller, wanted: Option<ProjectId>) -> Result<Option<ProjectId>, Problem> {
    if operates(query, caller) {
        return Ok(wanted);
    }
    match wanted {
        Some(wanted) if wanted != caller.project => {
            Err(Problem::forbidden("the token's project can be replayed with it, and no other"))
        }
        _ => Ok(Some(caller.project.clone())),
    }
}

fn operates(query: &Query, caller: &Caller) -> bool {
    query.operators.as_ref() == Some(&caller.project)
}

fn json_body<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("the body: {error}")))
}

pub(crate) async fn list(query: &Query, caller: &Caller, text: &str) -> Result<Answer, Failure> {
    let replays = replays(query)?;
    let parameters = Parameters::read(text, &["limit", "cursor"])?;
    let limit = parameters.limit()?;
    let after = parameters.text("cursor").map(place).transpose()?;
    let found = tributary_replay::list(replays, after.as_deref(), limit + 1).await?;
    let mut page = Page::new();
    let mut last: Option<&Replay> = None;
    for (items, replay) in found.iter().enumerate() {
        if items == limit {
            return page.answer(last.map(|last| URL_SAFE_NO_PAD.encode(&last.id)).as_deref());
        }
        last = Some(replay);
        if visible(query, caller, replay) {
            page.add(&listed(replay))?;
        }
    }
    page.answer(None)
}

fn listed(replay: &Replay) -> Listed<'_> {
    Listed {
        id: &replay.id,
        mode: replay.request.mode,
        from: replay.request.from,
        to: replay.request.to,
        state: replay.state,
        started_at: replay.started_at,
        ended_at: replay.ended_at,
    }
}

pub(crate) async fn open(query: &Query, now: TimestampMs, caller: &Caller, id: &str) -> Result<Answer, Failure> {
    let progress = tributary_replay::progress(replays(query)?, now, known(id)?).await?;
    let progress = progress.filter(|progress| visible(query, caller, &progress.replay));
    Answer::one(&progress.ok_or_else(unknown)?)
}

pub(crate) async fn steer(
    query: &Query,
    now: TimestampMs,
    caller: &Caller,
    id: &str,
    wanted: State,
) -> Result<Answer, Failure> {
    let replays = replays(query)?;
    seen(query, caller, id).await?;
    let steered = tributary_replay::steer(replays, now, &caller.token, id, wanted).await;
    steered.map_err(|error| match error {
        SteerError::Unknown => unknown().into(),
        SteerError::Over(_) => Problem::unprocessable_content(error.to_string()).into(),
        SteerError::Port(error) => Failure::from(error),
    })?;
    open(query, now, caller, id).await
}

pub(crate) async fn findings(query: &Query, caller: &Caller, id: &str, text: &str) -> Result<Answer, Failure> {
    let parameters = Parameters::read(text, &["cursor"])?;
    let after = parameters.text("cursor").map(place).transpose()?;
    seen(query, caller, id).await?;
    let found = tributary_replay::findings(replays(query)?, id, after.as_deref()).await?;
    let mut page = Page::new();
    for finding in &found.findings {
        page.add(finding)?; // some hundred bytes each, and at most two for each record of a batch
    }
    page.answer(found.next.map(|next| URL_SAFE_NO_PAD.encode(next)).as_deref())
}

pub(crate) async fn receipts(query: &Query, caller: &Caller, body: &Bytes) -> Result<Answer, Failure> {
    let replays = replays(query)?;
    let ReceiptsBody { ids } = json_body(body)?;
    if ids.len() > REPLAY_IDS_MAX {
        let detail = format!("{} ids; one request takes {REPLAY_IDS_MAX}", ids.len());
        return Err(Problem::content_too_large(detail).into());
    }
    let receipts = tributary_replay::check_receipts(replays, &caller.project, &ids).await?;
    Answer::one(&json!({"items": receipts, "next": null}))
}

/// The replay, if the caller may see it.
async fn seen(query: &Query, caller: &Caller, id: &str) -> Result<Replay, Failure> {
    let replay = tributary_replay::open(replays(query)?, known(id)?).await?;
    Ok(replay.filter(|replay| visible(query, caller, replay)).ok_or_else(unknown)?)
}

fn visible(query: &Query, caller: &Caller, replay: &Replay) -> bool {
    operates(query, caller) || replay.request.project.as_ref() == Some(&caller.project)
}

fn replays(query: &Query) -> Result<&Replays, Problem> {
    query.replays.as_deref().ok_or_else(|| Problem::not_found("this installation has no replays here"))
}

/// An id as this build gives them; anything else could change an object's key.
fn known(id: &str) -> Result<&str, Problem> {
    let in_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.';
    if id.bytes().all(in_id) && !id.starts_with('.') { Ok(id) } else { Err(unknown()) }
}

fn unknown() -> Problem {
    Problem::not_found("there is no replay of this id in the token's project")
}

/// What a page begins after. A made-up one moves the page and shows nothing more.
fn place(cursor: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().filter(|_| cursor.len() <= CURSOR_BYTES_MAX);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let is_place = |text: &String| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    text.filter(is_place).ok_or_else(|| {
        Problem::bad_request("cursor is not one that this API gave; take `next` of the page before as it is")
    })
}
