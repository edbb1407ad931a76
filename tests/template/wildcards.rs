//! A wildcard in a policy stands beside its reason.

use serde_json::{Value, json};

use crate::template::Template;
use crate::{In, Project, finds, holds};

fn problems(project: &Project) -> Vec<String> {
    let mut problems: Vec<String> = project.templates().into_iter().flat_map(without_reason).collect();
    problems.extend(project.templates().into_iter().flat_map(whole));
    problems
}

/// Wildcards in what statements allow or whom, with no comment in the lines that hold them or right above.
fn without_reason(template: &Template) -> Vec<String> {
    let mut problems = Vec::new();
    for resource in template.resources() {
        for statement in statements(resource.whole) {
            for wildcard in ["Action", "Principal", "Resource"].into_iter().flat_map(|key| wildcards(&statement[key])) {
                for line in bare(&template.text, &wildcard) {
                    problems.push(format!("{} line {line}: {wildcard} has no reason", template.path));
                }
            }
        }
    }
    problems.sort();
    problems.dedup();
    problems
}

/// No role may do everything of a service, or anything to everything.
fn whole(template: &Template) -> Vec<String> {
    let mut problems = Vec::new();
    for role in template.of_kind("AWS::IAM::Role") {
        for statement in statements(role.whole) {
            let actions = wildcards(&statement["Action"]);
            let resources = wildcards(&statement["Resource"]).into_iter().filter(|resource| resource == "*");
            problems.extend(actions.into_iter().chain(resources).map(|it| format!("{}: may {it}", role.name)));
        }
    }
    problems
}

/// Every object below that has an effect.
fn statements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(entries) if entries.contains_key("Effect") => vec![value],
        Value::Object(entries) => entries.values().flat_map(statements).collect(),
        Value::Array(items) => items.iter().flat_map(statements).collect(),
        _ => vec![],
    }
}

/// Every text below that has a star in it.
fn wildcards(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if text.contains('*') => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(wildcards).collect(),
        Value::Object(entries) => entries.values().flat_map(wildcards).collect(),
        _ => vec![],
    }
}

/// The numbers of the lines that hold the text, in quotation marks, and no comment; nor does the line above, if it is a
/// comment or names the key of the list. What a denial to everybody names has its reason at its action.
fn bare(text: &str, wildcard: &str) -> Vec<usize> {
    let quoted = format!("\"{wildcard}\"");
    let lines: Vec<&str> = text.lines().collect();
    let explained = |index: usize| {
        // A list has its reason beside its key.
        let key =
            lines[..index].iter().rev().find(|line| !line.trim().starts_with("- !Sub")).map_or("", |line| line.trim());
        lines[index].contains(" # ") || key.starts_with('#') || key.contains(": # ")
    };
    let bare = |index: &usize| lines[*index].contains(&quoted) && !explained(*index) && !is_condition(lines[*index]);
    (0..lines.len()).filter(bare).filter(|index| !is_denial(&lines, *index)).map(|index| index + 1).collect()
}

/// Whether the line is a condition or a permission's source, which narrow.
fn is_condition(line: &str) -> bool {
    line.contains("SourceArn") || line.contains("EncryptionContext")
}

/// Whether the line belongs to a statement that denies and is not its action.
fn is_denial(lines: &[&str], index: usize) -> bool {
    let nearest = lines[..=index].iter().rev().find(|line| line.trim_start().starts_with("Effect:"));
    nearest.is_some_and(|line| line.contains("Deny")) && !lines[index].contains("Action:")
}

#[test]
fn every_wildcard_has_a_reason() {
    holds(problems);
}

#[test]
fn a_wildcard_without_one_is_found() {
    const STATEMENT: &str = "/CollectorRole/Properties/Policies/0/PolicyDocument/Statement/1";
    let at = |key: &str| -> &'static str { format!("{STATEMENT}/{key}").leak() };
    finds(problems, &[(In::Region, at("Action"), json!(["kinesis:*"])), (In::Region, at("Resource"), json!("*"))]);
    let mut project = Project::read();
    let reason = " # every log file";
    assert!(project.region.text.contains(reason), "the test takes a reason away");
    project.region.text = project.region.text.replacen(reason, "", 1);
    assert_eq!(problems(&project).len(), 1, "{:?}", problems(&project));
    project.region.text = project.region.text.replace("\"s3:*\" # a denial: whatever the request is", "\"s3:*\"");
    assert_eq!(problems(&project).len(), 1 + 4);
}
