//! The search index.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tributary_model::{Day, Invocation, ProjectId, ReportId, RetentionClass, TimestampMs, Version};
use tributary_ports::search::{After, Document, FunctionSummary, Scope, Sort};
use tributary_ports::{PortError, PortErrorKind, Search, Upserted};

use super::not_asked;
use super::versions::{Versions, Written};
use crate::bug::Bug;
use crate::story::About;
use crate::weather::{Fate, Place};
use crate::world::{World, lock};

pub(crate) struct MemorySearch {
    world: Arc<World>,
    pub(crate) documents: Mutex<Versions<Document>>,
}

impl MemorySearch {
    pub(crate) fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { world, documents: Mutex::default() })
    }
}

impl Written for Document {
    fn id(&self) -> ReportId {
        self.invocation.id
    }

    fn version(&self) -> Version {
        self.version
    }

    fn received_at(&self) -> TimestampMs {
        self.invocation.received_at
    }

    fn retention(&self) -> RetentionClass {
        self.retention
    }

    fn function(&self) -> &str {
        &self.invocation.function
    }
}

#[async_trait]
impl Search for MemorySearch {
    async fn upsert(&self, documents: Vec<Document>) -> Result<Vec<Upserted>, PortError> {
        let count = documents.len();
        let about = About::Reports(documents.iter().map(Written::id).collect());
        let effect = |fate: Fate| {
            let part = match fate {
                Fate::Partly(_) => self.world.draw(|random| random.below(count + 1)),
                _ => count,
            };
            let mut held = lock(&self.documents);
            Ok(documents.into_iter().take(part).map(|write| held.upsert(&self.world, "search", write)).collect())
        };
        let answer = self.world.call(Place::Search, "search.upsert", about, effect).await;
        pretend(&self.world, answer, count)
    }

    async fn find(&self, _: &Scope, _: Sort, _: Option<After>, _: usize) -> Result<Vec<Invocation>, PortError> {
        not_asked("search.find")
    }

    async fn get(&self, _: &ProjectId, id: ReportId) -> Result<Option<Document>, PortError> {
        let effect = |_| Ok(lock(&self.documents).of(id).next().cloned());
        self.world.call(Place::Search, "search.get", About::Nobody, effect).await
    }

    async fn versions(&self, ids: &[ReportId]) -> Result<Vec<Vec<Version>>, PortError> {
        let effect = |_| {
            let held = lock(&self.documents);
            Ok(ids.iter().map(|id| held.of(*id).map(Written::version).collect()).collect())
        };
        self.world.call(Place::Search, "search.versions", About::Nobody, effect).await
    }

    async fn expire(&self, _: Day) -> Result<(), PortError> {
        self.world.call(Place::Search, "search.expire", About::Nobody, |_| Ok(())).await
    }

    async fn functions(&self, _: &Scope, _: usize) -> Result<Vec<FunctionSummary>, PortError> {
        not_asked("search.functions")
    }
}

/// The bugs of an adapter that takes a failure for a success.
pub(super) fn pretend(
    world: &World,
    answer: Result<Vec<Upserted>, PortError>,
    count: usize,
) -> Result<Vec<Upserted>, PortError> {
    let is = |kind| answer.as_ref().is_err_and(|error| error.kind == kind);
    let drops = (world.has(Bug::DropOnDenied) && is(PortErrorKind::Denied))
        || (world.has(Bug::DropOnThrottled) && is(PortErrorKind::Throttled));
    if drops { Ok(vec![Upserted::Applied; count]) } else { answer }
}
