//! What the search index costs: `cargo bench -p tributary-embedded --bench search [DOCUMENTS]`.
//!
//! Prints documents indexed per CPU-second (process time from /proc/self/stat, so Linux only), how long a commit takes,
//! the memory and disk taken, and how long searches take over all documents.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench prints, and stops where it can't go on")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tributary_embedded::search::{SearchSettings, TantivySearch};
use tributary_model::record::Codec;
use tributary_model::{Invocation, RetentionClass, TimestampMs};
use tributary_ports::Search;
use tributary_ports::contract::search::samples::{self, document, everything, number, text};
use tributary_ports::search::{After, BoolField, Document, Filter, Range, Scope, Sort, SortKey, TextField};

const DOCUMENTS: u32 = 100_000;
const BATCH: u32 = 500;
/// Ticks of /proc/self/stat per second, the same on all Linux systems of today.
const TICKS: f64 = 100.0;

/// An invocation like those of a small service, whose report has 1 kB.
fn invocation(at: u32) -> Invocation {
    let mut invocation = samples::invocation(at);
    invocation.function = format!("function-{}", at % 37);
    invocation.timestamp = samples::BEGIN.plus_ms(i64::from(at) * 10);
    invocation.duration_ms = Some(f64::from(at.wrapping_mul(2_654_435_761) % 100_000) / 10.0);
    invocation.coldstart = at.is_multiple_of(50);
    invocation.error =
        at.is_multiple_of(20).then(|| samples::error("TimeoutError", &format!("connection {at} refused")));
    invocation.labels = vec!["@iopipe/metrics".to_owned(), format!("customer-{}", at % 1000)];
    invocation.metrics = vec![number("cart.total", f64::from(at % 700)), text("plan", "gold"), number("items", 3.0)];
    invocation.aws.arn = format!("arn:aws:lambda:eu-west-1:123456789012:function:{}", invocation.function);
    invocation.aws.log_stream =
        format!("2026/11/21/[$LATEST]{:032x}", u128::from(at).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    invocation.aws.account_id = "123456789012".to_owned();
    invocation.memory.used_mib = Some(f64::from(at % 128));
    invocation.memory.used_percent = Some(f64::from(at % 128) / 1.28);
    invocation
}

fn report(at: u32) -> Document {
    let mut document = document(invocation(at));
    document.retention = RetentionClass::DEFAULT;
    document.original.codec = Codec::Zstd;
    document.original.payload_bytes = 1000;
    let bytes = (0..500).map(|byte: u32| byte.wrapping_mul(at.wrapping_mul(0x9e37_79b9)).to_be_bytes()[0]);
    document.original.payload = Bytes::from(bytes.collect::<Vec<u8>>());
    document
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok()).expect("ticks");
    (ticks(11) + ticks(12)) / TICKS
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let wanted = ["VmHWM", "VmRSS", "RssAnon", "RssFile"];
    let lines = status.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name)));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

fn disk_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| entry.metadata().map_or(0, |metadata| metadata.len())).sum()
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, f64, f64) {
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    let done = work.await;
    (done, wall.elapsed().as_secs_f64(), cpu_seconds() - cpu)
}

fn batch(from: u32) -> Vec<Document> {
    (from..from + BATCH).map(report).collect()
}

/// Four consumers, one batch each at a time.
async fn upsert_all(search: &Arc<TantivySearch>, documents: u32) {
    let consumers = (0..4).map(|consumer| {
        let search = Arc::clone(search);
        tokio::spawn(async move {
            for from in (consumer * BATCH..documents).step_by(4 * BATCH as usize) {
                search.upsert(batch(from)).await.expect("an upsert");
            }
        })
    });
    for consumer in consumers.collect::<Vec<_>>() {
        consumer.await.expect("a consumer");
    }
}

async fn index(search: &Arc<TantivySearch>, documents: u32, folder: &Path) {
    let ((), _, making) =
        timed(async { (0..documents).step_by(BATCH as usize).for_each(|from| drop(batch(from))) }).await;
    for what in ["indexed", "already there"] {
        let ((), wall, cpu) = timed(upsert_all(search, documents)).await;
        let count = f64::from(documents);
        println!("{what}: {count} documents in {wall:.2} s, {:.0} per CPU-second", count / (cpu - making));
    }
    println!("disk: {} bytes a document", disk_bytes(folder) / u64::from(documents));
}

async fn commit(search: &TantivySearch, from: u32) {
    let mut durations = Vec::new();
    let cpu = cpu_seconds();
    for round in 0..40 {
        let batch = (0..100).map(|at| report(from + round * 100 + at)).collect();
        let (_, wall, _) = timed(search.upsert(batch)).await;
        durations.push(wall * 1000.0);
    }
    durations.sort_by(f64::total_cmp);
    let at = |share: usize| durations.get(share).copied().unwrap_or_default();
    let cpu = (cpu_seconds() - cpu) * 1000.0 / 40.0;
    println!("a commit of 100 documents: median {:.1} ms, 95th {:.1} ms, {cpu:.1} ms CPU", at(20), at(38));
}

async fn find(search: &TantivySearch, what: &str, scope: Scope, sort: Sort, after: Option<After>) {
    let mut best = f64::INFINITY;
    let mut found = 0;
    for _ in 0..10 {
        let (page, wall, _) = timed(search.find(&scope, sort, after, 50)).await;
        found = page.expect("a page").len();
        best = best.min(wall * 1000.0);
    }
    println!("find {what}: {best:.2} ms ({found} items)");
}

async fn finds(search: &TantivySearch, documents: u32) {
    let newest = Sort { key: SortKey::Timestamp, descending: true };
    let slowest = Sort { key: SortKey::DurationMs, descending: true };
    let is = |field, text: &str| Filter::Is(field, text.to_owned());
    let above = Range { from: Some((600.0, false)), to: None };
    let not = |filter| Filter::Not(Box::new(filter));
    let cases = [
        ("everything", Filter::All, newest),
        ("everything, slowest first", Filter::All, slowest),
        ("one function", is(TextField::Function, "function-7"), newest),
        ("a label", is(TextField::Label, "customer-77"), newest),
        ("not a label", not(is(TextField::Label, "customer-77")), newest),
        ("cold starts with errors", Filter::And(vec![Filter::True(BoolField::Coldstart), Filter::HasError]), newest),
        ("a metric above a number", Filter::MetricInRange("cart.total".to_owned(), above), newest),
        ("a phrase", Filter::Words(vec!["connection".to_owned(), "4000".to_owned(), "refused".to_owned()]), newest),
        ("a prefix of a function", Filter::StartsWith(TextField::Function, "function-1".to_owned()), newest),
    ];
    for (what, filter, sort) in cases {
        find(search, what, everything(filter), sort, None).await;
    }
    let middle = After::invocation(SortKey::Timestamp, &invocation(documents / 2));
    find(search, "everything, from the middle on", everything(Filter::All), newest, Some(middle)).await;
    let recent = Scope { from: TimestampMs(invocation(documents - 1000).timestamp.0), ..everything(Filter::All) };
    find(search, "the last 1 %", recent, newest, None).await;
    let (functions, wall, _) = timed(search.functions(&everything(Filter::All), 100)).await;
    println!("functions: {:.2} ms ({} functions)", wall * 1000.0, functions.expect("functions").len());
}

#[tokio::main]
async fn main() {
    let documents = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(DOCUMENTS);
    let folder = tempfile::tempdir().expect("a folder");
    println!("before: {}", memory());
    let search = Arc::new(TantivySearch::open(folder.path(), SearchSettings::default()).expect("an index"));
    index(&search, documents, folder.path()).await;
    println!("after: {}", memory());
    finds(&search, documents).await;
    drop(search);
    let often = SearchSettings { commit_interval: Duration::ZERO };
    let search = TantivySearch::open(folder.path(), often).expect("an index");
    commit(&search, documents).await;
    println!("at the end: {}", memory());
}
