//! `POST /v0/event`: one report, plain or signed.
//!
//! The cheap refusals come first, and the token before the body wherever a header holds it. The token stands in
//! `Authorization` (with `Bearer` or, as the Java agent sends it, bare), else in the body's `client_id`, where agents
//! before 2018 and the Go agent put it and nowhere else. A signed report's token stands in the header alone: its payload
//! is kept for good and may not hold one.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Request, Response};
use tokio::time::Instant;
use tributary_access::{AuthError, Caller, token_in};
use tributary_model::directory::Scope;
use tributary_model::limits::{ANSWER_TIMEOUT, APPEND_TIMEOUT, OVERFLOW_TIMEOUT};
use tributary_model::{Kind, Problem, Reason, Record, Rejection, Report, ReportId, TimestampMs};
use tributary_pipeline::admit::{admit, without_token};
use tributary_pipeline::decode::decode;
use tributary_pipeline::pack::{Arrival, pack};
use tributary_ports::stream::Entry;
use tributary_ports::{PortError, PortErrorKind};
use tributary_telemetry::CollectorFacts;

use crate::Collector;
use crate::headers::{self, Format};
use crate::refusal::Refusal;

/// Takes in a report: admits it, appends its record, and answers the receipt once the stream holds it, or the overflow
/// where the stream refuses, for whatever cause: the sender has done its part, and what is wrong with the stream is ours.
pub(crate) async fn take_in(
    collector: &Collector,
    now: TimestampMs,
    request: Request<Bytes>,
    facts: &mut CollectorFacts,
) -> Result<Response<Bytes>, Refusal> {
    let answer_by = Instant::now() + ANSWER_TIMEOUT;
    let record = record_of(collector, now, request, facts).await?;
    let (id, data) = (record.id, record.encode());
    drop(record);
    let partition_key = id.to_string();
    let receipt = receipt(&partition_key);
    let entry = Entry { partition_key: partition_key.into(), data: data.clone() };
    let append = collector.stream.append(vec![entry]);
    let append_by = (answer_by - OVERFLOW_TIMEOUT).min(Instant::now() + APPEND_TIMEOUT);
    let Err(refused) = until(append_by, "stream.append", append).await else { return Ok(receipt) };
    let keep_by = answer_by.min(Instant::now() + OVERFLOW_TIMEOUT);
    match until(keep_by, "overflow.keep", collector.overflow.keep(id, now, &data)).await {
        Ok(()) => {
            facts.reason = if refused.kind == PortErrorKind::Denied { "overflowed-denied" } else { "overflowed" };
            facts.error = Some(refused.to_string());
            Ok(receipt)
        }
        Err(error) => Err(Refusal::nowhere(&refused, &error)),
    }
}

/// The answer of a call on a port, or that it took too long; it may have taken effect.
async fn until<A>(
    deadline: Instant,
    operation: &'static str,
    call: impl Future<Output = Result<A, PortError>>,
) -> Result<A, PortError> {
    let late = |_| Err(PortError::new(PortErrorKind::Unavailable, operation, "no answer in time"));
    tokio::time::timeout_at(deadline, call).await.unwrap_or_else(late)
}

/// All that comes before the stream. Of this only the directory may be waited for, now and then.
async fn record_of(
    collector: &Collector,
    now: TimestampMs,
    request: Request<Bytes>,
    facts: &mut CollectorFacts,
) -> Result<Record, Refusal> {
    let (head, body) = request.into_parts();
    let format = headers::format(&head.headers)?;
    let encoding = headers::encoding(&head.headers)?;
    headers::check_length(&head.headers, body.len())?;
    let token = token_in(&head.headers)?;
    let caller = match token {
        Some(token) => Some((token, let_in(collector, token, now, facts).await?)),
        None => None,
    };
    let body = decode(body, encoding)?;
    match format {
        Format::Json => plain(collector, now, caller, &body, facts).await,
        Format::Jose => signed(collector, now, caller, &body),
    }
}

async fn let_in(
    collector: &Collector,
    token: &str,
    now: TimestampMs,
    facts: &mut CollectorFacts,
) -> Result<Caller, Refusal> {
    let caller = collector.authority.verify(token, Scope::Ingest, now).await?;
    facts.project = Some(caller.project.clone());
    Ok(caller)
}

async fn plain(
    collector: &Collector,
    now: TimestampMs,
    caller: Option<(&str, Caller)>,
    body: &Bytes,
    facts: &mut CollectorFacts,
) -> Result<Record, Refusal> {
    let report = Report::parse(body)?;
    let client_id = report.client_id().filter(|_| caller.is_none());
    let (token, caller) = match (caller, client_id.as_deref()) {
        (Some(known), _) => known,
        (None, Some(token)) if !token.is_empty() => (token, let_in(collector, token, now, facts).await?),
        _ => return Err(AuthError::Missing.into()),
    };
    if caller.signed_only() {
        let detail = "the project takes signed reports only (Content-Type: application/jose)";
        return Err(Problem::forbidden(detail).into());
    }
    admit(&report, now)?;
    let bytes = without_token(body, &report, Some(token), &caller.token);
    let id = report.id(&caller.project);
    Ok(pack(&arrival(collector, caller, id, now), id, Kind::Report, &bytes)?)
}

fn signed(
    collector: &Collector,
    now: TimestampMs,
    caller: Option<(&str, Caller)>,
    body: &Bytes,
) -> Result<Record, Refusal> {
    let (token, caller) = caller.ok_or(AuthError::Missing)?;
    let jws = std::str::from_utf8(body).map_err(|_| Problem::bad_request("the signed report is not UTF-8"))?.trim();
    let signed = caller.verify_signed(jws, now)?;
    let report = Report::parse(&signed.payload)?;
    admit(&report, now)?;
    let holds_token = without_token(&signed.payload, &report, Some(token), &caller.token) != signed.payload
        || memchr::memmem::find(&signed.header, token.as_bytes()).is_some();
    if holds_token {
        let detail = "the signed report holds a token or client_id; what is signed is kept as it is, so leave it out";
        return Err(Rejection::new(Reason::InvalidField, detail).into());
    }
    let id = report.id(&caller.project);
    Ok(pack(&arrival(collector, caller, id, now), id, Kind::SignedReport, jws.as_bytes())?)
}

/// Where the report will lie, fixed here: the class is that of the day of its own timestamp.
fn arrival(collector: &Collector, caller: Caller, id: ReportId, now: TimestampMs) -> Arrival {
    Arrival {
        retention: caller.retention_on(id.day),
        project: caller.project,
        account: caller.account,
        region: collector.region.clone(),
        token: caller.token,
        received_at: now,
    }
}

fn receipt(id: &str) -> Response<Bytes> {
    let body = Bytes::from([r#"{"id":""#, id, r#""}"#].concat());
    let length = body.len();
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}
