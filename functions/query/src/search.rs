//! A search as the parameters of a request say it.

use tributary_access::Caller;
use tributary_model::{Problem, TimestampMs};
use tributary_ports::search::{After, Filter, Scope, Sort, SortKey};

use crate::cursor::{Cursor, SearchDigest, digest};
use crate::parameters::Parameters;
use crate::time_range::TimeRange;

/// The values of `sort`, each also with a `-` before it.
const SORTS: &[(&str, SortKey)] = &[
    ("timestamp", SortKey::Timestamp),
    ("duration", SortKey::DurationMs),
    ("duration_ms", SortKey::DurationMs),
    ("memory", SortKey::MemoryUsedPercent),
    ("memory.used_percent", SortKey::MemoryUsedPercent),
];

/// The filter that the parameter `query` says.
pub(crate) fn filter(parameters: &Parameters<'_>) -> Result<Filter, Problem> {
    let parsed = crate::parse(parameters.text("query").unwrap_or_default());
    parsed.map_err(|error| Problem::bad_request(format!("query, {error}")))
}

fn sort(parameters: &Parameters<'_>) -> Result<Sort, Problem> {
    let text = parameters.text("sort").unwrap_or("-timestamp");
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let known = SORTS.iter().find(|(known, _)| *known == name);
    let wrong =
        || Problem::bad_request("sort must be timestamp, duration or memory, or one of them with a - before it");
    known.map(|(_, key)| Sort { key: *key, descending }).ok_or_else(wrong)
}

/// One page of a search.
pub(crate) struct PageRequest {
    pub(crate) scope: Scope,
    pub(crate) sort: Sort,
    pub(crate) after: Option<After>,
    pub(crate) limit: usize,
    digest: SearchDigest,
}

impl PageRequest {
    /// Reads the parameters of a page that `caller` asks for at the time `now`.
    pub(crate) fn read(text: &str, caller: &Caller, now: TimestampMs) -> Result<Self, Problem> {
        let parameters = Parameters::read(text, &["query", "from", "to", "sort", "limit", "cursor"])?;
        let (filter, sort, limit) = (filter(&parameters)?, sort(&parameters)?, parameters.limit()?);
        let given = ["query", "from", "to", "sort"].map(|name| parameters.text(name).unwrap_or_default().as_bytes());
        let digest = digest(std::iter::once(caller.project.as_str().as_bytes()).chain(given));
        let cursor = parameters.text("cursor").map(|text| Cursor::decode(text, digest)).transpose()?;
        let (range, received_until) = match cursor {
            Some(cursor) => (cursor.range, cursor.received_until),
            None => (TimeRange::read(&parameters, now)?, now),
        };
        let TimeRange { from, to } = range;
        let scope = Scope { project: caller.project.clone(), from, to, received_until, filter };
        Ok(Self { scope, sort, after: cursor.map(|cursor| cursor.after), limit, digest })
    }

    /// The cursor of the page behind `after`.
    pub(crate) fn next(&self, after: After) -> String {
        let Scope { from, to, received_until, .. } = self.scope;
        Cursor { search: self.digest, received_until, range: TimeRange { from, to }, after }.encode()
    }
}
