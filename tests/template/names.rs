//! Regions, names, and what the two stacks call each other's values.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use tributary_model::Region;

use crate::{In, Project, finds, holds};

/// One section of samconfig.toml for each region that the agents ask, which deploys the region's stack there, and one for
/// the core.
fn sections(samconfig: &str) -> Vec<String> {
    let config: toml::Table = samconfig.parse().expect("TOML");
    let of = |section: &str, key: &str| config.get(section)?.get("deploy")?.get("parameters")?.get(key)?.as_str();
    let mut problems = Vec::new();
    let deployed: BTreeSet<&str> =
        config.iter().filter(|(_, section)| section.get("deploy").is_some()).map(|(name, _)| name.as_str()).collect();
    let wanted: BTreeSet<&str> = Region::OF_AGENTS.into_iter().chain(["core"]).collect();
    for name in deployed.symmetric_difference(&wanted) {
        problems.push(format!("{name}: a section too many or too few"));
    }
    for region in Region::OF_AGENTS {
        if of(region, "region") != Some(region) {
            problems.push(format!("{region}: its section deploys to {:?}", of(region, "region")));
        }
    }
    for name in &deployed {
        let build = if *name == "core" { "core" } else { "default" };
        let built = config[build]["build"]["parameters"]["build_dir"].as_str().expect("a folder");
        if of(name, "template_file") != Some(&format!("{built}/template.yaml")) {
            problems.push(format!("{name}: deploys what `sam build` does not write"));
        }
        if of(name, "capabilities") != Some("CAPABILITY_NAMED_IAM") {
            problems.push(format!("{name}: roles have names, for which CloudFormation asks leave"));
        }
    }
    problems
}

/// What names a resource in its account and region.
const NAMES: &[(&str, &str)] = &[
    ("AWS::CloudTrail::Trail", "/TrailName"),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", "/Name"),
    ("AWS::Events::Rule", "/Name"),
    ("AWS::IAM::Role", "/RoleName"),
    ("AWS::KMS::Alias", "/AliasName"),
    ("AWS::Kinesis::Stream", "/Name"),
    ("AWS::Logs::LogGroup", "/LogGroupName"),
    ("AWS::S3::Bucket", "/BucketName"),
    ("AWS::SNS::Topic", "/TopicName"),
    ("AWS::SQS::Queue", "/QueueName"),
    ("AWS::Serverless::Function", "/FunctionName"),
];

/// The core and a region's stack can be in one region, and two stages in one account: every name holds the stage, and no
/// name stands twice.
fn names(project: &Project) -> Vec<String> {
    let mut seen: BTreeMap<(&str, String), &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for resource in project.templates().into_iter().flat_map(|template| template.resources()) {
        let Some((_, pointer)) = NAMES.iter().find(|(kind, _)| *kind == resource.kind) else { continue };
        let Some(name) = resource.property(&format!("{pointer}/Fn::Sub")).as_str() else { continue };
        if !name.contains("tributary-${Stage}") {
            problems.push(format!("{}: {name} holds no stage", resource.name));
        }
        if let Some(other) = seen.insert((resource.kind, name.to_owned()), resource.name) {
            problems.push(format!("{} and {other}: both are called {name}", resource.name));
        }
    }
    problems
}

/// A parameter that a region takes from the core is an output there.
fn handed_over(project: &Project) -> Vec<String> {
    let parameters = project.region.document["Parameters"].as_object().expect("parameters");
    let outputs = &project.core.document["Outputs"];
    let asked: Vec<_> = parameters.iter().filter(|(_, value)| value["Description"] == "The core's output.").collect();
    assert!(asked.len() >= 7, "only {} parameters are the core's", asked.len());
    let absent = asked.into_iter().filter(|(name, _)| outputs[name.as_str()]["Value"].is_null());
    absent.map(|(name, _)| format!("{name}: the core has no such output")).collect()
}

#[test]
fn every_region_of_the_agents_has_a_section() {
    let path = Project::read().root.join("samconfig.toml");
    let samconfig = fs::read_to_string(path).expect("samconfig.toml");
    assert_eq!(sections(&samconfig), [""; 0]);
    for (from, to) in [
        ("[eu-west-2.deploy", "[eu-west-3.deploy"),
        ("region = \"ap-south-1\"", "region = \"us-east-1\""),
        ("target/sam/core/template.yaml", "infra/core.yaml"),
        ("CAPABILITY_NAMED_IAM", "CAPABILITY_IAM"),
    ] {
        assert!(samconfig.contains(from), "{from}");
        assert_ne!(sections(&samconfig.replacen(from, to, 1)), [""; 0], "{from}");
    }
}

#[test]
fn no_name_stands_twice() {
    holds(names);
    let access = json!({"Fn::Sub": "tributary-${Stage}-access-${AWS::AccountId}-${AWS::Region}"});
    finds(
        names,
        &[
            (In::Core, "/AccessLogsBucket/Properties/BucketName", access),
            (In::Region, "/Stream/Properties/Name", json!({"Fn::Sub": "tributary"})),
        ],
    );
}

#[test]
fn a_region_gets_what_it_asks_of_the_core() {
    holds(handed_over);
    let mut project = Project::read();
    project.core.document["Outputs"]["SearchArn"] = Value::Null;
    assert_eq!(handed_over(&project), ["SearchArn: the core has no such output"]);
}
