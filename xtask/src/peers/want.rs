//! What must be found for each scenario of each agent: the rows of the table, as data.

use std::fmt;

use serde_json::{Value, json};

use super::agent::Agent;
use super::drive::{REGION, Sent};

/// What a field must be.
#[derive(Debug)]
pub(crate) enum Expect {
    /// This value; numbers are equal if their values are.
    Is(Value),
    /// A text that holds this one.
    Holds(&'static str),
    /// A number within these bounds.
    Between(f64, f64),
    /// A time (RFC 3339, milliseconds, UTC) within these bounds.
    Time(String, String),
    /// Anything but null and the empty text.
    Some,
    /// Null, an empty list, or no such field.
    Nothing,
    /// A list of as many items, in any order, each with these fields and possibly more.
    Items(Vec<Vec<Field>>),
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => write!(f, "{value}"),
            Self::Holds(part) => write!(f, "a text with {part:?}"),
            Self::Between(least, most) => write!(f, "{least} to {most}"),
            Self::Time(from, to) => write!(f, "{from} to {to}"),
            Self::Some => f.write_str("anything"),
            Self::Nothing => f.write_str("nothing"),
            Self::Items(items) => {
                write!(f, "{} items", items.len())?;
                let field = |(pointer, expect): &Field| format!("{}: {expect}", pointer.trim_start_matches('/'));
                let item = |fields: &Vec<Field>| fields.iter().map(field).collect::<Vec<_>>().join(", ");
                items.iter().try_for_each(|fields| write!(f, " ({})", item(fields)))
            }
        }
    }
}

/// A field of a JSON document, as a JSON pointer (RFC 6901), and what it must be.
pub(crate) type Field = (&'static str, Expect);

/// What must be found for one invocation.
#[derive(Debug)]
pub(crate) struct Want {
    /// What the whole invocation must hold.
    pub(crate) fields: Vec<Field>,
    /// Queries, each within the function, that must find this invocation and no other of the function.
    pub(crate) queries: Vec<&'static str>,
    /// The message of what the function threw must have come out of the agent.
    pub(crate) raised: Option<&'static str>,
}

/// The scenarios, named as the drivers name them.
pub(crate) const SCENARIOS: [&str; 9] = [
    "cold start",
    "warm",
    "thrown error",
    "timeout window",
    "custom metrics",
    "labels",
    "trace marks",
    "HTTP trace",
    "event info",
];

/// The message of the function's own error, in every language.
const ERROR_MESSAGE: &str = "cart 42 has no items";

/// Longest believable duration of a scenario that has nothing to wait for, ms, on a busy machine.
const DURATION_MS_MAX: f64 = 9_000.0;

/// Why the agent can't take part in a scenario, where it can't.
pub(crate) fn absent(agent: Agent, scenario: &str) -> Option<&'static str> {
    match (agent, scenario) {
        (Agent::Java, "HTTP trace") => Some("this agent traces no HTTP requests"),
        (Agent::Go, "trace marks" | "HTTP trace") => Some("this agent has no trace plugin"),
        (Agent::Go, "event info") => Some("this agent has no event-info plugin"),
        _ => None,
    }
}

/// What must be found for what `sent` tells.
pub(crate) fn want(agent: Agent, sent: &Sent) -> Want {
    let mut want = Want { fields: everywhere(agent, sent), queries: Vec::new(), raised: None };
    let fields = &mut want.fields;
    fields.push(("/labels", Expect::Is(json!(labels(agent, &sent.scenario)))));
    fields.push(("/coldstart", Expect::Is(json!(sent.scenario == "cold start"))));
    fields.push(("/timeout", Expect::Is(json!(sent.scenario == "timeout window"))));
    fields.push(("/duration_ms", duration(&sent.scenario)));
    fields.push(("/metrics", Expect::Is(metrics(agent, &sent.scenario))));
    fields.push(("/marks", marks(&sent.scenario)));
    fields.push(("/http_traces", http_traces(sent)));
    fields.extend(error(agent, &sent.scenario));
    let source = if sent.scenario == "event info" { json!("api-gateway") } else { Value::Null };
    fields.push(("/event_source", Expect::Is(source)));
    want.queries = queries(agent, &sent.scenario);
    want.raised = (sent.scenario == "thrown error").then_some(ERROR_MESSAGE);
    want
}

/// What every invocation of the agent's function holds.
fn everywhere(agent: Agent, sent: &Sent) -> Vec<Field> {
    let function = agent.function();
    let far = "9999".to_owned();
    vec![
        ("/id", Expect::Some),
        ("/project", Expect::Some),
        ("/account", Expect::Some),
        ("/token", Expect::Some),
        ("/process_id", Expect::Some),
        ("/request_id", Expect::Is(json!(sent.request_id))),
        ("/region", Expect::Is(json!(REGION))),
        ("/function", Expect::Is(json!(function))),
        ("/version", Expect::Is(json!("7"))),
        ("/timestamp", Expect::Time(sent.started.clone(), sent.ended.clone())),
        ("/timestamp_end", Expect::Time(sent.started.clone(), sent.ended.clone())),
        ("/received_at", Expect::Time(sent.started.clone(), far)),
        ("/agent", Expect::Is(json!({"runtime": agent.runtime(), "version": agent.reported_version()}))),
        ("/runtime/name", Expect::Is(json!(agent.runtime_name()))),
        ("/runtime/version", Expect::Some),
        ("/aws/arn", Expect::Is(json!(format!("arn:aws:lambda:{REGION}:123456789012:function:{function}")))),
        ("/aws/account_id", Expect::Is(json!("123456789012"))),
        ("/aws/log_group", Expect::Is(json!(format!("/aws/lambda/{function}")))),
        ("/aws/log_stream", Expect::Is(json!("2026/11/21/[7]0123456789abcdef0123456789abcdef"))),
        ("/aws/remaining_ms", Expect::Between(0.0, 10_000.0)),
        ("/memory/limit_mib", Expect::Is(json!(256))),
        ("/memory/used_mib", Expect::Between(1.0, 4_096.0)),
        ("/memory/host_total_mib", Expect::Between(64.0, 1e9)),
        ("/cpu/count", Expect::Between(1.0, 4_096.0)),
        ("/host/name", Expect::Some),
        ("/host/boot_id", Expect::Some),
        ("/install_method", Expect::Is(json!("manual"))),
        ("/signed", Expect::Is(json!(false))),
        ("/removed", Expect::Nothing),
        ("/unknown", Expect::Nothing),
        ("/original/aws/awsRequestId", Expect::Is(json!(sent.request_id))),
        ("/original/aws/functionName", Expect::Is(json!(agent.function()))),
    ]
}

/// The labels, sorted: the function's own, and the automatic ones, which normalize adds where the agent does not (Java
/// 1.3.0 and Go 0.1.1 add none, Python no error's to a timeout); a plugin's label only its agent can give.
fn labels(agent: Agent, scenario: &str) -> &'static [&'static str] {
    match (agent, scenario) {
        (_, "labels") => &["größe 🚀", "vip"],
        (_, "cold start") => &["@iopipe/coldstart"],
        (_, "thrown error") => &["@iopipe/error"],
        (_, "timeout window") => &["@iopipe/error", "@iopipe/timeout"],
        (_, "custom metrics") => &["@iopipe/metrics"],
        (Agent::Java, "event info") => &["@iopipe/aws-api-gateway"],
        (Agent::Java | Agent::Go, _) => &[],
        (_, "trace marks") | (Agent::Python, "HTTP trace") => &["@iopipe/plugin-trace"],
        (_, "event info") => &["@iopipe/aws-api-gateway", "@iopipe/plugin-event-info"],
        _ => &[],
    }
}

/// The timeout scenario has 500 ms and a window of 150 ms, so its report comes after 350 ms; Java 1.3.0 sends no duration
/// with it, and normalize takes the time between its start and its end.
fn duration(scenario: &str) -> Expect {
    match scenario {
        "timeout window" => Expect::Between(340.0, 2_000.0),
        _ => Expect::Between(0.0, DURATION_MS_MAX),
    }
}

/// The metrics in the order in which the agent sends them: that of the calls, except in Java, where it is the names'.
fn metrics(agent: Agent, scenario: &str) -> Value {
    let named = |name: &str, text: &str| json!({"name": format!("@iopipe/event-info.{name}"), "s": text});
    match (agent, scenario) {
        // Java's metrics are whole numbers.
        (Agent::Java, "custom metrics") => json!([
            {"name": "cart_currency", "s": "EUR"}, {"name": "cart_items", "n": 3}, {"name": "cart_total", "n": 129}
        ]),
        (_, "custom metrics") => json!([
            {"name": "cart_total", "n": 129.5}, {"name": "cart_items", "n": 3}, {"name": "cart_currency", "s": "EUR"}
        ]),
        (_, "event info") => {
            let mut metrics = vec![
                named("apiGateway.httpMethod", "GET"),
                named("apiGateway.path", "/carts/42"),
                named("apiGateway.requestContext.accountId", "123456789012"),
                named("apiGateway.requestContext.httpMethod", "GET"),
                named("apiGateway.requestContext.identity.userAgent", "peers/1"),
                named("apiGateway.requestContext.requestId", "gateway-request-1"),
                named("apiGateway.requestContext.resourcePath", "/carts/{id}"),
                named("apiGateway.requestContext.stage", "prod"),
                named("apiGateway.resource", "/carts/{id}"),
                named("eventType", "apiGateway"),
            ];
            if agent == Agent::Python {
                metrics.push(json!({"name": "@iopipe/event-info.apiGateway.response.statusCode", "n": 200}));
            }
            Value::Array(metrics)
        }
        _ => json!([]),
    }
}

fn marks(scenario: &str) -> Expect {
    let mark = |kind: &str, duration: Expect| {
        vec![
            ("/name", Expect::Is(json!("database"))),
            ("/kind", Expect::Is(json!(kind))),
            ("/start_ms", Expect::Some),
            ("/duration_ms", duration),
        ]
    };
    match scenario {
        "trace marks" => Expect::Items(vec![
            mark("start", Expect::Is(json!(0))),
            mark("measure", Expect::Between(0.0, DURATION_MS_MAX)),
            mark("end", Expect::Is(json!(0))),
        ]),
        _ => Expect::Nothing,
    }
}

fn http_traces(sent: &Sent) -> Expect {
    match &sent.url {
        Some(url) => Expect::Items(vec![vec![
            ("/method", Expect::Is(json!("GET"))),
            ("/url", Expect::Is(json!(url))),
            ("/host", Expect::Is(json!("127.0.0.1"))),
            ("/status", Expect::Is(json!(201))),
            ("/start_ms", Expect::Between(0.0, DURATION_MS_MAX)),
            ("/duration_ms", Expect::Between(0.001, DURATION_MS_MAX)),
        ]]),
        None => Expect::Nothing,
    }
}

/// Name and message as the language gives them, and what its stack leads through. Go's stack is that of its agent.
fn error(agent: Agent, scenario: &str) -> Vec<Field> {
    let (name, message, stack) = match (scenario, agent) {
        ("thrown error", Agent::NodeJs) => ("RangeError", ERROR_MESSAGE, "at loadCart"),
        ("thrown error", Agent::Python) => ("CartError", ERROR_MESSAGE, "in load_cart"),
        ("thrown error", Agent::Java) => ("java.lang.IllegalStateException", ERROR_MESSAGE, "Driver.loadCart"),
        ("thrown error", Agent::Go) => ("CartError", ERROR_MESSAGE, "(*HandlerWrapper).Invoke"),
        ("timeout window", Agent::NodeJs) => ("Error", "Timeout Exceeded.", "_onTimeout"),
        ("timeout window", Agent::Python) => ("TimeoutError", "Timeout Exceeded.", "in invoke"),
        ("timeout window", Agent::Java) => {
            ("com.iopipe.IOpipeTimeOutException", "Execution timed out.", "Driver.outlast")
        }
        ("timeout window", Agent::Go) => ("errorString", "Timeout Exceeded", "(*HandlerWrapper).Invoke"),
        _ => return vec![("/error", Expect::Is(Value::Null))],
    };
    vec![
        ("/error/name", Expect::Is(json!(name))),
        ("/error/message", Expect::Is(json!(message))),
        ("/error/stack", Expect::Holds(stack)),
        ("/error/fingerprint", Expect::Some),
    ]
}

/// Queries by what makes the scenario what it is.
fn queries(agent: Agent, scenario: &str) -> Vec<&'static str> {
    match (scenario, agent) {
        ("cold start", _) => vec!["coldstart:true", "label:@iopipe/coldstart"],
        ("thrown error", Agent::NodeJs) => vec!["error:RangeError", "\"cart 42 has no items\""],
        ("thrown error", Agent::Java) => vec!["error:java.lang.IllegalStateException", "\"cart 42 has no items\""],
        ("thrown error", _) => vec!["error:CartError", "\"cart 42 has no items\""],
        ("timeout window", Agent::NodeJs) => vec!["label:@iopipe/timeout", "error:Error \"Timeout Exceeded\""],
        ("timeout window", Agent::Python) => vec!["error:TimeoutError duration:>300ms", "label:@iopipe/timeout"],
        ("timeout window", Agent::Java) => vec!["\"Execution timed out\"", "timeout:true duration:>300ms"],
        ("timeout window", Agent::Go) => vec!["error:errorString duration:>300ms", "label:@iopipe/timeout"],
        ("custom metrics", _) => vec!["metric.cart_total:>100", "metric.cart_items:3 metric.cart_currency:EUR"],
        ("labels", _) => vec!["label:vip", "label:\"größe 🚀\""],
        ("event info", _) => vec!["label:@iopipe/aws-api-gateway", "event_source:api-gateway"],
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agent_takes_part_or_says_why_not() {
        let absences = Agent::ALL.iter().flat_map(|agent| SCENARIOS.iter().filter_map(|name| absent(*agent, name)));
        assert_eq!(absences.count(), 4);
    }
}
