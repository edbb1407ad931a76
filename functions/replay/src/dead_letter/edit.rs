//! A dead letter's report, edited.

use bytes::Bytes;
use serde_json::Value;
use tributary_model::{Kind, Reason, Record, Rejection, Report, TimestampMs};
use tributary_pipeline::pack::{Arrival, pack};
use tributary_pipeline::unpack::decompress;
use tributary_worker::{Foreseen, foresee};

/// The report in a record, if it is JSON that can be edited.
#[must_use]
pub fn report_of(record: &Bytes) -> Option<Value> {
    let header = Record::decode(record).ok().filter(|header| header.kind == Kind::Report)?;
    let payload = decompress(header.codec, header.payload_bytes, &header.payload).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// The record with another report in it: of the same project, arrival and id, so that it takes the place that the first
/// one would have had.
///
/// # Errors
/// If the record's header can't be read or its report is signed, if the report names another invocation, or if it could
/// not be applied either.
pub fn edited(record: &Bytes, report: &[u8], now: TimestampMs) -> Result<Bytes, Rejection> {
    let header = Record::decode(record)?;
    if header.kind != Kind::Report {
        return Err(Rejection::new(
            Reason::Unsupported,
            "a signed report can't be edited: its signature would not hold",
        ));
    }
    if Report::parse(report)?.id(&header.project) != header.id {
        let detail = "processId, awsRequestId and timestamp name the invocation and must stay as they are";
        return Err(Rejection::new(Reason::InvalidField, detail));
    }
    let arrival = Arrival {
        project: header.project,
        account: header.account,
        region: header.region,
        retention: header.retention,
        token: header.token,
        received_at: header.received_at,
    };
    let edited = pack(&arrival, header.id, Kind::Report, report)?.encode();
    match foresee(&edited, now.day()) {
        Foreseen::Rejected(rejection) => Err(rejection),
        Foreseen::Write { .. } | Foreseen::Expired => Ok(edited),
    }
}
