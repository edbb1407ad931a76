//! From a request to its answer.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use tributary_access::{Authority, Caller, problem_response, token_in};
use tributary_model::directory::Scope;
use tributary_model::{Problem, ProjectId, TimestampMs};
use tributary_ports::{Keys, Ledger, Objects, Search};
use tributary_replay::{Replays, State};
use tributary_telemetry::QueryFacts;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::{dead_letters, functions, invocations, replays};

/// What the read API reads from.
pub struct Query {
    /// Verifies tokens.
    pub authority: Arc<Authority>,
    /// Holds the invocations.
    pub search: Arc<dyn Search>,
    /// Holds the dead letters' rows.
    pub ledger: Arc<dyn Ledger>,
    /// Holds the dead letters' bytes.
    pub objects: Arc<dyn Objects>,
    /// Opens them.
    pub keys: Arc<dyn Keys>,
    /// The project of those who run this installation. A record whose header can't be read belongs to no project that
    /// anybody could name; its dead letter is shown to operate tokens of this project, and to none if there is none.
    pub operators: Option<ProjectId>,
    /// Starts and steers replays; none where the streams can't be reached.
    pub replays: Option<Arc<Replays>>,
}

impl Query {
    /// The API on the stores of the replays that it starts.
    #[must_use]
    pub fn new(authority: Arc<Authority>, replays: Replays, operators: Option<ProjectId>) -> Self {
        Self {
            authority,
            search: Arc::clone(&replays.search),
            ledger: Arc::clone(&replays.ledger),
            objects: Arc::clone(&replays.objects),
            keys: Arc::clone(&replays.keys),
            operators,
            replays: Some(Arc::new(replays)),
        }
    }
}

/// An answer, and what is worth knowing about it.
#[derive(Debug)]
pub struct Handled {
    /// The answer.
    pub response: Response<Bytes>,
    /// For telemetry. The caller completes `duration_us`; a handler has no clock.
    pub facts: QueryFacts,
}

/// A request's path.
enum Route<'a> {
    Invocations,
    Invocation(&'a str),
    Functions,
    DeadLetters,
    DeadLetter(&'a str),
    DeadLetterRetry(&'a str),
    DeadLettersRetry,
    Replays,
    Replay(&'a str),
    ReplayPause(&'a str),
    ReplayResume(&'a str),
    ReplayFindings(&'a str),
    Receipts,
    Unknown,
}

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Self {
        let parts: Vec<&str> = path.split('/').take(6).collect();
        match parts.as_slice() {
            ["", "v1", "invocations"] => Self::Invocations,
            ["", "v1", "invocations", id] if !id.is_empty() => Self::Invocation(id),
            ["", "v1", "functions"] => Self::Functions,
            ["", "v1", "dead-letters"] => Self::DeadLetters,
            ["", "v1", "dead-letters", "retry"] => Self::DeadLettersRetry,
            ["", "v1", "dead-letters", id, "retry"] => Self::DeadLetterRetry(id),
            ["", "v1", "dead-letters", id] if !id.is_empty() => Self::DeadLetter(id),
            ["", "v1", "replays"] => Self::Replays,
            ["", "v1", "replays", id] if !id.is_empty() => Self::Replay(id),
            ["", "v1", "replays", id, "pause"] => Self::ReplayPause(id),
            ["", "v1", "replays", id, "resume"] => Self::ReplayResume(id),
            ["", "v1", "replays", id, "findings"] => Self::ReplayFindings(id),
            ["", "v1", "receipts"] => Self::Receipts,
            _ => Self::Unknown,
        }
    }

    const fn pattern(&self) -> &'static str {
        match self {
            Self::Invocations => "/v1/invocations",
            Self::Invocation(_) => "/v1/invocations/{id}",
            Self::Functions => "/v1/functions",
            Self::DeadLetters => "/v1/dead-letters",
            Self::DeadLetter(_) => "/v1/dead-letters/{id}",
            Self::DeadLetterRetry(_) => "/v1/dead-letters/{id}/retry",
            Self::DeadLettersRetry => "/v1/dead-letters/retry",
            Self::Replays => "/v1/replays",
            Self::Replay(_) => "/v1/replays/{id}",
            Self::ReplayPause(_) => "/v1/replays/{id}/pause",
            Self::ReplayResume(_) => "/v1/replays/{id}/resume",
            Self::ReplayFindings(_) => "/v1/replays/{id}/findings",
            Self::Receipts => "/v1/receipts",
            Self::Unknown => "unknown",
        }
    }

    const fn scope(&self) -> Scope {
        match self {
            Self::Invocations | Self::Invocation(_) | Self::Functions | Self::Unknown => Scope::Read,
            _ => Scope::Operate,
        }
    }

    /// The methods that it takes, as `Allow` names them.
    const fn methods(&self) -> &'static str {
        match self {
            Self::Replays => "GET, POST",
            Self::Replay(_) | Self::DeadLetter(_) => "GET, DELETE",
            Self::ReplayPause(_) | Self::ReplayResume(_) | Self::Receipts => "POST",
            Self::DeadLetterRetry(_) | Self::DeadLettersRetry => "POST",
            _ => "GET",
        }
    }
}

/// Answers a request at the time `now`.
pub async fn handle(query: &Query, now: TimestampMs, request: Request<Bytes>) -> Handled {
    let route = Route::of(request.uri().path());
    let (response, items, error) = match answer(query, now, &route, &request).await {
        Ok(answer) => (answer.response, answer.items, None),
        Err(Failure { problem, error }) => (problem_response(&problem), 0, error),
    };
    let status = response.status().as_u16();
    let facts = QueryFacts { route: route.pattern(), status, items, duration_us: 0, error };
    Handled { response, facts }
}

async fn answer(
    query: &Query,
    now: TimestampMs,
    route: &Route<'_>,
    request: &Request<Bytes>,
) -> Result<Answer, Failure> {
    if matches!(route, Route::Unknown) {
        return Err(
            Problem::not_found("there is nothing under this path; see /v1/invocations and /v1/functions").into()
        );
    }
    if !route.methods().split(", ").any(|method| method == request.method().as_str()) {
        let detail = format!("this path takes {}", route.methods());
        return Err(Problem::method_not_allowed(detail, route.methods()).into());
    }
    let caller = &authenticate(query, now, route.scope(), request).await?;
    let parameters = request.uri().query().unwrap_or_default();
    let body = request.body();
    match route {
        Route::Invocations => invocations::list(query, now, caller, parameters).await,
        Route::Invocation(id) => invocations::open(query, caller, id, parameters).await,
        Route::Functions => functions::list(query, now, caller, parameters).await,
        Route::DeadLetters => dead_letters::list(query, now, caller, parameters).await,
        Route::DeadLetter(id) if request.method() == Method::DELETE => {
            dead_letters::discard(query, now, caller, id, parameters).await
        }
        Route::DeadLetter(id) => dead_letters::open(query, caller, id, parameters).await,
        Route::DeadLetterRetry(id) => dead_letters::retry(query, now, caller, id, body).await,
        Route::DeadLettersRetry => dead_letters::retry_all(query, now, caller, parameters).await,
        Route::Replays if request.method() == Method::POST => replays::start(query, now, caller, body).await,
        Route::Replays => replays::list(query, caller, parameters).await,
        Route::Replay(id) if request.method() == Method::DELETE => {
            replays::steer(query, now, caller, id, State::Cancelled).await
        }
        Route::Replay(id) => replays::open(query, now, caller, id).await,
        Route::ReplayPause(id) => replays::steer(query, now, caller, id, State::Paused).await,
        Route::ReplayResume(id) => replays::steer(query, now, caller, id, State::Running).await,
        Route::ReplayFindings(id) => replays::findings(query, caller, id, parameters).await,
        Route::Receipts => replays::receipts(query, caller, body).await,
        Route::Unknown => Err(Problem::not_found("there is nothing under this path").into()),
    }
}

async fn authenticate(
    query: &Query,
    now: TimestampMs,
    need: Scope,
    request: &Request<Bytes>,
) -> Result<Caller, Problem> {
    let token = token_in(request.headers())?.unwrap_or_default();
    Ok(query.authority.verify(token, need, now).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_known_by_their_parts() {
        for (path, pattern) in [
            ("/v1/invocations", "/v1/invocations"),
            ("/v1/invocations/20261121-abc", "/v1/invocations/{id}"),
            ("/v1/functions", "/v1/functions"),
            ("/v1/dead-letters", "/v1/dead-letters"),
            ("/v1/dead-letters/record-local-0-7", "/v1/dead-letters/{id}"),
            ("/v1/dead-letters/record-local-0-7/retry", "/v1/dead-letters/{id}/retry"),
            ("/v1/dead-letters/retry", "/v1/dead-letters/retry"),
            ("/v1/replays", "/v1/replays"),
            ("/v1/replays/20261121t180101.873z", "/v1/replays/{id}"),
            ("/v1/replays/20261121t180101.873z/pause", "/v1/replays/{id}/pause"),
            ("/v1/replays/20261121t180101.873z/resume", "/v1/replays/{id}/resume"),
            ("/v1/replays/20261121t180101.873z/findings", "/v1/replays/{id}/findings"),
            ("/v1/replays/20261121t180101.873z/pause/now", "unknown"),
            ("/v1/receipts", "/v1/receipts"),
            ("/v1/invocations/", "unknown"),
            ("/v1/invocations/a/b", "unknown"),
            ("/v1/invocations/a/b/c/d/e", "unknown"),
            ("//v1/invocations", "unknown"),
            ("/v2/invocations", "unknown"),
            ("/", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(Route::of(path).pattern(), pattern, "{path}");
        }
    }
}
