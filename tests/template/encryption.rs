//! Everything that is stored is encrypted with a key of ours, and every key is what its use needs.

use serde_json::{Value, json};

use crate::template::Resource;
use crate::{In, Project, finds, holds};

/// What each kind of resource that stores something must say, by JSON pointers into its properties. `KEY` stands for one of
/// the keys of its own template.
const STORES: &[(&str, &[(&str, &str)])] = &[
    ("AWS::CloudTrail::Trail", &[("/KMSKeyId", "KEY")]),
    ("AWS::Kinesis::Stream", &[("/StreamEncryption/EncryptionType", "KMS"), ("/StreamEncryption/KeyId", "KEY")]),
    ("AWS::Logs::LogGroup", &[("/KmsKeyId", "KEY")]),
    (
        "AWS::OpenSearchService::Domain",
        &[
            ("/EncryptionAtRestOptions/Enabled", "true"),
            ("/EncryptionAtRestOptions/KmsKeyId", "KEY"),
            ("/NodeToNodeEncryptionOptions/Enabled", "true"),
            ("/DomainEndpointOptions/EnforceHTTPS", "true"),
            ("/DomainEndpointOptions/TLSSecurityPolicy", "Policy-Min-TLS-1-2-PFS-2023-10"),
        ],
    ),
    (
        "AWS::RDS::DBCluster",
        &[("/StorageEncrypted", "true"), ("/KmsKeyId", "KEY"), ("/MasterUserSecret/KmsKeyId", "KEY")],
    ),
    ("AWS::RDS::DBInstance", &[("/PerformanceInsightsKMSKeyId", "KEY")]),
    ("AWS::SNS::Topic", &[("/KmsMasterKeyId", "KEY")]),
    ("AWS::SQS::Queue", &[("/KmsMasterKeyId", "KEY")]),
    ("AWS::S3::Bucket", &[]), // below: one may have S3's own key
];

/// Kinds that store nothing of ours. A kind that stands in neither list is a problem, so that somebody decides.
const STORELESS: &[&str] = &[
    "AWS::CloudWatch::Alarm",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::ElasticLoadBalancingV2::TargetGroup",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Events::Rule",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Url",
    "AWS::Logs::ResourcePolicy",
    "AWS::RDS::DBClusterParameterGroup",
    "AWS::RDS::DBSubnetGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::Scheduler::Schedule",
    "AWS::Serverless::Function",
];

/// Buckets to which S3 and load balancers deliver logs, which they don't under a KMS key.
const LOGS_OF_AWS: &str = "AccessLogsBucket";

fn problems(project: &Project) -> Vec<String> {
    let stores = project.templates().into_iter().flat_map(|template| template.resources()).flat_map(unencrypted);
    let keys = project.templates().into_iter().flat_map(|template| template.of_kind("AWS::KMS::Key")).flat_map(key);
    let kinds = ["ActiveKey", "ArchiveKey", "ProfilesKey", "SigningKey"];
    let absent = kinds.into_iter().filter(|name| project.core.resource(name).is_none());
    stores.chain(keys).chain(absent.map(|name| format!("the core has no {name}"))).collect()
}

fn unencrypted(resource: Resource<'_>) -> Vec<String> {
    let Resource { name, kind, .. } = resource;
    if kind == "AWS::S3::Bucket" {
        return bucket(resource);
    }
    let Some((_, wanted)) = STORES.iter().find(|(store, _)| *store == kind) else {
        let known = STORELESS.contains(&kind);
        return if known { vec![] } else { vec![format!("{name}: does a {kind} store anything?")] };
    };
    let wrong = wanted.iter().filter(|(pointer, wanted)| !meets(resource.property(pointer), wanted));
    wrong.map(|(pointer, wanted)| format!("{name}: {pointer} must be {wanted}")).collect()
}

fn meets(found: &Value, wanted: &str) -> bool {
    match wanted {
        "KEY" => is_key(found),
        "true" => *found == true,
        text => *found == text,
    }
}

/// Whether it is a key of the template: `!Ref ...Key` or `!GetAtt ...Key.Arn`.
fn is_key(value: &Value) -> bool {
    let by_id = value["Ref"].as_str().is_some_and(|name| name.ends_with("Key"));
    by_id || value["Fn::GetAtt"].as_str().is_some_and(|name| name.ends_with("Key.Arn"))
}

fn bucket(bucket: Resource<'_>) -> Vec<String> {
    let by = bucket.property("/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault");
    let encrypted = if bucket.name == LOGS_OF_AWS {
        by["SSEAlgorithm"] == "AES256"
    } else {
        by["SSEAlgorithm"] == "aws:kms" && is_key(&by["KMSMasterKeyID"])
    };
    if encrypted { vec![] } else { vec![format!("{}: {by} does not encrypt it with a key of ours", bucket.name)] }
}

/// Symmetric keys rotate; the one that signs is on P-256. Each has a policy that lets it be administered.
fn key(key: Resource<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let signs = key.name == "SigningKey";
    let right = if signs {
        *key.property("/KeySpec") == "ECC_NIST_P256" && *key.property("/KeyUsage") == "SIGN_VERIFY"
    } else {
        *key.property("/EnableKeyRotation") == true && key.property("/KeySpec").is_null()
    };
    if !right {
        problems.push(format!("{}: not the key that its use needs", key.name));
    }
    let statements = key.property("/KeyPolicy/Statement").as_array().cloned().unwrap_or_default();
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().cloned().unwrap_or_default());
    if !actions.into_iter().any(|action| action == "kms:PutKeyPolicy") {
        problems.push(format!("{}: nobody could change its policy again", key.name));
    }
    if key.whole["DeletionPolicy"] != "Retain" {
        problems.push(format!("{}: deleted with the stack, and what it encrypts is lost", key.name));
    }
    problems
}

#[test]
fn everything_that_is_stored_is_encrypted() {
    holds(problems);
}

#[test]
fn what_is_not_encrypted_is_found() {
    const ENCRYPTION: &str = "/OverflowBucket/Properties/BucketEncryption/ServerSideEncryptionConfiguration/0";
    let by_s3 = json!({"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}});
    finds(
        problems,
        &[
            (In::Region, "/Stream/Properties/StreamEncryption", json!(null)),
            (In::Region, "/CollectorLogs/Properties/KmsKeyId", json!(null)),
            (In::Region, ENCRYPTION, by_s3),
            (In::Region, "/Alarms/Properties/KmsMasterKeyId", json!("alias/aws/sns")),
            (In::Region, "/ActiveKey/Properties/EnableKeyRotation", json!(false)),
            (In::Region, "/ActiveKey/DeletionPolicy", json!("Delete")),
            (In::Region, "/Stream/Type", json!("AWS::DynamoDB::Table")),
            (In::Core, "/Search/Properties/EncryptionAtRestOptions/Enabled", json!(false)),
            (In::Core, "/Search/Properties/NodeToNodeEncryptionOptions", json!(null)),
            (In::Core, "/Search/Properties/DomainEndpointOptions/EnforceHTTPS", json!(false)),
            (In::Core, "/Ledger/Properties/StorageEncrypted", json!(null)),
            (In::Core, "/LedgerInstanceA/Properties/PerformanceInsightsKMSKeyId", json!(null)),
            (In::Core, "/Trail/Properties/KMSKeyId", json!(null)),
            (In::Core, "/SigningKey/Properties/KeySpec", json!("RSA_2048")),
            (In::Core, "/SigningKey/Properties/KeyPolicy/Statement/0", json!(null)),
            (In::Core, "/ProfilesKey", json!(null)),
        ],
    );
}
