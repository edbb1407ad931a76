//! Functions: what they are built from, and their environment.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::json;
use tributary_config::FUNCTION_VARIABLES;

use crate::template::{Resource, Template};
use crate::{In, Project, finds, holds};

/// The function as the settings call it: that of `WorkerSearch` is `worker-search`.
pub(crate) fn setting_name(function: &Resource<'_>) -> String {
    let mut name = String::new();
    for letter in function.name.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// The functions of both templates.
pub(crate) fn functions(project: &Project) -> impl Iterator<Item = (&Template, Resource<'_>)> {
    let of =
        |template| Template::of_kind(template, "AWS::Serverless::Function").map(move |function| (template, function));
    project.templates().into_iter().flat_map(of)
}

fn problems(project: &Project) -> Vec<String> {
    let mut problems = Vec::new();
    let mut deployed = BTreeSet::new();
    for (template, function) in functions(project) {
        let name = setting_name(&function);
        let declared: BTreeSet<&str> = function
            .property("/Environment/Variables")
            .as_object()
            .map(|variables| variables.keys().map(String::as_str).collect())
            .unwrap_or_default();
        match FUNCTION_VARIABLES.iter().find(|(function, _)| *function == name) {
            None => problems.push(format!("{}: no function of ours reads settings as {name}", function.name)),
            Some((_, read)) => {
                let read: BTreeSet<&str> = read.iter().map(|variable| variable.name).collect();
                for variable in declared.symmetric_difference(&read) {
                    problems.push(format!(
                        "{}: {variable} is declared and not read, or read and not declared",
                        function.name
                    ));
                }
            }
        }
        problems.extend(built(project, template, function));
        deployed.insert(name);
    }
    let absent = FUNCTION_VARIABLES.iter().filter(|(name, _)| !deployed.contains(*name));
    problems.extend(absent.map(|(name, _)| format!("{name}: neither template deploys it")));
    problems
}

/// The function is a binary of the package in its `CodeUri`, built with the feature `lambda` for a runtime without a
/// language of its own.
fn built(project: &Project, template: &Template, function: Resource<'_>) -> Vec<String> {
    let folder = Path::new(template.path).parent().expect("a folder");
    let code = project.root.join(folder).join(function.property("/CodeUri").as_str().expect("a folder"));
    let manifest = fs::read_to_string(code.join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = manifest.parse().expect("a manifest");
    let binary = function.whole["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap_or_default();
    let bins = manifest.get("bin").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let mut problems = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            problems.push(format!("{}: {what}", function.name));
        }
    };
    must(function.whole["Metadata"]["BuildMethod"] == "rust-cargolambda", "is not built by cargo-lambda");
    must(bins.iter().any(|bin| bin["name"].as_str() == Some(binary)), "its package has no such binary");
    let features = || manifest.get("package")?.get("metadata")?.get("lambda")?.get("build")?.get("features");
    let features = features().and_then(toml::Value::as_array).cloned().unwrap_or_default();
    must(features.iter().any(|feature| feature.as_str() == Some("lambda")), "cargo-lambda is not told its feature");
    let globals = &template.document["Globals"]["Function"];
    must(globals["Runtime"] == "provided.al2023", "runs on provided.al2023");
    must(globals["Architectures"] == json!([{"Ref": "Architecture"}]), "its architecture is a parameter");
    must(template.document["Parameters"]["Architecture"]["Default"] == "arm64", "arm64 is the default");
    must(function.property("/VpcConfig").is_null(), "runs outside any VPC");
    problems
}

#[test]
fn functions_are_given_what_they_read() {
    holds(problems);
}

#[test]
fn a_wrong_environment_is_found() {
    const ENVIRONMENT: &str = "/Collector/Properties/Environment/Variables";
    let at = |name: &str| -> &'static str { format!("{ENVIRONMENT}/{name}").leak() };
    finds(
        problems,
        &[
            (In::Region, at("TRIBUTARY_STREAM"), json!(null)),
            (In::Region, at("TRIBUTARY_STREAMS"), json!("x")),
            (In::Region, "/WorkerSearch/Properties/Environment/Variables/TRIBUTARY_OPENSEARCH_URL", json!(null)),
            (In::Region, "/WorkerLedger/Metadata/BuildProperties/Binary", json!("ledger")),
            (In::Region, "/Collector/Metadata/BuildMethod", json!("makefile")),
            (In::Region, "/Collector/Properties/VpcConfig", json!({"SubnetIds": []})),
            (In::Core, "/Query/Properties/CodeUri", json!("../functions/worker")),
        ],
    );
    let mut project = Project::read();
    crate::change(&mut project.region.document["Resources"], "/WorkerLedger", json!(null));
    assert_eq!(problems(&project), ["worker-ledger: neither template deploys it"]);
}
