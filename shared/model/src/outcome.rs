//! How a record that was read ends: in exactly one outcome. Counters come from outcomes and nowhere else.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The store took it, and has it for good.
    Applied,
    /// The store had this version already.
    AlreadyThere,
    /// The store, or this very batch, has a greater version.
    Superseded,
    /// It is past its retention.
    Expired,
    /// A rule of erasure covers it.
    Erased,
    /// It can never be applied; its bytes and the reason are kept as a dead letter.
    DeadLettered,
    /// It could not be applied now and comes again.
    Redelivered,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 7] = [
        Self::Applied,
        Self::AlreadyThere,
        Self::Superseded,
        Self::Expired,
        Self::Erased,
        Self::DeadLettered,
        Self::Redelivered,
    ];

    /// As it is printed and counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::AlreadyThere => "already_there",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
            Self::Erased => "erased",
            Self::DeadLettered => "dead_lettered",
            Self::Redelivered => "redelivered",
        }
    }
}

/// How many records ended in each outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    counts: [u64; Outcome::ALL.len()],
}

impl Outcomes {
    /// No records.
    pub const NONE: Self = Self { counts: [0; Outcome::ALL.len()] };

    /// Counts one record.
    pub fn add(&mut self, outcome: Outcome) {
        self.add_many(outcome, 1);
    }

    /// Counts `count` records that ended so.
    pub fn add_many(&mut self, outcome: Outcome, count: u64) {
        if let Some(counted) = self.counts.get_mut(outcome as usize) {
            *counted += count;
        }
    }

    /// Adds the records that `other` counts.
    pub fn merge(&mut self, other: &Self) {
        Outcome::ALL.into_iter().for_each(|outcome| self.add_many(outcome, other.of(outcome)));
    }

    /// How many ended so.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.counts.get(outcome as usize).copied().unwrap_or_default()
    }

    /// How many there are in all; equals the records read.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl FromIterator<Outcome> for Outcomes {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        let mut counted = Self::default();
        outcomes.into_iter().for_each(|outcome| counted.add(outcome));
        counted
    }
}

impl Serialize for Outcomes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Outcome::ALL.len()))?;
        for outcome in Outcome::ALL {
            map.serialize_entry(outcome.as_str(), &self.of(outcome))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Outcomes {
    /// Reads what [`Serialize`] wrote. An outcome that is not named has no records.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named: BTreeMap<String, u64> = BTreeMap::deserialize(deserializer)?;
        let mut counted = Self::default();
        for outcome in Outcome::ALL {
            counted.add_many(outcome, named.get(outcome.as_str()).copied().unwrap_or_default());
        }
        Ok(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let outcomes: Outcomes = [Outcome::Applied, Outcome::Expired, Outcome::Applied].into_iter().collect();
        assert_eq!((outcomes.of(Outcome::Applied), outcomes.of(Outcome::Erased), outcomes.total()), (2, 0, 3));
        let json = serde_json::to_string(&outcomes).expect("JSON");
        assert_eq!(serde_json::from_str::<Outcomes>(&json).expect("outcomes"), outcomes);
        assert_eq!(
            json,
            r#"{"applied":2,"already_there":0,"superseded":0,"expired":1,"erased":0,"dead_lettered":0,"redelivered":0}"#
        );
    }
}
