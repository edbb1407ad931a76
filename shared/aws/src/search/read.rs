//! Reading pages and single documents.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tributary_model::limits::{PAGE_ITEMS_MAX, SEARCH_READ_TIMEOUT};
use tributary_model::{Invocation, ProjectId, ReportId, Version};
use tributary_ports::search::{After, Document, Scope, Sort};

use super::client::{Asking, Client};
use super::compile::{self, sort_field};
use super::document::{self, Broken, Order, unsigned_zero};
use super::failure::Failure;
use super::index;

/// What is asked for of an answer.
const HITS: &str = "hits.hits._id,hits.hits._source,hits.hits._version,error.type";

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    hits: Hits,
}

#[derive(Deserialize, Default)]
struct Hits {
    #[serde(default)]
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
pub(super) struct Hit {
    #[serde(rename = "_id")]
    pub(super) id: ReportId,
    #[serde(rename = "_version")]
    version: Option<u64>,
    #[serde(rename = "_source")]
    source: Option<Box<RawValue>>,
}

impl Hit {
    fn source(&self) -> Result<&str, Failure> {
        self.source.as_deref().map(RawValue::get).ok_or(Failure::Malformed)
    }

    pub(super) fn version(&self) -> Result<Version, Failure> {
        self.version.map(Version::from_u64).ok_or(Failure::Malformed)
    }
}

/// A search of the indices that `patterns` name. One that is missing holds nothing; a shard that does not answer fails
/// the search, since a page that lacks some of its documents would look whole.
pub(super) fn search(patterns: &str, filter_path: &str, body: &Value) -> Asking {
    let options = "ignore_unavailable=true&allow_no_indices=true&allow_partial_search_results=false";
    let path = format!("/{patterns}/_search?{options}&filter_path={filter_path}");
    Asking::json(http::Method::POST, path, body.to_string(), SEARCH_READ_TIMEOUT)
}

pub(super) async fn hits(client: &Client, patterns: &str, body: &Value) -> Result<Vec<Hit>, Failure> {
    let answer = client.answer(&search(patterns, HITS, body)).await?;
    let found: Found = serde_json::from_slice(&answer).map_err(|_| Failure::Malformed)?;
    Ok(found.hits.hits)
}

/// A page. One whose answer would be too long comes in parts.
pub(super) async fn page(
    client: &Client,
    scope: &Scope,
    sort: Sort,
    mut after: Option<After>,
    limit: usize,
) -> Result<Vec<Invocation>, Failure> {
    let limit = limit.min(PAGE_ITEMS_MAX);
    if scope.from >= scope.to {
        return Ok(Vec::new());
    }
    let patterns = index::of_range(scope.from, scope.to);
    let mut page = Vec::new();
    let mut part = limit;
    while page.len() < limit {
        let asked = part.min(limit - page.len());
        match hits(client, &patterns, &page_body(scope, sort, after, asked)).await {
            Ok(hits) => {
                let ended = hits.len() < asked;
                page.extend(invocations(&hits)?);
                after = page.last().map(|last| After::invocation(sort.key, last));
                if ended {
                    break;
                }
            }
            Err(Failure::TooLong) if part > 1 => part = part.div_ceil(2),
            Err(failure) => return Err(failure),
        }
    }
    Ok(page)
}

fn invocations(hits: &[Hit]) -> Result<Vec<Invocation>, Failure> {
    hits.iter().map(|hit| document::invocation(hit.source()?).map_err(broken)).collect()
}

fn broken(_: Broken) -> Failure {
    Failure::Malformed
}

fn page_body(scope: &Scope, sort: Sort, after: Option<After>, size: usize) -> Value {
    let order = if sort.descending { "desc" } else { "asc" };
    let mut body = json!({
        "size": size,
        "track_total_hits": false,
        "_source": { "excludes": ["original", "order", "retention"] },
        "query": compile::scope(scope),
        "sort": [
            { sort_field(sort.key): { "order": order, "missing": "_last" } },
            { "order.day": order },
            { "order.high": order },
            { "order.low": order },
        ],
    });
    if let Some(After { key, id }) = after
        && let Some(body) = body.as_object_mut()
    {
        // A missing number stands, by `_last`, for one that is beyond all finite ones.
        let missing = if sort.descending { "-Infinity" } else { "Infinity" };
        let key = key.map_or_else(|| json!(missing), |key| json!(unsigned_zero(key)));
        let [day, high, low] = Order::of(id).numbers();
        body.insert("search_after".to_owned(), json!([key, day, high, low]));
    }
    body
}

/// The document of an id, if the project has it; of two, which only a mended plan or a bug can have made, the greater
/// version.
pub(super) async fn one(client: &Client, project: &ProjectId, id: ReportId) -> Result<Option<Document>, Failure> {
    let body = json!({
        "size": 2,
        "version": true,
        "query": { "bool": { "filter": [{ "ids": { "values": [id] } }, { "term": { "project": project } }] } },
    });
    let hits = hits(client, &index::of_days(&[id.day]), &body).await?;
    let Some(hit) = hits.iter().max_by_key(|hit| hit.version) else { return Ok(None) };
    document::document(hit.source()?, hit.version()?).map(Some).map_err(broken)
}
