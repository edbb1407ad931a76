//! A record's bytes through all that a worker does with them, up to the invocation's JSON. Bytes that begin with `{` are
//! a report's and are packed first, so that mutations reach what is compressed otherwise.

use bytes::Bytes;
use tributary_model::limits::{LABELS_MAX, METRICS_MAX, RECORD_PAYLOAD_BYTES_MAX, REMOVED_MAX, TRACE_ENTRIES_MAX};
use tributary_model::{
    AccountId, Invocation, Kind, ProjectId, Record, Region, Report, ReportId, RetentionClass, TimestampMs, TokenId,
};
use tributary_pipeline::normalize::normalize;
use tributary_pipeline::pack::{Arrival, pack};
use tributary_pipeline::unpack::unpack;

/// Labels that normalize adds at most.
const AUTOMATIC_LABELS: usize = 5;

pub(crate) fn run(bytes: &[u8]) {
    let record = if bytes.first() == Some(&b'{') { packed(bytes) } else { Bytes::copy_from_slice(bytes) };
    if let Ok(record) = Record::decode(&record) {
        assert_eq!(Record::decode(&record.encode()).as_ref(), Ok(&record), "a record is written as it was read");
    }
    let Ok(unpacked) = unpack(&record) else { return };
    assert!(unpacked.report.len() <= RECORD_PAYLOAD_BYTES_MAX);
    let Ok(report) = Report::parse(&unpacked.report) else { return };
    let invocation = normalize(&unpacked.record, &report);
    assert!(invocation.labels.len() <= LABELS_MAX + AUTOMATIC_LABELS);
    assert!(invocation.labels.is_sorted());
    assert!(invocation.metrics.len() <= METRICS_MAX);
    assert!(invocation.marks.len() <= TRACE_ENTRIES_MAX);
    assert!(invocation.removed.len() <= REMOVED_MAX);
    assert!(invocation.removed_count as usize >= invocation.removed.len());
    let json = serde_json::to_vec(&invocation).expect("an invocation is JSON");
    let read: Invocation = serde_json::from_slice(&json).expect("an invocation's JSON is read back");
    assert_eq!((read.id, read.labels), (invocation.id, invocation.labels));
}

fn packed(report: &[u8]) -> Bytes {
    let project = ProjectId::new("shop").expect("a project");
    let id = ReportId::derive(&project, "p", "r", TimestampMs(1_795_284_061_873));
    let arrival = Arrival {
        project,
        account: AccountId::new("acme").expect("an account"),
        region: Region::new("eu-west-1").expect("a region"),
        retention: RetentionClass::DEFAULT,
        token: TokenId::new("t_1").expect("a token's id"),
        received_at: TimestampMs(1_795_284_061_937),
    };
    pack(&arrival, id, Kind::Report, report).map(|record| record.encode()).unwrap_or_default()
}
