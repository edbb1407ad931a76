//! From a record's bytes to its normal form.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use tributary_model::{Day, Invocation, ProjectId, Reason, Record, Rejection, Report, ReportId, Version};
use tributary_pipeline::normalize::{NORMALIZER, normalize};
use tributary_pipeline::plan::Versioned;
use tributary_pipeline::unpack::unpack;

/// A record that can be applied.
#[derive(Debug)]
pub(crate) struct Normalized {
    pub(crate) record: Record,
    pub(crate) invocation: Invocation,
}

impl Versioned for Normalized {
    fn id(&self) -> ReportId {
        self.record.id
    }

    fn version(&self) -> Version {
        Version::new(NORMALIZER, self.record.received_at)
    }
}

/// What a record is found to be.
#[derive(Debug)]
pub(crate) enum Reading {
    /// It is to be applied.
    Normalized(Box<Normalized>),
    /// Its retention has ended.
    Expired,
}

/// Reads a record on the day `today`.
pub(crate) type Read = fn(&Bytes, Day) -> Result<Reading, Rejection>;

pub(crate) fn read(bytes: &Bytes, today: Day) -> Result<Reading, Rejection> {
    let unpacked = unpack(bytes)?;
    let record = unpacked.record;
    if record.retention.expired(record.id.day, today) {
        return Ok(Reading::Expired);
    }
    let invocation = normalize(&record, &Report::parse(&unpacked.report)?);
    Ok(Reading::Normalized(Box::new(Normalized { record, invocation })))
}

/// Reads a record; if `read` panics on it, that is a reason like others. What the panic says stays out of the reason: it
/// may quote the record.
pub(crate) fn read_or_reject(read: Read, bytes: &Bytes, today: Day) -> Result<Reading, Rejection> {
    catch_unwind(AssertUnwindSafe(|| read(bytes, today))).unwrap_or_else(|_| {
        Err(Rejection::new(Reason::Panic, "our own code panicked on the record; it is a bug, and its bytes show it"))
    })
}

/// What [`Worker::handle`](crate::Worker::handle) would do with a record, as far as the record alone decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreseen {
    /// Write it, unless the store has this version or a greater one.
    Write {
        /// The project.
        project: ProjectId,
        /// The function's name.
        function: String,
        /// The report's id.
        id: ReportId,
        /// Decides which of two writes of the id wins.
        version: Version,
    },
    /// Nothing: its retention has ended.
    Expired,
    /// Make it a dead letter.
    Rejected(Rejection),
}

/// Says what would be done with a record on the day `today`; does nothing.
#[must_use]
pub fn foresee(bytes: &Bytes, today: Day) -> Foreseen {
    match read_or_reject(read, bytes, today) {
        Ok(Reading::Normalized(normalized)) => {
            let (id, version) = (normalized.id(), normalized.version());
            let Normalized { record, invocation } = *normalized;
            Foreseen::Write { project: record.project, function: invocation.function, id, version }
        }
        Ok(Reading::Expired) => Foreseen::Expired,
        Err(rejection) => Foreseen::Rejected(rejection),
    }
}
