//! Documents or rows by id and version, in both stores alike.

use std::collections::{BTreeMap, BTreeSet};

use tributary_model::{ReportId, RetentionClass, TimestampMs, Version};
use tributary_ports::Upserted;

use crate::bug::Bug;
use crate::invariant::Invariant;
use crate::world::World;

/// Where a document or row lies. A report that lies in two places is doubled.
pub(crate) type Lies = (RetentionClass, u32, ReportId);

/// What is kept of a write.
pub(crate) trait Written: Clone {
    fn id(&self) -> ReportId;
    fn version(&self) -> Version;
    fn received_at(&self) -> TimestampMs;
    fn retention(&self) -> RetentionClass;
    /// The function's name: reports of a function whose name begins with `refused-by-` are refused by that store.
    fn function(&self) -> &str;
}

/// All that a store holds, and the way back.
pub(crate) struct Versions<W> {
    held: BTreeMap<Lies, W>,
    /// Everything ever written: id and version.
    pub(crate) ever: BTreeSet<(ReportId, Version)>,
    /// Each write's time, and what lay there before it.
    journal: Vec<(TimestampMs, Lies, Option<W>)>,
    copies: u32,
}

impl<W> Default for Versions<W> {
    fn default() -> Self {
        Self { held: BTreeMap::new(), ever: BTreeSet::new(), journal: Vec::new(), copies: 0 }
    }
}

impl<W: Written> Versions<W> {
    /// Writes by version, and answers as a store does. `store` is its own name.
    pub(crate) fn upsert(&mut self, world: &World, store: &'static str, write: W) -> Upserted {
        if write.function() == "refused-by-both" || write.function().strip_prefix("refused-by-") == Some(store) {
            return Upserted::Refused("the store does not take this".to_owned());
        }
        let lies = self.place(world, &write);
        let there = self.held.get(&lies).map(Written::version);
        let greater = there.is_none_or(|there| there < write.version());
        if !greater && !world.has(Bug::LastWriteWins) {
            let same = there == Some(write.version());
            return match (same, world.has(Bug::ConflictIsRefusal)) {
                (_, true) => Upserted::Refused("409".to_owned()),
                (true, _) => Upserted::AlreadyThere,
                (false, _) => Upserted::Superseded,
            };
        }
        let id = write.id();
        world.check(greater || there == Some(write.version()), Invariant::VersionsOnlyGrow, Some(id), || {
            format!("{store}: {id} goes back to the version received at {}", write.received_at())
        });
        world.tell_of(store, id, || format!("writes {id} of {}", write.received_at()));
        self.ever.insert((id, write.version()));
        self.journal.push((world.now(), lies, self.held.insert(lies, write)));
        Upserted::Applied
    }

    fn place(&mut self, world: &World, write: &W) -> Lies {
        if world.has(Bug::InsertBlindly) {
            self.copies += 1;
            return (write.retention(), self.copies, write.id());
        }
        let day = if world.has(Bug::PlaceByClock) { world.now().0 / 60_000 % 1_000_000 } else { 0 };
        let day = u32::try_from(day).unwrap_or_default();
        (write.retention(), write.id().day.0 + day, write.id())
    }

    /// Goes back to what was held at `at`: a back-up is restored.
    pub(crate) fn restore(&mut self, at: TimestampMs) {
        while self.journal.last().is_some_and(|(written_at, ..)| *written_at > at)
            && let Some((_, lies, before)) = self.journal.pop()
        {
            match before {
                Some(before) => drop(self.held.insert(lies, before)),
                None => drop(self.held.remove(&lies)),
            }
        }
    }

    pub(crate) fn of(&self, id: ReportId) -> impl Iterator<Item = &W> {
        self.held.values().filter(move |written| written.id() == id)
    }

    /// How often each report is held, and when the held one was received.
    pub(crate) fn summary(&self) -> BTreeMap<ReportId, Vec<TimestampMs>> {
        let mut summary: BTreeMap<ReportId, Vec<TimestampMs>> = BTreeMap::new();
        for written in self.held.values() {
            summary.entry(written.id()).or_default().push(written.received_at());
        }
        summary
    }
}
