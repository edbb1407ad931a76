//! What every search index keeps to.

mod expiry;
mod filters;
mod functions;
mod pages;
mod random;
pub mod reference;
pub mod samples;
mod upserts;
mod versions;

use std::pin::Pin;
use std::sync::Arc;

use tributary_model::{Invocation, ReportId};

use self::samples::{document, everything};
use crate::search::{Document, Filter, Scope, Sort, SortKey};
use crate::{Search, Upserted};

type Settle = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The order in which most cases look.
const OLDEST_FIRST: Sort = Sort { key: SortKey::Timestamp, descending: false };

/// An index to test, and a way to wait until what was applied is found.
pub struct Store {
    search: Arc<dyn Search>,
    settle: Settle,
}

impl Store {
    /// An index in which what was applied is found at once.
    #[must_use]
    pub fn immediate(search: Arc<dyn Search>) -> Self {
        Self { search, settle: Box::new(|| Box::pin(std::future::ready(()))) }
    }

    /// An index in which what was applied is found after `settle`.
    #[must_use]
    pub fn settled_by(search: Arc<dyn Search>, settle: Settle) -> Self {
        Self { search, settle }
    }

    async fn upsert(&self, documents: Vec<Document>) -> Vec<Upserted> {
        let upserted = self.search.upsert(documents).await.expect("an upsert");
        (self.settle)().await;
        upserted
    }

    async fn add(&self, invocations: &[Invocation]) {
        let upserted = self.upsert(invocations.iter().cloned().map(document).collect()).await;
        assert_eq!(upserted, vec![Upserted::Applied; invocations.len()]);
    }

    async fn find_in(&self, scope: &Scope) -> Vec<Invocation> {
        self.search.find(scope, OLDEST_FIRST, None, 1000).await.expect("a find")
    }

    async fn find(&self, filter: Filter) -> Vec<ReportId> {
        self.find_in(&everything(filter)).await.iter().map(|invocation| invocation.id).collect()
    }
}

/// Runs every case, each on an index that `fresh` makes.
pub async fn all(fresh: impl AsyncFn() -> Store) {
    upserts::all(&fresh).await;
    filters::all(&fresh).await;
    versions::all(&fresh).await;
    expiry::all(&fresh).await;
    pages::all(&fresh).await;
    functions::all(&fresh).await;
    random::all(&fresh).await;
}
