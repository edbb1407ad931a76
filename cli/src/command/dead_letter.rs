//! `tributary dead-letter`.

use serde_json::{Value, json};

use crate::arguments::{DeadLetterCommand, Form};
use crate::client::Client;
use crate::failure::Failure;
use crate::folder::{Folder, SavedToken};
use crate::output::{Output, TableRow, cell};

pub(super) async fn run(folder: &Folder, output: &Output, command: DeadLetterCommand) -> Result<(), Failure> {
    match command {
        DeadLetterCommand::List { output: form, endpoint } => {
            let client = Client::new(folder, SavedToken::Operator, &endpoint)?;
            list(&client, output, form.output).await
        }
        DeadLetterCommand::Show { id, output: form, endpoint } => {
            let client = Client::new(folder, SavedToken::Operator, &endpoint)?;
            let letter = client.get(&format!("/v1/dead-letters/{}", escape(&id)), &[]).await?;
            show(output, &letter, form.output)
        }
    }
}

/// Ids consist of letters, digits, `-`, `_` and `.`; anything else is none, and must not change the path.
fn escape(id: &str) -> String {
    id.chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' })
        .collect()
}

async fn list(client: &Client, output: &Output, form: Form) -> Result<(), Failure> {
    let items = client.all("/v1/dead-letters", &[]).await?;
    if form == Form::Json {
        return output.json(&json!({"items": items, "next": null}));
    }
    if items.is_empty() {
        return output.line("there are no dead letters");
    }
    let row = |item: &Value| {
        let cells = ["/id", "/reason", "/targets", "/last_seen", "/record_bytes", "/detail"];
        TableRow::new(cells.map(|name| cell(item, name)).into())
    };
    output.table(&["id", "reason", "consumers", "last seen", "bytes", "detail"], items.iter().map(row).collect())
}

fn show(output: &Output, letter: &Value, form: Form) -> Result<(), Failure> {
    if form == Form::Json {
        return output.json(letter);
    }
    let names = [
        ("id", "/id"),
        ("project", "/project"),
        ("reason", "/reason"),
        ("detail", "/detail"),
        ("consumers", "/targets"),
        ("first seen", "/first_seen"),
        ("last seen", "/last_seen"),
        ("object", "/object_key"),
        ("bytes", "/record_bytes"),
        ("record (base64)", "/record"),
    ];
    output.section("Dead letter", &names.map(|(name, pointer)| (name, cell(letter, pointer))))
}
