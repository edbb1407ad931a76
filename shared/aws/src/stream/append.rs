//! PutRecords in pages, of which exactly the entries that failed are sent again.

use std::time::Duration;

use aws_sdk_kinesis::error::BuildError;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use rand::Rng as _;
use tokio::time::{Instant, sleep, timeout};
use tributary_model::limits;
use tributary_ports::stream::{Entry, SequenceNumber};
use tributary_ports::{PortError, PortErrorKind};

use super::KinesisStream;
use crate::error::{self, port_error};

const APPEND: &str = "stream.append";

/// An entry that is not stored yet, and its place among those appended.
#[derive(Debug)]
struct Waiting {
    place: usize,
    entry: Entry,
}

/// What is left when the time is over.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {sent} entries were refused, the last time with {code}")]
struct Refused {
    failed: usize,
    sent: usize,
    code: String,
}

#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("an answer for {answered} entries of {sent}")]
    Miscounted { answered: usize, sent: usize },
}

impl KinesisStream {
    pub(super) async fn append_all(&self, entries: Vec<Entry>) -> Result<Vec<SequenceNumber>, PortError> {
        entries.iter().try_for_each(check)?;
        let mut numbers = vec![None; entries.len()];
        for page in pages(entries) {
            self.append_page(page, &mut numbers).await?;
        }
        let stored = numbers.len();
        let numbers: Vec<_> = numbers.into_iter().flatten().collect();
        if numbers.len() < stored {
            let source = Unusable::Miscounted { answered: numbers.len(), sent: stored };
            return Err(PortError::new(PortErrorKind::Unavailable, APPEND, source));
        }
        Ok(numbers)
    }

    /// Sends a page until all of it is stored, its time is over, or a failure says that trying again is of no use.
    async fn append_page(
        &self,
        mut waiting: Vec<Waiting>,
        numbers: &mut [Option<SequenceNumber>],
    ) -> Result<(), PortError> {
        let sent = waiting.len();
        let budget = self.budget(&waiting);
        let deadline = Instant::now() + budget;
        let mut pause_max = limits::KINESIS_APPEND_PAUSE;
        loop {
            // Half of the time for one attempt: a connection that hangs leaves time for another.
            let failure = match self.put(&waiting, budget / 2).await {
                Ok(answers) => {
                    let code = settle(&mut waiting, answers, numbers);
                    let Some(code) = code else { return Ok(()) };
                    let kind = error::kind(500, Some(&code));
                    PortError::new(kind, APPEND, Refused { failed: waiting.len(), sent, code })
                }
                Err(failure) => failure,
            };
            let pause = pause_max.mul_f64(rand::rng().random_range(0.5..=1.0));
            if !is_worth_a_retry(failure.kind) || Instant::now() + pause >= deadline {
                return Err(failure);
            }
            sleep(pause).await;
            pause_max = (pause_max * 2).min(limits::KINESIS_APPEND_PAUSE_MAX);
        }
    }

    async fn put(&self, waiting: &[Waiting], time: Duration) -> Result<Vec<PutRecordsResultEntry>, PortError> {
        let records: Result<_, _> = waiting.iter().map(|waiting| record(&waiting.entry)).collect();
        let records = records.map_err(|error| PortError::new(PortErrorKind::Invalid, APPEND, error))?;
        let request = self.appender.put_records().set_stream_name(self.name.plain()).set_stream_arn(self.name.arn());
        let unusable = |source| PortError::new(PortErrorKind::Unavailable, APPEND, source);
        let answer = timeout(time, request.set_records(Some(records)).send())
            .await
            .map_err(|_| unusable(Unusable::TimedOut(time)))?
            .map_err(|error| port_error(APPEND, error))?;
        if answer.records.len() != waiting.len() {
            let (answered, sent) = (answer.records.len(), waiting.len());
            return Err(unusable(Unusable::Miscounted { answered, sent }));
        }
        Ok(answer.records)
    }

    fn budget(&self, waiting: &[Waiting]) -> Duration {
        let bytes: usize = waiting.iter().map(|waiting| bytes(&waiting.entry)).sum();
        let more_ms =
            u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1000) / limits::KINESIS_APPEND_BYTES_PER_SECOND_MIN;
        self.append_timeout + Duration::from_millis(more_ms)
    }
}

/// Keeps the numbers of what is stored, and the rest waiting. Answers an error code if anything is: a throttled entry's
/// before any other's.
fn settle(
    waiting: &mut Vec<Waiting>,
    answers: Vec<PutRecordsResultEntry>,
    numbers: &mut [Option<SequenceNumber>],
) -> Option<String> {
    let mut code: Option<String> = None;
    let sent = std::mem::take(waiting);
    for (entry, answer) in sent.into_iter().zip(answers) {
        if let (None, Some(number)) = (&answer.error_code, answer.sequence_number)
            && let Some(slot) = numbers.get_mut(entry.place)
        {
            *slot = Some(SequenceNumber(number.into()));
            continue;
        }
        waiting.push(entry);
        let answered = answer.error_code.unwrap_or_else(|| "no sequence number".to_owned());
        let is_throttled = error::kind(500, Some(&answered)) == PortErrorKind::Throttled;
        if code.is_none() || is_throttled {
            code = Some(answered);
        }
    }
    code
}

const fn is_worth_a_retry(kind: PortErrorKind) -> bool {
    matches!(kind, PortErrorKind::Throttled | PortErrorKind::Unavailable)
}

fn record(entry: &Entry) -> Result<PutRecordsRequestEntry, BuildError> {
    let record = PutRecordsRequestEntry::builder().data(Blob::new(entry.data.clone()));
    record.partition_key(entry.partition_key.as_ref()).build()
}

fn bytes(entry: &Entry) -> usize {
    entry.partition_key.len() + entry.data.len()
}

/// Refuses what Kinesis would refuse, and with it the whole page.
fn check(entry: &Entry) -> Result<(), PortError> {
    let refuse = |detail: String| Err(PortError::new(PortErrorKind::Invalid, APPEND, detail));
    let key_bytes = entry.partition_key.len();
    if !(1..=limits::PARTITION_KEY_BYTES_MAX).contains(&key_bytes) {
        let max = limits::PARTITION_KEY_BYTES_MAX;
        return refuse(format!("a partition key has 1 to {max} bytes, not {key_bytes}"));
    }
    if bytes(entry) > limits::RECORD_BYTES_MAX {
        let (bytes, max) = (bytes(entry), limits::RECORD_BYTES_MAX);
        return refuse(format!("the record has {bytes} bytes with its key; the limit is {max}"));
    }
    Ok(())
}

/// Divides entries, in their order, into what one PutRecords takes.
fn pages(entries: Vec<Entry>) -> Vec<Vec<Waiting>> {
    let mut pages: Vec<Vec<Waiting>> = Vec::new();
    let mut page_bytes = 0;
    for (place, entry) in entries.into_iter().enumerate() {
        let bytes = bytes(&entry);
        let fits = page_bytes + bytes <= limits::KINESIS_PUT_BYTES_MAX;
        match pages.last_mut() {
            Some(page) if fits && page.len() < limits::KINESIS_PUT_RECORDS_MAX => {
                page_bytes += bytes;
                page.push(Waiting { place, entry });
            }
            _ => {
                page_bytes = bytes;
                pages.push(vec![Waiting { place, entry }]);
            }
        }
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: usize, data_bytes: usize) -> Vec<Entry> {
        let data = bytes::Bytes::from(vec![0; data_bytes]);
        (0..count).map(|place| Entry { partition_key: format!("{place:04}").into(), data: data.clone() }).collect()
    }

    fn sizes(entries: Vec<Entry>) -> Vec<usize> {
        let pages = pages(entries);
        let places: Vec<usize> = pages.iter().flatten().map(|waiting| waiting.place).collect();
        assert!(places.iter().copied().eq(0..places.len()), "every entry once, in order");
        pages.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_page_has_no_more_records_and_bytes_than_kinesis_takes() {
        assert_eq!(sizes(entries(0, 1)), [0; 0]);
        assert_eq!(sizes(entries(1001, 10)), [500, 500, 1]);
        assert_eq!(sizes(entries(11, limits::RECORD_BYTES_MAX - 4)), [5, 5, 1]);
        assert_eq!(sizes(entries(3, limits::KINESIS_PUT_BYTES_MAX / 2 - 4)), [2, 1]);
    }
}
