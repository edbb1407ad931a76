//! What every ledger keeps to.

mod dead_letters;
mod invocations;

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
    a_token_is_read_back_as_it_was_written(&*fresh().await).await;
    a_token_that_is_there_is_left_as_it_is(&*fresh().await).await;
    tokens_are_listed_for_their_project_the_latest_first(&*fresh().await).await;
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

async fn ids_of(ledger: &dyn Ledger, project_name: &str) -> Vec<String> {
    let rows = ledger.tokens(&project(project_name)).await.expect("tokens");
    rows.into_iter().map(|row| row.id.as_str().to_owned()).collect()
}

async fn a_token_is_read_back_as_it_was_written(ledger: &dyn Ledger) {
    assert!(ledger.tokens(&project("shop")).await.expect("tokens").is_empty());
    let sets = [Scopes::from(Scope::ALL), Scopes::from([Scope::Ingest]), BTreeSet::new()];
    for (number, scopes) in sets.into_iter().enumerate() {
        let project_name = format!("shop-{number}");
        let row = TokenRow { scopes, ..token(&format!("T_{number}-x"), &project_name, AT) };
        ledger.insert_token(row.clone()).await.expect("an insert");
        assert_eq!(ledger.tokens(&project(&project_name)).await.expect("tokens"), [row]);
    }
}

async fn a_token_that_is_there_is_left_as_it_is(ledger: &dyn Ledger) {
    let first = token("one", "shop", AT);
    ledger.insert_token(first.clone()).await.expect("an insert");
    ledger.insert_token(first.clone()).await.expect("the same again");
    ledger.insert_token(token("one", "other", AT.plus_ms(1))).await.expect("another row of that id");
    assert_eq!(ledger.tokens(&first.project).await.expect("tokens"), [first]);
    assert!(ids_of(ledger, "other").await.is_empty());
}

async fn tokens_are_listed_for_their_project_the_latest_first(ledger: &dyn Ledger) {
    for (id, project_name, ms) in
        [("b", "shop", 2), ("a", "shop", 1), ("d", "shop", 3), ("c", "shop", 3), ("e", "other", 9)]
    {
        ledger.insert_token(token(id, project_name, AT.plus_ms(ms))).await.expect("an insert");
    }
    assert_eq!(ids_of(ledger, "shop").await, ["c", "d", "b", "a"]);
    assert_eq!(ids_of(ledger, "other").await, ["e"]);
}
