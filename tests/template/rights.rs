//! A function may do on AWS what its code asks of the ports, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::settings::{functions, setting_name};
use crate::template::{Resource, Template};
use crate::{In, Project, finds, holds};

/// What the AWS adapter asks of AWS, as IAM names it, for each call of a port or for all that are not listed.
const CALLS: &[(&str, &[&str])] = &[
    ("stream.append", &["kinesis:PutRecords", "kms:GenerateDataKey"]),
    ("stream.shards", &["kinesis:ListShards"]),
    ("stream.reader", READER),
    ("stream.remove_reader", &["kinesis:DeregisterStreamConsumer", "kinesis:DescribeStreamConsumer"]),
    ("stream.retention", &["kinesis:DescribeStreamSummary"]),
    ("stream.set_retention", SET_RETENTION),
    ("search.expire", &["es:ESHttpDelete", "es:ESHttpGet"]),
    ("search", &["es:ESHttpPost"]),
    ("ledger", LEDGER),
    ("objects.get", OBJECTS_GET),
    ("objects.put", OBJECTS_PUT),
    ("objects.list", &["s3:ListBucket"]),
    ("objects.delete", &["s3:DeleteObject"]),
    ("next.start", &["lambda:InvokeFunction"]),
    ("settings.refresh", OBJECTS_GET),
    ("overflow.keep", OBJECTS_PUT),
    ("overflow.list", &["s3:ListBucket"]),
    ("overflow.read", OBJECTS_GET),
    ("overflow.forget", &["s3:DeleteObject"]),
    ("control.pause", &["lambda:UpdateEventSourceMapping", "lambda:GetEventSourceMapping"]),
    ("control.resume", &["lambda:UpdateEventSourceMapping", "lambda:GetEventSourceMapping"]),
    ("control.set_batches", &["lambda:UpdateEventSourceMapping", "lambda:GetEventSourceMapping"]),
    ("control.state", &["lambda:GetEventSourceMapping"]),
];
const READER: &[&str] = &[
    "kinesis:DescribeStreamSummary",
    "kinesis:RegisterStreamConsumer",
    "kinesis:DescribeStreamConsumer",
    "kinesis:SubscribeToShard",
    "kms:Decrypt",
];
/// The adapter asks how long records are kept before it changes that.
const SET_RETENTION: &[&str] = &[
    "kinesis:DescribeStreamSummary",
    "kinesis:IncreaseStreamRetentionPeriod",
    "kinesis:DecreaseStreamRetentionPeriod",
];
const LEDGER: &[&str] = &["rds-data:ExecuteStatement", "secretsmanager:GetSecretValue", "kms:Decrypt"];
const OBJECTS_GET: &[&str] = &["s3:GetObject", "s3:ListBucket", "kms:Decrypt"];
/// A large object goes up in one part, but S3 still asks for the right to decrypt with the key that encrypts it.
const OBJECTS_PUT: &[&str] = &["s3:PutObject", "kms:GenerateDataKey", "kms:Decrypt"];

/// What a function may do beside its ports: write its log; and by a variable that it is given, read the directory or keep a
/// copy of it.
const LOG: &[&str] = &["logs:CreateLogStream", "logs:PutLogEvents"];
const BY_VARIABLE: &[(&str, &[&str])] = &[
    ("TRIBUTARY_JWKS", OBJECTS_GET),
    ("TRIBUTARY_DIRECTORY_BUCKET", OBJECTS_GET),
    ("TRIBUTARY_DIRECTORY_BUCKET", OBJECTS_PUT),
];
/// What Lambda does in the name of a function that a mapping feeds: read and decrypt the stream, and write failed batches.
const MAPPING: &[&str] = &[
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "s3:ListBucket",
    "s3:PutObject",
];

fn problems(project: &Project) -> Vec<String> {
    let mut problems = Vec::new();
    let mut roles = BTreeMap::new();
    for (template, function) in functions(project) {
        let Some(role) = role(template, function) else {
            problems.push(format!("{}: has no role of its own", function.name));
            continue;
        };
        if let Some(other) = roles.insert(role.name, function.name) {
            problems.push(format!("{} and {other}: share {}", function.name, role.name));
        }
        let (may, needs) = (allowed(role), needed(project, template, function));
        for action in may.symmetric_difference(&needs) {
            let which = if may.contains(action) { "may and never does" } else { "does and may not" };
            problems.push(format!("{} {which}: {action}", role.name));
        }
    }
    problems
}

fn role<'a>(template: &'a Template, function: Resource<'_>) -> Option<Resource<'a>> {
    let role = function.property("/Role/Fn::GetAtt").as_str()?.strip_suffix(".Arn")?;
    template.resource(role)
}

fn allowed(role: Resource<'_>) -> BTreeSet<String> {
    let policies = role.property("/Policies").as_array().into_iter().flatten();
    let statements = policies.filter_map(|policy| policy["PolicyDocument"]["Statement"].as_array()).flatten();
    // One that depends on a condition is the second of three.
    let whole = |statement: &'_ Value| statement.pointer("/Fn::If/1").unwrap_or(statement)["Action"].clone();
    let actions: Vec<Value> = statements.map(whole).collect();
    let actions = actions.iter().filter_map(Value::as_array).flatten();
    actions.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn needed(project: &Project, template: &Template, function: Resource<'_>) -> BTreeSet<String> {
    let mut needed: BTreeSet<&str> = LOG.iter().copied().collect();
    let variables = function.property("/Environment/Variables");
    let by_variable = BY_VARIABLE.iter().filter(|(variable, _)| !variables[*variable].is_null());
    needed.extend(by_variable.flat_map(|(_, actions)| actions.iter()));
    let mut mappings = template.of_kind("AWS::Lambda::EventSourceMapping");
    if mappings.any(|mapping| *mapping.property("/FunctionName/Ref") == function.name) {
        needed.extend(MAPPING);
    }
    let source = whole_source(project, template, function);
    for (call, actions) in calls(project, &source, &setting_name(&function)) {
        assert!(!actions.is_empty(), "{call} stands in no list of rights");
        needed.extend(actions);
    }
    needed.into_iter().map(str::to_owned).collect()
}

/// What a function does in another package, and the files there that it does not get to.
const IN_OTHERS: &[(&str, &[&str], &[&str])] = &[
    ("replay", &["worker"], &["consumer.rs", "main.rs"]),
    ("custodian", &["worker"], &["consumer.rs", "lib.rs", "main.rs", "read.rs", "run.rs", "sink.rs"]),
    (
        "query",
        &["worker", "replay"],
        &["consumer.rs", "main.rs", "round.rs", "chores.rs", "claim.rs", "readers.rs", "runner.rs", "step.rs"],
    ),
];

/// The function's own source and what it uses of other functions.
fn whole_source(project: &Project, template: &Template, function: Resource<'_>) -> String {
    let folder = Path::new(template.path).parent().expect("a folder");
    let own = project.root.join(folder).join(function.property("/CodeUri").as_str().expect("a folder")).join("src");
    let mut whole = source(&own, &[]);
    let name = setting_name(&function);
    for (_, packages, without) in IN_OTHERS.iter().filter(|(user, ..)| *user == name) {
        for package in *packages {
            whole.push_str(&source(&project.root.join("functions").join(package).join("src"), without));
        }
    }
    whole
}

/// The calls of ports in a function's source. Of the worker's two stores, which the sink tells apart, those of its own.
fn calls(project: &Project, source: &str, function: &str) -> Vec<(String, &'static [&'static str])> {
    let mut found = Vec::new();
    for port in ["stream", "search", "ledger", "objects", "overflow", "keys", "control", "next"] {
        for method in methods(project, port) {
            let call = format!("{port}.{method}");
            let others = match function {
                "worker-search" => call == "ledger.upsert_invocations",
                "worker-ledger" => port == "search",
                _ => false,
            };
            if source.contains(&format!("{call}(")) && !others {
                let listed = CALLS.iter().find(|(known, _)| *known == call || *known == port);
                let actions = listed.map_or(&[][..], |(_, actions)| actions);
                found.push((call, actions));
            }
        }
    }
    found
}

/// What a port can be asked.
fn methods(project: &Project, port: &str) -> Vec<String> {
    // The next invocation of a function is no port: only one of them invokes itself.
    let path = if port == "next" { "shared/aws/src/invocation.rs" } else { &format!("shared/ports/src/{port}.rs") };
    let text = fs::read_to_string(project.root.join(path)).expect("a port");
    let names = text.split("async fn ").skip(1).filter_map(|rest| rest.split('(').next());
    let names: Vec<String> = names.map(str::to_owned).collect();
    assert!(!names.is_empty(), "{port} has no methods");
    names
}

/// The function's source as one line without spaces, so that a call broken over lines is found; tests left out.
fn source(folder: &Path, without: &[&str]) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).expect("a package's source") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default();
        if without.iter().any(|file| name == *file) {
            continue;
        }
        if path.is_dir() && name != "tests" {
            all.push_str(&source(&path, without));
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs" {
            let text = fs::read_to_string(&path).expect("a source file");
            let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            all.extend(code.flat_map(|line| line.chars().filter(|letter| !letter.is_whitespace())));
        }
    }
    all
}

#[test]
fn functions_may_do_what_they_do() {
    holds(problems);
}

#[test]
fn a_right_too_many_or_too_few_is_found() {
    let statement = |role: &str, index: usize| -> &'static str {
        format!("/{role}/Properties/Policies/0/PolicyDocument/Statement/{index}/Action").leak()
    };
    finds(
        problems,
        &[
            (In::Region, statement("CollectorRole", 1), json!(["kinesis:PutRecords", "kinesis:GetRecords"])),
            (In::Region, statement("CollectorRole", 1), json!([])),
            (In::Region, statement("WorkerLedgerRole", 4), json!(["rds-data:ExecuteStatement", "es:ESHttpPost"])),
            (In::Region, statement("WorkerSearchRole", 4), json!(["es:ESHttpDelete"])),
            (In::Core, statement("QueryRole", 5), json!(["s3:DeleteObject"])),
            (In::Region, "/WorkerLedger/Properties/Role", json!({"Fn::GetAtt": "WorkerSearchRole.Arn"})),
        ],
    );
}

#[test]
fn calls_are_found_wherever_a_line_ends() {
    let project = Project::read();
    let called =
        |source: &str| calls(&project, source, "collector").into_iter().map(|(call, _)| call).collect::<Vec<_>>();
    assert_eq!(called("self.stream.append(entries).await"), ["stream.append"]);
    assert_eq!(called("headers.get(name);keys.values()"), [""; 0]);
}
