//! Rows of dead letters: folding and paging.

use std::sync::Arc;

use tributary_model::{Reason, Target};

use super::invocations::orders;
use super::{AT, project};
use crate::Ledger;
use crate::ledger::{DeadLetterFilter, DeadLetterRow, RemovedDeadLetter, Resolution};

pub(super) async fn all(fresh: &impl AsyncFn() -> Arc<dyn Ledger>) {
    a_dead_letter_is_read_back_as_it_was_written(&*fresh().await).await;
    both_consumers_share_a_row(&*fresh().await).await;
    the_order_of_folding_does_not_matter(&*fresh().await).await;
    dead_letters_are_paged_by_id(&*fresh().await).await;
    a_project_lists_its_own_and_no_project_what_is_nobodys(&*fresh().await).await;
    records_are_counted_once_each(&*fresh().await).await;
    filters_hold_together(&*fresh().await).await;
    what_is_resolved_for_all_consumers_is_removed(&*fresh().await).await;
    what_was_met_again_is_not_resolved(&*fresh().await).await;
    the_oldest_expire_first(&*fresh().await).await;
    of_writers_at_once_none_is_forgotten(fresh().await).await;
    of_resolvers_at_once_one_removes(fresh().await).await;
}

/// What `target` met `ms` milliseconds after the others began.
fn met(id: &str, target: Target, ms: i64) -> DeadLetterRow {
    DeadLetterRow {
        id: id.to_owned(),
        project: Some(project("shop")),
        reason: Reason::TooLarge,
        detail: format!("'labels' has {ms} entries; at most 200 are allowed"),
        targets: vec![target],
        first_seen: AT.plus_ms(ms),
        last_seen: AT.plus_ms(ms),
        object_key: format!("dead-letters/{id}"),
        record_bytes: u32::try_from(ms).expect("a small number"),
        count: 1,
    }
}

async fn upsert(ledger: &dyn Ledger, rows: &[DeadLetterRow]) {
    ledger.upsert_dead_letters(rows.to_vec()).await.expect("an upsert");
}

async fn find(ledger: &dyn Ledger, id: &str) -> Option<DeadLetterRow> {
    ledger.dead_letter(id).await.expect("a dead letter")
}

async fn list(ledger: &dyn Ledger, owner: Option<&str>, after: Option<&str>, limit: usize) -> Vec<String> {
    let filter = DeadLetterFilter { project: owner.map(project), ..DeadLetterFilter::default() };
    let rows = ledger.dead_letters(&filter, after, limit).await.expect("dead letters");
    rows.into_iter().map(|row| row.id).collect()
}

/// Ends `id` for `targets`, as far as it was met until `ms`.
async fn resolve(ledger: &dyn Ledger, id: &str, targets: &[Target], ms: i64) -> Vec<RemovedDeadLetter> {
    let resolution = Resolution { id: id.to_owned(), targets: targets.to_vec(), seen_until: AT.plus_ms(ms) };
    ledger.resolve_dead_letters(vec![resolution]).await.expect("a resolution")
}

fn removed(id: &str, object_keys: &[&str]) -> RemovedDeadLetter {
    RemovedDeadLetter { id: id.to_owned(), object_keys: object_keys.iter().map(|key| (*key).to_owned()).collect() }
}

async fn a_dead_letter_is_read_back_as_it_was_written(ledger: &dyn Ledger) {
    upsert(ledger, &[]).await;
    assert_eq!(find(ledger, "record-0-1").await, None);
    for (number, reason) in Reason::ALL.into_iter().enumerate() {
        let id = format!("record-0-{number}");
        let row = DeadLetterRow { reason, project: None, ..met(&id, Target::Ledger, 7) };
        upsert(ledger, std::slice::from_ref(&row)).await;
        assert_eq!(find(ledger, &id).await, Some(row.clone()));
        upsert(ledger, &[row.clone(), row.clone()]).await;
        assert_eq!(find(ledger, &id).await, Some(row), "the same again changes nothing");
    }
}

async fn both_consumers_share_a_row(ledger: &dyn Ledger) {
    let first = met("a", Target::Ledger, 1);
    let later = DeadLetterRow { reason: Reason::Refused, project: None, ..met("a", Target::Search, 5) };
    upsert(ledger, std::slice::from_ref(&first)).await;
    upsert(ledger, std::slice::from_ref(&later)).await;
    let folded = DeadLetterRow { targets: Target::ALL.to_vec(), first_seen: first.first_seen, ..later };
    assert_eq!(find(ledger, "a").await, Some(folded.clone()));
    upsert(ledger, &[first]).await;
    assert_eq!(find(ledger, "a").await, Some(folded), "what was met before tells nothing new");
}

/// Every order of four meetings, two of them in the same millisecond, ends in the same row.
async fn the_order_of_folding_does_not_matter(ledger: &dyn Ledger) {
    let mut expected = None;
    for (number, order) in orders([(1, "x"), (3, "x"), (3, "y"), (2, "z")]).into_iter().enumerate() {
        let id = format!("letter-{number:02}");
        let rows: Vec<DeadLetterRow> = order
            .iter()
            .map(|(ms, detail)| {
                let target = if *ms == 2 { Target::Ledger } else { Target::Search };
                DeadLetterRow { detail: (*detail).to_owned(), object_key: "k".to_owned(), ..met(&id, target, *ms) }
            })
            .collect();
        let (together, apart) = rows.split_at(2);
        upsert(ledger, together).await;
        for row in apart {
            upsert(ledger, std::slice::from_ref(row)).await;
        }
        let folded = DeadLetterRow { id: String::new(), ..find(ledger, &id).await.expect("the row") };
        assert_eq!((folded.first_seen, folded.last_seen), (AT.plus_ms(1), AT.plus_ms(3)));
        assert_eq!(folded.targets, Target::ALL);
        assert_eq!(*expected.get_or_insert_with(|| folded.clone()), folded, "{order:?}");
    }
}

async fn dead_letters_are_paged_by_id(ledger: &dyn Ledger) {
    let mut ids: Vec<String> = (0..25).map(|number| format!("record-0-{number}")).collect();
    ids.push("20261121-abc".to_owned());
    let own = ids.iter().map(|id| met(id, Target::Search, 1));
    // Those of others lie between, before and behind.
    let of_others = ids.iter().zip([None, Some("other")].into_iter().cycle()).flat_map(|(id, owner)| {
        [format!("1-{id}"), format!("{id}-x"), format!("z-{id}")]
            .map(|id| DeadLetterRow { project: owner.map(project), ..met(&id, Target::Search, 1) })
    });
    upsert(ledger, &own.chain(of_others).collect::<Vec<_>>()).await;
    ids.sort();
    let mut pages = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    loop {
        let page = list(ledger, Some("shop"), seen.last().map(String::as_str), 10).await;
        pages.push(page.len());
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, ids, "in byte order");
    assert_eq!(pages, [10, 10, 6, 0], "no page is short because of others");
    assert!(list(ledger, Some("shop"), None, 0).await.is_empty());
    let behind = list(ledger, Some("shop"), Some("record-0-75"), 2).await;
    assert_eq!(behind, ["record-0-8", "record-0-9"], "the id to go on behind need not be there");
}

async fn a_project_lists_its_own_and_no_project_what_is_nobodys(ledger: &dyn Ledger) {
    for owner in [Some("shop"), Some("other"), None] {
        assert!(list(ledger, owner, None, 10).await.is_empty(), "{owner:?}");
    }
    let unread = |id: &str, ms| DeadLetterRow { project: None, ..met(id, Target::Search, ms) };
    let other = DeadLetterRow { project: Some(project("other")), ..met("c", Target::Search, 1) };
    upsert(ledger, &[met("a", Target::Search, 1), unread("b", 1), other, unread("d", 1), unread("e", 1)]).await;
    assert_eq!(list(ledger, Some("shop"), None, 10).await, ["a"]);
    assert_eq!(list(ledger, Some("other"), None, 10).await, ["c"]);
    assert_eq!(list(ledger, None, None, 2).await, ["b", "d"]);
    assert_eq!(list(ledger, None, Some("d"), 2).await, ["e"]);
    upsert(ledger, &[met("b", Target::Ledger, 2), unread("a", 2)]).await;
    assert_eq!(list(ledger, Some("shop"), None, 10).await, ["b"], "a row is listed as it was last met");
    assert_eq!(list(ledger, None, None, 10).await, ["a", "d", "e"]);
}

async fn of_writers_at_once_none_is_forgotten(ledger: Arc<dyn Ledger>) {
    let writers: Vec<_> = (0..8)
        .map(|ms| {
            let ledger = Arc::clone(&ledger);
            let target = if ms == 4 { Target::Ledger } else { Target::Search };
            tokio::spawn(async move { upsert(&*ledger, &[met("a", target, ms)]).await })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer that ends");
    }
    let folded = find(&*ledger, "a").await.expect("the row");
    assert_eq!(folded.targets, Target::ALL);
    assert_eq!((folded.first_seen, folded.last_seen, folded.record_bytes), (AT, AT.plus_ms(7), 7));
}

async fn records_are_counted_once_each(ledger: &dyn Ledger) {
    let record =
        |name: &str, target, ms| DeadLetterRow { object_key: format!("dead-letters/a/{name}"), ..met("a", target, ms) };
    let [one, two, three] = [("1", 5), ("2", 1), ("3", 9)].map(|(name, ms)| record(name, Target::Search, ms));
    for (rows, count) in [
        (vec![one.clone()], 1),
        (vec![one.clone(), record("1", Target::Ledger, 6)], 1),
        (vec![two.clone(), one.clone(), two.clone()], 2),
        (vec![DeadLetterRow { count: 7, ..three }], 3),
        (vec![two, one], 3),
    ] {
        upsert(ledger, &rows).await;
        assert_eq!(find(ledger, "a").await.map(|row| row.count), Some(count));
    }
    let listed = ledger.dead_letters(&of_shop(), None, 2).await.expect("dead letters");
    assert_eq!(
        listed.iter().map(|row| (row.count, row.object_key.as_str())).collect::<Vec<_>>(),
        [(3, "dead-letters/a/3")]
    );
}

fn of_shop() -> DeadLetterFilter {
    DeadLetterFilter { project: Some(project("shop")), ..DeadLetterFilter::default() }
}

async fn filters_hold_together(ledger: &dyn Ledger) {
    let rows = [
        met("a", Target::Search, 1),
        DeadLetterRow { reason: Reason::Panic, ..met("b", Target::Ledger, 2) },
        met("c", Target::Ledger, 3),
        DeadLetterRow { reason: Reason::Refused, project: Some(project("other")), ..met("d", Target::Search, 2) },
        DeadLetterRow { reason: Reason::Panic, ..met("e", Target::Search, 4) },
    ];
    upsert(ledger, &rows).await;
    upsert(ledger, &[met("c", Target::Search, 3)]).await;
    let reasons = |reasons: &[Reason]| Some(reasons.to_vec());
    let (from, to) = (Some(AT.plus_ms(2)), Some(AT.plus_ms(4)));
    for (filter, expected) in [
        (of_shop(), &["a", "b", "c", "e"][..]),
        (DeadLetterFilter { reasons: reasons(&[Reason::Panic]), ..of_shop() }, &["b", "e"]),
        (DeadLetterFilter { reasons: reasons(&[Reason::Panic, Reason::TooLarge]), ..of_shop() }, &["a", "b", "c", "e"]),
        (DeadLetterFilter { reasons: reasons(&[]), ..of_shop() }, &[]),
        (DeadLetterFilter { target: Some(Target::Ledger), ..of_shop() }, &["b", "c"]),
        (DeadLetterFilter { target: Some(Target::Search), ..of_shop() }, &["a", "c", "e"]),
        (DeadLetterFilter { from, ..of_shop() }, &["b", "c", "e"]),
        (DeadLetterFilter { to, ..of_shop() }, &["a", "b", "c"]),
        (DeadLetterFilter { from, to, target: Some(Target::Search), ..of_shop() }, &["c"]),
        (DeadLetterFilter { from, to, reasons: reasons(&[Reason::Panic]), ..of_shop() }, &["b"]),
        (DeadLetterFilter { reasons: reasons(&[Reason::Panic]), ..DeadLetterFilter::default() }, &[]),
    ] {
        let found = ledger.dead_letters(&filter, None, 10).await.expect("dead letters");
        assert_eq!(found.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), expected, "{filter:?}");
        let behind = ledger.dead_letters(&filter, Some("b"), 1).await.expect("dead letters");
        let next = expected.iter().find(|id| **id > "b").copied();
        assert_eq!(behind.first().map(|row| row.id.as_str()), next, "{filter:?}");
    }
}

async fn what_is_resolved_for_all_consumers_is_removed(ledger: &dyn Ledger) {
    assert_eq!(ledger.resolve_dead_letters(Vec::new()).await.expect("a resolution"), []);
    assert_eq!(resolve(ledger, "a", &Target::ALL, 9).await, [], "what is not there is no error");
    let other = |id: &str| DeadLetterRow { object_key: format!("dead-letters/{id}/0"), ..met(id, Target::Ledger, 2) };
    upsert(
        ledger,
        &[met("a", Target::Search, 1), other("a"), met("b", Target::Search, 1), met("c", Target::Ledger, 1)],
    )
    .await;
    assert_eq!(resolve(ledger, "a", &[Target::Search], 9).await, []);
    let left = find(ledger, "a").await.expect("the row");
    assert_eq!((left.targets, left.count), (vec![Target::Ledger], 2));
    assert_eq!(resolve(ledger, "a", &[Target::Search], 9).await, [], "the same again");
    assert_eq!(resolve(ledger, "a", &[], 9).await, []);
    assert_eq!(
        resolve(ledger, "a", &[Target::Ledger], 9).await,
        [removed("a", &["dead-letters/a", "dead-letters/a/0"])]
    );
    assert_eq!(resolve(ledger, "a", &[Target::Ledger], 9).await, []);
    assert_eq!(
        (find(ledger, "a").await, list(ledger, Some("shop"), None, 10).await),
        (None, vec!["b".into(), "c".into()])
    );
    let both = ["b", "c", "d"].map(|id| Resolution {
        id: id.to_owned(),
        targets: Target::ALL.into(),
        seen_until: AT.plus_ms(1),
    });
    let mut gone = ledger.resolve_dead_letters(both.into()).await.expect("a resolution");
    gone.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(gone, [removed("b", &["dead-letters/b"]), removed("c", &["dead-letters/c"])]);
    upsert(ledger, &[met("a", Target::Search, 3)]).await;
    assert_eq!(find(ledger, "a").await, Some(met("a", Target::Search, 3)), "nothing of the first is left");
}

async fn what_was_met_again_is_not_resolved(ledger: &dyn Ledger) {
    upsert(ledger, &[met("a", Target::Search, 5)]).await;
    assert_eq!(resolve(ledger, "a", &Target::ALL, 4).await, []);
    assert_eq!(find(ledger, "a").await, Some(met("a", Target::Search, 5)));
    assert_eq!(resolve(ledger, "a", &Target::ALL, 5).await, [removed("a", &["dead-letters/a"])]);
}

async fn the_oldest_expire_first(ledger: &dyn Ledger) {
    let rows = [("a", 3), ("b", 1), ("c", 2), ("d", 2), ("e", 4)].map(|(id, ms)| met(id, Target::Search, ms));
    upsert(ledger, &rows).await;
    upsert(
        ledger,
        &[DeadLetterRow { project: None, object_key: "dead-letters/b/0".to_owned(), ..met("b", Target::Ledger, 0) }],
    )
    .await;
    let expire = async |ms, limit| ledger.expire_dead_letters(AT.plus_ms(ms), limit).await.expect("an expiry");
    assert_eq!(expire(1, 10).await, []);
    assert_eq!(expire(4, 0).await, []);
    assert_eq!(expire(4, 1).await, [removed("b", &["dead-letters/b", "dead-letters/b/0"])]);
    assert_eq!(expire(4, 2).await, [removed("c", &["dead-letters/c"]), removed("d", &["dead-letters/d"])]);
    assert_eq!(expire(4, 10).await, [removed("a", &["dead-letters/a"])]);
    assert_eq!(list(ledger, Some("shop"), None, 10).await, ["e"]);
}

async fn of_resolvers_at_once_one_removes(ledger: Arc<dyn Ledger>) {
    upsert(&*ledger, &[met("a", Target::Search, 1), met("a", Target::Ledger, 1)]).await;
    let resolvers: Vec<_> = Target::ALL
        .into_iter()
        .cycle()
        .take(8)
        .map(|target| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move { resolve(&*ledger, "a", &[target], 1).await })
        })
        .collect();
    let mut all = Vec::new();
    for resolver in resolvers {
        all.extend(resolver.await.expect("a resolver that ends"));
    }
    assert_eq!(all, [removed("a", &["dead-letters/a"])]);
    assert_eq!(find(&*ledger, "a").await, None);
}
