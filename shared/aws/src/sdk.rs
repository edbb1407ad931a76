//! What all clients of a process share: one [`SdkConfig`], with one connector, one retry policy and one clock.

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use tributary_model::limits;

pub use aws_config::SdkConfig;

use crate::connector::Connections;

/// What the clients of a function on Lambda are made from: its credentials and the SDK's endpoints
/// (`AWS_ENDPOINT_URL_KINESIS`) come from the environment and from nowhere else. The chain of [`config`] would bring half
/// a megabyte of providers into every function, all of which a cold start loads.
#[must_use]
pub fn function_config(region: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .identity_cache(IdentityCache::lazy().build())
        .service_config(EnvironmentEndpoints)
        .http_client(SharedHttpClient::new(Connections::default()))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SystemTimeSource::new()))
        .retry_config(retries())
        .timeout_config(timeouts())
        .build()
}

/// The settings of a single service, as the SDK names them: `AWS_ENDPOINT_URL` with the service's id behind it.
#[derive(Debug)]
struct EnvironmentEndpoints;

impl LoadServiceConfig for EnvironmentEndpoints {
    #[expect(clippy::disallowed_methods, reason = "they are the SDK's settings and not ours")]
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace([' ', '-'], "_");
        let setting = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        setting(&format!("{}_{service}", key.env())).or_else(|| setting(key.env()))
    }
}

/// Reads the SDK's own settings (`AWS_ENDPOINT_URL_KINESIS`, credentials, profile files) and gives what every client of
/// this process is made from. It opens no connection and loads no certificate; both wait for the first call.
pub async fn config(region: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .http_client(SharedHttpClient::new(Connections::default()))
        .retry_config(retries())
        .timeout_config(timeouts())
        .load()
        .await
}

/// Exponential pauses, each drawn at random up to its bound.
fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(limits::AWS_ATTEMPTS_MAX)
        .with_initial_backoff(limits::AWS_PAUSE)
        .with_max_backoff(limits::AWS_PAUSE_MAX)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(limits::AWS_CONNECT_TIMEOUT)
        .operation_attempt_timeout(limits::AWS_ATTEMPT_TIMEOUT)
        .operation_timeout(limits::AWS_CALL_TIMEOUT)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_config_is_bounded_in_attempts_and_in_time() {
        let config = config("eu-west-1").await;
        let retries = config.retry_config().unwrap();
        assert_eq!((retries.max_attempts(), retries.max_backoff()), (limits::AWS_ATTEMPTS_MAX, limits::AWS_PAUSE_MAX));
        let timeouts = config.timeout_config().unwrap();
        assert_eq!(timeouts.connect_timeout(), Some(limits::AWS_CONNECT_TIMEOUT));
        assert_eq!(timeouts.operation_timeout(), Some(limits::AWS_CALL_TIMEOUT));
        assert_eq!(config.region().map(AsRef::as_ref), Some("eu-west-1"));
    }
}
