//! The object store's adapter on MiniStack's S3, which keeps conditions and checksums and answers how it encrypted.

#![expect(clippy::expect_used, reason = "a test's own functions fail as tests do")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, ServerSideEncryption};
use bytes::Bytes;
use tributary_aws::objects::S3Objects;
use tributary_aws::sdk::SdkConfig;
use tributary_ports::objects::Condition;
use tributary_ports::{Objects, PortErrorKind, contract};
use tributary_rig::ministack::Ministack;
use tributary_rig::{REGION, sdk_config};

const KEY: &str = "arn:aws:kms:eu-west-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab";

async fn make_bucket(config: &SdkConfig, name: &str) {
    let place = BucketLocationConstraint::from(REGION);
    let place = CreateBucketConfiguration::builder().location_constraint(place).build();
    let create = aws_sdk_s3::Client::new(config).create_bucket().bucket(name).create_bucket_configuration(place);
    create.send().await.expect("a bucket");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_keeps_the_contract_of_objects() {
    let ministack = Ministack::start().await;
    let config = sdk_config(&ministack.endpoint).await;
    let made = AtomicUsize::new(0);
    contract::objects::all(async || {
        let name = format!("objects-{}", made.fetch_add(1, Ordering::Relaxed));
        make_bucket(&config, &name).await;
        let store: Arc<dyn Objects> = S3Objects::new(&config, REGION, &name, KEY);
        store
    })
    .await;
}

#[tokio::test]
async fn every_object_is_encrypted_by_the_key_of_the_settings() {
    let ministack = Ministack::start().await;
    let config = sdk_config(&ministack.endpoint).await;
    make_bucket(&config, "encrypted").await;
    let store = S3Objects::new(&config, REGION, "encrypted", KEY);
    store.put("a", "one".into(), Condition::Absent).await.expect("a put");
    let found =
        aws_sdk_s3::Client::new(&config).head_object().bucket("encrypted").key("a").send().await.expect("there");
    assert_eq!(found.server_side_encryption, Some(ServerSideEncryption::AwsKms));
    assert_eq!(found.ssekms_key_id.as_deref(), Some(KEY));
    let read_only = S3Objects::read_only(&config, REGION, "encrypted");
    assert_eq!(read_only.get("a").await.expect("a get").expect("the object").bytes, "one");
}

#[tokio::test]
async fn a_list_goes_over_as_many_pages_as_it_takes() {
    let ministack = Ministack::start().await;
    let config = sdk_config(&ministack.endpoint).await;
    make_bucket(&config, "pages").await;
    let store = S3Objects::new(&config, REGION, "pages", KEY);
    let keys: Vec<String> = (0..1003).map(|number| format!("page/{number:04}")).collect();
    for key in &keys {
        store.put(key, Bytes::new(), Condition::Always).await.expect("a put");
    }
    assert_eq!(store.list("page/", None, 2000).await.expect("a list"), keys);
    assert_eq!(store.list("page/", Some("page/0001"), 1000).await.expect("a list"), keys[2..1002]);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_not_found() {
    let ministack = Ministack::start().await;
    let store = S3Objects::new(&sdk_config(&ministack.endpoint).await, REGION, "nowhere", KEY);
    for error in [
        store.get("a").await.expect_err("a get"),
        store.put("a", "x".into(), Condition::Always).await.expect_err("a put"),
        store.list("", None, 1).await.expect_err("a list"),
    ] {
        assert_eq!(error.kind, PortErrorKind::NotFound, "{error}");
    }
}
