use tributary_model::{Invocation, ReportId};

use super::samples::{Random, everything};
use super::{Store, reference};
use crate::search::{After, Scope, Sort, SortKey};

const SEED: u64 = 20_261_121;
const INVOCATIONS: u32 = 600;
const SEARCHES: usize = 500;

pub(super) async fn all(fresh: &impl AsyncFn() -> Store) {
    random_searches_agree_with_the_reference(fresh().await, SEED).await;
}

async fn random_searches_agree_with_the_reference(store: Store, seed: u64) {
    let mut random = Random::new(seed);
    let invocations: Vec<Invocation> = (0..INVOCATIONS).map(|number| random.invocation(number)).collect();
    // One large part, as after merges, and some small ones.
    let (large, small) = invocations.split_at(400);
    store.add(large).await;
    for batch in small.chunks(50) {
        store.add(batch).await;
    }
    for search in 0..SEARCHES {
        let scope = random_scope(&mut random);
        let key = [SortKey::Timestamp, SortKey::DurationMs, SortKey::MemoryUsedPercent][random.below(3)];
        let sort = Sort { key, descending: random.coin() };
        let after = random.coin().then(|| After::invocation(key, &invocations[random.below(invocations.len())]));
        let limit = [1, 10, 1000][random.below(3)];
        let found = store.search.find(&scope, sort, after, limit).await.expect("a find");
        let found: Vec<ReportId> = found.iter().map(|invocation| invocation.id).collect();
        let expected = reference::page(&invocations, &scope, sort, after, limit);
        assert_eq!(found, expected, "seed {seed}, search {search}: {scope:?} {sort:?} {after:?} {limit}");
    }
}

fn random_scope(random: &mut Random) -> Scope {
    let mut scope = everything(random.filter(3));
    if random.coin() {
        scope.from = super::samples::BEGIN.plus_ms(40_000_000);
        scope.received_until = scope.from.plus_ms(40_000_001);
    }
    scope
}
