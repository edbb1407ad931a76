use tributary_model::time::DAY_MS;
use tributary_model::{Day, Invocation, ReportId, RetentionClass};

use super::Store;
use super::samples::{document, invocation};
use crate::Upserted;
use crate::search::{Document, Filter};

pub(super) async fn all(fresh: &impl AsyncFn() -> Store) {
    what_is_past_its_retention_is_deleted(fresh().await).await;
    a_month_goes_with_its_last_day(fresh().await).await;
}

/// A document of a class, `days` days before the samples begin.
fn days_ago(number: u32, days: i64, class: u16) -> Document {
    let mut invocation: Invocation = invocation(number);
    invocation.timestamp = invocation.timestamp.plus_ms(-days * DAY_MS);
    invocation.received_at = invocation.received_at.plus_ms(-days * DAY_MS);
    invocation.id = ReportId { day: invocation.timestamp.day(), ..invocation.id };
    Document { retention: RetentionClass::from_days(class).expect("a class"), ..document(invocation) }
}

async fn expire(store: &Store, today: Day) {
    for _again in 0..2 {
        store.search.expire(today).await.expect("an expiry");
    }
    (store.settle)().await;
}

async fn what_is_past_its_retention_is_deleted(store: Store) {
    let today = invocation(0).timestamp.day();
    expire(&store, today).await;
    let documents = [(31, 30), (30, 30), (2, 1), (1, 1), (0, 1), (40, 90)];
    let documents: Vec<_> = (0..).zip(documents).map(|(number, (days, class))| days_ago(number, days, class)).collect();
    let ids = |positions: &[usize]| positions.iter().map(|at| documents[*at].invocation.id).collect::<Vec<ReportId>>();
    assert_eq!(store.upsert(documents.clone()).await, vec![Upserted::Applied; 6]);
    assert_eq!(store.find(Filter::All).await, ids(&[5, 0, 1, 2, 3, 4]));
    expire(&store, today).await;
    assert_eq!(store.find(Filter::All).await, ids(&[5, 1, 3, 4]));
    assert_eq!(store.upsert(vec![documents[1].clone()]).await, [Upserted::AlreadyThere]);
    expire(&store, today.plus_days(1)).await;
    assert_eq!(store.find(Filter::All).await, ids(&[5, 4]));
}

async fn a_month_goes_with_its_last_day(store: Store) {
    // 2026-11-21, kept for 90 days: its month's last day is past that on 2027-03-01.
    let document = days_ago(1, 0, 90);
    assert_eq!(store.upsert(vec![document.clone()]).await, [Upserted::Applied]);
    expire(&store, Day(20_270_219)).await;
    assert_eq!(store.find(Filter::All).await, [document.invocation.id]);
    expire(&store, Day(20_270_301)).await;
    assert!(store.find(Filter::All).await.is_empty());
}
