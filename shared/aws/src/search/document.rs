//! A document as the cluster keeps it, and back.
//!
//! It is the invocation, field by field as its JSON names them, and beside them:
//!
//! | field | holds |
//! |---|---|
//! | `order` | the id in three numbers, whose order is the ids': what orders equal sort keys |
//! | `retention` | the retention class |
//! | `original` | the report as it was received, in base64, neither searched nor read by the cluster |
//! | `unindexed` | only where the index refused the customer's fields: the whole invocation as a text, while the fields beside it are those that [`core`] leaves |
//!
//! The version is the document's `_version`. What is indexed, and how, says `infra/index/invocations.json`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use tributary_model::invocation::{AwsInfo, ErrorInfo, HostInfo, Removed, RuntimeInfo};
use tributary_model::limits::REMOVED_MAX;
use tributary_model::record::Codec;
use tributary_model::{Invocation, Kind, ReportId, RetentionClass, Version};
use tributary_ports::search::{Document, Original};

#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    invocation: &'a Invocation,
    order: Order,
    retention: RetentionClass,
    original: WrittenOriginal<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unindexed: Option<&'a str>,
}

#[derive(Serialize)]
struct WrittenOriginal<'a> {
    kind: u8,
    codec: u8,
    bytes: u32,
    #[serde(serialize_with = "base64")]
    payload: &'a [u8],
}

fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

/// An id as three numbers of the kinds that the cluster sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Order {
    day: u32,
    high: i64,
    low: i64,
}

impl Order {
    pub(super) fn of(id: ReportId) -> Self {
        let hash = u128::from_be_bytes(id.hash);
        let half = |number: u128| u64::try_from(number & u128::from(u64::MAX)).unwrap_or_default();
        Self { day: id.day.0, high: signed(half(hash >> 64)), low: signed(half(hash)) }
    }

    /// In the order in which they decide.
    pub(super) fn numbers(self) -> [i64; 3] {
        [self.day.into(), self.high, self.low]
    }
}

/// Moves the numbers from 0 on to those from the least signed one on: their order stays.
fn signed(number: u64) -> i64 {
    i64::from_be_bytes((number ^ (1 << 63)).to_be_bytes())
}

/// Zero has no sign: the index would tell its two apart.
pub(super) fn unsigned_zero(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number }
}

/// Takes the sign from every zero that is compared.
pub(super) fn unsign_zeros(invocation: &mut Invocation) {
    let memory = &mut invocation.memory;
    let numbers = [&mut invocation.duration_ms, &mut memory.used_mib, &mut memory.used_percent];
    let metrics = invocation.metrics.iter_mut().map(|metric| &mut metric.n);
    for number in numbers.into_iter().chain(metrics) {
        *number = number.map(unsigned_zero);
    }
}

/// Appends the document as JSON, on one line.
///
/// # Errors
/// If it can't be written as JSON, which no document of ours meets.
pub(super) fn write(document: &Document, out: &mut Vec<u8>) -> serde_json::Result<()> {
    write_as(document, &document.invocation, None, out)
}

/// Appends the document with the customer's fields stored and not indexed; `reason` says why, without customer data, and
/// is kept with what else was removed from the invocation.
///
/// # Errors
/// As [`write`].
pub(super) fn write_unindexed(document: &Document, reason: &str, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let mut whole = document.invocation.clone();
    whole.removed.insert(0, Removed { field: "*".to_owned(), reason: reason.to_owned() });
    whole.removed.truncate(REMOVED_MAX);
    whole.removed_count = whole.removed_count.saturating_add(1);
    let unindexed = serde_json::to_string(&whole)?;
    write_as(document, &core(whole), Some(&unindexed), out)
}

fn write_as(
    document: &Document,
    invocation: &Invocation,
    unindexed: Option<&str>,
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let Original { kind, codec, payload_bytes, payload } = &document.original;
    let original = WrittenOriginal { kind: kind.code(), codec: codec.code(), bytes: *payload_bytes, payload };
    let order = Order::of(invocation.id);
    serde_json::to_writer(out, &Written { invocation, order, retention: document.retention, original, unindexed })
}

/// What is left without the customer's fields: ids, names, times, and numbers of a fixed form.
fn core(whole: Invocation) -> Invocation {
    let fingerprint = whole.error.map(|error| error.fingerprint);
    let error =
        |fingerprint| ErrorInfo { name: String::new(), message: String::new(), stack: String::new(), fingerprint };
    Invocation {
        error: fingerprint.map(error),
        labels: Vec::new(),
        metrics: Vec::new(),
        runtime: RuntimeInfo::default(),
        aws: AwsInfo::default(),
        host: HostInfo::default(),
        event_source: None,
        step_function: None,
        marks: Vec::new(),
        http_traces: Vec::new(),
        db_traces: Vec::new(),
        plugins: Vec::new(),
        install_method: String::new(),
        removed: Vec::new(),
        unknown: serde_json::Map::new(),
        ..whole
    }
}

/// A stored document that does not hold what [`write`] wrote.
#[derive(Debug, thiserror::Error)]
#[error("a stored document's {0} is missing or broken")]
pub(super) struct Broken(&'static str);

/// What is read beside an invocation's own fields.
#[derive(Deserialize)]
struct Beside {
    retention: RetentionClass,
    original: ReadOriginal,
}

#[derive(Deserialize)]
struct ReadOriginal {
    kind: u8,
    codec: u8,
    bytes: u32,
    payload: String,
}

#[derive(Deserialize)]
struct Unindexed {
    #[serde(default)]
    unindexed: Option<String>,
}

/// The invocation of a document's source.
pub(super) fn invocation(source: &str) -> Result<Invocation, Broken> {
    let broken = |_| Broken("invocation");
    let Unindexed { unindexed } = serde_json::from_str(source).map_err(broken)?;
    serde_json::from_str(unindexed.as_deref().unwrap_or(source)).map_err(broken)
}

/// The whole of a document, from its source and its `_version`.
pub(super) fn document(source: &str, version: Version) -> Result<Document, Broken> {
    let Beside { retention, original } = serde_json::from_str(source).map_err(|_| Broken("report"))?;
    Ok(Document {
        version,
        retention,
        invocation: invocation(source)?,
        original: Original {
            kind: Kind::from_code(original.kind).map_err(|_| Broken("kind"))?,
            codec: Codec::from_code(original.codec).map_err(|_| Broken("codec"))?,
            payload_bytes: original.bytes,
            payload: BASE64.decode(original.payload).map(Bytes::from).map_err(|_| Broken("report"))?,
        },
    })
}

#[cfg(test)]
mod tests {
    use tributary_ports::contract::search::samples::{document as sample, error, invocation as plain, number, text};

    use super::*;

    fn written(document: &Document) -> String {
        let mut out = Vec::new();
        write(document, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_document_reads_back() {
        let mut invocation = plain(1);
        invocation.error = Some(error("E", "line one\nline two"));
        invocation.metrics = vec![number("m", 0.1 + 0.2), text("m", "\u{2028}")];
        let document_ = sample(invocation);
        let json = written(&document_);
        assert!(!json.contains('\n'), "{json}");
        assert_eq!(document(&json, document_.version).unwrap(), document_);
    }

    #[test]
    fn without_the_customers_fields_it_reads_back_whole_and_says_why() {
        let mut before = sample(plain(1));
        before.invocation.labels = vec!["vip".to_owned()];
        before.invocation.error = Some(error("E", "m"));
        let mut out = Vec::new();
        write_unindexed(&before, "the index refused it", &mut out).unwrap();
        let json = String::from_utf8(out).unwrap();
        let indexed: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(indexed["labels"], serde_json::json!([]));
        assert_eq!(indexed["error"]["message"], "");
        assert_eq!(indexed["removed_count"], 1);
        let after = document(&json, before.version).unwrap().invocation;
        assert_eq!(after.labels, before.invocation.labels);
        assert_eq!(after.error, before.invocation.error);
        assert_eq!((after.removed_count, after.removed[0].reason.as_str()), (1, "the index refused it"));
    }

    #[test]
    fn the_order_of_ids_is_that_of_their_numbers() {
        let id = |first: u8, last: u8| {
            let mut hash = [0; 16];
            hash[0] = first;
            hash[15] = last;
            ReportId { day: plain(1).id.day, hash }
        };
        let ids = [id(0, 0), id(0, 255), id(0x7f, 0), id(0x80, 0), id(0x80, 1), id(255, 255)];
        let numbers = ids.map(|id| Order::of(id).numbers());
        assert!(numbers.is_sorted() && ids.is_sorted(), "{numbers:?}");
    }

    #[test]
    fn zeros_lose_their_sign() {
        let mut invocation = plain(1);
        invocation.duration_ms = Some(-0.0);
        invocation.metrics = vec![number("m", -0.0)];
        unsign_zeros(&mut invocation);
        let json = written(&sample(invocation));
        assert!(!json.contains("-0.0"), "{json}");
    }
}
