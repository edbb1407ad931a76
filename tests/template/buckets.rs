//! Buckets: versions, who may come in, and when what is in them ends.

use serde_json::{Value, json};

use crate::template::{Resource, Template};
use crate::{In, Project, finds, holds};

fn problems(project: &Project) -> Vec<String> {
    let of = |template| Template::of_kind(template, "AWS::S3::Bucket").flat_map(move |bucket| one(template, bucket));
    project.templates().into_iter().flat_map(of).collect()
}

fn one(template: &Template, bucket: Resource<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            problems.push(format!("{}: {what}", bucket.name));
        }
    };
    must(*bucket.property("/VersioningConfiguration/Status") == "Enabled", "keeps no versions");
    for block in ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"] {
        let pointer = format!("/PublicAccessBlockConfiguration/{block}");
        must(*bucket.property(&pointer) == true, &format!("{block} must be true"));
    }
    must(*bucket.property("/OwnershipControls/Rules/0/ObjectOwnership") == "BucketOwnerEnforced", "takes ACLs");
    must(bucket.whole["DeletionPolicy"] == "Retain", "is deleted with the stack");
    must(tls_only(template, bucket.name), "answers without TLS");
    let rules = bucket.property("/LifecycleConfiguration/Rules").as_array().cloned().unwrap_or_default();
    let ends = |rule: &Value| !rule["NoncurrentVersionExpiration"]["NoncurrentDays"].is_null();
    must(rules.iter().any(ends), "its old versions never end");
    must(rules.iter().any(|rule| !rule["AbortIncompleteMultipartUpload"].is_null()), "keeps parts of broken uploads");
    must(rules.iter().all(|rule| rule["Status"] == "Enabled"), "has a rule that is switched off");
    // What expires leaves a version behind, which must end with its class and not a class later.
    let outlives = |rule: &Value| !rule["ExpirationInDays"].is_null() && !ends(rule);
    must(!rules.iter().any(outlives), "has a rule whose expired versions stay");
    let logs = bucket.property("/LoggingConfiguration/DestinationBucketName/Ref");
    must(*logs == "AccessLogsBucket" || bucket.name == "AccessLogsBucket", "nobody notes who reads it");
    problems
}

/// Whether the bucket has a policy that denies everything without TLS, for itself and what is in it.
fn tls_only(template: &Template, bucket: &str) -> bool {
    let wanted = json!([{"Fn::GetAtt": format!("{bucket}.Arn")}, {"Fn::Sub": format!("${{{bucket}.Arn}}/*")}]);
    let denies = |statement: &Value| {
        statement["Effect"] == "Deny"
            && statement["Principal"] == "*"
            && statement["Action"] == "s3:*"
            && statement["Resource"] == wanted
            && statement["Condition"] == json!({"Bool": {"aws:SecureTransport": "false"}})
    };
    let mut policies =
        template.of_kind("AWS::S3::BucketPolicy").filter(|policy| *policy.property("/Bucket/Ref") == bucket);
    policies
        .any(|policy| policy.property("/PolicyDocument/Statement").as_array().is_some_and(|all| all.iter().any(denies)))
}

#[test]
fn buckets_keep_versions_and_let_nobody_else_in() {
    holds(problems);
}

#[test]
fn an_open_or_forgetful_bucket_is_found() {
    const TLS: &str = "/DirectoryBucketPolicy/Properties/PolicyDocument/Statement/0";
    let mut policy = Project::read();
    crate::change(&mut policy.region.document["Resources"], &format!("{TLS}/Effect"), json!("Allow"));
    assert_eq!(problems(&policy), ["DirectoryBucket: answers without TLS"]);
    finds(
        problems,
        &[
            (In::Region, "/OverflowBucket/Properties/VersioningConfiguration", json!(null)),
            (In::Region, "/OverflowBucket/Properties/PublicAccessBlockConfiguration/BlockPublicPolicy", json!(false)),
            (In::Region, "/OverflowBucket/Properties/LifecycleConfiguration/Rules/0/Status", json!("Disabled")),
            (In::Region, "/FailedBatchesBucket/DeletionPolicy", json!(null)),
            (In::Core, "/ObjectsBucket/Properties/LifecycleConfiguration", json!(null)),
            (
                In::Core,
                "/ObjectsBucket/Properties/LifecycleConfiguration/Rules/0/NoncurrentVersionExpiration",
                json!(null),
            ),
            (In::Core, "/ProfilesBucket/Properties/LoggingConfiguration", json!(null)),
            (In::Core, "/ArchiveBucket/Properties/OwnershipControls", json!(null)),
        ],
    );
}
