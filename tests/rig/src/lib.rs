//! Starts the protocol peers that stand for AWS: each a process or a server of its own on 127.0.0.1, gone when it is
//! dropped. What goes wrong panics, since only tests use this.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

pub mod binaries;
pub mod data_api;
pub mod fault_proxy;
mod http;
pub mod http_front;
pub mod kinesis;
pub mod mapping;
pub mod ministack;
pub mod moto;
pub mod opensearch;
pub mod postgres;
pub mod process;
pub mod runtime_api;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use tributary_aws::sdk::{self, SdkConfig};

/// The region that all peers are told.
pub const REGION: &str = "eu-west-1";

/// What the adapters' clients are made from on AWS, but for an endpoint and credentials that a peer takes, and for the time
/// that a peer may need on a busy machine.
pub async fn sdk_config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::from_keys("AKIDTEST", "a-secret-of-the-rig", None);
    let patient = TimeoutConfig::builder().operation_timeout(process::PATIENCE).build();
    let builder = sdk::config(REGION).await.into_builder().endpoint_url(endpoint).timeout_config(patient);
    builder.credentials_provider(SharedCredentialsProvider::new(credentials)).build()
}
