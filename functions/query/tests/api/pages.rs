//! Paging.

use serde_json::Value;
use tributary_model::limits::{PAGE_BYTES_MAX, PAGE_ITEMS};
use tributary_model::{Invocation, TimestampMs};
use tributary_ports::contract::search::{reference, samples};
use tributary_ports::search::{Filter, Scope, Sort, SortKey};

use crate::fixture::{Fixture, NOW, each, project};

/// An invocation some seconds ago, received at `received_at`; durations repeat, and every fourth has none.
fn invocation(number: u32, received_at: TimestampMs) -> Invocation {
    let mut invocation = samples::invocation(number);
    invocation.timestamp = NOW.plus_ms(-1000 * i64::from(number / 2));
    invocation.received_at = received_at;
    invocation.duration_ms = (!number.is_multiple_of(4)).then(|| f64::from(number % 5));
    invocation.memory.used_percent = (!number.is_multiple_of(3)).then(|| f64::from(number % 7));
    invocation
}

fn next(page: &Value) -> Option<String> {
    page["next"].as_str().map(str::to_owned)
}

/// All pages of a search; between them `meanwhile` happens.
async fn read_all(fixture: &Fixture, search: &str, meanwhile: impl AsyncFn(u32)) -> Vec<String> {
    let mut ids = Vec::new();
    let mut path = format!("/v1/invocations?{search}");
    for pages in 0..100 {
        let now = NOW.plus_ms(60_000 * i64::from(pages));
        let page = fixture.read_at(now, &path).await;
        ids.extend(each(&page, "id").into_iter().map(str::to_owned));
        let Some(next) = next(&page) else { return ids };
        meanwhile(pages).await;
        path = format!("/v1/invocations?{search}&cursor={next}");
    }
    panic!("the pages do not end");
}

#[tokio::test]
async fn pages_stay_as_they_were_while_data_arrives() {
    let fixture = Fixture::new().await;
    let there: Vec<Invocation> = (0..40).map(|number| invocation(number, NOW)).collect();
    fixture.add(there.clone()).await;
    let scope = Scope {
        project: project("shop"),
        from: NOW.plus_ms(-3_600_000),
        to: NOW,
        received_until: NOW,
        filter: Filter::All,
    };
    for (sort, key, descending) in [
        ("-timestamp", SortKey::Timestamp, true),
        ("timestamp", SortKey::Timestamp, false),
        ("-duration", SortKey::DurationMs, true),
        ("duration_ms", SortKey::DurationMs, false),
        ("-memory", SortKey::MemoryUsedPercent, true),
    ] {
        let later = async |page: u32| {
            // Neighbours of what is there, received after the first page was asked for.
            let arrived = (0..5).map(|at| invocation(1000 + page * 5 + at, NOW.plus_ms(1)));
            let arrived = arrived.map(|late| Invocation { timestamp: NOW.plus_ms(-9_500), ..late });
            fixture.add(arrived).await;
        };
        let ids = read_all(&fixture, &format!("from=1h&to=now&sort={sort}&limit=7"), later).await;
        let expected = reference::page(&there, &scope, Sort { key, descending }, None, 100);
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(ids, expected, "{sort}");
    }
}

#[tokio::test]
async fn the_last_page_says_that_it_is_the_last() {
    let fixture = Fixture::new().await;
    fixture.add((0..6).map(|number| invocation(number, NOW))).await;
    for (limit, pages) in [(2, 3), (3, 2), (4, 2), (6, 1), (7, 1), (1000, 1)] {
        let counted = std::cell::Cell::new(1);
        let ids = read_all(&fixture, &format!("limit={limit}"), async |_| counted.set(counted.get() + 1)).await;
        assert_eq!((ids.len(), counted.get()), (6, pages), "limit {limit}");
    }
}

#[tokio::test]
async fn a_page_of_the_greatest_size_does_not_hide_what_is_behind_it() {
    let fixture = Fixture::new().await;
    fixture.add((0..1003).map(|number| invocation(number, NOW))).await;
    let ids = read_all(&fixture, "limit=1000", async |_| {}).await;
    assert_eq!(ids.len(), 1003);
    let first = fixture.read("/v1/invocations").await;
    assert_eq!(each(&first, "id").len(), PAGE_ITEMS);
}

#[tokio::test]
async fn a_page_of_large_items_ends_early_and_goes_on() {
    let fixture = Fixture::new().await;
    let large = |number| {
        let mut invocation = invocation(number, NOW);
        let text = "x".repeat(8000);
        invocation.metrics = (0..50).map(|at| samples::text(&format!("metric {at}"), &text)).collect();
        invocation
    };
    fixture.add((0..20).map(large)).await;
    let first = fixture.read("/v1/invocations").await;
    let shown = each(&first, "id").len();
    assert!((2..20).contains(&shown) && first.to_string().len() <= PAGE_BYTES_MAX + 1000, "{shown} items");
    assert_eq!(read_all(&fixture, "", async |_| {}).await.len(), 20);
}

#[tokio::test]
async fn a_cursor_goes_on_with_its_own_search_only() {
    let fixture = Fixture::new().await;
    fixture.add((0..6).map(|number| invocation(number, NOW))).await;
    let search = "query=function:checkout&from=1h&sort=duration";
    let first = fixture.read(&format!("/v1/invocations?{search}&limit=2")).await;
    let cursor = next(&first).expect("a cursor");
    fixture.read(&format!("/v1/invocations?{search}&limit=3&cursor={cursor}")).await;
    for other in [
        "query=function:payment&from=1h&sort=duration",
        "from=1h&sort=duration",
        "query=function:checkout&sort=duration",
        "query=function:checkout&from=2h&sort=duration",
        "query=function:checkout&from=1h&to=now&sort=duration",
        "query=function:checkout&from=1h&sort=-duration",
        "query=function:checkout&from=1h",
    ] {
        let (status, detail) = fixture.problem(&format!("/v1/invocations?{other}&cursor={cursor}")).await;
        assert!(status == 400 && detail.starts_with("cursor belongs to another search"), "{other}: {detail}");
    }
    let mut damaged = cursor.clone();
    damaged.replace_range(20..21, if &cursor[20..21] == "A" { "B" } else { "A" });
    for wrong in [damaged.as_str(), &cursor[1..], "x", "%22"] {
        let (status, detail) = fixture.problem(&format!("/v1/invocations?{search}&cursor={wrong}")).await;
        assert!(status == 400 && detail.starts_with("cursor is not one that this API gave"), "{wrong}: {detail}");
    }
}
