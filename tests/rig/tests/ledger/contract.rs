//! The contract that every ledger keeps.

use std::sync::Arc;

use tributary_ports::{Ledger, contract};

use crate::fixture::Fixture;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgresql_keeps_the_contract_of_ledgers() {
    let fixture = Fixture::start().await;
    contract::ledger::all(async || {
        let ledger: Arc<dyn Ledger> = fixture.fresh().await;
        ledger
    })
    .await;
}
