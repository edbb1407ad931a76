//! `tributary ledger`: on the data folder, whether or not an `up` runs on it, or on an installation on AWS.

use tributary_access::restore_tokens;
use tributary_replay::{restore_audit_events, restore_dead_letters, restore_outages};

use crate::arguments::LedgerCommand;
use crate::failure::{Context, Failure};
use crate::folder::Stores;
use crate::output::Output;

pub(super) async fn run(stores: &Stores, output: &Output, command: LedgerCommand) -> Result<(), Failure> {
    match command {
        LedgerCommand::Restore => {
            let tokens = restore_tokens(&*stores.objects, &*stores.ledger).await.context("tokens")?;
            let letters = restore_dead_letters(&*stores.objects, &*stores.keys, &*stores.ledger).await;
            let letters = letters.context("dead letters")?;
            let outages = restore_outages(&*stores.objects, &*stores.ledger).await.context("outages")?;
            let events = restore_audit_events(&*stores.objects, &*stores.ledger).await.context("audit trail")?;
            output.line(format_args!(
                "restored {tokens} tokens, {letters} dead letters, {outages} outages, {events} events of the audit trail"
            ))?;
            output.line("invocations come back with `tributary replay start --target ledger --from TIME`")
        }
    }
}
