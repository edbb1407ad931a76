//! From a request to its answer.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use tributary_access::{Authority, Caller, problem_response, token_in};
use tributary_model::directory::Scope;
use tributary_model::{Problem, ProjectId, TimestampMs};
use tributary_ports::{Keys, Ledger, Objects, Search};
use tributary_telemetry::QueryFacts;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::{dead_letters, functions, invocations};

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
    Unknown,
}

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Self {
        let parts: Vec<&str> = path.split('/').take(5).collect();
        match parts.as_slice() {
            ["", "v1", "invocations"] => Self::Invocations,
            ["", "v1", "invocations", id] if !id.is_empty() => Self::Invocation(id),
            ["", "v1", "functions"] => Self::Functions,
            ["", "v1", "dead-letters"] => Self::DeadLetters,
            ["", "v1", "dead-letters", id] if !id.is_empty() => Self::DeadLetter(id),
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
            Self::Unknown => "unknown",
        }
    }

    const fn scope(&self) -> Scope {
        match self {
            Self::DeadLetters | Self::DeadLetter(_) => Scope::Operate,
            _ => Scope::Read,
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
    if request.method() != Method::GET {
        return Err(Problem::method_not_allowed("this path takes GET", "GET").into());
    }
    let caller = authenticate(query, now, route.scope(), request).await?;
    let parameters = request.uri().query().unwrap_or_default();
    match route {
        Route::Invocations => invocations::list(query, now, &caller, parameters).await,
        Route::Invocation(id) => invocations::open(query, &caller, id, parameters).await,
        Route::Functions => functions::list(query, now, &caller, parameters).await,
        Route::DeadLetters => dead_letters::list(query, &caller, parameters).await,
        Route::DeadLetter(id) => dead_letters::open(query, &caller, id, parameters).await,
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
