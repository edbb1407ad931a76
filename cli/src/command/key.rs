//! `tributary key`: on the data folder, whether or not an `up` runs on it, or on an installation on AWS.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use tributary_access::{PublicKeyFile, add_sender_key, revoke_sender_key, rotate_key};
use tributary_model::ProjectId;
use tributary_model::limits::PUBLIC_KEY_BYTES_MAX;

use crate::arguments::{Form, KeyCommand};
use crate::clock;
use crate::failure::{Context, Failure};
use crate::folder::Stores;
use crate::output::{Output, TableRow, cell};

pub(super) async fn run(stores: &Stores, output: &Output, command: KeyCommand) -> Result<(), Failure> {
    let now = clock::now();
    match command {
        KeyCommand::Add { project, public_key } => {
            let key = read_key(&public_key)?;
            add_sender_key(&*stores.objects, &project, &key, now).await.context("key")?;
            output.line(key.key_id)
        }
        KeyCommand::List { project, output: form } => list(stores, output, project.as_ref(), form.output),
        KeyCommand::Revoke { project, id } => {
            revoke_sender_key(&*stores.objects, &project, &id, now).await.context("key")?;
            output.line(format_args!("revoked {id}"))
        }
        KeyCommand::Rotate => {
            let key = rotate_key(&*stores.objects, &*stores.keys, &stores.issuer, now).await.context("key")?;
            output.line(format_args!("tokens are signed with {} from now on", key.kid))
        }
    }
}

/// Reads a public key; no more of the file than a key can have.
pub(super) fn read_key(path: &Path) -> Result<PublicKeyFile, Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    let read = file.take(PUBLIC_KEY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::file(path, &error))?;
    PublicKeyFile::read(&bytes).context(path.display())
}

fn list(stores: &Stores, output: &Output, project: Option<&ProjectId>, form: Form) -> Result<(), Failure> {
    let items = items(stores, project);
    if form == Form::Json {
        return output.json(&json!({"items": items, "next": null}));
    }
    let row = |item: &Value| {
        let cells = ["/id", "/use", "/project", "/alg", "/added_at", "/ended_at"].map(|name| cell(item, name));
        TableRow::new(cells.into()).mark(!item.get("ended_at").is_none_or(Value::is_null))
    };
    output.table(&["id", "for", "project", "alg", "added", "revoked or retired"], items.iter().map(row).collect())
}

/// Keys for signed reports, and (unless one project's are asked for) those for tokens.
fn items(stores: &Stores, project: Option<&ProjectId>) -> Vec<Value> {
    let mut items = Vec::new();
    for (name, entry) in stores.directory.projects.iter().filter(|(name, _)| project.is_none_or(|only| only == *name)) {
        items.extend(entry.sender_keys.iter().map(|(id, key)| {
            json!({"id": id, "use": "reports", "project": name, "alg": key.jwk.get("alg"), "jwk": key.jwk,
                "added_at": key.added_at, "ended_at": key.revoked_at})
        }));
    }
    if project.is_none() {
        items.extend(stores.directory.token_keys.iter().map(|(id, key)| {
            json!({"id": id, "use": "tokens", "project": null, "alg": key.jwk.get("alg"), "jwk": key.jwk,
                "added_at": null, "ended_at": key.retired_at})
        }));
    }
    items
}
