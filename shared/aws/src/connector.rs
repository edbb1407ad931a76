//! The process's one connector: TLS by rustls on aws-lc, plain HTTP for protocol peers, and bounded answers.
//!
//! The SDK's own client loads the system's root certificates when a service client is made, which takes several times
//! as long as everything else before a Lambda function's first `next`. Here they are loaded at the first call over
//! https, and never for a plain endpoint.

use std::sync::{Arc, OnceLock};

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use tributary_model::limits::{AWS_CONNECT_TIMEOUT, AWS_RESPONSE_BYTES_MAX};

/// What an answer that goes on for as long as it is read is marked with: its reader bounds each of its events.
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

/// An answer whose header says that it is longer than any that we ask for.
#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {AWS_RESPONSE_BYTES_MAX} bytes")]
pub(crate) struct AnswerTooLong;

/// All connections of the process to AWS.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections(Arc<Pools>);

#[derive(Debug, Default)]
struct Pools {
    plain: OnceLock<Connector>,
    tls: OnceLock<Connector>,
}

impl HttpClient for Connections {
    /// The same for all settings: of these, only the time to connect concerns a connector, and it is the process's.
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connections {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let has_body = request.method() != "HEAD";
        let answer = self.0.of(request.uri()).call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            if has_body { bounded(answer) } else { Ok(answer) }
        })
    }
}

impl Pools {
    fn of(&self, uri: &str) -> &Connector {
        if uri.starts_with("http://") {
            self.plain.get_or_init(|| connector(TrustStore::empty()))
        } else {
            self.tls.get_or_init(|| connector(TrustStore::default()))
        }
    }
}

fn connector(trusted: TrustStore) -> Connector {
    let settings = HttpConnectorSettings::builder().connect_timeout(AWS_CONNECT_TIMEOUT).build();
    let builder = Connector::builder().connector_settings(settings).tls_provider(Provider::rustls(CryptoMode::AwsLc));
    match TlsContext::builder().with_trust_store(trusted).build() {
        Ok(context) => builder.tls_context(context).build(),
        // A trust store without certificates of its own, which could be malformed, has nothing to fail by.
        Err(_) => builder.build(),
    }
}

/// Refuses an answer whose length says that it is too long, and cuts one whose length is not told.
fn bounded(answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let header = |name| answer.headers().get(name);
    if header("content-type").is_some_and(|kind| kind.starts_with(EVENT_STREAM)) {
        return Ok(answer);
    }
    let bytes = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    if bytes > AWS_RESPONSE_BYTES_MAX {
        return Err(ConnectorError::other(AnswerTooLong.into(), None));
    }
    Ok(answer.map(|body| SdkBody::from_body_1_x(Limited::new(body, AWS_RESPONSE_BYTES_MAX))))
}
