//! The search index: Tantivy in one folder.

mod compile;
mod document;
mod functions;
mod metric;
mod not;
mod open;
mod page;
mod schema;
mod stored;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocAddress, IndexReader, Searcher, TantivyDocument};
use tributary_model::{Day, Invocation, ProjectId, ReportId, Version, limits};
use tributary_ports::search::{After, Document, FunctionSummary, Scope, Sort, SortKey};
use tributary_ports::{PortError, PortErrorKind, Search, Upserted};

use crate::blocking;

pub use self::open::{OpenError, verify};
use self::page::Page;
use self::writer::{WriteError, Writer};

/// How an index is kept.
#[derive(Debug, Clone, Copy)]
pub struct SearchSettings {
    /// The least time from one commit to the next, while documents go on coming.
    pub commit_interval: Duration,
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self { commit_interval: limits::SEARCH_COMMIT_INTERVAL }
    }
}

/// The search index of one machine. What an upsert applied is durable, and found at once, when it returns.
pub struct TantivySearch {
    reader: IndexReader,
    writer: Writer,
    settings: SearchSettings,
}

impl TantivySearch {
    /// Opens the index in a folder; makes the folder and an empty index if there is none.
    ///
    /// # Errors
    /// If another process writes it, another build made it, or it is damaged: see [`OpenError`].
    pub fn open(folder: &Path, settings: SearchSettings) -> Result<Self, OpenError> {
        let (index, reader) = open::open_or_create(folder)?;
        let writer = Writer::start(index, reader.clone(), settings.commit_interval)
            .map_err(|error| OpenError::new(folder, &error))?;
        Ok(Self { reader, writer, settings })
    }

    /// Documents that can be found.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    /// Reads on one view of the index, where it may block.
    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Searcher) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, PortError> {
        let searcher = self.reader.searcher();
        let unavailable = move |error| PortError::new(PortErrorKind::Unavailable, operation, error);
        blocking::run(operation, move || read(&searcher).map_err(unavailable)).await
    }

    fn unwritten(&self, operation: &'static str, error: WriteError) -> PortError {
        let kind = match error {
            WriteError::Busy => PortErrorKind::Throttled,
            WriteError::Failed(_) | WriteError::Closed => PortErrorKind::Unavailable,
        };
        PortError::new(kind, operation, error).retry_after(self.settings.commit_interval)
    }
}

type ReadError = Box<dyn std::error::Error + Send + Sync>;

#[async_trait]
impl Search for TantivySearch {
    async fn upsert(&self, documents: Vec<Document>) -> Result<Vec<Upserted>, PortError> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        self.writer.upsert(documents).await.map_err(|error| self.unwritten("search.upsert", error))
    }

    async fn find(
        &self,
        scope: &Scope,
        sort: Sort,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<Invocation>, PortError> {
        let query = compile::scope(scope);
        let page = Page::new(sort, after, limit.min(limits::PAGE_ITEMS_MAX));
        self.read("search.find", move |searcher| {
            let addresses = searcher.search(&query, &page)?;
            addresses.into_iter().map(|address| Ok(document::invocation(&stored(searcher, address)?)?)).collect()
        })
        .await
    }

    async fn get(&self, project: &ProjectId, id: ReportId) -> Result<Option<Document>, PortError> {
        let id_term = stored::id_term(id);
        let project = project.clone();
        self.read("search.get", move |searcher| {
            let query = TermQuery::new(id_term, IndexRecordOption::Basic);
            let sort = Sort { key: SortKey::Timestamp, descending: true };
            let Some(address) = searcher.search(&query, &Page::new(sort, None, 1))?.pop() else { return Ok(None) };
            let document = document::document(&stored(searcher, address)?)?;
            Ok(Some(document).filter(|document| document.invocation.project == project))
        })
        .await
    }

    async fn versions(&self, ids: &[ReportId]) -> Result<Vec<Vec<Version>>, PortError> {
        let ids = ids.to_vec();
        self.read("search.versions", move |searcher| {
            ids.into_iter().map(|id| Ok(stored::versions(searcher, id)?)).collect()
        })
        .await
    }

    async fn expire(&self, today: Day) -> Result<(), PortError> {
        self.writer.expire(today).await.map_err(|error| self.unwritten("search.expire", error))
    }

    async fn functions(&self, scope: &Scope, limit: usize) -> Result<Vec<FunctionSummary>, PortError> {
        let query = compile::scope(scope);
        let limit = limit.min(limits::FUNCTIONS_MAX);
        self.read("search.functions", move |searcher| Ok(functions::summaries(searcher, &query, limit)?)).await
    }
}

fn stored(searcher: &Searcher, address: DocAddress) -> tantivy::Result<TantivyDocument> {
    searcher.doc(address)
}
