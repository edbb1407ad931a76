//! `tributary functions`.

use serde_json::Value;

use super::query;
use crate::arguments::{Form, FunctionsArguments};
use crate::client::Client;
use crate::failure::Failure;
use crate::folder::{Folder, SavedToken};
use crate::output::{Output, TableRow, cell, milliseconds};

pub(super) async fn run(folder: &Folder, output: &Output, arguments: FunctionsArguments) -> Result<(), Failure> {
    query::check(&arguments.query)?;
    let client = Client::new(folder, SavedToken::Local, &arguments.endpoint)?;
    let mut parameters = vec![("query", arguments.query.as_str())];
    parameters.extend(query::range(&arguments.range));
    let answer = client.get("/v1/functions", &parameters).await?;
    if arguments.output.output == Form::Json {
        return output.json(&answer);
    }
    let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return output.line("nothing found");
    }
    let header = ["function", "count", "errors", "cold starts", "p50", "p95", "p99", "last seen"];
    output.table(&header, items.iter().map(row).collect())
}

fn row(item: &Value) -> TableRow {
    let counts = ["/function", "/count", "/errors", "/coldstarts"].map(|name| cell(item, name));
    let durations = ["p50", "p95", "p99"].map(|name| milliseconds(item.pointer(&format!("/duration_ms/{name}"))));
    let cells = counts.into_iter().chain(durations).chain([cell(item, "/last_seen")]).collect();
    TableRow::new(cells).mark(item.get("errors").and_then(Value::as_u64).unwrap_or(0) > 0)
}
