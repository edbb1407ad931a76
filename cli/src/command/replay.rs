//! `tributary replay`.

use serde_json::{Value, json};

use super::watch;
use crate::arguments::{Form, PartArguments, ReplayCommand, ReplayNamed, ReplayStartArguments, Targets};
use crate::client::Client;
use crate::failure::Failure;
use crate::folder::{Folder, SavedToken};
use crate::output::{Output, TableRow, cell};

pub(super) async fn run(folder: &Folder, output: &Output, command: ReplayCommand) -> Result<(), Failure> {
    match command {
        ReplayCommand::Start(arguments) => start(folder, output, arguments).await,
        ReplayCommand::Status(named) => steer(folder, output, named, None).await,
        ReplayCommand::Pause(named) => steer(folder, output, named, Some("pause")).await,
        ReplayCommand::Resume(named) => steer(folder, output, named, Some("resume")).await,
        ReplayCommand::Cancel(named) => cancel(folder, output, named).await,
        ReplayCommand::List { output: form, endpoint } => {
            let client = Client::new(folder, SavedToken::Operator, &endpoint)?;
            list(&client, output, form.output).await
        }
    }
}

async fn start(folder: &Folder, output: &Output, arguments: ReplayStartArguments) -> Result<(), Failure> {
    let client = Client::new(folder, SavedToken::Operator, &arguments.endpoint)?;
    let mode = if arguments.dry_run { "dry-run" } else { "apply" };
    let started = client.post("/v1/replays", &request(&arguments.part, mode)).await?;
    let progress = if arguments.watch { watch::until_over(&client, &started).await? } else { started };
    watch::show(output, &progress, arguments.output.output)?;
    watch::verdict(&progress)
}

/// The body of `POST /v1/replays`.
pub(super) fn request(part: &PartArguments, mode: &str) -> Value {
    let targets = match part.target {
        _ if part.since_outage.is_some() => Value::Null,
        Targets::Search => json!(["search"]),
        Targets::Ledger => json!(["ledger"]),
        Targets::Both => json!(["search", "ledger"]),
    };
    json!({
        "mode": mode,
        "from": part.from,
        "since_outage": part.since_outage,
        "to": part.to,
        "regions": part.region,
        "shards": part.shard,
        "project": part.project,
        "function": part.function,
        "targets": targets,
        "records_per_second": part.rate,
    })
}

async fn steer(folder: &Folder, output: &Output, named: ReplayNamed, action: Option<&str>) -> Result<(), Failure> {
    let client = Client::new(folder, SavedToken::Operator, &named.endpoint)?;
    let path = watch::path(&named.id);
    let progress = match action {
        Some(action) => client.post(&format!("{path}/{action}"), &Value::Null).await?,
        None => client.get(&path, &[]).await?,
    };
    let progress = if named.watch { watch::until_over(&client, &progress).await? } else { progress };
    watch::show(output, &progress, named.output.output)?;
    watch::verdict(&progress)
}

async fn cancel(folder: &Folder, output: &Output, named: ReplayNamed) -> Result<(), Failure> {
    let client = Client::new(folder, SavedToken::Operator, &named.endpoint)?;
    let progress = client.delete(&watch::path(&named.id), &[]).await?;
    watch::show(output, &progress, named.output.output)
}

async fn list(client: &Client, output: &Output, form: Form) -> Result<(), Failure> {
    let items = client.all("/v1/replays", &[]).await?;
    if form == Form::Json {
        return output.json(&json!({"items": items, "next": null}));
    }
    if items.is_empty() {
        return output.line("there are no replays");
    }
    let row = |item: &Value| {
        let cells = ["/id", "/mode", "/from", "/to", "/state", "/ended_at"];
        TableRow::new(cells.map(|name| cell(item, name)).into())
    };
    output.table(&["id", "mode", "from", "to", "state", "ended"], items.iter().map(row).collect())
}
