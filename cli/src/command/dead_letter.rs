//! `tributary dead-letter`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::arguments::{DeadLetterCommand, Form, LetterFilter};
use crate::client::Client;
use crate::failure::{Context, Failure};
use crate::files;
use crate::folder::{Folder, SavedToken};
use crate::output::{Output, TableRow, cell};

pub(super) async fn run(folder: &Folder, output: &Output, command: DeadLetterCommand) -> Result<(), Failure> {
    let client = |endpoint| Client::new(folder, SavedToken::Operator, endpoint);
    match command {
        DeadLetterCommand::List { filter, output: form, endpoint } => {
            list(&client(&endpoint)?, output, &filter, form.output).await
        }
        DeadLetterCommand::Show { id, output: form, endpoint } => {
            show(output, &client(&endpoint)?.get(&path(&id), &[]).await?, form.output)
        }
        DeadLetterCommand::Edit { id, file, editor, endpoint } => {
            edit(&client(&endpoint)?, output, &id, file.as_deref(), &editor).await
        }
        DeadLetterCommand::Retry { id: Some(id), endpoint, .. } => {
            let driven = client(&endpoint)?.post(&format!("{}/retry", path(&id)), &Value::Null).await?;
            outcome(output, std::slice::from_ref(&driven))
        }
        DeadLetterCommand::Retry { id: None, filter, endpoint, .. } => {
            retry_all(&client(&endpoint)?, output, &filter).await
        }
        DeadLetterCommand::Discard { id, reason, endpoint } => {
            client(&endpoint)?.delete(&path(&id), &[("reason", &reason)]).await?;
            output.line(format_args!("discarded {id}"))
        }
    }
}

fn path(id: &str) -> String {
    format!("/v1/dead-letters/{}", escape(id))
}

async fn retry_all(client: &Client, output: &Output, filter: &LetterFilter) -> Result<(), Failure> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut parameters = filter.parameters();
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut page = client.post_with("/v1/dead-letters/retry", &parameters, &Value::Null).await?;
        if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
            all.extend(items);
        }
        cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            return outcome(output, &all);
        }
    }
}

/// What became of dead letters; a failure if one of them is left.
fn outcome(output: &Output, driven: &[Value]) -> Result<(), Failure> {
    let row = |item: &Value| {
        let cells = ["/id", "/resolved", "/left", "/error"].map(|name| cell(item, name));
        TableRow::new(cells.into()).mark(!cell(item, "/left").is_empty())
    };
    output.table(&["id", "resolved", "left", "error"], driven.iter().map(row).collect())?;
    match driven.iter().filter(|item| !cell(item, "/left").is_empty()).count() {
        0 => Ok(()),
        left => Err(Failure::new(format!("{left} of {} are dead letters still", driven.len()))),
    }
}

/// Hands the report to the editor until it is JSON, then applies it.
async fn edit(client: &Client, output: &Output, id: &str, file: Option<&Path>, editor: &str) -> Result<(), Failure> {
    let letter = client.get(&path(id), &[]).await?;
    let report = letter.get("report").filter(|report| !report.is_null());
    let report = report.ok_or_else(|| Failure::new("there is no JSON in this record that could be edited"))?;
    let edited = match file {
        Some(file) => read(file)?,
        None => in_editor(editor, report)?,
    };
    let driven = client.post(&format!("{}/retry", path(id)), &json!({"report": edited})).await?;
    outcome(output, std::slice::from_ref(&driven))
}

fn in_editor(editor: &str, report: &Value) -> Result<Value, Failure> {
    let folder = tempfile::tempdir().context("temporary folder")?;
    let file = folder.path().join("report.json");
    let text = serde_json::to_vec_pretty(report).context("JSON")?;
    files::write(&file, &text).map_err(|error| Failure::file(&file, &error))?;
    // As git does: the editor may be a command with arguments.
    let ended = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&file).status();
    if !ended.context("editor")?.success() {
        return Err(Failure::new(format!("{editor} failed; nothing was sent")));
    }
    let edited = read(&file)?;
    if edited == *report {
        return Err(Failure::new("nothing was changed; nothing was sent"));
    }
    Ok(edited)
}

fn read(file: &Path) -> Result<Value, Failure> {
    let text = fs::read(file).map_err(|error| Failure::file(file, &error))?;
    serde_json::from_slice(&text).context(format_args!("{} is no JSON, nothing was sent", file.display()))
}

/// Ids consist of letters, digits, `-`, `_` and `.`; anything else is none, and must not change the path.
fn escape(id: &str) -> String {
    id.chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' })
        .collect()
}

async fn list(client: &Client, output: &Output, filter: &LetterFilter, form: Form) -> Result<(), Failure> {
    let items = client.all("/v1/dead-letters", &filter.parameters()).await?;
    if form == Form::Json {
        return output.json(&json!({"items": items, "next": null}));
    }
    if items.is_empty() {
        return output.line("there are no dead letters");
    }
    let row = |item: &Value| {
        let cells = ["/id", "/class", "/reason", "/targets", "/count", "/last_seen", "/detail"];
        TableRow::new(cells.map(|name| cell(item, name)).into())
    };
    output.table(
        &["id", "class", "reason", "consumers", "records", "last seen", "detail"],
        items.iter().map(row).collect(),
    )
}

fn show(output: &Output, letter: &Value, form: Form) -> Result<(), Failure> {
    if form == Form::Json {
        return output.json(letter);
    }
    let names = [
        ("id", "/id"),
        ("project", "/project"),
        ("class", "/class"),
        ("reason", "/reason"),
        ("detail", "/detail"),
        ("consumers", "/targets"),
        ("first seen", "/first_seen"),
        ("last seen", "/last_seen"),
        ("object", "/object_key"),
        ("records", "/count"),
        ("bytes", "/record_bytes"),
        ("record (base64)", "/record"),
        ("report", "/report"),
    ];
    output.section("Dead letter", &names.map(|(name, pointer)| (name, cell(letter, pointer))))
}
