//! The core's stores: copies in three zones, back-ups, and what the buckets' prefixes are called by those who write.

use std::fs;

use serde_json::{Value, json};
use tributary_model::dead_letter;

use crate::{In, Project, finds, holds};

/// What must stand where in the core, by resource and JSON pointer.
fn expected() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("Search", "/ClusterConfig/MultiAZWithStandbyEnabled", json!(true)),
        ("Search", "/ClusterConfig/ZoneAwarenessEnabled", json!(true)),
        ("Search", "/ClusterConfig/ZoneAwarenessConfig/AvailabilityZoneCount", json!(3)),
        ("Search", "/ClusterConfig/DedicatedMasterEnabled", json!(true)),
        ("Search", "/ClusterConfig/DedicatedMasterCount", json!(3)),
        ("Search", "/AdvancedSecurityOptions/Enabled", json!(true)),
        ("Search", "/AdvancedSecurityOptions/InternalUserDatabaseEnabled", json!(false)),
        ("Search", "/SnapshotOptions/AutomatedSnapshotStartHour", json!(2)),
        ("Ledger", "/Engine", json!("aurora-postgresql")),
        ("Ledger", "/EnableHttpEndpoint", json!(true)),
        ("Ledger", "/BackupRetentionPeriod", json!(30)),
        ("Ledger", "/DeletionProtection", json!(true)),
        ("Ledger", "/ManageMasterUserPassword", json!(true)),
        ("ObjectsBucket", "/LifecycleConfiguration/Rules/0/Prefix", json!(dead_letter::PREFIX)),
        // The directory is in the last rule's scope, which ends old versions only.
        ("ObjectsBucket", "/LifecycleConfiguration/Rules/2/Prefix", json!(null)),
        ("ObjectsBucket", "/LifecycleConfiguration/Rules/2/ExpirationInDays", json!(null)),
        ("Trail", "/IsMultiRegionTrail", json!(true)),
        ("Trail", "/EnableLogFileValidation", json!(true)),
    ]
}

fn problems(project: &Project) -> Vec<String> {
    let core = &project.core;
    let found = |name: &str, pointer: &str| core.resource(name).map_or(Value::Null, |it| it.property(pointer).clone());
    let wrong = expected().into_iter().filter(|(name, pointer, wanted)| found(name, pointer) != *wanted);
    let mut problems: Vec<String> =
        wrong.map(|(name, pointer, wanted)| format!("{name}: {pointer} must be {wanted}")).collect();
    problems.extend(zones(project));
    problems.extend(watched(project));
    problems
}

/// The ledger's three instances are in three zones, and none is reachable from outside.
fn zones(project: &Project) -> Vec<String> {
    let instances: Vec<_> = project.core.of_kind("AWS::RDS::DBInstance").collect();
    let zone = |index: usize| json!({"Fn::Select": [index, {"Fn::GetAZs": ""}]});
    let mut problems = Vec::new();
    for (index, name) in ["LedgerInstanceA", "LedgerInstanceB", "LedgerInstanceC"].into_iter().enumerate() {
        let Some(instance) = instances.iter().find(|instance| instance.name == name) else {
            problems.push(format!("{name}: there must be a writer and two readers"));
            continue;
        };
        if *instance.property("/AvailabilityZone") != zone(index) || *instance.property("/PubliclyAccessible") != false
        {
            problems.push(format!("{name}: must be in a zone of its own, without an address outside"));
        }
    }
    problems
}

/// The trail has the data events of every bucket but its own and that of the access logs.
fn watched(project: &Project) -> Vec<String> {
    let trail = project.core.resource("Trail");
    let Some(fields) = trail.map(|trail| trail.property("/AdvancedEventSelectors/1/FieldSelectors")) else {
        return vec![];
    };
    let prefix = |value: &Value| value["Fn::Sub"].as_str().map(|arn| arn.replace("arn:${AWS::Partition}:s3:::", ""));
    let prefixes = |key: &str| -> Vec<String> {
        let fields = fields.as_array().into_iter().flatten().filter(|field| field["Field"] == "resources.ARN");
        fields.flat_map(|field| field[key].as_array().into_iter().flatten().filter_map(prefix)).collect()
    };
    let (with, without) = (prefixes("StartsWith"), prefixes("NotStartsWith"));
    let mut problems = Vec::new();
    for bucket in project.templates().into_iter().flat_map(|template| template.of_kind("AWS::S3::Bucket")) {
        let name = bucket.property("/BucketName/Fn::Sub").as_str().unwrap_or_default();
        let starts = |prefixes: &[String]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let is_log = ["ArchiveBucket", "AccessLogsBucket"].contains(&bucket.name);
        if (starts(&with) && !starts(&without)) == is_log {
            problems.push(format!(
                "Trail: {} {}",
                bucket.name,
                if is_log { "is logged into itself" } else { "is not logged" }
            ));
        }
    }
    problems
}

/// One copy of every index in each zone.
fn replicas(project: &Project) -> Vec<String> {
    let zones = project
        .core
        .resource("Search")
        .expect("a domain")
        .property("/ClusterConfig/ZoneAwarenessConfig/AvailabilityZoneCount");
    let zones = zones.as_u64().unwrap_or_default();
    let folder = project.root.join("infra/index");
    let mut problems = Vec::new();
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("infra/index") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let template: Value = serde_json::from_slice(&fs::read(&path).expect("a template")).expect("JSON");
        let settings = &template["template"]["settings"];
        let copies = [&settings["number_of_replicas"], &settings["index"]["number_of_replicas"]];
        if !copies.into_iter().any(|copies| copies.as_u64() == zones.checked_sub(1)) {
            problems.push(format!("{}: {copies:?} replicas, but Search has {zones} zones", path.display()));
        }
        seen += 1;
    }
    assert!(seen > 0, "no index template in {}", folder.display());
    problems
}

#[test]
fn stores_survive_a_zone_and_a_mistake() {
    holds(problems);
}

#[test]
fn a_store_that_would_not_is_found() {
    finds(
        problems,
        &[
            (In::Core, "/Search/Properties/ClusterConfig/MultiAZWithStandbyEnabled", json!(false)),
            (In::Core, "/Search/Properties/SnapshotOptions", json!(null)),
            (In::Core, "/Search/Properties/AdvancedSecurityOptions/Enabled", json!(false)),
            (In::Core, "/Ledger/Properties/BackupRetentionPeriod", json!(7)),
            (In::Core, "/Ledger/Properties/DeletionProtection", json!(null)),
            (In::Core, "/LedgerInstanceC", json!(null)),
            (In::Core, "/LedgerInstanceB/Properties/AvailabilityZone/Fn::Select/0", json!(0)),
            (In::Core, "/ObjectsBucket/Properties/LifecycleConfiguration/Rules/2/ExpirationInDays", json!(30)),
            (In::Core, "/ObjectsBucket/Properties/LifecycleConfiguration/Rules/0/Prefix", json!("dead/")),
            (In::Core, "/Trail/Properties/AdvancedEventSelectors/1/FieldSelectors/2/NotStartsWith", json!(null)),
            (In::Region, "/OverflowBucket/Properties/BucketName", json!({"Fn::Sub": "overflow-${Stage}"})),
        ],
    );
}

#[test]
fn every_index_has_a_copy_in_each_zone() {
    holds(replicas);
    const ZONES: &str = "/Search/Properties/ClusterConfig/ZoneAwarenessConfig/AvailabilityZoneCount";
    finds(replicas, &[(In::Core, ZONES, json!(2))]);
}
