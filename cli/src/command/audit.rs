//! `tributary audit`: what the stores lack of what the stream holds, or of what a sender has receipts of.

use std::fs::File;
use std::io::{BufRead, BufReader};

use serde::Serialize;
use serde_json::{Value, json};
use tributary_model::ReportId;
use tributary_model::limits::REPLAY_IDS_MAX;

use super::{replay, watch};
use crate::arguments::{AuditArguments, Form};
use crate::client::Client;
use crate::failure::{Context, Failure};
use crate::folder::{Folder, SavedToken};
use crate::output::{Output, cell};

pub(super) async fn run(folder: &Folder, output: &Output, arguments: AuditArguments) -> Result<(), Failure> {
    let client = Client::new(folder, SavedToken::Operator, &arguments.endpoint)?;
    if arguments.receipts.is_some() {
        return receipts(&client, output, &arguments).await;
    }
    let mode = if arguments.heal { "heal" } else { "audit" };
    let started = client.post("/v1/replays", &replay::request(&arguments.part, mode)).await?;
    let progress = watch::until_over(&client, &started).await?;
    let findings = client.all(&format!("{}/findings", watch::path(&cell(&progress, "/id"))), &[]).await?;
    if arguments.output.output == Form::Json {
        output.json(&json!({"replay": progress, "findings": findings}))?;
    } else {
        watch::show(output, &progress, Form::Table)?;
        for finding in &findings {
            let [problem, target, id] = ["/problem", "/target", "/id"].map(|name| cell(finding, name));
            output.line(format_args!("{problem} in {target}: {id}"))?;
        }
    }
    // What was missing or differing is healed by now; a copy too many is not.
    let left = |finding: &&Value| !arguments.heal || cell(finding, "/problem") == "doubled";
    verdict(findings.iter().filter(left).count(), arguments.heal)?;
    watch::verdict(&progress) // what could not be compared is not known to be in order
}

/// `wrong` is how many reports are not in order, after the healing if there was one.
fn verdict(wrong: usize, healed: bool) -> Result<(), Failure> {
    if wrong == 0 {
        return Ok(());
    }
    let failure = Failure::new(format!("{wrong} findings"));
    if healed {
        return Err(failure
            .hint("healing could not mend them: the stream does not have them any more, or a store has them twice"));
    }
    Err(failure.hint("`tributary audit --heal` with the same range applies what is missing or differing"))
}

/// Looks for every receipt of the file, a page at a time; what is in neither a store nor a dead letter is named, and
/// replayed by its id if it is to be healed, and looked for again: the stream may not have it.
async fn receipts(client: &Client, output: &Output, arguments: &AuditArguments) -> Result<(), Failure> {
    let Some(path) = &arguments.receipts else { return Ok(()) };
    let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    let mut lines = BufReader::new(file).lines();
    let (mut checked, mut lacking, mut left) = (0_u64, 0, 0);
    loop {
        let mut page = Vec::new();
        for line in lines.by_ref().take(REPLAY_IDS_MAX) {
            let line = line.map_err(|error| Failure::file(path, &error))?;
            let id: ReportId = line.trim().parse().context(format_args!("{}: {line:?}", path.display()))?;
            page.push(id);
        }
        if page.is_empty() {
            break;
        }
        checked += u64::try_from(page.len()).unwrap_or_default();
        let mut lacks = missing(client, output, &page).await?;
        lacking += lacks.len();
        if arguments.heal && !lacks.is_empty() {
            let mut request = replay::request(&arguments.part, "heal");
            if let Some(fields) = request.as_object_mut() {
                fields.insert("ids".to_owned(), json!(lacks));
            }
            let started = client.post("/v1/replays", &request).await?;
            let progress = watch::until_over(client, &started).await?;
            watch::show(output, &progress, arguments.output.output)?;
            lacks = missing(client, output, &lacks).await?;
        }
        left += lacks.len();
    }
    output.line(format_args!("{checked} receipts, {lacking} of them lacking in a store"))?;
    verdict(left, arguments.heal)
}

/// The ids of which a store lacks the report, each printed with the store.
async fn missing<I: Serialize>(client: &Client, output: &Output, page: &[I]) -> Result<Vec<String>, Failure> {
    let answer = client.post("/v1/receipts", &json!({"ids": page})).await?;
    let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut missing = Vec::new();
    for item in items {
        let has = |name: &str| item.get(name).and_then(Value::as_bool).unwrap_or_default();
        let lacks: Vec<&str> = ["search", "ledger"].into_iter().filter(|store| !has(store)).collect();
        if lacks.is_empty() || has("dead_letter") || has("overflow") {
            continue;
        }
        let id = cell(item, "/id");
        output.line(format_args!("missing in {}: {id}", lacks.join(" and ")))?;
        missing.push(id);
    }
    Ok(missing)
}
