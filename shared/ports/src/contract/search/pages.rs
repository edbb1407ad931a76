use tributary_model::{Invocation, ReportId};

use super::samples::{everything, invocation};
use super::{OLDEST_FIRST, Store, reference};
use crate::search::{After, Filter, Scope, Sort, SortKey};

const KEYS: [SortKey; 3] = [SortKey::Timestamp, SortKey::DurationMs, SortKey::MemoryUsedPercent];

pub(super) async fn all(fresh: &impl AsyncFn() -> Store) {
    pages_hold_everything_once_in_order(fresh().await).await;
    a_page_has_at_most_its_limit(fresh().await).await;
    what_arrives_later_does_not_move_pages(fresh().await).await;
}

/// Many equal keys, missing keys, ids on two days, and both signs.
fn samples() -> Vec<Invocation> {
    let keys = [None, Some(-2.5), Some(0.0), Some(1e9)];
    (0..48)
        .map(|number| {
            let mut invocation = invocation(number);
            let place = number as usize;
            if number % 3 == 0 {
                invocation.timestamp = invocation.timestamp.plus_ms(24 * 3_600_000);
                invocation.id = ReportId { day: invocation.timestamp.day(), ..invocation.id };
            }
            if number % 5 == 0 {
                invocation.timestamp = super::samples::BEGIN;
                invocation.id = ReportId { day: invocation.timestamp.day(), ..invocation.id };
            }
            invocation.duration_ms = keys[place % 4];
            invocation.memory.used_percent = keys[(place / 4) % 4];
            invocation
        })
        .collect()
}

/// All pages, one after the other, as a client reads them.
async fn read_pages(store: &Store, scope: &Scope, sort: Sort, limit: usize) -> Vec<ReportId> {
    let mut read = Vec::new();
    let mut after = None;
    loop {
        let page = store.search.find(scope, sort, after, limit).await.expect("a page");
        assert!(page.len() <= limit);
        let Some(last) = page.last() else { return read };
        after = Some(After::invocation(sort.key, last));
        read.extend(page.iter().map(|invocation| invocation.id));
        assert!(read.len() <= 1000, "the pages do not end: {sort:?} {limit}");
    }
}

async fn pages_hold_everything_once_in_order(store: Store) {
    let samples = samples();
    for batch in samples.chunks(7) {
        store.add(batch).await;
    }
    let scope = everything(Filter::All);
    for key in KEYS {
        for descending in [false, true] {
            let sort = Sort { key, descending };
            let expected = reference::page(&samples, &scope, sort, None, samples.len());
            for limit in [1, 5, 48, 100] {
                assert_eq!(read_pages(&store, &scope, sort, limit).await, expected, "{sort:?} {limit}");
            }
        }
    }
}

async fn a_page_has_at_most_its_limit(store: Store) {
    store.add(&samples()).await;
    let scope = everything(Filter::All);
    assert!(store.search.find(&scope, OLDEST_FIRST, None, 0).await.expect("a page").is_empty());
    assert_eq!(store.search.find(&scope, OLDEST_FIRST, None, 3).await.expect("a page").len(), 3);
}

async fn what_arrives_later_does_not_move_pages(store: Store) {
    let samples: Vec<_> = (0..10).map(invocation).collect();
    store.add(&samples).await;
    let scope = Scope { received_until: samples[9].received_at, ..everything(Filter::All) };
    let newest_first = Sort { key: SortKey::Timestamp, descending: true };
    let first = store.search.find(&scope, newest_first, None, 4).await.expect("a page");
    let late: Vec<_> = (10..20)
        .map(|number| {
            let mut late = invocation(number);
            late.timestamp = samples[5].timestamp;
            late
        })
        .collect();
    store.add(&late).await;
    let after = first.last().map(|last| After::invocation(SortKey::Timestamp, last));
    let second = store.search.find(&scope, newest_first, after, 100).await.expect("a page");
    let read: Vec<_> = first.iter().chain(&second).map(|invocation| invocation.id).collect();
    let expected: Vec<_> = samples.iter().rev().map(|invocation| invocation.id).collect();
    assert_eq!(read, expected);
}
