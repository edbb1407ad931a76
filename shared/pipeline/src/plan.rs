//! One write per id for a whole batch, so that a store sees each document or row once and in no order.

use std::collections::HashMap;

use tributary_model::{Outcome, ReportId, Version};

/// What a store writes by id and version: a document or a row.
pub trait Versioned {
    /// The id under which it is written.
    fn id(&self) -> ReportId;
    /// Which of two writes of that id wins: the greater.
    fn version(&self) -> Version;
}

/// What is to be written of a batch, and what is not since the batch itself holds something as good or better.
/// Every write given to [`plan`] is in exactly one of the two, by its position in the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritePlan<W> {
    /// The writes, one for each id, by position.
    pub writes: Vec<(usize, W)>,
    /// The others, by position: `AlreadyThere` if the write of that id has the same version, else `Superseded`.
    pub losers: Vec<(usize, Outcome)>,
}

/// Plans the writes of a batch, each with its position: of those of one id the greatest version is written, and of
/// equal versions the first.
#[must_use]
pub fn plan<W: Versioned>(writes: Vec<(usize, W)>) -> WritePlan<W> {
    let winners = winners(&writes);
    let mut plan = WritePlan { writes: Vec::with_capacity(winners.len()), losers: Vec::new() };
    for (position, write) in writes {
        match winners.get(&write.id()) {
            Some(winner) if winner.position != position => {
                let equal = winner.version == write.version();
                plan.losers.push((position, if equal { Outcome::AlreadyThere } else { Outcome::Superseded }));
            }
            _ => plan.writes.push((position, write)),
        }
    }
    plan
}

struct Winner {
    position: usize,
    version: Version,
}

fn winners<W: Versioned>(writes: &[(usize, W)]) -> HashMap<ReportId, Winner> {
    let mut winners: HashMap<ReportId, Winner> = HashMap::with_capacity(writes.len());
    for (position, write) in writes {
        let candidate = Winner { position: *position, version: write.version() };
        let winner = winners.entry(write.id()).or_insert(Winner { ..candidate });
        if candidate.version > winner.version {
            *winner = candidate;
        }
    }
    winners
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tributary_model::{ProjectId, TimestampMs};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Write {
        name: u8,
        version: u64,
    }

    impl Versioned for Write {
        fn id(&self) -> ReportId {
            let project = ProjectId::new("shop").expect("a project's name");
            ReportId::derive(&project, &self.name.to_string(), "r", TimestampMs(0))
        }

        fn version(&self) -> Version {
            Version::from_u64(self.version)
        }
    }

    fn batch(writes: &[(u8, u64)]) -> Vec<(usize, Write)> {
        writes.iter().map(|&(name, version)| Write { name, version }).enumerate().collect()
    }

    #[test]
    fn the_greatest_version_of_an_id_is_written_once() {
        let plan = plan(batch(&[(1, 5), (2, 1), (1, 7), (1, 7), (1, 6)]));
        let written: Vec<usize> = plan.writes.iter().map(|(position, _)| *position).collect();
        assert_eq!(written, [1, 2]);
        assert_eq!(
            plan.losers,
            [(0, Outcome::Superseded), (3, Outcome::AlreadyThere), (4, Outcome::Superseded)],
            "each is compared with what is written, not with what came before"
        );
    }

    proptest! {
        #[test]
        fn every_position_comes_out_once_and_the_order_in_is_of_no_matter(
            writes in proptest::collection::vec((0u8..4, 0u64..4), 0..24),
        ) {
            let given = batch(&writes);
            let forward = plan(given.clone());
            let mut positions: Vec<usize> = forward.writes.iter().map(|(position, _)| *position).collect();
            positions.extend(forward.losers.iter().map(|(position, _)| *position));
            positions.sort_unstable();
            prop_assert_eq!(positions, (0..given.len()).collect::<Vec<_>>());

            let backward = plan(given.into_iter().rev().collect());
            let versions = |plan: &WritePlan<Write>| {
                let mut written: Vec<(u8, u64)> = plan.writes.iter().map(|(_, w)| (w.name, w.version)).collect();
                written.sort_unstable();
                written
            };
            prop_assert_eq!(versions(&forward), versions(&backward));
            prop_assert_eq!(forward.losers.len(), backward.losers.len());
        }
    }
}
