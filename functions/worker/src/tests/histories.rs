//! Many batches, much bad luck: what holds whatever happens.

use bytes::Bytes;
use proptest::prelude::*;
use tributary_model::{Kind, Outcome, RetentionClass, Target, Version};
use tributary_ports::PortErrorKind;
use tributary_ports::stream::Batch;

use super::doubles::*;

/// One record of a history.
#[derive(Debug, Clone)]
enum Sent {
    Report { name: u8, late_ms: i64 },
    Refused { name: u8, late_ms: i64 },
    Truncated { name: u8 },
    Expired { name: u8 },
    Garbage { text: u8 },
}

impl Sent {
    fn bytes(&self) -> Bytes {
        match self {
            Self::Report { name, late_ms } => record(&format!("report {name}"), *late_ms),
            Self::Refused { name, late_ms } => record(&format!("refused {name}"), *late_ms),
            Self::Truncated { name } => record(&format!("truncated {name}"), 5).slice(..60),
            Self::Expired { name } => {
                let retention = RetentionClass::from_days(1).expect("a class");
                record_of(&format!("expired {name}"), 5, retention, Kind::Report, b"{}")
            }
            Self::Garbage { text } => format!("garbage {text}").into(),
        }
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        6 => (0u8..6, 0i64..4).prop_map(|(name, late_ms)| Sent::Report { name, late_ms }),
        2 => (0u8..2, 0i64..4).prop_map(|(name, late_ms)| Sent::Refused { name, late_ms }),
        1 => (0u8..3).prop_map(|name| Sent::Truncated { name }),
        1 => (0u8..3).prop_map(|name| Sent::Expired { name }),
        1 => (0u8..3).prop_map(|text| Sent::Garbage { text }),
    ]
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        3 => Just(Fault::None),
        1 => Just(Fault::Fails(PortErrorKind::Unavailable)),
        1 => Just(Fault::Fails(PortErrorKind::Denied)),
        1 => Just(Fault::AnswerLost),
        1 => Just(Fault::Short),
        1 => Just(Fault::Long),
    ];
    proptest::collection::vec(fault, 0..12)
}

/// A world in which two versions of each "refused" report are refused by the search index. Today is two days after the
/// reports, so that those of the shortest class have expired.
fn world() -> World {
    let world = World::default();
    for name in 0..2 {
        for late_ms in 0..2 {
            world.search.refuse(id(&format!("refused {name}")), version(late_ms));
        }
    }
    world
}

/// What a world holds in the end: documents, rows, objects, and dead letters without the times.
type State = (Vec<(String, Version)>, Vec<(String, Version)>, Vec<String>, Vec<(String, Vec<Target>)>);

fn state(world: &World) -> State {
    let written = |target| {
        let written = world.store(target).written();
        written.into_iter().map(|(id, (version, _))| (id.to_string(), version)).collect()
    };
    let dead_letters = world.ledger.dead_letters().into_iter().map(|row| (row.id, row.targets));
    (written(Target::Search), written(Target::Ledger), world.shelf.keys(), dead_letters.collect())
}

/// Delivers a batch as Lambda does, from the lowest failed record on, until nothing of it is left; checks each answer.
async fn deliver(world: &World, target: Target, mut batch: Batch) {
    let today = NOW.plus_ms(2 * tributary_model::time::DAY_MS);
    while !batch.records.is_empty() {
        let handled = world.worker(target).handle(today, &batch).await;
        let outcomes = handled.facts.outcomes;
        assert_eq!(outcomes.total(), batch.records.len() as u64, "every record ends once");
        assert_eq!(outcomes.of(Outcome::Redelivered), handled.redeliver.len() as u64);
        assert_eq!(handled.redeliver.is_empty(), handled.facts.error.is_none(), "what comes again has a cause");
        let lowest = handled.redeliver.into_iter().min();
        batch.records.retain(|record| lowest.as_ref().is_some_and(|lowest| record.sequence_number >= *lowest));
    }
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future);
}

/// The records in batches of the given size, each numbered as a whole.
fn batches(sent: &[Sent], size: usize) -> Vec<Batch> {
    let all = batch(&sent.iter().map(Sent::bytes).collect::<Vec<_>>());
    all.records.chunks(size).map(|records| Batch { shard: all.shard.clone(), records: records.to_vec() }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bad_luck_changes_when_and_not_what(
        sent in proptest::collection::vec(sent(), 1..24),
        size in 1usize..8,
        (upserts, puts, rows) in (faults(), faults(), faults()),
    ) {
        let (lucky, unlucky) = (world(), world());
        unlucky.search.upserts_fail(&upserts);
        unlucky.ledger.upserts_fail(&upserts);
        unlucky.shelf.puts_fail(&puts);
        unlucky.ledger.dead_letter_rows_fail(&rows);
        run(async {
            for target in Target::ALL {
                for batch in batches(&sent, size) {
                    deliver(&lucky, target, batch.clone()).await;
                    deliver(&unlucky, target, batch).await;
                }
            }
        });
        prop_assert_eq!(state(&lucky), state(&unlucky));
    }

    /// D5: what comes again after a part of its batch failed is written once.
    #[test]
    fn once_again_changes_nothing(sent in proptest::collection::vec(sent(), 1..24), size in 1usize..8) {
        let world = world();
        run(async {
            for batch in batches(&sent, size) {
                deliver(&world, Target::Search, batch).await;
            }
            let once = state(&world);
            for batch in batches(&sent, 24) {
                deliver(&world, Target::Search, batch).await;
            }
            assert_eq!(state(&world), once);
        });
    }

    #[test]
    fn the_order_of_records_and_how_they_fall_into_batches_change_nothing(
        (sent, shuffled) in proptest::collection::vec(sent().prop_filter("named by its place", |sent| !matches!(sent, Sent::Garbage { .. })), 1..24)
            .prop_flat_map(|sent| (Just(sent.clone()), Just(sent).prop_shuffle())),
        (size, other_size) in (1usize..8, 1usize..24),
    ) {
        let (one, other) = (world(), world());
        run(async {
            for target in Target::ALL {
                for batch in batches(&sent, size) {
                    deliver(&one, target, batch).await;
                }
                for batch in batches(&shuffled, other_size) {
                    deliver(&other, target, batch).await;
                }
            }
        });
        prop_assert_eq!(state(&one), state(&other));
    }
}
