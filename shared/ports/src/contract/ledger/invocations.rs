//! Rows of invocations: versions, answers for each row, counts.

use std::sync::Arc;

use tributary_model::{AccountId, Region, ReportId, RetentionClass, TimestampMs, TokenId, Version};

use super::{AT, project};
use crate::ledger::InvocationRow;
use crate::{Ledger, Upserted};

pub(super) async fn all(fresh: &impl AsyncFn() -> Arc<dyn Ledger>) {
    a_row_is_read_back_as_it_was_written(&*fresh().await).await;
    nothing_is_asked_and_nothing_is_answered(&*fresh().await).await;
    the_greater_version_wins(&*fresh().await).await;
    one_id_may_come_twice_in_a_batch(&*fresh().await).await;
    the_order_of_versions_does_not_matter(&fresh).await;
    a_large_batch_is_answered_row_by_row(&*fresh().await).await;
    a_row_that_can_not_be_held_harms_no_neighbour(&*fresh().await).await;
    counts_are_of_a_project_and_a_time(&*fresh().await).await;
    of_writers_at_once_the_greatest_version_wins(fresh().await).await;
}

/// A row whose every field says which version wrote it.
fn row(request: &str, version: u64) -> InvocationRow {
    let shop = project("shop");
    let number = u32::try_from(version).expect("a small version");
    InvocationRow {
        id: ReportId::derive(&shop, "process", request, AT),
        version: Version::from_u64(version),
        project: shop,
        account: AccountId::new(&format!("acme-{version}")).expect("an account's name"),
        region: Region::new(&format!("eu-west-{version}")).expect("a region's name"),
        function: format!("checkout-{version} 'quoted' \"ünï\\cödé\" ;--"),
        timestamp: AT,
        received_at: AT.plus_ms(i64::from(number)),
        retention: RetentionClass::from_days(u16::try_from(number % 3000).expect("days") + 1).expect("a class"),
        token: TokenId::new(&format!("Token_{version}")).expect("a token's id"),
        duration_ms: Some(f64::from(number) + 0.1),
        coldstart: !version.is_multiple_of(2),
        error_fingerprint: version.is_multiple_of(2).then(|| format!("{version:016x}")),
        report_bytes: u32::MAX - number,
    }
}

async fn upsert(ledger: &dyn Ledger, rows: impl Into<Vec<InvocationRow>>) -> Vec<Upserted> {
    ledger.upsert_invocations(rows.into()).await.expect("an upsert")
}

async fn find(ledger: &dyn Ledger, row: &InvocationRow) -> Option<InvocationRow> {
    ledger.invocations(&[row.id]).await.expect("rows").pop().expect("an answer for the id")
}

async fn a_row_is_read_back_as_it_was_written(ledger: &dyn Ledger) {
    let full = row("full", 1);
    let bare = InvocationRow {
        function: String::new(),
        duration_ms: None,
        error_fingerprint: None,
        report_bytes: 0,
        received_at: TimestampMs(0),
        ..row("bare", 2)
    };
    assert_eq!(upsert(ledger, [full.clone(), bare.clone()]).await, [Upserted::Applied, Upserted::Applied]);
    let unknown = row("unknown", 1).id;
    let ids = [bare.id, unknown, full.id, bare.id];
    let found = ledger.invocations(&ids).await.expect("rows");
    assert_eq!(found, [Some(bare.clone()), None, Some(full), Some(bare)], "in the order of the ids");
}

async fn nothing_is_asked_and_nothing_is_answered(ledger: &dyn Ledger) {
    assert!(upsert(ledger, []).await.is_empty());
    assert!(ledger.invocations(&[]).await.expect("rows").is_empty());
}

async fn the_greater_version_wins(ledger: &dyn Ledger) {
    let [one, two, three] = [1, 2, 3].map(|version| row("a", version));
    assert_eq!(upsert(ledger, [two.clone()]).await, [Upserted::Applied]);
    assert_eq!(upsert(ledger, [two.clone()]).await, [Upserted::AlreadyThere]);
    assert_eq!(upsert(ledger, [one]).await, [Upserted::Superseded]);
    assert_eq!(find(ledger, &two).await, Some(two.clone()));
    assert_eq!(upsert(ledger, [three.clone()]).await, [Upserted::Applied]);
    assert_eq!(find(ledger, &two).await, Some(three.clone()), "every field is the new one's");
    let greatest = InvocationRow { version: Version::new(u16::MAX, TimestampMs(0)), ..three };
    assert_eq!(upsert(ledger, [greatest.clone()]).await, [Upserted::Applied]);
    assert_eq!(find(ledger, &greatest).await, Some(greatest));
}

async fn one_id_may_come_twice_in_a_batch(ledger: &dyn Ledger) {
    use Upserted::{AlreadyThere, Applied, Superseded};
    let rows = [row("a", 2), row("b", 1), row("a", 2), row("a", 1), row("a", 3), row("b", 1), row("a", 2)];
    let answers = upsert(ledger, &rows[..]).await;
    assert_eq!(answers, [Applied, Applied, AlreadyThere, Superseded, Applied, AlreadyThere, Superseded]);
    assert_eq!(find(ledger, &rows[0]).await, Some(row("a", 3)));
    assert_eq!(upsert(ledger, &rows[..2]).await, [Superseded, AlreadyThere]);
}

/// Every order of four writes of one id, as one batch and as batches of one, ends in the same state.
async fn the_order_of_versions_does_not_matter(fresh: &impl AsyncFn() -> Arc<dyn Ledger>) {
    let ledger = fresh().await;
    for (number, order) in orders([1, 2, 2, 3]).into_iter().enumerate() {
        let [together, apart] = ["together", "apart"].map(|name| format!("{name}-{number}"));
        let rows = |request: &str| order.iter().map(|version| row(request, *version)).collect::<Vec<_>>();
        upsert(&*ledger, rows(&together)).await;
        for row in rows(&apart) {
            upsert(&*ledger, [row]).await;
        }
        for request in [&together, &apart] {
            assert_eq!(find(&*ledger, &row(request, 1)).await, Some(row(request, 3)), "{order:?}");
        }
    }
}

/// All orders of `items`.
pub(super) fn orders<T: Clone>(items: impl Into<Vec<T>>) -> Vec<Vec<T>> {
    let items: Vec<T> = items.into();
    if items.len() < 2 {
        return vec![items];
    }
    let mut all = Vec::new();
    for at in 0..items.len() {
        let mut rest = items.clone();
        let first = rest.remove(at);
        all.extend(orders(rest).into_iter().map(|order| [vec![first.clone()], order].concat()));
    }
    all
}

async fn a_large_batch_is_answered_row_by_row(ledger: &dyn Ledger) {
    let rows: Vec<InvocationRow> = (0..1000).map(|number| row(&number.to_string(), 2)).collect();
    assert_eq!(upsert(ledger, &rows[..]).await, vec![Upserted::Applied; 1000]);
    let again: Vec<InvocationRow> = (0..1000).map(|number| row(&number.to_string(), 1 + number % 3)).collect();
    let answers = [Upserted::Superseded, Upserted::AlreadyThere, Upserted::Applied];
    let expected: Vec<Upserted> = answers.into_iter().cycle().take(1000).collect();
    assert_eq!(upsert(ledger, &again[..]).await, expected);
    let ids: Vec<ReportId> = rows.iter().map(|row| row.id).collect();
    let found = ledger.invocations(&ids).await.expect("rows");
    for (number, found) in (0..1000).zip(found) {
        assert_eq!(found, Some(row(&number.to_string(), (1 + number % 3).max(2))), "row {number}");
    }
}

/// What each store refuses is its own affair, except for a version beyond 63 bits, which none can compare.
async fn a_row_that_can_not_be_held_harms_no_neighbour(ledger: &dyn Ledger) {
    let beyond = InvocationRow { version: Version::from_u64(u64::MAX), ..row("beyond", 1) };
    let with_nul = InvocationRow { function: "a\0b".to_owned(), ..row("nul", 1) };
    let not_finite = InvocationRow { duration_ms: Some(f64::INFINITY), ..row("infinite", 1) };
    let odd = [beyond, with_nul, not_finite];
    let mut batch = vec![row("before", 1)];
    batch.extend(odd.iter().cloned());
    batch.push(row("behind", 1));
    let answers = upsert(ledger, &batch[..]).await;
    assert_eq!((answers.first(), answers.last()), (Some(&Upserted::Applied), Some(&Upserted::Applied)));
    assert!(matches!(answers.get(1), Some(Upserted::Refused(_))), "{answers:?}");
    for (row, answer) in odd.iter().zip(&answers[1..]) {
        let expected = if *answer == Upserted::Applied { Some(row.clone()) } else { None };
        assert_eq!(find(ledger, row).await, expected, "what was applied is read back whole: {answer:?}");
    }
    assert!(find(ledger, &batch[0]).await.is_some() && find(ledger, &row("behind", 1)).await.is_some());
}

async fn counts_are_of_a_project_and_a_time(ledger: &dyn Ledger) {
    let at = |ms| InvocationRow { timestamp: AT.plus_ms(ms), ..row(&ms.to_string(), 1) };
    let other = InvocationRow { project: project("other"), ..row("other", 1) };
    upsert(ledger, [at(0), at(1), at(2), other]).await;
    let count = async |name: &str, from: i64, to: i64| {
        ledger.count_invocations(&project(name), AT.plus_ms(from), AT.plus_ms(to)).await.expect("a count")
    };
    assert_eq!(count("shop", 0, 3).await, 3);
    assert_eq!(count("shop", 0, 2).await, 2, "the end is not within");
    assert_eq!(count("shop", 1, 3).await, 2, "the beginning is within");
    assert_eq!(count("shop", 2, 2).await, 0);
    assert_eq!(count("shop", 3, 0).await, 0);
    assert_eq!(count("other", -1000, 1000).await, 1);
    assert_eq!(count("nobody", -1000, 1000).await, 0);
    upsert(ledger, [InvocationRow { timestamp: AT.plus_ms(500), ..row("0", 2) }]).await;
    assert_eq!(count("shop", 0, 3).await, 2, "a replaced row counts where it is now, and once");
}

async fn of_writers_at_once_the_greatest_version_wins(ledger: Arc<dyn Ledger>) {
    let writers: Vec<_> = (1..=8)
        .map(|version| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move { upsert(&*ledger, [row("a", version), row("b", 9 - version)]).await })
        })
        .collect();
    let mut answers = Vec::new();
    for writer in writers {
        answers.push(writer.await.expect("a writer that ends"));
    }
    assert_eq!(answers.last().and_then(|last| last.first()), Some(&Upserted::Applied), "version 8 of a");
    assert_eq!(answers.first().and_then(|first| first.last()), Some(&Upserted::Applied), "version 8 of b");
    let known = [Upserted::Applied, Upserted::Superseded];
    assert!(answers.iter().flatten().all(|answer| known.contains(answer)), "{answers:?}");
    assert_eq!(find(&*ledger, &row("a", 1)).await, Some(row("a", 8)));
    assert_eq!(find(&*ledger, &row("b", 1)).await, Some(row("b", 8)));
}
