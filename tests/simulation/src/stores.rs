//! All stores of a world, and what they hold.

use std::sync::Arc;

use tributary_model::{Region, ReportId, StoreSettings, Target, TimestampMs, Version};
use tributary_ports::stream::OperatedStream;
use tributary_ports::{LiveSettings, Overflow};
use tributary_replay::{Readers, Replays};
use tributary_worker::{Sink, Worker};

use crate::ports::keys::MemoryKeys;
use crate::ports::ledger::MemoryLedger;
use crate::ports::objects::MemoryObjects;
use crate::ports::search::MemorySearch;
use crate::ports::stream::MemoryStream;
use crate::weather::Place;
use crate::world::{World, lock};

pub(crate) struct Stores {
    pub(crate) stream: Arc<MemoryStream>,
    pub(crate) search: Arc<MemorySearch>,
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) objects: Arc<MemoryObjects>,
    pub(crate) overflow: Arc<MemoryObjects>,
    keys: Arc<MemoryKeys>,
}

impl Stores {
    pub(crate) fn new(world: &Arc<World>) -> Arc<Self> {
        let shards = world.draw(|random| 1 + random.below(3));
        Arc::new(Self {
            stream: MemoryStream::new(Arc::clone(world), shards),
            search: MemorySearch::new(Arc::clone(world)),
            ledger: MemoryLedger::new(Arc::clone(world)),
            objects: MemoryObjects::new(Arc::clone(world), Place::Objects),
            overflow: MemoryObjects::new(Arc::clone(world), Place::Overflow),
            keys: MemoryKeys::new(Arc::clone(world)),
        })
    }

    pub(crate) fn worker(&self, consumer: Target) -> Worker {
        let target = match consumer {
            Target::Search => Sink::Search(self.search.clone()),
            Target::Ledger => Sink::Ledger(self.ledger.clone()),
        };
        Worker {
            target,
            objects: self.objects.clone(),
            keys: self.keys.clone(),
            ledger: self.ledger.clone(),
            region: Region::local(),
        }
    }

    /// What replays work with.
    pub(crate) fn replays(&self) -> Replays {
        let stream = self.stream.clone() as Arc<dyn OperatedStream>;
        Replays {
            streams: [(Region::local(), stream)].into(),
            readers: Readers::default(),
            search: self.search.clone(),
            ledger: self.ledger.clone(),
            objects: self.objects.clone(),
            keys: self.keys.clone(),
            overflows: vec![self.overflow()],
            settings: Arc::new(LiveSettings::new(StoreSettings {
                stream_page_records: 50,
                ..StoreSettings::default()
            })),
        }
    }

    /// Goes back to what the store held at `at`. (A ledger's dead letters come back from their objects; they stay.)
    pub(crate) fn restore(&self, target: Target, at: TimestampMs) {
        match target {
            Target::Search => lock(&self.search.documents).restore(at),
            Target::Ledger => lock(&self.ledger.rows).restore(at),
        }
    }

    pub(crate) fn overflow(&self) -> Overflow {
        Overflow { objects: self.overflow.clone(), keys: self.keys.clone() }
    }

    /// Whether this version of a report, or a greater one, was ever written.
    pub(crate) fn was_stored(&self, target: Target, id: ReportId, version: Version) -> bool {
        let from = (id, version);
        let within = |(found, _): &(ReportId, Version)| *found == id;
        match target {
            Target::Search => lock(&self.search.documents).ever.range(from..).next().is_some_and(within),
            Target::Ledger => lock(&self.ledger.rows).ever.range(from..).next().is_some_and(within),
        }
    }

    /// Whether there is a dead letter of this id for the consumer, with its bytes.
    pub(crate) fn is_dead_letter(&self, target: Target, id: &str) -> bool {
        let rows = self.ledger.dead_letters_now();
        rows.get(id).is_some_and(|row| row.targets.contains(&target) && self.objects.holds(&row.object_key))
    }
}
