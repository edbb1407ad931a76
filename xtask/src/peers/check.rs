//! Comparing what is found with what must be found.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::Value;

use super::agent::Agent;
use super::client::Client;
use super::drive::{Sent, log_name};
use super::table::{Row, Verdict};
use super::want::{self, Expect, Field, SCENARIOS, want};
use crate::failure::Failure;
use crate::process;

/// The agent's rows of the table. What can't be found by `deadline` counts as lost.
pub(crate) fn rows(
    agent: Agent,
    sent: &Result<Vec<Sent>, Failure>,
    client: &Client<'_>,
    deadline: Instant,
) -> Vec<Row> {
    let row = |scenario, verdict| Row { agent: agent.title(), scenario, verdict };
    let mut rows: Vec<Row> = SCENARIOS
        .iter()
        .map(|scenario| {
            let verdict = match (want::absent(agent, scenario), sent) {
                (Some(reason), _) => Verdict::Absent(reason),
                (None, Err(_)) => Verdict::Failed(vec!["its driver failed, see below".to_owned()]),
                (None, Ok(sent)) => one(agent, scenario, sent, client, deadline),
            };
            row(*scenario, verdict)
        })
        .collect();
    let all = match sent {
        Ok(sent) => verdict(together(agent, sent, client)),
        Err(failure) => Verdict::Failed(vec![failure.to_string()]),
    };
    rows.push(row("all, each once", all));
    rows
}

/// One scenario: what it sent is found by its request id, holds the right values, and is found by what makes it special.
fn one(agent: Agent, scenario: &str, sent: &[Sent], client: &Client<'_>, deadline: Instant) -> Verdict {
    let Some(sent) = sent.iter().find(|sent| sent.scenario == scenario) else {
        return Verdict::Failed(vec!["its driver did not run it".to_owned()]);
    };
    verdict(differences(agent, sent, client, deadline))
}

fn differences(agent: Agent, sent: &Sent, client: &Client<'_>, deadline: Instant) -> Result<Vec<String>, Failure> {
    let want = want(agent, sent);
    let mut differences = Vec::new();
    let query = format!("request_id:{}", sent.request_id);
    let found = process::poll(deadline.saturating_duration_since(Instant::now()), || {
        let items = client.find(&query)?;
        Ok((!items.is_empty()).then_some(items))
    })?;
    let Some(items) = found else {
        let log = log_name(agent);
        return Err(Failure::new(format!("{query}: not found; target/peers/logs/{log}.log has the agent's own words")));
    };
    let [item] = items.as_slice() else {
        return Err(Failure::new(format!("{query}: found {} times", items.len())));
    };
    let whole = client.open(id(item))?;
    differences.extend(listed(item, &whole));
    differences.extend(compare(&whole, &want.fields));
    if whole.to_string().contains(client.token()) {
        differences.push("the token stands in the invocation".to_owned());
    }
    if want.raised.is_some() && want.raised != sent.raised.as_deref() {
        differences.push(format!("the agent must pass on {:?}, but passed on {:?}", want.raised, sent.raised));
    }
    for query in want.queries {
        let query = format!("function:{} {query}", agent.function());
        let found = client.find(&query)?;
        let ids = request_ids(&found);
        if ids != [sent.request_id.as_str()] {
            differences.push(format!("{query}: wanted {:?} alone, found {ids:?}", sent.request_id));
        }
    }
    Ok(differences)
}

/// The list and the invocation itself must agree in the fields that every list has (DESIGN section 8).
fn listed(item: &Value, whole: &Value) -> Vec<String> {
    const LISTED: [&str; 15] = [
        "id",
        "project",
        "account",
        "region",
        "request_id",
        "function",
        "version",
        "timestamp",
        "received_at",
        "duration_ms",
        "coldstart",
        "error",
        "labels",
        "metrics",
        "agent",
    ];
    LISTED
        .iter()
        .filter(|key| item.get(*key).is_none() || item.get(*key) != whole.get(*key))
        .map(|key| format!("{key}: {:?} in the list, but {:?} in the invocation", item.get(*key), whole.get(*key)))
        .collect()
}

/// All of the agent's invocations are found by the `query` command, each once and nothing else, and all come from one
/// process.
fn together(agent: Agent, sent: &[Sent], client: &Client<'_>) -> Result<Vec<String>, Failure> {
    let mut wanted: Vec<&str> = sent.iter().map(|sent| sent.request_id.as_str()).collect();
    wanted.sort_unstable();
    let query = format!("function:{}", agent.function());
    let found = client.find_by_program(&query)?;
    let mut differences = Vec::new();
    let ids = request_ids(&found);
    if ids != wanted {
        let lost: Vec<_> = wanted.iter().filter(|id| !ids.contains(id)).collect();
        let unknown: Vec<_> = ids.iter().filter(|id| !wanted.contains(id)).collect();
        differences.push(format!(
            "tributary query {query}: found {} of {}; lost {lost:?}, never sent {unknown:?}",
            ids.len(),
            wanted.len()
        ));
    }
    let mut processes = BTreeSet::new();
    for item in &found {
        let whole = client.open(id(item))?;
        processes.insert(whole.get("process_id").map(Value::to_string));
    }
    if processes.len() != 1 || processes.contains(&None) {
        differences.push(format!("process_id: wanted one for all, found {processes:?}"));
    }
    Ok(differences)
}

fn id(item: &Value) -> &str {
    item.get("id").and_then(Value::as_str).unwrap_or_default()
}

fn verdict(differences: Result<Vec<String>, Failure>) -> Verdict {
    match differences {
        Ok(differences) if differences.is_empty() => Verdict::Ok,
        Ok(differences) => Verdict::Failed(differences),
        Err(failure) => Verdict::Failed(vec![failure.to_string()]),
    }
}

fn request_ids(items: &[Value]) -> Vec<&str> {
    let mut ids: Vec<&str> = items.iter().filter_map(|item| item.get("request_id")?.as_str()).collect();
    ids.sort_unstable();
    ids
}

/// What differs, as `field: wanted this, found that`.
fn compare(document: &Value, fields: &[Field]) -> Vec<String> {
    fields
        .iter()
        .filter(|(pointer, expect)| !meets(document.pointer(pointer), expect))
        .map(|(pointer, expect)| {
            let found = document.pointer(pointer).map_or_else(|| "nothing".to_owned(), Value::to_string);
            format!("{}: wanted {expect}, found {found}", pointer.trim_start_matches('/'))
        })
        .collect()
}

fn meets(found: Option<&Value>, expect: &Expect) -> bool {
    match (expect, found) {
        (Expect::Nothing, None | Some(Value::Null)) => true,
        (Expect::Nothing, Some(Value::Array(items))) => items.is_empty(),
        (Expect::Nothing, Some(Value::Object(fields))) => fields.is_empty(),
        (Expect::Is(wanted), Some(found)) => same(wanted, found),
        (Expect::Holds(part), Some(Value::String(text))) => text.contains(part),
        (Expect::Between(least, most), Some(Value::Number(number))) => {
            number.as_f64().is_some_and(|number| (*least..=*most).contains(&number))
        }
        // Times of one form are in order as texts.
        (Expect::Time(from, to), Some(Value::String(text))) => {
            text.len() == "2026-11-21T00:00:00.000Z".len() && from <= text && text <= to
        }
        (Expect::Some, Some(Value::String(text))) => !text.is_empty(),
        (Expect::Some, Some(value)) => !value.is_null(),
        (Expect::Items(wanted), Some(Value::Array(found))) => {
            let holds = |item: &Value, fields: &[Field]| compare(item, fields).is_empty();
            wanted.len() == found.len() && wanted.iter().all(|fields| found.iter().any(|item| holds(item, fields)))
        }
        _ => false,
    }
}

/// Equal as JSON, where 3 and 3.0 are one number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_expectation_accepts_and_refuses() {
        let time = |text: &str| format!("2026-11-21T10:00:{text}Z");
        let rows: Vec<(Expect, Value, Value)> = vec![
            (Expect::Is(json!({"n": 3})), json!({"n": 3.0}), json!({"n": 3, "s": null})),
            (Expect::Is(json!([1, 2])), json!([1, 2]), json!([2, 1])),
            (Expect::Holds("cart"), json!("a cart"), json!("a card")),
            (Expect::Between(1.0, 2.0), json!(2), json!(2.1)),
            (Expect::Time(time("01.000"), time("02.000")), json!(time("01.500")), json!(time("02.001"))),
            (Expect::Time(time("01.000"), time("02.000")), json!(time("02.000")), json!(1_795_300_000)),
            (Expect::Some, json!("x"), json!("")),
            (Expect::Some, json!(0), Value::Null),
            (Expect::Nothing, json!([]), json!([1])),
            (Expect::Items(vec![vec![("/a", Expect::Is(json!(1)))]]), json!([{"a": 1, "b": 2}]), json!([{"a": 2}])),
            (Expect::Items(vec![]), json!([]), json!([1])),
        ];
        for (expect, good, bad) in rows {
            assert!(meets(Some(&good), &expect), "{expect:?} {good}");
            assert!(!meets(Some(&bad), &expect), "{expect:?} {bad}");
        }
        assert!(meets(None, &Expect::Nothing));
        assert!(!meets(None, &Expect::Some));
    }

    #[test]
    fn a_difference_names_field_wanted_and_found() {
        let found = compare(&json!({"error": {"name": "Error"}}), &[("/error/name", Expect::Is(json!("RangeError")))]);
        assert_eq!(found, ["error/name: wanted \"RangeError\", found \"Error\""]);
        assert_eq!(compare(&json!({}), &[("/id", Expect::Some)]), ["id: wanted anything, found nothing"]);
    }

    #[test]
    fn a_list_that_differs_from_its_invocation_is_told() {
        let whole = json!({
            "id": "i", "project": "p", "account": "a", "region": "r", "request_id": "q", "function": "f", "version": "1",
            "timestamp": "t", "received_at": "t", "duration_ms": 1, "coldstart": true, "error": null, "labels": [],
            "metrics": [], "agent": {}, "marks": []
        });
        assert!(listed(&whole, &whole).is_empty());
        let mut item = whole.clone();
        item["labels"] = json!(["vip"]);
        assert_eq!(listed(&item, &whole).len(), 1);
    }
}
