//! `GET /v1/invocations` and `GET /v1/invocations/{id}`.

use tributary_access::Caller;
use tributary_model::limits::PAGE_ITEMS_MAX;
use tributary_model::{Problem, ReportId, TimestampMs};
use tributary_ports::search::After;

use crate::Query;
use crate::answer::{Answer, Page};
use crate::failure::Failure;
use crate::opened::Opened;
use crate::parameters::Parameters;
use crate::search::PageRequest;

pub(crate) async fn list(query: &Query, now: TimestampMs, caller: &Caller, text: &str) -> Result<Answer, Failure> {
    let request = PageRequest::read(text, caller, now)?;
    // One more than the page holds tells whether there is a page behind it. Where that is more than a search gives, a
    // full page counts as one that has another behind it, which may turn out to be empty.
    let asked = (request.limit + 1).min(PAGE_ITEMS_MAX);
    let found = query.search.find(&request.scope, request.sort, request.after, asked).await?;
    let mut more = found.len() >= asked;
    let mut page = Page::new();
    let mut last = None;
    for invocation in found.iter().take(request.limit) {
        if !page.add(invocation)? {
            more = true;
            break;
        }
        last = Some(After::invocation(request.sort.key, invocation));
    }
    let next = last.filter(|_| more).map(|last| request.next(last));
    page.answer(next.as_deref())
}

pub(crate) async fn open(query: &Query, caller: &Caller, id: &str, text: &str) -> Result<Answer, Failure> {
    Parameters::read(text, &[])?;
    let id: ReportId = id.parse().map_err(|error| Problem::bad_request(format!("{error}")))?;
    let document = query.search.get(&caller.project, id).await?;
    let missing =
        || Problem::not_found("there is no invocation of this id in the token's project, or not yet, or no longer");
    Answer::one(&Opened::new(document.ok_or_else(missing)?)?)
}
