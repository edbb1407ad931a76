//! Which records of a page a replay is about.

use tributary_model::{Record, TimestampMs};
use tributary_ports::stream::StreamRecord;
use tributary_worker::{Foreseen, foresee};

use crate::request::Request;

/// What a replay does with a record of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// It arrived at the range's end or later.
    Beyond,
    /// It is of the range, and the request does not want it.
    Skipped,
    /// It is wanted.
    Wanted,
}

/// Chooses for one record.
///
/// The stream gives a range's beginning; a record that lies behind it in the shard and bears an earlier time is of the
/// range all the same.
pub(crate) fn choose(request: &Request, now: TimestampMs, record: &StreamRecord) -> Choice {
    if record.arrived_at >= request.to {
        return Choice::Beyond;
    }
    if wants(request, now, record) { Choice::Wanted } else { Choice::Skipped }
}

fn wants(request: &Request, now: TimestampMs, record: &StreamRecord) -> bool {
    if request.project.is_none() && request.function.is_none() && request.ids.is_empty() {
        return true;
    }
    let Ok(header) = Record::decode(&record.data) else { return false };
    if request.project.as_ref().is_some_and(|project| *project != header.project) {
        return false;
    }
    if !request.ids.is_empty() && !request.ids.contains(&header.id) {
        return false;
    }
    let Some(wanted) = &request.function else { return true };
    matches!(foresee(&record.data, now.day()), Foreseen::Write { function, .. } if function == *wanted)
}
