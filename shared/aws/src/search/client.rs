//! Requests to the cluster: signed or with a password, on the process's connector, bounded in time and in size.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tributary_model::limits::{SEARCH_ANSWER_BYTES_MAX, SEARCH_ATTEMPTS_MAX, SEARCH_PAUSE, SEARCH_PAUSE_MAX};

use super::endpoint::{Access, Endpoint};
use super::failure::{Failure, answered};
use crate::connector::Connections;

/// One request. Its path is ready for the wire.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Bytes,
    /// Whether the body is compressed by gzip.
    pub(super) gzip: bool,
    /// Time in which one attempt must be answered.
    pub(super) timeout: Duration,
}

impl Asking {
    /// A request whose body is JSON, or without one if it is empty.
    pub(super) fn json(method: Method, path: impl Into<String>, body: impl Into<Bytes>, timeout: Duration) -> Self {
        Self { method, path: path.into(), body: body.into(), gzip: false, timeout }
    }
}

/// The way to one cluster.
pub(super) struct Client {
    endpoint: Endpoint,
    connections: Connections,
    /// Where credentials and the time of a signature come from.
    config: SdkConfig,
}

impl Client {
    pub(super) fn new(endpoint: Endpoint, config: SdkConfig) -> Self {
        Self { endpoint, connections: Connections::default(), config }
    }

    /// The answer's bytes; asks again, after a pause, while the cluster is throttled or unavailable.
    pub(super) async fn answer(&self, asking: &Asking) -> Result<Bytes, Failure> {
        let mut attempt = 1;
        loop {
            match self.send(asking).await {
                Err(failure) if failure.is_passing() && attempt < SEARCH_ATTEMPTS_MAX => {
                    pause(attempt).await;
                    attempt += 1;
                }
                ended => return ended,
            }
        }
    }

    /// One attempt: the body of an answer whose status is a success.
    pub(super) async fn send(&self, asking: &Asking) -> Result<Bytes, Failure> {
        tokio::time::timeout(asking.timeout, self.attempt(asking)).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn attempt(&self, asking: &Asking) -> Result<Bytes, Failure> {
        let request = self.request(asking).await?.try_into().map_err(|_| Failure::NotMade)?;
        let answer = self.connections.call(request).await.map_err(|error| Failure::unanswered(&error))?;
        let status = answer.status().as_u16();
        let told = answer.headers().get(CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<u64>().ok());
        if told.is_some_and(|bytes| bytes > SEARCH_ANSWER_BYTES_MAX as u64) {
            return Err(Failure::TooLong);
        }
        let body = Limited::new(answer.into_body(), SEARCH_ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| if error.is::<LengthLimitError>() { Failure::TooLong } else { Failure::Broken })?;
        let body = body.to_bytes();
        if (200..300).contains(&status) { Ok(body) } else { Err(answered(status, &body)) }
    }

    async fn request(&self, asking: &Asking) -> Result<Request<SdkBody>, Failure> {
        let uri = format!("{}{}", self.endpoint.base, asking.path);
        let mut request = Request::builder().method(asking.method.clone()).uri(&uri).header(HOST, &self.endpoint.host);
        if !asking.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if asking.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        if let Access::Password(basic) = &self.endpoint.access {
            request = request.header(AUTHORIZATION, basic);
        }
        let mut request = request.body(SdkBody::from(asking.body.clone())).map_err(|_| Failure::NotMade)?;
        if let Access::Signed { region } = &self.endpoint.access {
            self.sign(&mut request, region, &asking.body).await?;
        }
        Ok(request)
    }

    async fn sign(&self, request: &mut Request<SdkBody>, region: &str, body: &[u8]) -> Result<(), Failure> {
        let provider = self.config.credentials_provider().ok_or(Failure::NoCredentials)?;
        let identity: Identity =
            provider.provide_credentials().await.map_err(|error| Failure::credentials(&error))?.into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let time = self.config.time_source().unwrap_or_default().now();
        let params = v4::SigningParams::builder().identity(&identity).region(region).name("es").time(time);
        let params = params.settings(settings).build().map_err(|_| Failure::NotMade)?.into();
        let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let uri = request.uri().to_string();
        let signable = SignableRequest::new(request.method().as_str(), uri, headers, SignableBody::Bytes(body));
        let signed = sign(signable.map_err(|_| Failure::NotMade)?, &params).map_err(|_| Failure::NotMade)?;
        signed.into_parts().0.apply_to_request_http1x(request);
        Ok(())
    }
}

/// Waits before the attempt that follows the `attempt`th: a random time, up to a bound that doubles.
pub(super) async fn pause(attempt: u32) {
    let most = SEARCH_PAUSE.saturating_mul(1 << (attempt - 1).min(16)).min(SEARCH_PAUSE_MAX);
    tokio::time::sleep(most.mul_f64(rand::random_range(0.5..=1.0))).await;
}
