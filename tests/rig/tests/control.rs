//! The control's adapter on MiniStack's event source mappings.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{EventSourcePosition, FunctionCode, Runtime};
use tributary_aws::control::EventSourceMappings;
use tributary_aws::sdk::SdkConfig;
use tributary_ports::{Control, PortErrorKind, Target, contract};
use tributary_rig::ministack::Ministack;
use tributary_rig::sdk_config;

/// A zip archive with nothing in it.
const EMPTY_ZIP: [u8; 22] = [b'P', b'K', 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const STREAM_ARN: &str = "arn:aws:kinesis:eu-west-1:000000000000:stream/reports";

/// A mapping from the stream to a function of this name; its id.
async fn mapping(lambda: &aws_sdk_lambda::Client, function: &str) -> String {
    lambda
        .create_function()
        .function_name(function)
        .role("arn:aws:iam::000000000000:role/worker")
        .runtime(Runtime::Providedal2023)
        .handler("bootstrap")
        .code(FunctionCode::builder().zip_file(Blob::new(EMPTY_ZIP)).build())
        .send()
        .await
        .expect("a function");
    let request = lambda.create_event_source_mapping().event_source_arn(STREAM_ARN).function_name(function);
    let mapping = request.starting_position(EventSourcePosition::TrimHorizon).send().await.expect("a mapping");
    mapping.uuid.expect("a mapping's id")
}

async fn mappings(config: &SdkConfig, run: usize) -> EventSourceMappings {
    let lambda = aws_sdk_lambda::Client::new(config);
    let search = mapping(&lambda, &format!("worker-search-{run}")).await;
    let ledger = mapping(&lambda, &format!("worker-ledger-{run}")).await;
    EventSourceMappings::new(config, &search, &ledger)
}

#[tokio::test]
async fn it_keeps_to_the_contract() {
    let ministack = Ministack::start().await;
    let config = sdk_config(&ministack.endpoint).await;
    let kinesis = aws_sdk_kinesis::Client::new(&config);
    kinesis.create_stream().stream_name("reports").shard_count(1).send().await.expect("a stream");
    let made = std::sync::atomic::AtomicUsize::new(0);
    contract::control::all(async || {
        let run = made.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let control: Arc<dyn Control> = Arc::new(mappings(&config, run).await);
        control
    })
    .await;
}

#[tokio::test]
async fn a_mapping_that_is_not_there_is_not_found() {
    let ministack = Ministack::start().await;
    let nowhere = "00000000-0000-0000-0000-000000000000";
    let control = EventSourceMappings::new(&sdk_config(&ministack.endpoint).await, nowhere, nowhere);
    assert_eq!(control.pause(Target::Search).await.expect_err("a refusal").kind, PortErrorKind::NotFound);
    assert_eq!(control.state(Target::Ledger).await.expect_err("a refusal").kind, PortErrorKind::NotFound);
}
