//! `tributary query`.

use serde_json::{Value, json};
use tributary_model::limits::PAGE_ITEMS_MAX;

use crate::arguments::{Form, QueryArguments, RangeArguments};
use crate::client::Client;
use crate::failure::Failure;
use crate::folder::{Folder, SavedToken};
use crate::output::{Output, TableRow, cell, milliseconds};

pub(super) async fn run(folder: &Folder, output: &Output, arguments: QueryArguments) -> Result<(), Failure> {
    check(&arguments.query)?;
    let client = Client::new(folder, SavedToken::Local, &arguments.endpoint)?;
    let (items, next) = find(&client, &arguments).await?;
    if arguments.output.output == Form::Json {
        return output.json(&json!({"items": items, "next": next}));
    }
    if items.is_empty() {
        return output.line("nothing found");
    }
    let header = ["id", "time", "function", "region", "duration", "", "error"];
    output.table(&header, items.iter().map(row).collect())?;
    if next.is_null() {
        return Ok(());
    }
    output.line(format_args!("\n{} shown, there are more: --limit N, or --all", items.len()))
}

/// Says what is wrong with a query below the query itself, before anybody is asked.
pub(super) fn check(query: &str) -> Result<(), Failure> {
    match tributary_query::parse(query) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(format!("the query can't be read\n\n{}", indent(&error.with_caret())))
            .hint("\n  docs/query-language.md has every field")),
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect::<String>().trim_end().to_owned()
}

/// The items, page after page, and the cursor behind the last one.
async fn find(client: &Client, arguments: &QueryArguments) -> Result<(Vec<Value>, Value), Failure> {
    let wanted = if arguments.all { usize::MAX } else { arguments.limit };
    let mut items = Vec::new();
    let mut next = Value::Null;
    while items.len() < wanted {
        let limit = (wanted - items.len()).min(PAGE_ITEMS_MAX).to_string();
        let mut parameters = vec![("query", arguments.query.as_str()), ("limit", &limit)];
        parameters.extend(range(&arguments.range));
        parameters.extend(arguments.sort.as_deref().map(|sort| ("sort", sort)));
        parameters.extend(next.as_str().map(|cursor| ("cursor", cursor)));
        let mut page = client.get("/v1/invocations", &parameters).await?;
        if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
            items.extend(more);
        }
        next = page.get("next").cloned().unwrap_or_default();
        if next.is_null() {
            break;
        }
    }
    Ok((items, next))
}

/// A range as parameters of the API.
pub(super) fn range(range: &RangeArguments) -> impl Iterator<Item = (&'static str, &str)> {
    let from = range.from.as_deref().map(|from| ("from", from));
    from.into_iter().chain(range.to.as_deref().map(|to| ("to", to)))
}

fn row(item: &Value) -> TableRow {
    let flags = [("/coldstart", "cold"), ("/timeout", "timeout"), ("/signed", "signed")];
    let flags: Vec<_> = flags
        .iter()
        .filter(|(name, _)| item.pointer(name) == Some(&Value::Bool(true)))
        .map(|(_, flag)| *flag)
        .collect();
    let error = match (cell(item, "/error/name"), cell(item, "/error/message")) {
        (name, message) if message.is_empty() => name,
        (name, message) => format!("{name}: {message}"),
    };
    let time = cell(item, "/timestamp").replace('T', " ").trim_end_matches('Z').to_owned();
    let texts = [cell(item, "/id"), time, cell(item, "/function"), cell(item, "/region")];
    let rest = [milliseconds(item.get("duration_ms")), flags.join(" "), error];
    TableRow::new(texts.into_iter().chain(rest).collect()).mark(!item.get("error").is_none_or(Value::is_null))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_a_query_is_pointed_at() {
        let message = check("duration:>fast").expect_err("no number").to_string();
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines[2], "  duration:>fast");
        assert!(lines[3].trim_start().starts_with('^'), "{message}");
        assert!(check("duration:>5ms error:*").is_ok());
    }
}
