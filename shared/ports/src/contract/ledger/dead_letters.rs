//! Rows of dead letters: folding and paging.

use std::sync::Arc;

use tributary_model::{Reason, Target};

use super::invocations::orders;
use super::{AT, project};
use crate::Ledger;
use crate::ledger::DeadLetterRow;

pub(super) async fn all(fresh: &impl AsyncFn() -> Arc<dyn Ledger>) {
    a_dead_letter_is_read_back_as_it_was_written(&*fresh().await).await;
    both_consumers_share_a_row(&*fresh().await).await;
    the_order_of_folding_does_not_matter(&*fresh().await).await;
    dead_letters_are_paged_by_id(&*fresh().await).await;
    a_project_lists_its_own_and_no_project_what_is_nobodys(&*fresh().await).await;
    of_writers_at_once_none_is_forgotten(fresh().await).await;
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
    }
}

async fn upsert(ledger: &dyn Ledger, rows: &[DeadLetterRow]) {
    ledger.upsert_dead_letters(rows.to_vec()).await.expect("an upsert");
}

async fn find(ledger: &dyn Ledger, id: &str) -> Option<DeadLetterRow> {
    ledger.dead_letter(id).await.expect("a dead letter")
}

async fn list(ledger: &dyn Ledger, owner: Option<&str>, after: Option<&str>, limit: usize) -> Vec<String> {
    let rows = ledger.dead_letters(owner.map(project).as_ref(), after, limit).await.expect("dead letters");
    rows.into_iter().map(|row| row.id).collect()
}

async fn a_dead_letter_is_read_back_as_it_was_written(ledger: &dyn Ledger) {
    upsert(ledger, &[]).await;
    assert_eq!(find(ledger, "record-0-1").await, None);
    let reasons = [
        Reason::Malformed,
        Reason::TooLarge,
        Reason::Unsupported,
        Reason::MissingField,
        Reason::InvalidField,
        Reason::Refused,
        Reason::Panic,
    ];
    for (number, reason) in reasons.into_iter().enumerate() {
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
