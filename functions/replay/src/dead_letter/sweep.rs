//! Dead letters that have come to an end by themselves: their reports were applied after all, or their time is over.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary_model::limits::PAGE_ITEMS_MAX;
use tributary_model::{ProjectId, Record, ReportId, TimestampMs, Version};
use tributary_pipeline::normalize::NORMALIZER;
use tributary_ports::PortError;
use tributary_ports::ledger::{DeadLetterFilter, DeadLetterRow, Resolution};

use super::{delete_objects, read_dead_letter};
use crate::Replays;
use crate::compare::versions;

/// Looks through the dead letters, a page of each project at a time.
#[derive(Debug, Default)]
pub struct Sweep {
    /// The last id that was looked at, by project.
    after: BTreeMap<ProjectId, String>,
}

impl Sweep {
    /// Ends dead letters of which the stores have the report by now, in the version of their record or a greater one, and
    /// deletes those that were last met longer than `retention` ago. Answers how many rows of both kinds are gone.
    ///
    /// # Errors
    /// Bad luck of any kind. The same call again goes on.
    pub async fn step(
        &mut self,
        replays: &Replays,
        now: TimestampMs,
        retention: Duration,
        projects: impl Iterator<Item = &ProjectId>,
    ) -> Result<usize, PortError> {
        let before = now.minus(retention);
        let mut removed = replays.ledger.expire_dead_letters(before, PAGE_ITEMS_MAX).await?;
        for project in projects {
            let filter = DeadLetterFilter { project: Some(project.clone()), ..DeadLetterFilter::default() };
            let after = self.after.remove(project);
            let rows = replays.ledger.dead_letters(&filter, after.as_deref(), PAGE_ITEMS_MAX).await?;
            let mut resolutions = Vec::new();
            for row in &rows {
                resolutions.extend(resolution(replays, row).await?);
            }
            removed.extend(replays.ledger.resolve_dead_letters(resolutions).await?);
            if let Some(last) = rows.into_iter().next_back() {
                self.after.insert(project.clone(), last.id);
            }
        }
        delete_objects(replays.objects.as_ref(), &removed).await?;
        Ok(removed.len())
    }
}

/// The end of a dead letter in the stores that have its report; none if no store has it.
async fn resolution(replays: &Replays, row: &DeadLetterRow) -> Result<Option<Resolution>, PortError> {
    let Ok(id) = row.id.parse::<ReportId>() else { return Ok(None) };
    let opened = read_dead_letter(replays.objects.as_ref(), replays.keys.as_ref(), &row.object_key).await?;
    let Some(header) = opened.and_then(|opened| Record::decode(&opened.record).ok()) else { return Ok(None) };
    let version = Version::new(NORMALIZER, header.received_at);
    let mut targets = Vec::new();
    for target in row.targets.iter().copied() {
        let stored = versions(replays, target, &[id]).await?;
        if stored.into_iter().flatten().any(|stored| stored >= version) {
            targets.push(target);
        }
    }
    let resolution = Resolution { id: row.id.clone(), targets, seen_until: row.last_seen };
    Ok(Some(resolution).filter(|resolution| !resolution.targets.is_empty()))
}
