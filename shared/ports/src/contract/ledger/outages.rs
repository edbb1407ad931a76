//! Rows of outages: the later one is kept, the latest is listed first.

use std::sync::Arc;

use tributary_model::{Region, Target};

use super::AT;
use super::invocations::orders;
use crate::ledger::OutageRow;
use crate::{Ledger, PortErrorKind};

pub(super) async fn all(fresh: &impl AsyncFn() -> Arc<dyn Ledger>) {
    an_outage_is_read_back_as_it_was_written(&*fresh().await).await;
    the_order_of_writes_does_not_matter(&*fresh().await).await;
    outages_are_paged_the_latest_first(&*fresh().await).await;
}

/// The outage `id` as it was known `ms` milliseconds after its start.
fn outage(id: &str, ms: u64) -> OutageRow {
    OutageRow {
        id: id.to_owned(),
        target: Target::Ledger,
        region: Region::new("eu-west-1").expect("a region's name"),
        cause: PortErrorKind::Unavailable,
        started_at: AT,
        ended_at: None,
        failed_batches: ms,
        failed_records: ms * 500,
        updated_at: AT.plus_ms(i64::try_from(ms).expect("a small number")),
    }
}

async fn upsert(ledger: &dyn Ledger, rows: &[OutageRow]) {
    ledger.upsert_outages(rows.to_vec()).await.expect("an upsert");
}

async fn find(ledger: &dyn Ledger, id: &str) -> Option<OutageRow> {
    ledger.outage(id).await.expect("an outage")
}

async fn an_outage_is_read_back_as_it_was_written(ledger: &dyn Ledger) {
    upsert(ledger, &[]).await;
    assert_eq!((find(ledger, "a").await, ledger.outages(None, 10).await.expect("outages")), (None, vec![]));
    for (number, cause) in PortErrorKind::ALL.into_iter().enumerate() {
        let id = format!("outage-{number}");
        let target = Target::ALL[number % 2];
        let ended_at = (number > 2).then(|| AT.plus_ms(1));
        let row = OutageRow { cause, target, ended_at, failed_records: u64::from(u32::MAX) * 8, ..outage(&id, 1) };
        upsert(ledger, std::slice::from_ref(&row)).await;
        upsert(ledger, std::slice::from_ref(&row)).await;
        assert_eq!(find(ledger, &id).await, Some(row));
    }
    assert_eq!(ledger.outages(None, 10).await.expect("outages").len(), PortErrorKind::ALL.len());
}

/// Every order of four states, two of one millisecond, ends in the same one.
async fn the_order_of_writes_does_not_matter(ledger: &dyn Ledger) {
    let ended = |ms| OutageRow { ended_at: Some(AT.plus_ms(3)), ..outage("", ms) };
    let states = [outage("", 1), outage("", 3), ended(3), ended(2)];
    for (number, order) in orders(states).into_iter().enumerate() {
        let id = format!("outage-{number:02}");
        let rows: Vec<OutageRow> = order.into_iter().map(|row| OutageRow { id: id.clone(), ..row }).collect();
        let (together, apart) = rows.split_at(2);
        upsert(ledger, together).await;
        for row in apart {
            upsert(ledger, std::slice::from_ref(row)).await;
        }
        assert_eq!(find(ledger, &id).await, Some(OutageRow { id, ..ended(3) }), "{rows:?}");
    }
}

async fn outages_are_paged_the_latest_first(ledger: &dyn Ledger) {
    for (id, ms) in [("b", 2), ("a", 1), ("d", 3), ("c", 3)] {
        upsert(ledger, &[OutageRow { started_at: AT.plus_ms(ms), ..outage(id, 1) }]).await;
    }
    for (limit, expected) in [(1, &["d", "c", "b", "a", ""][..]), (3, &["dcb", "a", ""]), (4, &["dcba", ""])] {
        let mut pages: Vec<String> = Vec::new();
        let mut last: Option<OutageRow> = None;
        while pages.last().is_none_or(|page| !page.is_empty()) {
            let rows = ledger.outages(last.as_ref(), limit).await.expect("outages");
            pages.push(rows.iter().map(|row| row.id.as_str()).collect());
            last = rows.into_iter().last();
        }
        assert_eq!(pages, expected);
    }
    assert_eq!(ledger.outages(None, 0).await.expect("outages"), []);
}
