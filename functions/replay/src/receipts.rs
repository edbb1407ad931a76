//! A sender's own list of receipts beside what the stores hold.

use serde::Serialize;
use tributary_model::{ProjectId, ReportId};
use tributary_ports::PortError;

use crate::Replays;
use crate::overflow::waiting;

/// What the stores have of a report that its sender has a receipt of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The report.
    pub id: ReportId,
    /// Whether the search index has it.
    pub search: bool,
    /// Whether the ledger has it.
    pub ledger: bool,
    /// Whether it is a dead letter.
    pub dead_letter: bool,
    /// Whether it waits in the overflow.
    pub overflow: bool,
}

/// Looks for reports of a project, in the order of their ids given. What another project has is not there.
///
/// # Errors
/// Bad luck of any kind.
pub async fn check_receipts(
    replays: &Replays,
    project: &ProjectId,
    ids: &[ReportId],
) -> Result<Vec<Receipt>, PortError> {
    let rows = replays.ledger.invocations(ids).await?;
    let waiting = waiting(replays).await?;
    let mut receipts = Vec::with_capacity(ids.len());
    for (id, row) in ids.iter().zip(rows) {
        let search = replays.search.get(project, *id).await?.is_some();
        let ledger = row.is_some_and(|row| row.project == *project);
        let letter = if search && ledger { None } else { replays.ledger.dead_letter(&id.to_string()).await? };
        let dead_letter = letter.is_some_and(|letter| letter.project.as_ref() == Some(project));
        receipts.push(Receipt { id: *id, search, ledger, dead_letter, overflow: waiting.contains(id) });
    }
    Ok(receipts)
}
