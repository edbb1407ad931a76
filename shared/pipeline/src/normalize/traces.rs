//! Trace marks and measures, HTTP and database requests.

use std::fmt;

use tributary_model::TimestampMs;
use tributary_model::invocation::{DbTrace, HttpTrace, Mark, MarkKind};
use tributary_model::json::{Type, Value};
use tributary_model::limits::{TEXT_BYTES_MAX, TRACE_ENTRIES_MAX, TRACE_SLACK, URL_BYTES_MAX};

use super::Language;
use super::reading::{Reading, whole};

/// The invocation's span, in which its traces must lie.
pub(super) struct Span {
    pub(super) start: TimestampMs,
    /// None if the report doesn't say: then any start is believed.
    pub(super) duration_ms: Option<f64>,
    pub(super) language: Language,
}

impl Span {
    /// When an entry began, in milliseconds since the invocation's start. A start outside the invocation (Java 1.3.0
    /// counts its end marks from another zero) gives way to the entry's own clock reading, `timestamp`.
    fn start_ms(&self, reading: &mut Reading, field: Path, entry: &Entry<'_, '_>) -> Option<f64> {
        let start_ms = reading.number(format_args!("{field}.startTime"), entry.start)?;
        if self.contains(start_ms) {
            return Some(start_ms);
        }
        let at = reading.instant(format_args!("{field}.timestamp"), entry.timestamp);
        let by_clock = at.map(|at| as_f64(at.0.saturating_sub(self.start.0))).filter(|ms| self.contains(*ms));
        if by_clock.is_none() {
            let reason = format!("is {} ms from the invocation's start, which is outside it", whole(start_ms));
            reading.remove(format_args!("{field}.startTime"), reason);
        }
        by_clock
    }

    fn contains(&self, start_ms: f64) -> bool {
        let slack_ms = TRACE_SLACK.as_secs_f64() * 1000.0;
        self.duration_ms.is_none_or(|duration_ms| (-slack_ms..=duration_ms + slack_ms).contains(&start_ms))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "differences of instants are far below 2^53 ms; others are out of range"
)]
const fn as_f64(ms: i64) -> f64 {
    ms as f64
}

/// An item's path: `performanceEntries[3]`.
#[derive(Clone, Copy)]
struct Path(&'static str, usize);

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.0, self.1)
    }
}

/// The times that entries of all kinds have.
struct Entry<'d, 'a> {
    start: Option<Value<'d, 'a>>,
    duration: Option<Value<'d, 'a>>,
    timestamp: Option<Value<'d, 'a>>,
}

impl Entry<'_, '_> {
    fn duration_ms(&self, reading: &mut Reading, field: Path) -> Option<f64> {
        reading.amount(format_args!("{field}.duration"), self.duration)
    }
}

/// The marks and measures, by their start; those without one last.
pub(super) fn marks(reading: &mut Reading, span: &Span, entries: Option<Value<'_, '_>>) -> Vec<Mark> {
    let items = reading.objects("performanceEntries", entries, TRACE_ENTRIES_MAX).into_iter();
    let mut marks: Vec<Mark> = items.map(|(at, item)| mark(reading, span, at, item)).collect();
    let start_ms = |mark: &Mark| mark.start_ms.unwrap_or(f64::INFINITY);
    marks.sort_by(|one, other| start_ms(one).total_cmp(&start_ms(other)));
    marks
}

fn mark(reading: &mut Reading, span: &Span, at: usize, item: Value<'_, '_>) -> Mark {
    let field = Path("performanceEntries", at);
    let [name, entry_type, start, duration, timestamp] =
        item.pick(["name", "entryType", "startTime", "duration", "timestamp"]);
    let entry = Entry { start, duration, timestamp };
    let name = reading.text(format_args!("{field}.name"), name);
    let (kind, short) = match name.split_once(':') {
        Some(("start", short)) => (MarkKind::Start, short),
        Some(("end", short)) => (MarkKind::End, short),
        Some(("measure", short)) => (MarkKind::Measure, short),
        _ if entry_type.is_some_and(|it| it.is_text("measure") || it.is_text("measurement")) => {
            (MarkKind::Measure, name.as_str())
        }
        _ => (MarkKind::Mark, name.as_str()),
    };
    let mut start_ms = span.start_ms(reading, field, &entry);
    let duration_ms = entry.duration_ms(reading, field);
    if kind == MarkKind::Measure && span.language == Language::Java {
        // What the Java agent calls a measure's start is its end.
        start_ms = start_ms.map(|end_ms| end_ms - duration_ms.unwrap_or_default());
    }
    Mark { name: short.to_owned(), kind, start_ms, duration_ms }
}

/// The HTTP requests, in their order.
pub(super) fn http_traces(reading: &mut Reading, span: &Span, entries: Option<Value<'_, '_>>) -> Vec<HttpTrace> {
    let items = reading.objects("httpTraceEntries", entries, TRACE_ENTRIES_MAX).into_iter();
    items.map(|(at, item)| http_trace(reading, span, at, item)).collect()
}

fn http_trace(reading: &mut Reading, span: &Span, at: usize, item: Value<'_, '_>) -> HttpTrace {
    let field = Path("httpTraceEntries", at);
    let [request, response, start, duration, timestamp] =
        item.pick(["request", "response", "startTime", "duration", "timestamp"]);
    let entry = Entry { start, duration, timestamp };
    let request = request
        .map_or([None; 7], |request| request.pick(["url", "method", "hostname", "protocol", "port", "path", "query"]));
    let [url, method, host, ..] = request;
    let method = reading.text(format_args!("{field}.request.method"), method);
    let url = reading.cut_text(format_args!("{field}.request.url"), url, URL_BYTES_MAX);
    let host = reading.text(format_args!("{field}.request.hostname"), host);
    let answered = response.is_some_and(|response| response.type_of() == Type::Object);
    let status = response.and_then(|response| response.get("statusCode"));
    let status = reading.count(format_args!("{field}.response.statusCode"), status);
    HttpTrace {
        method: if method.is_empty() { "GET".to_owned() } else { method },
        url: if url.is_empty() { composed_url(reading, field, &host, request) } else { url },
        host,
        status: status.and_then(|status| u16::try_from(status).ok()),
        start_ms: span.start_ms(reading, field, &entry),
        duration_ms: entry.duration_ms(reading, field).filter(|_| answered),
    }
}

/// A URL of its parts, for entries without one. JavaScript writes `http:`, a path with its query, and a query with its
/// `?`; Python writes each without.
fn composed_url(reading: &mut Reading, field: Path, host: &str, request: [Option<Value<'_, '_>>; 7]) -> String {
    let [_, _, _, protocol, port, path, query] = request;
    let protocol = reading.text(format_args!("{field}.request.protocol"), protocol);
    let port = reading.text(format_args!("{field}.request.port"), port);
    let path = reading.cut_text(format_args!("{field}.request.path"), path, URL_BYTES_MAX);
    let query = reading.cut_text(format_args!("{field}.request.query"), query, URL_BYTES_MAX);
    if host.is_empty() {
        return path;
    }
    let protocol = if protocol.is_empty() { "http" } else { protocol.trim_end_matches(':') };
    let colon = if port.is_empty() { "" } else { ":" };
    let query = query.trim_start_matches('?');
    let mark = if query.is_empty() || path.contains('?') { "" } else { "?" };
    let query = if mark.is_empty() { "" } else { query };
    let url = format!("{protocol}://{host}{colon}{port}{path}{mark}{query}");
    reading.cut(format_args!("{field}.request"), url.into(), URL_BYTES_MAX)
}

/// The database requests, in their order.
pub(super) fn db_traces(reading: &mut Reading, span: &Span, entries: Option<Value<'_, '_>>) -> Vec<DbTrace> {
    let items = reading.objects("dbTraceEntries", entries, TRACE_ENTRIES_MAX).into_iter();
    items.map(|(at, item)| db_trace(reading, span, at, item)).collect()
}

fn db_trace(reading: &mut Reading, span: &Span, at: usize, item: Value<'_, '_>) -> DbTrace {
    let field = Path("dbTraceEntries", at);
    let [request, database, error, start, duration, timestamp] =
        item.pick(["request", "dbType", "error", "startTime", "duration", "timestamp"]);
    let entry = Entry { start, duration, timestamp };
    let [command, key, table, host] =
        request.map_or([None; 4], |request| request.pick(["command", "key", "table", "hostname"]));
    let target = [key, table].into_iter().flatten().find(|value| !value.is_null());
    DbTrace {
        database: reading.text(format_args!("{field}.dbType"), database).to_lowercase(),
        command: reading.text(format_args!("{field}.request.command"), command),
        target: reading.cut_text(format_args!("{field}.request.key"), target, TEXT_BYTES_MAX),
        host: reading.text(format_args!("{field}.request.hostname"), host),
        failed: error.is_some_and(|error| !matches!(error.raw(), "null" | "false" | "\"\"" | "{}")),
        start_ms: span.start_ms(reading, field, &entry),
        duration_ms: entry.duration_ms(reading, field),
    }
}

#[cfg(test)]
mod tests {
    use tributary_model::json::Document;

    use super::*;

    fn span(language: Language) -> Span {
        Span { start: TimestampMs(1_795_284_061_873), duration_ms: Some(100.0), language }
    }

    fn read<T>(json: &str, read: impl Fn(&mut Reading, Option<Value<'_, '_>>) -> T) -> (T, u32) {
        let document = Document::parse(json.as_bytes()).expect("JSON");
        let mut reading = Reading::default();
        let read = read(&mut reading, Some(document.root()));
        (read, reading.removed_count)
    }

    #[test]
    fn java_measures_begin_at_their_start_and_far_marks_by_the_clock() {
        let json = r#"[
            {"name":"start:db","startTime":10.0,"duration":0,"entryType":"mark","timestamp":1795284061883},
            {"name":"end:db","startTime":8130250.5,"duration":0,"entryType":"mark","timestamp":1795284061913},
            {"name":"measure:db","startTime":40.0,"duration":30.0,"entryType":"measure","timestamp":1795284061913},
            {"name":"plain","startTime":9e99,"duration":null,"entryType":"mark"}]"#;
        let (marks, removed) = read(json, |reading, value| marks(reading, &span(Language::Java), value));
        let times: Vec<_> = marks.iter().map(|mark| (mark.name.as_str(), mark.kind, mark.start_ms)).collect();
        assert_eq!(
            times,
            [
                ("db", MarkKind::Start, Some(10.0)),
                ("db", MarkKind::Measure, Some(10.0)),
                ("db", MarkKind::End, Some(40.0)),
                ("plain", MarkKind::Mark, None),
            ]
        );
        assert_eq!(removed, 1);
    }

    #[test]
    fn http_requests_are_alike_from_both_agents() {
        let json = r#"[
            {"request":{"protocol":"http:","hostname":"h","port":"81","path":"/a?x=1","query":"?x=1","method":"PUT"},
             "response":{"statusCode":200},"startTime":1,"duration":2},
            {"request":{"protocol":"http","hostname":"h","port":81,"path":"/a","query":"x=1","method":"PUT"},
             "response":{"statusCode":200},"startTime":1,"duration":2},
            {"request":{"url":"http://h:9/refused","hostname":"h"},"startTime":3,"duration":0}]"#;
        let (traces, removed) = read(json, |reading, value| http_traces(reading, &span(Language::Other), value));
        assert_eq!((traces[0].clone(), removed), (traces[1].clone(), 0));
        assert_eq!((traces[0].url.as_str(), traces[0].status), ("http://h:81/a?x=1", Some(200)));
        assert_eq!((traces[2].method.as_str(), traces[2].status, traces[2].duration_ms), ("GET", None, None));
    }

    #[test]
    fn database_requests_name_their_key_or_table() {
        let json = r#"[
            {"dbType":"Redis","request":{"command":"get","key":"k","hostname":"h","port":"6379","table":null},
             "startTime":1,"duration":2,"error":null},
            {"dbType":"mysql","request":{"command":"select","key":null,"table":"orders"},"error":"gone","startTime":1}]"#;
        let (traces, removed) = read(json, |reading, value| db_traces(reading, &span(Language::Other), value));
        assert_eq!((traces[0].database.as_str(), traces[0].target.as_str(), traces[0].failed), ("redis", "k", false));
        assert_eq!(
            (traces[1].database.as_str(), traces[1].target.as_str(), traces[1].failed),
            ("mysql", "orders", true)
        );
        assert_eq!(removed, 0);
    }
}
