//! The records of a shard that are read and not handled yet: which batch is next, what comes again, and how far the
//! checkpoint may go. No IO and no clock.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use tokio::time::Instant;
use tributary_model::{TimestampMs, limits};
use tributary_ports::stream::{SequenceNumber, StreamRecord};

use super::PollerSettings;

/// All records between the checkpoint and what is read next. Records of one partition key are in one lane, and a lane has
/// one batch under way at most, so that they are handled in their order.
#[derive(Debug)]
pub(super) struct Lanes {
    settings: PollerSettings,
    lanes: Vec<Lane>,
    /// The records above the checkpoint, in their order.
    order: VecDeque<Read>,
    /// The place of the first of them among all that were ever read.
    order_begin: u64,
    checkpoint: Option<SequenceNumber>,
}

#[derive(Debug)]
struct Read {
    number: SequenceNumber,
    arrived_at: TimestampMs,
    is_handled: bool,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Held>,
    under_way: Vec<Held>,
    /// Of both.
    bytes: usize,
    /// How often the first record was delivered and came back.
    failures: u32,
    /// What came back is not delivered again before.
    redelivery: Option<Instant>,
}

#[derive(Debug)]
struct Held {
    place: u64,
    read_at: Instant,
    record: StreamRecord,
}

/// How a delivery ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The consumer answered which records are to come again.
    Answered(Vec<SequenceNumber>),
    /// The consumer panicked.
    Panicked,
}

impl Lanes {
    pub(super) fn new(settings: PollerSettings) -> Self {
        let lanes = (0..settings.batches.concurrency).map(|_| Lane::default()).collect();
        Self { settings, lanes, order: VecDeque::new(), order_begin: 0, checkpoint: None }
    }

    /// How many records may be read now: two batches for each lane, and a bound for those behind one that keeps failing.
    pub(super) fn room(&self) -> usize {
        let ahead = self.settings.batches.records.saturating_mul(self.settings.batches.concurrency).saturating_mul(2);
        let bytes_max = limits::BATCH_BYTES_MAX.saturating_mul(self.settings.batches.concurrency);
        if self.lanes.iter().map(|lane| lane.bytes).sum::<usize>() >= bytes_max {
            return 0;
        }
        let held: usize = self.lanes.iter().map(Lane::records).sum();
        let order_max = ahead.max(limits::BATCH_RECORDS_MAX);
        ahead.saturating_sub(held).min(order_max.saturating_sub(self.order.len()))
    }

    /// Takes in records that were read, in their order.
    pub(super) fn accept(&mut self, records: Vec<StreamRecord>, read_at: Instant) {
        for record in records {
            let place = self.order_begin.saturating_add(u64::try_from(self.order.len()).unwrap_or(u64::MAX));
            let (number, arrived_at) = (record.sequence_number.clone(), record.arrived_at);
            self.order.push_back(Read { number, arrived_at, is_handled: false });
            let lane = lane_of(&record.partition_key, self.lanes.len());
            if let Some(lane) = self.lanes.get_mut(lane) {
                let held = Held { place, read_at, record };
                lane.bytes += held.bytes();
                lane.waiting.push_back(held);
            }
        }
    }

    /// The lane of a batch that is to be delivered now, if there is one.
    pub(super) fn due(&self, now: Instant) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.due_at(&self.settings).is_some_and(|due| due <= now))
    }

    /// When the next batch is to be delivered.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.lanes.iter().filter_map(|lane| lane.due_at(&self.settings)).min()
    }

    /// Whether no record waits for a delivery.
    pub(super) fn none_waits(&self) -> bool {
        self.lanes.iter().all(|lane| lane.waiting.is_empty())
    }

    /// Whether every record was handled.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Takes the batch of a lane out for delivery.
    pub(super) fn take(&mut self, lane: usize) -> Vec<StreamRecord> {
        let Some(lane) = self.lanes.get_mut(lane) else { return Vec::new() };
        let count = lane.batch_records(&self.settings);
        lane.under_way = lane.waiting.drain(..count).collect();
        lane.under_way.iter().map(|held| held.record.clone()).collect()
    }

    /// Ends the delivery of a lane's batch. Answers whether all of it was handled.
    pub(super) fn end(&mut self, lane: usize, delivered: &Delivered, now: Instant) -> bool {
        let settings = self.settings;
        let Some(lane) = self.lanes.get_mut(lane) else { return true };
        let mut handled = mem::take(&mut lane.under_way);
        let again = handled.split_off(delivered.handled(&handled));
        let complete = again.is_empty();
        if complete || !handled.is_empty() {
            lane.failures = 0;
            lane.redelivery = (!complete).then_some(now);
        } else {
            lane.failures = lane.failures.saturating_add(1);
            lane.redelivery = Some(now + pause(lane.failures, &settings));
        }
        for held in again.into_iter().rev() {
            lane.waiting.push_front(held);
        }
        lane.bytes -= handled.iter().map(Held::bytes).sum::<usize>();
        self.advance(handled);
        complete
    }

    /// All records up to this one are handled.
    pub(super) const fn checkpoint(&self) -> Option<&SequenceNumber> {
        self.checkpoint.as_ref()
    }

    /// When the first record arrived that is not handled.
    pub(super) fn oldest_at(&self) -> Option<TimestampMs> {
        self.order.front().map(|read| read.arrived_at)
    }

    /// How many records are read and above the checkpoint.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// How often the most failed batch came back whole.
    pub(super) fn failures(&self) -> u32 {
        self.lanes.iter().map(|lane| lane.failures).max().unwrap_or_default()
    }

    fn advance(&mut self, handled: Vec<Held>) {
        for held in handled {
            let place = usize::try_from(held.place.saturating_sub(self.order_begin)).unwrap_or(usize::MAX);
            if let Some(read) = self.order.get_mut(place) {
                read.is_handled = true;
            }
        }
        while self.order.front().is_some_and(|read| read.is_handled) {
            self.order_begin += 1;
            self.checkpoint = self.order.pop_front().map(|read| read.number);
        }
    }
}

impl Lane {
    /// When its next batch is to be delivered: what came back, when its pause ends; a full batch, at once; otherwise
    /// when the first record has waited for the window.
    fn due_at(&self, settings: &PollerSettings) -> Option<Instant> {
        let first = self.waiting.front().filter(|_| self.under_way.is_empty())?;
        if self.redelivery.is_some() {
            return self.redelivery;
        }
        let is_full = self.waiting.len() >= settings.batches.records || self.bytes >= limits::BATCH_BYTES_MAX;
        Some(if is_full { first.read_at } else { first.read_at + settings.window })
    }

    /// How many of the waiting records one batch holds: at least one.
    fn batch_records(&self, settings: &PollerSettings) -> usize {
        let mut bytes = 0;
        let fits = |held: &&Held| {
            bytes += held.bytes();
            bytes <= limits::BATCH_BYTES_MAX
        };
        self.waiting.iter().take(settings.batches.records).take_while(fits).count().max(1).min(self.waiting.len())
    }

    fn records(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }
}

impl Held {
    fn bytes(&self) -> usize {
        self.record.partition_key.len() + self.record.data.len()
    }
}

impl Delivered {
    /// How many records of a batch were handled: those before the lowest that is to come again. A number that is not of
    /// the batch says that the answer can't be trusted, so all of it comes again.
    fn handled(&self, batch: &[Held]) -> usize {
        let Self::Answered(again) = self else { return 0 };
        let place = |number| batch.binary_search_by(|held| held.record.sequence_number.cmp(number));
        let mut lowest = batch.len();
        for number in again {
            lowest = lowest.min(place(number).unwrap_or(0));
        }
        lowest
    }
}

/// The lane of a partition key.
pub(super) fn lane_of(key: &str, lanes: usize) -> usize {
    usize::try_from(crc32fast::hash(key.as_bytes())).unwrap_or_default() % lanes.max(1)
}

/// The pause after so many deliveries without progress: doubled each time, up to a bound.
pub(super) fn pause(failures: u32, settings: &PollerSettings) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    settings.redelivery_delay_min.saturating_mul(factor).min(settings.redelivery_delay_max)
}
