//! What goes wrong, for a while.

use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use rustix::process::Signal;
use tributary_ports::Target;
use tributary_rig::data_api::{Fault as OfTheDataApi, SECRET_ARN};
use tributary_rig::fault_proxy::{Faults, ShardLimit};
use tributary_rig::postgres::{PASSWORD as OF_POSTGRES, SUPERUSER};

use crate::world::{PASSWORD, STREAM, World, set_password};

/// Open shards, beyond which none is split.
const SHARDS_MAX: usize = 6;
/// Calls of the Data API that fail one after another.
const CALLS: usize = 30;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    StreamThrottles,
    StreamFails,
    StreamIsGone,
    StreamIsNarrow,
    IndexIsKilled,
    IndexIsFrozen,
    LedgerIsKilled,
    LedgerStumbles,
    IndexDenies,
    LedgerDenies,
    WorkersAreKilled,
    ConsumersStartAnew,
    ShardsChange,
}

impl Fault {
    pub(crate) const ALL: [Self; 13] = [
        Self::StreamThrottles,
        Self::StreamFails,
        Self::StreamIsGone,
        Self::StreamIsNarrow,
        Self::IndexIsKilled,
        Self::IndexIsFrozen,
        Self::LedgerIsKilled,
        Self::LedgerStumbles,
        Self::IndexDenies,
        Self::LedgerDenies,
        Self::WorkersAreKilled,
        Self::ConsumersStartAnew,
        Self::ShardsChange,
    ];

    pub(crate) async fn begin(self, world: &mut World, random: &mut StdRng) {
        let proxy = &world.installation.proxy;
        match self {
            Self::StreamThrottles => proxy.set(Faults {
                entries_throttled: 0.4,
                entries_failed: 0.1,
                reads_throttled: 0.3,
                ..Faults::default()
            }),
            Self::StreamFails => proxy.set(Faults {
                requests_failed: 0.2,
                requests_dropped: 0.1,
                answers_dropped: 0.1,
                iterators_expired: 0.2,
                delayed: 0.2,
                delay: Duration::from_millis(300),
                ..Faults::default()
            }),
            Self::StreamIsGone => proxy.set(Faults { is_gone: true, ..Faults::default() }),
            Self::StreamIsNarrow => {
                let limit = ShardLimit { bytes: 10_000.0, records: 5.0 };
                proxy.set(Faults { shard_limit: Some(limit), ..Faults::default() });
            }
            Self::IndexIsKilled => world.cluster.signal(0, Signal::KILL),
            Self::IndexIsFrozen => world.cluster.signal(0, Signal::STOP),
            Self::LedgerIsKilled => world.installation.postgres.stop(),
            Self::LedgerStumbles => world.installation.data_api.faults(stumbles(random)),
            Self::IndexDenies => set_password(&world.cluster, "Another-password-of-the-rig-2").await,
            Self::LedgerDenies => world.installation.data_api.set_secret(SECRET_ARN, SUPERUSER, "wrong"),
            Self::WorkersAreKilled => world.kill_workers(true),
            Self::ConsumersStartAnew => {
                for target in Target::ALL {
                    world.start_anew(target).await;
                }
            }
            Self::ShardsChange => reshard(world, random).await,
        }
    }

    pub(crate) async fn end(self, world: &mut World) {
        match self {
            Self::StreamThrottles | Self::StreamFails | Self::StreamIsGone | Self::StreamIsNarrow => {
                world.installation.proxy.set(Faults::default());
            }
            Self::IndexIsKilled => {
                world.cluster.restart(0);
                world.cluster.serves().await;
            }
            Self::IndexIsFrozen => world.cluster.signal(0, Signal::CONT),
            Self::LedgerIsKilled => world.installation.postgres.start_again().await,
            Self::LedgerStumbles => world.installation.data_api.clear_faults(),
            Self::IndexDenies => set_password(&world.cluster, PASSWORD).await,
            Self::LedgerDenies => world.installation.data_api.set_secret(SECRET_ARN, SUPERUSER, OF_POSTGRES),
            Self::WorkersAreKilled => world.kill_workers(false),
            Self::ConsumersStartAnew | Self::ShardsChange => {}
        }
    }
}

fn stumbles(random: &mut StdRng) -> Vec<OfTheDataApi> {
    let mut stumble = || match random.random_range(0..4) {
        0 => OfTheDataApi::Error("ThrottlingException"),
        1 => OfTheDataApi::DropBefore,
        2 => OfTheDataApi::DropAfter,
        _ => OfTheDataApi::Delay(Duration::from_secs(1)),
    };
    (0..CALLS).map(|_| stumble()).collect()
}

/// Splits a shard, or merges two if there are enough.
async fn reshard(world: &World, random: &mut StdRng) {
    let kinesis = &world.installation.kinesis;
    let open = kinesis.open(STREAM).await;
    let place = random.random_range(0..open.len() - 1);
    if open.len() < SHARDS_MAX {
        kinesis.split(STREAM, &open[place]).await;
    } else {
        kinesis.merge(STREAM, &open[place], &open[place + 1]).await;
    }
}
