//! What every ledger keeps to.

mod audit;
mod dead_letters;
mod invocations;
mod outages;

use std::collections::BTreeSet;
use std::sync::Arc;

use tributary_model::directory::{Scope, Scopes};
use tributary_model::{ProjectId, TimestampMs, TokenId};

use crate::Ledger;
use crate::ledger::TokenRow;

/// 2026-11-21T18:01:01.873Z.
const AT: TimestampMs = TimestampMs(1_795_284_061_873);

/// Runs every case, each on a ledger that `fresh` makes.
pub async fn all(fresh: impl AsyncFn() -> Arc<dyn Ledger>) {
    invocations::all(&fresh).await;
    dead_letters::all(&fresh).await;
    outages::all(&fresh).await;
    audit::all(&fresh).await;
    a_token_is_read_back_as_it_was_written(&*fresh().await).await;
    a_token_that_is_there_is_left_as_it_is(&*fresh().await).await;
    tokens_are_paged_within_their_project_the_latest_first(&*fresh().await).await;
}

fn project(name: &str) -> ProjectId {
    ProjectId::new(name).expect("a project's name")
}

fn token(id: &str, project_name: &str, issued_at: TimestampMs) -> TokenRow {
    TokenRow {
        id: TokenId::new(id).expect("a token's id"),
        project: project(project_name),
        scopes: Scopes::from(Scope::ALL),
        kid: "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s".to_owned(),
        issued_at,
        expires_at: issued_at.plus_ms(31_536_000_000),
    }
}

async fn tokens(ledger: &dyn Ledger, project_name: &str) -> Vec<TokenRow> {
    ledger.tokens(&project(project_name), None, 10).await.expect("tokens")
}

async fn a_token_is_read_back_as_it_was_written(ledger: &dyn Ledger) {
    let sets = [Scopes::from(Scope::ALL), Scopes::from([Scope::Ingest]), BTreeSet::new()];
    for (number, scopes) in sets.into_iter().enumerate() {
        let project_name = format!("shop-{number}");
        let row = TokenRow { scopes, ..token(&format!("T_{number}-x"), &project_name, AT) };
        assert_eq!(ledger.token(&row.id).await.expect("a token"), None);
        assert_eq!(tokens(ledger, &project_name).await, []);
        ledger.insert_token(row.clone()).await.expect("an insert");
        assert_eq!(ledger.token(&row.id).await.expect("a token"), Some(row.clone()));
        assert_eq!(tokens(ledger, &project_name).await, [row]);
    }
}

async fn a_token_that_is_there_is_left_as_it_is(ledger: &dyn Ledger) {
    let first = token("one", "shop", AT);
    ledger.insert_token(first.clone()).await.expect("an insert");
    ledger.insert_token(first.clone()).await.expect("the same again");
    ledger.insert_token(token("one", "other", AT.plus_ms(1))).await.expect("another row of that id");
    assert_eq!(ledger.token(&first.id).await.expect("a token"), Some(first.clone()));
    assert_eq!(tokens(ledger, "shop").await, [first]);
    assert_eq!(tokens(ledger, "other").await, []);
}

async fn tokens_are_paged_within_their_project_the_latest_first(ledger: &dyn Ledger) {
    for (id, project_name, ms) in
        [("b", "shop", 2), ("a", "shop", 1), ("d", "shop", 3), ("c", "shop", 3), ("e", "other", 9), ("f", "other", 2)]
    {
        ledger.insert_token(token(id, project_name, AT.plus_ms(ms))).await.expect("an insert");
    }
    for (limit, expected) in [(1, &["d", "c", "b", "a", ""][..]), (3, &["dcb", "a", ""]), (4, &["dcba", ""])] {
        assert_eq!(pages(ledger, "shop", limit).await, expected);
    }
    assert_eq!(pages(ledger, "other", 10).await, ["ef", ""]);
    assert_eq!(ledger.tokens(&project("shop"), None, 0).await.expect("tokens"), []);
}

/// The ids of every page, to the first that is empty.
async fn pages(ledger: &dyn Ledger, project_name: &str, limit: usize) -> Vec<String> {
    let mut pages: Vec<String> = Vec::new();
    let mut last: Option<TokenRow> = None;
    while pages.last().is_none_or(|page| !page.is_empty()) {
        let rows = ledger.tokens(&project(project_name), last.as_ref(), limit).await.expect("tokens");
        pages.push(rows.iter().map(|row| row.id.as_str()).collect());
        last = rows.into_iter().last();
    }
    pages
}
