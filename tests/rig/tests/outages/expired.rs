//! An outage that outlasts the stream's retention, which nobody raised: what expired is lost, the consumer reads on at the
//! oldest record there is, and the loss is named by the sender's receipts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tributary_aws::stream::KinesisStream;
use tributary_model::{Outcome, ReportId, Target};
use tributary_ports::stream::{Entry, OperatedStream, Page, Position, Reader, SequenceNumber, Shard, ShardId, Stream};
use tributary_ports::{Control as _, PortError};
use tributary_replay::{Mode, Request, StartError};
use tributary_rig::kinesis::Kinesis;
use tributary_rig::process::until;

use crate::SEED;
use crate::world::{Installation, World, now};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const REPORTS: u64 = 40;
const RATE: u32 = 40;

/// Sends, and answers the receipts of what was sent once the ledger has it.
async fn send(world: &World, seed: u64) -> Vec<ReportId> {
    let before = world.receipts().len();
    world.load(REPORTS, RATE, seed).await.unwrap();
    let receipts = world.receipts();
    world.looked_after("the ledger has it", async |_| world.rows().await >= receipts.len()).await;
    receipts[before..].to_vec()
}

/// A stream without fan-out, whose replays read as the consumers do.
struct Shared(Arc<KinesisStream>);

#[async_trait]
impl Stream for Shared {
    async fn append(&self, entries: Vec<Entry>) -> Result<Vec<SequenceNumber>, PortError> {
        self.0.append(entries).await
    }

    async fn shards(&self) -> Result<Vec<Shard>, PortError> {
        self.0.shards().await
    }

    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        self.0.read(shard, from, records_max).await
    }
}

#[async_trait]
impl Reader for Shared {
    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        self.0.read(shard, from, records_max).await
    }
}

#[async_trait]
impl OperatedStream for Shared {
    async fn reader(&self, _name: &str) -> Result<Arc<dyn Reader>, PortError> {
        Ok(Arc::new(Self(Arc::clone(&self.0))))
    }

    async fn remove_reader(&self, _name: &str) -> Result<(), PortError> {
        Ok(())
    }

    async fn retention(&self) -> Result<Duration, PortError> {
        self.0.retention().await
    }

    async fn set_retention(&self, retention: Duration) -> Result<(), PortError> {
        self.0.set_retention(retention).await
    }
}

pub(crate) async fn after_seven_days() {
    let kinesis = Kinesis::expiring(9 * DAY).await;
    let mut world = Box::pin(World::on(Box::pin(Installation::start_on(kinesis, SEED)))).await;
    let stream = world.installation.stream().await;
    stream.set_retention(RETENTION).await.unwrap();
    for replayed in world.replays.streams.values_mut() {
        *replayed = Arc::new(Shared(Arc::clone(&stream)));
    }
    let stored = send(&world, SEED + 6).await;
    until("the index has it", async || (world.documents().await >= stored.len()).then_some(())).await;

    world.installation.control().await.pause(Target::Search).await.unwrap();
    world.installation.obey().await;
    let lost = send(&world, SEED + 7).await;
    world.installation.kinesis.set_behind(DAY);
    let late = send(&world, SEED + 8).await;
    world.installation.control().await.resume(Target::Search).await.unwrap();
    // On AWS a mapping that is switched off keeps nothing in memory.
    world.start_anew(Target::Search).await;
    let kept = stored.len() + late.len();
    world.looked_after("it reads on", async |_| world.documents().await >= kept).await;
    assert_eq!(world.documents().await, kept, "its position and what came after it have expired");
    for receipt in world.checked(&world.receipts()).await {
        assert!(receipt.ledger && !receipt.overflow && !receipt.dead_letter, "{receipt:?}");
        assert_eq!(receipt.search, !lost.contains(&receipt.id), "{receipt:?}");
    }
    the_rest_can_be_replayed(&world, late.len() as u64).await;
    world.stop().await;
}

async fn the_rest_can_be_replayed(world: &World, late: u64) {
    let retention_ms = i64::try_from(RETENTION.as_millis()).unwrap();
    let of_the_last = |ms: i64| Request { from: now().plus_ms(-ms), ..world.everything(Mode::Apply, &Target::ALL) };
    let refused = world.try_replay(of_the_last(retention_ms + 1000)).await.unwrap_err();
    let StartError::Refused(why) = refused else { panic!("{refused}") };
    let oldest = now().plus_ms(-retention_ms).to_string();
    assert!(why.contains(&oldest[.."2026-11-26T11:".len()]), "{why} names {oldest}");
    let replay = world.replay(of_the_last(retention_ms - 60_000)).await;
    let (counts, _) = world.run(&replay).await;
    for target in Target::ALL {
        assert_eq!((counts.read, counts.of(target).of(Outcome::AlreadyThere)), (late, late), "{counts:?}");
    }
}
