//! `GET /v1/functions`.

use serde::Serialize;
use tributary_access::Caller;
use tributary_model::TimestampMs;
use tributary_model::limits::FUNCTIONS_MAX;
use tributary_ports::search::{FunctionSummary, Scope};

use crate::Query;
use crate::answer::{Answer, Page};
use crate::failure::Failure;
use crate::parameters::Parameters;
use crate::search;
use crate::time_range::TimeRange;

/// A function as it is answered.
#[derive(Serialize)]
struct FunctionView<'a> {
    function: &'a str,
    count: u64,
    errors: u64,
    coldstarts: u64,
    duration_ms: Option<PercentilesView>,
    last_seen: TimestampMs,
}

#[derive(Serialize)]
struct PercentilesView {
    p50: f64,
    p95: f64,
    p99: f64,
}

impl<'a> From<&'a FunctionSummary> for FunctionView<'a> {
    fn from(summary: &'a FunctionSummary) -> Self {
        let FunctionSummary { function, count, errors, coldstarts, duration_ms, last_seen } = summary;
        let duration_ms = duration_ms.map(|of| PercentilesView { p50: of.p50, p95: of.p95, p99: of.p99 });
        Self { function, count: *count, errors: *errors, coldstarts: *coldstarts, duration_ms, last_seen: *last_seen }
    }
}

pub(crate) async fn list(query: &Query, now: TimestampMs, caller: &Caller, text: &str) -> Result<Answer, Failure> {
    let parameters = Parameters::read(text, &["query", "from", "to"])?;
    let filter = search::filter(&parameters)?;
    let TimeRange { from, to } = TimeRange::read(&parameters, now)?;
    let scope = Scope { project: caller.project.clone(), from, to, received_until: now, filter };
    let mut page = Page::new();
    for summary in query.search.functions(&scope, FUNCTIONS_MAX).await? {
        page.add(&FunctionView::from(&summary))?;
    }
    page.answer(None)
}
