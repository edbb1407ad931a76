//! The store of a consumer, and what is written there of an invocation.

use std::sync::Arc;

use tributary_model::Target;
use tributary_pipeline::plan::Versioned;
use tributary_ports::ledger::InvocationRow;
use tributary_ports::search::{Document, Original};
use tributary_ports::{Ledger, PortError, PortErrorKind, Search, Upserted};

use crate::read::Normalized;

/// The store of a consumer.
#[derive(Clone)]
pub enum Sink {
    /// Documents into the search index.
    Search(Arc<dyn Search>),
    /// Rows into the ledger.
    Ledger(Arc<dyn Ledger>),
}

impl Sink {
    /// Its name.
    #[must_use]
    pub const fn target(&self) -> Target {
        match self {
            Self::Search(_) => Target::Search,
            Self::Ledger(_) => Target::Ledger,
        }
    }

    /// Writes by version and answers for each, in their order.
    pub(crate) async fn upsert(&self, writes: Vec<Normalized>) -> Result<Vec<Upserted>, PortError> {
        let count = writes.len();
        let (operation, answers) = match self {
            Self::Search(search) => ("search.upsert", search.upsert(writes.into_iter().map(document).collect()).await?),
            Self::Ledger(ledger) => {
                let rows = writes.into_iter().map(row).collect();
                ("ledger.upsert_invocations", ledger.upsert_invocations(rows).await?)
            }
        };
        if answers.len() == count {
            return Ok(answers);
        }
        // Which answer belongs to which write can't be known: nothing counts as written.
        let detail = format!("{} answers to {count} writes", answers.len());
        Err(PortError::new(PortErrorKind::Unavailable, operation, detail))
    }
}

fn document(write: Normalized) -> Document {
    let version = write.version();
    let Normalized { record, invocation } = write;
    let original = Original {
        kind: record.kind,
        codec: record.codec,
        payload_bytes: record.payload_bytes,
        payload: record.payload,
    };
    Document { version, retention: record.retention, invocation, original }
}

fn row(write: Normalized) -> InvocationRow {
    let version = write.version();
    let Normalized { record, invocation } = write;
    InvocationRow {
        id: record.id,
        version,
        project: record.project,
        account: record.account,
        region: invocation.region,
        function: invocation.function,
        timestamp: invocation.timestamp,
        received_at: record.received_at,
        retention: record.retention,
        token: record.token,
        duration_ms: invocation.duration_ms,
        coldstart: invocation.coldstart,
        error_fingerprint: invocation.error.map(|error| error.fingerprint),
        report_bytes: record.payload_bytes,
    }
}
