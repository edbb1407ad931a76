//! `tributary token`: on the data folder, whether or not an `up` runs on it, or on an installation on AWS.

use tributary_access::{TokenRequest, issue_token, revoke_token};
use tributary_model::directory::Scopes;
use tributary_model::limits::PAGE_ITEMS_MAX;
use tributary_model::{ProjectId, TimestampMs};
use tributary_ports::ledger::TokenRow;

use crate::arguments::{Form, TokenCommand};
use crate::clock;
use crate::failure::{Context, Failure};
use crate::folder::Stores;
use crate::output::{Output, TableRow};

pub(super) async fn run(stores: &Stores, output: &Output, command: TokenCommand) -> Result<(), Failure> {
    let now = clock::now();
    match command {
        TokenCommand::Issue { project, scope, expires } => {
            let request = TokenRequest { project, scopes: Scopes::from_iter(scope), lifetime: expires };
            let token =
                issue_token(&*stores.keys, &*stores.objects, &*stores.ledger, &stores.directory, &request, now).await;
            output.line(token.context("token")?)
        }
        TokenCommand::Revoke { id } => {
            let row = stores.ledger.token(&id).await.context("ledger")?;
            let ends_at = row.as_ref().map(|row| row.expires_at);
            revoke_token(&*stores.objects, &id, ends_at, now).await.context("directory")?;
            let unknown = if row.is_none() { ", which the ledger does not know" } else { "" };
            output.line(format_args!("revoked {id}{unknown}"))
        }
        TokenCommand::List { project, output: form } => list(stores, output, project, form.output, now).await,
    }
}

async fn list(
    stores: &Stores,
    output: &Output,
    project: Option<ProjectId>,
    form: Form,
    now: TimestampMs,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for name in stores.directory.projects.keys().filter(|name| project.as_ref().is_none_or(|project| project == *name))
    {
        rows.extend(tokens(stores, name).await?);
    }
    if form == Form::Json {
        let items: Vec<_> = rows.iter().map(|row| described(row, state(stores, row, now))).collect();
        return output.json(&serde_json::json!({"items": items, "next": null}));
    }
    let row = |row: &TokenRow| {
        let scopes: Vec<_> = row.scopes.iter().map(|scope| scope.as_str()).collect();
        let state = state(stores, row, now);
        let cells = [row.id.to_string(), row.project.to_string(), scopes.join(","), row.issued_at.to_string()];
        TableRow::new(cells.into_iter().chain([row.expires_at.to_string(), state.to_owned()]).collect())
            .mark(state != "valid")
    };
    output.table(&["id", "project", "scope", "issued", "expires", "state"], rows.iter().map(row).collect())
}

/// All tokens of a project, page after page.
async fn tokens(stores: &Stores, project: &ProjectId) -> Result<Vec<TokenRow>, Failure> {
    let mut rows: Vec<TokenRow> = Vec::new();
    loop {
        let page = stores.ledger.tokens(project, rows.last(), PAGE_ITEMS_MAX).await.context("ledger")?;
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page);
    }
}

fn state(stores: &Stores, row: &TokenRow, now: TimestampMs) -> &'static str {
    if stores.directory.revoked.contains_key(&row.id) {
        "revoked"
    } else if row.expires_at <= now {
        "expired"
    } else {
        "valid"
    }
}

fn described(row: &TokenRow, state: &str) -> serde_json::Value {
    let mut value = serde_json::to_value(row).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("state".to_owned(), state.into());
    }
    value
}
