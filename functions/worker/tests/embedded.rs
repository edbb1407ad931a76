//! The worker on the embedded stores: what it wrote is there after they were closed and opened again, and coming again
//! changes nothing.

#![expect(clippy::expect_used, reason = "a test's own functions fail as tests do")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tributary_embedded::keys::KeyFile;
use tributary_embedded::ledger::SqliteLedger;
use tributary_embedded::objects::FileObjects;
use tributary_embedded::search::{SearchSettings, TantivySearch};
use tributary_model::dead_letter::DeadLetter;
use tributary_model::{
    AccountId, Kind, Outcome, ProjectId, Region, Report, ReportId, RetentionClass, Target, TimestampMs, TokenId,
};
use tributary_pipeline::pack::{Arrival, pack};
use tributary_pipeline::unpack;
use tributary_ports::envelope::open;
use tributary_ports::keys::Purpose;
use tributary_ports::ledger::DeadLetterFilter;
use tributary_ports::stream::{Batch, SequenceNumber, ShardId, StreamRecord};
use tributary_ports::{Ledger, Objects, Search};
use tributary_worker::{Handled, Sink, Worker};

/// 2026-11-21T18:05:00.000Z, some minutes after the captures were taken.
const NOW: TimestampMs = TimestampMs(1_795_284_300_000);

struct Stores {
    search: Arc<TantivySearch>,
    ledger: Arc<SqliteLedger>,
    objects: Arc<FileObjects>,
    keys: Arc<KeyFile>,
}

impl Stores {
    fn open(folder: &Path) -> Self {
        let settings = SearchSettings { commit_interval: Duration::ZERO };
        Self {
            search: Arc::new(TantivySearch::open(&folder.join("search"), settings).expect("an index")),
            ledger: SqliteLedger::open(&folder.join("ledger")).expect("a ledger"),
            objects: FileObjects::open(&folder.join("objects")).expect("objects"),
            keys: KeyFile::open(&folder.join("keys")).expect("keys"),
        }
    }

    async fn handle(&self, target: Target, batch: &Batch) -> Handled {
        let target = match target {
            Target::Search => Sink::Search(self.search.clone()),
            Target::Ledger => Sink::Ledger(self.ledger.clone()),
        };
        let region = Region::new("local").expect("a region");
        let (objects, keys, ledger) = (self.objects.clone(), self.keys.clone(), self.ledger.clone());
        let worker = Worker { target, objects, keys, ledger, region };
        worker.handle(NOW, batch).await
    }
}

fn project() -> ProjectId {
    ProjectId::new("shop").expect("a project's name")
}

/// All captured reports, as their senders sent them.
fn captured() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/captures");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("captures").map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".report.json"));
    files.sort();
    let body = |path: &std::path::PathBuf| {
        let capture = std::fs::read_to_string(path).expect("a capture");
        let capture: serde_json::Value = serde_json::from_str(&capture).expect("JSON");
        capture.pointer("/request/body_text").and_then(serde_json::Value::as_str).expect("a body").to_owned()
    };
    files.iter().map(body).collect()
}

fn id(report: &str) -> ReportId {
    Report::parse(report.as_bytes()).expect("a report").id(&project())
}

fn record(report: &str, received_at: TimestampMs) -> Bytes {
    let arrival = Arrival {
        project: project(),
        account: AccountId::new("acme").expect("an account"),
        region: Region::new("eu-west-1").expect("a region"),
        retention: RetentionClass::DEFAULT,
        token: TokenId::new("token-1").expect("a token's id"),
        received_at,
    };
    pack(&arrival, id(report), Kind::Report, report.as_bytes()).expect("a record").encode()
}

fn batch(records: impl IntoIterator<Item = Bytes>) -> Batch {
    let record = |(number, data): (usize, Bytes)| StreamRecord {
        sequence_number: SequenceNumber(number.to_string().into()),
        partition_key: "key".into(),
        arrived_at: NOW,
        data,
    };
    Batch { shard: ShardId("0".into()), records: records.into_iter().enumerate().map(record).collect() }
}

fn count(handled: &Handled, outcome: Outcome) -> usize {
    assert!(handled.redeliver.is_empty(), "{:?}", handled.facts.error);
    usize::try_from(handled.facts.outcomes.of(outcome)).expect("a small number")
}

#[tokio::test]
async fn captured_reports_are_in_both_stores_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = captured();
    let records = || reports.iter().map(|report| record(report, NOW));
    let stores = Stores::open(folder.path());
    for target in Target::ALL {
        let first = stores.handle(target, &batch(records())).await;
        assert_eq!(count(&first, Outcome::Applied), reports.len());
    }
    drop(stores);

    let stores = Stores::open(folder.path());
    for target in Target::ALL {
        let again = stores.handle(target, &batch(records())).await;
        assert_eq!(count(&again, Outcome::AlreadyThere), reports.len());
        let resent = batch(reports.iter().map(|report| record(report, NOW.plus_ms(1))));
        assert_eq!(count(&stores.handle(target, &resent).await, Outcome::Superseded), reports.len());
    }
    let counted = stores.ledger.count_invocations(&project(), TimestampMs(0), NOW).await.expect("a count");
    assert_eq!(usize::try_from(counted), Ok(reports.len()));
    for report in &reports {
        let document = stores.search.get(&project(), id(report)).await.expect("an answer").expect("a document");
        let original = document.original;
        let payload = unpack::decompress(original.codec, original.payload_bytes, &original.payload);
        assert_eq!(payload.expect("the report"), report.as_bytes());
        let rows = stores.ledger.invocations(&[id(report)]).await.expect("rows");
        let row = rows.into_iter().next().flatten().expect("a row");
        assert_eq!((row.version, row.function), (document.version, document.invocation.function));
        assert_eq!((row.received_at, row.duration_ms), (NOW, document.invocation.duration_ms));
    }
}

#[tokio::test]
async fn two_records_of_one_report_are_one_dead_letter_that_counts_two() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = &captured()[0];
    let cut = [record(report, NOW), record(report, NOW.plus_ms(1))].map(|whole| whole.slice(..whole.len() - 3));
    let stores = Stores::open(folder.path());
    for target in Target::ALL {
        stores.handle(target, &batch(cut.to_vec())).await;
    }
    let row = stores.ledger.dead_letter(&id(report).to_string()).await.expect("an answer").expect("a dead letter");
    assert_eq!((row.count, row.targets), (2, Target::ALL.to_vec()));
    let objects = stores.objects.list("dead-letters/", None, 10).await.expect("keys");
    assert_eq!(objects.len(), 2);
}

#[tokio::test]
async fn poison_is_kept_beside_its_neighbours() {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = captured();
    let whole = record(&reports[0], NOW);
    let poison = [whole.slice(..whole.len() - 3), Bytes::from_static(b"garbage"), Bytes::new()];
    let good = reports.iter().map(|report| record(report, NOW));
    let records: Vec<Bytes> = poison.iter().cloned().chain(good).collect();
    let stores = Stores::open(folder.path());
    for _ in 0..2 {
        for target in Target::ALL {
            let handled = stores.handle(target, &batch(records.clone())).await;
            assert_eq!(count(&handled, Outcome::DeadLettered), poison.len());
            assert_eq!(handled.facts.outcomes.total(), records.len() as u64);
        }
    }
    let of_project = DeadLetterFilter { project: Some(project()), ..DeadLetterFilter::default() };
    let cut = stores.ledger.dead_letters(&of_project, None, 10).await.expect("rows");
    let unread = stores.ledger.dead_letters(&DeadLetterFilter::default(), None, 10).await.expect("rows");
    assert_eq!((cut.len(), unread.len()), (1, 2), "the cut one's header can be read");
    let mut kept = Vec::new();
    for row in cut.into_iter().chain(unread) {
        assert_eq!(row.targets, Target::ALL);
        let object = stores.objects.get(&row.object_key).await.expect("an answer").expect("an object");
        let letter: DeadLetter = serde_json::from_slice(&object.bytes).expect("a dead letter");
        assert_eq!((&letter.id, letter.reason), (&row.id, row.reason));
        let sealed = STANDARD.decode(letter.sealed_record).expect("base64");
        let record = open(&*stores.keys, Purpose::DeadLetter, &row.object_key, &sealed).await;
        kept.push(record.expect("a record"));
    }
    kept.sort_by_key(|bytes| std::cmp::Reverse(bytes.len()));
    assert_eq!(kept, poison);
}
