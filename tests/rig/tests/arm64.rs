//! The functions as they are deployed by default: the bootstraps that `cargo xtask lambda` built for arm64, under qemu.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;
use tributary_rig::runtime_api::Function;

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const CLUSTER: &str = "arn:aws:rds:eu-west-1:123456789012:cluster:tributary";
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tributary-abc123";

/// A program that runs the function's bootstrap under qemu: a process of a function inherits no PATH, so qemu's is written
/// out.
fn bootstrap(folder: &TempDir, function: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let bootstrap = root.join("target/sam/arm64/region").join(function).join("bootstrap");
    assert!(bootstrap.is_file(), "{} is not there; run cargo xtask lambda", bootstrap.display());
    let path = folder.path().join(function);
    let mut script = File::create(&path).unwrap();
    writeln!(script, "#!/bin/sh\nexec /usr/bin/qemu-aarch64 -L /usr/aarch64-linux-gnu {}", bootstrap.display())
        .unwrap();
    script.set_permissions(Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn the_collector_answers() {
    let folder = TempDir::new().unwrap();
    let directory = folder.path().join("directory.json");
    let environment = [
        ("TRIBUTARY_REGION", "eu-west-1"),
        ("TRIBUTARY_STREAM", "tributary"),
        ("TRIBUTARY_OVERFLOW_BUCKET", "overflow"),
        ("TRIBUTARY_DATA_KEY", KEY),
        ("TRIBUTARY_JWKS", directory.to_str().unwrap()),
    ];
    let collector = Function::new(&bootstrap(&folder, "Collector"), &environment);
    let request = json!({
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/a/1"}},
        "httpMethod": "GET", "path": "/nothing-is-here", "multiValueQueryStringParameters": {},
        "multiValueHeaders": {"host": ["10.0.0.1"]}, "body": "", "isBase64Encoded": false
    });
    let answer = collector.invoke(request.to_string()).await.json();
    assert_eq!(answer["statusCode"], 404, "{answer}");
}

#[tokio::test]
async fn the_worker_answers() {
    let folder = TempDir::new().unwrap();
    let environment = [
        ("TRIBUTARY_REGION", "eu-west-1"),
        ("TRIBUTARY_TARGET", "ledger"),
        ("TRIBUTARY_LEDGER_CLUSTER_ARN", CLUSTER),
        ("TRIBUTARY_LEDGER_SECRET_ARN", SECRET),
        ("TRIBUTARY_OBJECTS_BUCKET", "objects"),
        ("TRIBUTARY_DATA_KEY", KEY),
    ];
    let worker = Function::new(&bootstrap(&folder, "WorkerLedger"), &environment);
    // A record would need its stores; that there is none is found out by reading the event.
    let answer = worker.invoke(json!({"Records": []}).to_string()).await;
    assert_eq!(answer.error().kind, "Tributary.MalformedEvent", "{answer:?}");
}
