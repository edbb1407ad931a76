//! Two object stores: the one of the directory, dead letters and outages, and the overflow's own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tributary_model::{ReportId, dead_letter, overflow};
use tributary_ports::objects::{Condition, Etag, Object};
use tributary_ports::{Objects, PortError, PortErrorKind};

use crate::bug::Bug;
use crate::story::About;
use crate::weather::Place;
use crate::world::{World, lock};

pub(crate) struct MemoryObjects {
    world: Arc<World>,
    place: Place,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    puts: u64,
}

impl MemoryObjects {
    pub(crate) fn new(world: Arc<World>, place: Place) -> Arc<Self> {
        Arc::new(Self { world, place, state: Mutex::default() })
    }

    /// Puts an object that was there before the world began.
    pub(crate) fn place(&self, key: &str, bytes: Bytes) {
        lock(&self.state).put(key, bytes);
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        lock(&self.state).objects.keys().cloned().collect()
    }

    pub(crate) fn holds(&self, key: &str) -> bool {
        lock(&self.state).objects.contains_key(key)
    }

    /// Whether a record of the report lies in the overflow.
    pub(crate) fn holds_record(&self, id: ReportId) -> bool {
        let id = id.to_string();
        lock(&self.state).objects.keys().any(|key| key.starts_with(overflow::PREFIX) && key.ends_with(&id))
    }
}

impl State {
    fn put(&mut self, key: &str, bytes: Bytes) -> Etag {
        self.puts += 1;
        let etag = Etag(self.puts.to_string().into());
        self.objects.insert(key.to_owned(), Object { bytes, etag: etag.clone() });
        etag
    }

    fn allows(&self, key: &str, condition: &Condition) -> bool {
        let present = self.objects.get(key).map(|object| &object.etag);
        match condition {
            Condition::Always => true,
            Condition::Absent => present.is_none(),
            Condition::Unchanged(etag) => present == Some(etag),
        }
    }
}

/// The report that a key names, if it names one.
fn about(key: &str) -> About {
    let parts = key.split('/').flat_map(|part| [Some(part), part.split_once('-').map(|(_, rest)| rest)]).flatten();
    let ids: Vec<ReportId> = parts.filter_map(|part| part.parse().ok()).collect();
    if ids.is_empty() { About::Nobody } else { About::Reports(ids) }
}

#[async_trait]
impl Objects for MemoryObjects {
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<Etag, PortError> {
        let forgets = (self.world.has(Bug::OverflowForgets) && key.starts_with(overflow::PREFIX))
            || (self.world.has(Bug::DeadLetterWithoutBytes) && key.starts_with(dead_letter::PREFIX));
        if forgets {
            return Ok(Etag("none".into()));
        }
        let effect = |_| {
            let mut state = lock(&self.state);
            if !state.allows(key, &condition) {
                return Err(PortError::new(PortErrorKind::Conflict, "objects.put", "it has changed"));
            }
            Ok(state.put(key, bytes))
        };
        self.world.call(self.place, "objects.put", about(key), effect).await
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        let effect = |_| {
            let mut state = lock(&self.state);
            let found = state.objects.get(key).cloned();
            if self.world.has(Bug::DeleteBeforeAppend) && key.starts_with(overflow::PREFIX) {
                state.objects.remove(key);
            }
            Ok(found)
        };
        self.world.call(self.place, "objects.get", about(key), effect).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, PortError> {
        let effect = |_| {
            if self.world.has(Bug::NeverDrain) && prefix == overflow::PREFIX {
                return Ok(Vec::new());
            }
            let state = lock(&self.state);
            let is_behind = |key: &&String| after.is_none_or(|after| key.as_str() > after);
            let keys = state.objects.keys().filter(|key| key.starts_with(prefix)).filter(is_behind);
            Ok(keys.take(limit).cloned().collect())
        };
        self.world.call(self.place, "objects.list", About::Nobody, effect).await
    }

    async fn delete(&self, key: &str) -> Result<(), PortError> {
        let effect = |_| {
            lock(&self.state).objects.remove(key);
            Ok(())
        };
        self.world.call(self.place, "objects.delete", about(key), effect).await
    }
}
