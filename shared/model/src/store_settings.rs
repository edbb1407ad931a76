//! Page sizes and concurrency of the stores: settings that operators change while everything runs.
//!
//! What was chosen is one small object, `{"search.page_bytes": 1000000}`, that every function reads again within
//! [`SETTINGS_REFRESH`](crate::limits::SETTINGS_REFRESH). What was not chosen has its default.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::Target;
use crate::limits::{
    BATCH_RECORDS, BATCH_RECORDS_MAX, DRAIN_PAGE, KINESIS_PUT_RECORDS_MAX, LAMBDA_REPLAY_RUNNERS,
    LAMBDA_REPLAY_RUNNERS_MAX, LEDGER_PARALLELIZATION, LEDGER_ROWS_MAX, PARALLELIZATION_MAX, REPLAY_BATCH_RECORDS,
    SEARCH_BULK_BYTES, SEARCH_BULK_BYTES_MAX, SEARCH_BULK_BYTES_MIN, SEARCH_PARALLELIZATION,
};

/// The key of the object that holds what was chosen.
pub const SETTINGS_KEY: &str = "settings/stores.json";

/// What was chosen, by name. A name that this build does not know belongs to a newer one, and is kept.
pub type Chosen = BTreeMap<String, usize>;

/// How a consumer is given its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batches {
    /// Records of one batch at most.
    pub records: usize,
    /// Batches of one shard under way at once.
    pub concurrency: usize,
}

/// The page sizes and the concurrency of every store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreSettings {
    /// How the search worker is given its batches.
    pub search: Batches,
    /// Bytes of one bulk request before compression, beyond which no further document joins it.
    pub search_page_bytes: usize,
    /// How the ledger worker is given its batches.
    pub ledger: Batches,
    /// Rows of one request to the ledger.
    pub ledger_page_rows: usize,
    /// Records that a replay reads and applies at once.
    pub stream_page_records: usize,
    /// Shards that one invocation of the replay function reads at once.
    pub stream_concurrency: usize,
    /// Objects of the overflow that are read at once, and then appended together.
    pub objects_concurrency: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            search: Batches { records: BATCH_RECORDS, concurrency: SEARCH_PARALLELIZATION },
            search_page_bytes: SEARCH_BULK_BYTES,
            ledger: Batches { records: BATCH_RECORDS, concurrency: LEDGER_PARALLELIZATION },
            ledger_page_rows: LEDGER_ROWS_MAX,
            stream_page_records: REPLAY_BATCH_RECORDS,
            stream_concurrency: LAMBDA_REPLAY_RUNNERS,
            objects_concurrency: DRAIN_PAGE,
        }
    }
}

impl StoreSettings {
    /// The defaults, and what was chosen before them. A value out of its range, which no command of this build writes,
    /// counts as the nearest in it.
    #[must_use]
    pub fn of(chosen: &Chosen) -> Self {
        let mut settings = Self::default();
        for setting in &SETTINGS {
            if let Some(value) = chosen.get(setting.name) {
                *(setting.field)(&mut settings) = (*value).clamp(*setting.range.start(), *setting.range.end());
            }
        }
        settings
    }

    /// How a consumer is given its batches.
    #[must_use]
    pub const fn batches(&self, consumer: Target) -> Batches {
        match consumer {
            Target::Search => self.search,
            Target::Ledger => self.ledger,
        }
    }
}

/// One setting: what it is called, and what it may be.
#[derive(Debug)]
pub struct Setting {
    /// `search.page_bytes`
    pub name: &'static str,
    /// What it may be.
    pub range: RangeInclusive<usize>,
    /// What it says, in a few words.
    pub meaning: &'static str,
    field: fn(&mut StoreSettings) -> &mut usize,
}

impl Setting {
    /// The setting of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Its value in these settings.
    #[must_use]
    pub fn value(&self, settings: &StoreSettings) -> usize {
        let mut settings = *settings;
        *(self.field)(&mut settings)
    }
}

/// All settings, in the order of their names.
pub static SETTINGS: [Setting; 9] = [
    Setting {
        name: "ledger.batch_records",
        range: 1..=BATCH_RECORDS_MAX,
        meaning: "records of one batch for the ledger",
        field: |settings| &mut settings.ledger.records,
    },
    Setting {
        name: "ledger.concurrency",
        range: 1..=PARALLELIZATION_MAX,
        meaning: "batches of one shard for the ledger at once",
        field: |settings| &mut settings.ledger.concurrency,
    },
    Setting {
        name: "ledger.page_rows",
        range: 1..=LEDGER_ROWS_MAX,
        meaning: "rows of one request to PostgreSQL",
        field: |settings| &mut settings.ledger_page_rows,
    },
    Setting {
        name: "objects.concurrency",
        range: 1..=KINESIS_PUT_RECORDS_MAX,
        meaning: "objects of the overflow that are read at once",
        field: |settings| &mut settings.objects_concurrency,
    },
    Setting {
        name: "search.batch_records",
        range: 1..=BATCH_RECORDS_MAX,
        meaning: "records of one batch for the search index",
        field: |settings| &mut settings.search.records,
    },
    Setting {
        name: "search.concurrency",
        range: 1..=PARALLELIZATION_MAX,
        meaning: "batches of one shard for the search index at once",
        field: |settings| &mut settings.search.concurrency,
    },
    Setting {
        name: "search.page_bytes",
        range: SEARCH_BULK_BYTES_MIN..=SEARCH_BULK_BYTES_MAX,
        meaning: "bytes of one bulk request to OpenSearch",
        field: |settings| &mut settings.search_page_bytes,
    },
    Setting {
        name: "stream.concurrency",
        range: 1..=LAMBDA_REPLAY_RUNNERS_MAX,
        meaning: "shards that a replay on Lambda reads at once",
        field: |settings| &mut settings.stream_concurrency,
    },
    Setting {
        name: "stream.page_records",
        range: 1..=BATCH_RECORDS_MAX,
        meaning: "records that a replay reads and applies at once",
        field: |settings| &mut settings.stream_page_records,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_a_field_of_its_own_and_a_default_in_its_range() {
        let defaults = StoreSettings::default();
        for setting in &SETTINGS {
            assert!(setting.range.contains(&setting.value(&defaults)), "{}", setting.name);
            let other = if setting.value(&defaults) == 1 { 2 } else { 1 };
            let other = other.max(*setting.range.start());
            let changed = StoreSettings::of(&Chosen::from([(setting.name.to_owned(), other)]));
            let differs = SETTINGS.iter().filter(|each| each.value(&changed) != each.value(&defaults));
            assert_eq!(differs.map(|each| each.name).collect::<Vec<_>>(), [setting.name]);
            assert_eq!(setting.value(&changed), other);
        }
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
    }

    #[test]
    fn what_is_out_of_range_counts_as_the_nearest_and_what_is_unknown_as_nothing() {
        let chosen = Chosen::from([
            ("search.concurrency".to_owned(), 0),
            ("ledger.page_rows".to_owned(), usize::MAX),
            ("new".to_owned(), 1),
        ]);
        let settings = StoreSettings::of(&chosen);
        assert_eq!((settings.search.concurrency, settings.ledger_page_rows), (1, LEDGER_ROWS_MAX));
        assert_eq!(
            settings,
            StoreSettings { search: Batches { concurrency: 1, ..settings.search }, ..StoreSettings::default() }
        );
    }
}
