//! A fan-out consumer: Kinesis pushes a shard's records through a subscription, which lasts for 5 minutes; the port pulls
//! pages from it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex as Lock, PoisonError};

use async_trait::async_trait;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::primitives::event_stream::EventReceiver;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{ShardIteratorType, StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream};
use aws_smithy_types::event_stream::RawMessage;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};
use tributary_model::limits;
use tributary_ports::stream::{Page, Position, Reader, SequenceNumber, ShardId, StreamRecord};
use tributary_ports::{PortError, PortErrorKind};

use super::read::{date_time, stream_record};
use crate::error::port_error;

const READ: &str = "stream.reader.read";

type Events = EventReceiver<SubscribeToShardEventStream, SubscribeToShardEventStreamError>;

/// A registered fan-out consumer.
#[derive(Debug)]
pub(super) struct FanOut {
    client: Client,
    consumer: String,
    shards: Lock<HashMap<ShardId, Arc<Mutex<Subscriptions>>>>,
}

/// The subscription to a shard, of which a consumer has one at a time.
#[derive(Debug, Default)]
struct Subscriptions {
    current: Option<Subscription>,
    /// When the shard may be subscribed to again.
    free_at: Option<Instant>,
}

#[derive(Debug)]
struct Subscription {
    events: Events,
    /// Where the next page begins.
    at: Position,
    /// What came and was not read yet.
    waiting: VecDeque<StreamRecord>,
    /// Where to go on behind what is waiting; none when the shard has ended.
    behind_waiting: Option<Position>,
    behind_ms: u64,
}

impl FanOut {
    pub(super) fn new(client: Client, consumer: String) -> Self {
        Self { client, consumer, shards: Lock::default() }
    }

    fn of(&self, shard: &ShardId) -> Arc<Mutex<Subscriptions>> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if shards.len() >= limits::KINESIS_SHARDS_KEPT_MAX && !shards.contains_key(shard) {
            shards.clear();
        }
        Arc::clone(shards.entry(shard.clone()).or_default())
    }

    async fn subscribe(&self, shard: &ShardId, from: &Position) -> Result<Subscription, PortError> {
        let start = match from {
            Position::Horizon => StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon),
            Position::At(number) => StartingPosition::builder()
                .r#type(ShardIteratorType::AtSequenceNumber)
                .sequence_number(number.0.as_ref()),
            Position::After(number) => StartingPosition::builder()
                .r#type(ShardIteratorType::AfterSequenceNumber)
                .sequence_number(number.0.as_ref()),
            Position::AtTime(time) => {
                StartingPosition::builder().r#type(ShardIteratorType::AtTimestamp).timestamp(date_time(*time))
            }
        };
        let start = start.build().map_err(|error| PortError::new(PortErrorKind::Invalid, READ, error))?;
        let request = self.client.subscribe_to_shard().consumer_arn(&self.consumer).shard_id(shard.0.as_ref());
        let answer = request.starting_position(start).send().await.map_err(|error| port_error(READ, error))?;
        let at = from.clone();
        let behind_waiting = Some(at.clone());
        Ok(Subscription { events: answer.event_stream, at, waiting: VecDeque::new(), behind_waiting, behind_ms: 0 })
    }
}

#[async_trait]
impl Reader for FanOut {
    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        let subscriptions = self.of(shard);
        let mut subscriptions = subscriptions.lock().await;
        // One that stands elsewhere ends here: a shard takes no second one beside it.
        let current = subscriptions.current.take().filter(|current| current.at == *from);
        let mut subscription = match current {
            Some(current) => current,
            None => {
                if let Some(free_at) = subscriptions.free_at {
                    sleep_until(free_at).await;
                }
                // Counted from the attempt: one that is refused counts, too.
                subscriptions.free_at = Some(Instant::now() + limits::KINESIS_SUBSCRIBE_INTERVAL);
                self.subscribe(shard, from).await?
            }
        };
        let is_open = subscription.receive().await?;
        let page = subscription.page(records_max);
        if is_open || !subscription.waiting.is_empty() {
            subscriptions.current = Some(subscription);
        }
        Ok(page)
    }
}

/// What a subscription ended with, by the exception that came as its last event.
fn broken_off(error: &SdkError<SubscribeToShardEventStreamError, RawMessage>) -> PortError {
    use SubscribeToShardEventStreamError as Exception;
    let kind = match error.as_service_error() {
        Some(Exception::ResourceNotFoundException(_)) => PortErrorKind::NotFound,
        Some(Exception::KmsThrottlingException(_)) => PortErrorKind::Throttled,
        Some(
            Exception::KmsAccessDeniedException(_)
            | Exception::KmsDisabledException(_)
            | Exception::KmsInvalidStateException(_)
            | Exception::KmsNotFoundException(_)
            | Exception::KmsOptInRequired(_),
        ) => PortErrorKind::Denied,
        _ => PortErrorKind::Unavailable,
    };
    PortError::new(kind, READ, "the subscription broke off")
}

impl Subscription {
    /// Waits for records, unless some are waiting. False once the subscription has ended.
    async fn receive(&mut self) -> Result<bool, PortError> {
        if !self.waiting.is_empty() {
            return Ok(true);
        }
        match timeout(limits::KINESIS_EVENT_TIMEOUT, self.events.recv()).await {
            // Nothing came: nothing new is there.
            Err(_) => Ok(true),
            Ok(Ok(None)) => Ok(false),
            Ok(Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)))) => {
                self.take(event);
                Ok(true)
            }
            Ok(Ok(Some(_))) => Ok(true),
            Ok(Err(error)) => Err(broken_off(&error)),
        }
    }

    fn take(&mut self, event: SubscribeToShardEvent) {
        let has_ended = event.child_shards.is_some_and(|children| !children.is_empty());
        self.behind_ms = u64::try_from(event.millis_behind_latest).unwrap_or_default();
        self.waiting.extend(event.records.into_iter().map(stream_record));
        self.behind_waiting = if has_ended {
            None
        } else if event.continuation_sequence_number.is_empty() {
            let last = self.waiting.back().map(|last| last.sequence_number.clone());
            Some(last.map_or_else(|| self.at.clone(), Position::After))
        } else {
            // It moves on even where there are no records.
            Some(Position::After(SequenceNumber(event.continuation_sequence_number.into())))
        };
    }

    fn page(&mut self, records_max: usize) -> Page {
        let mut left = limits::STREAM_PAGE_BYTES_MAX;
        let mut records = Vec::new();
        while let Some(record) = self.waiting.front()
            && records.len() < records_max.max(1)
            && let Some(rest) = left.checked_sub(record.data.len())
        {
            left = rest;
            records.extend(self.waiting.pop_front());
        }
        if let (false, Some(last)) = (self.waiting.is_empty(), records.last()) {
            let next = Position::After(last.sequence_number.clone());
            self.at = next.clone();
            return Page { records, next: Some(next), behind_ms: self.behind_ms.max(1) };
        }
        let next = self.behind_waiting.clone();
        if let Some(next) = &next {
            self.at = next.clone();
        }
        Page { records, behind_ms: if next.is_some() { self.behind_ms } else { 0 }, next }
    }
}
