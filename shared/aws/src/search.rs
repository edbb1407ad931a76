//! The search index on OpenSearch.

mod access;
mod bulk;
mod client;
mod compile;
mod document;
mod endpoint;
mod failure;
mod functions;
mod index;
mod read;
mod stored;
mod template;
#[cfg(test)]
mod tests;
mod upsert;

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use tributary_model::{Day, Invocation, ProjectId, ReportId, Version};
use tributary_ports::search::{After, Document, FunctionSummary, Scope, Sort};
use tributary_ports::{LiveSettings, PortError, Search, Upserted};

use self::client::Client;
use self::endpoint::Endpoint;
use self::template::Check;

pub use self::access::Access;
pub use self::endpoint::EndpointError;

/// The search index of one cluster.
pub struct OpenSearch {
    client: Client,
    template: Check,
    settings: Arc<LiveSettings>,
}

impl OpenSearch {
    /// The cluster at `url`: `https://search-NAME.REGION.es.amazonaws.com`, to which requests are signed with the
    /// credentials of `config`, or `https://USER:PASSWORD@HOST:PORT`. Opens no connection.
    ///
    /// # Errors
    /// If the URL is neither, or says plain HTTP for another machine.
    pub fn new(url: &str, config: &SdkConfig) -> Result<Self, EndpointError> {
        let client = Client::new(Endpoint::parse(url)?, config.clone());
        Ok(Self { client, template: Check::new(), settings: Arc::default() })
    }

    /// The same with other pages than the default's.
    #[must_use]
    pub fn with_settings(self, settings: Arc<LiveSettings>) -> Self {
        Self { settings, ..self }
    }

    /// Sets the cluster up: writes the index template of this build. The same again changes nothing, and indices that
    /// are there keep theirs.
    ///
    /// # Errors
    /// Bad luck of any kind.
    pub async fn create_templates(&self) -> Result<(), PortError> {
        template::create(&self.client).await.map_err(|failure| failure.port_error("search.create_templates"))
    }

    /// Lets a function in: writes its role, and that it belongs to whom the cluster knows by `backend_role`, the ARN of an
    /// IAM role, in which `*` stands for any characters. For the cluster's master user; the same again changes nothing.
    ///
    /// # Errors
    /// `Denied` for any other user; otherwise bad luck.
    pub async fn grant(&self, access: Access, backend_role: &str) -> Result<(), PortError> {
        access::grant(&self.client, access, backend_role).await.map_err(|failure| failure.port_error("search.grant"))
    }
}

#[async_trait]
impl Search for OpenSearch {
    /// `Invalid` while the cluster is not set up by [`OpenSearch::create_templates`].
    async fn upsert(&self, documents: Vec<Document>) -> Result<Vec<Upserted>, PortError> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        self.template.pass(&self.client).await.map_err(|failure| failure.port_error("search.upsert"))?;
        upsert::upsert(&self.client, self.settings.current().search_page_bytes, documents).await
    }

    async fn find(
        &self,
        scope: &Scope,
        sort: Sort,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<Invocation>, PortError> {
        let page = read::page(&self.client, scope, sort, after, limit).await;
        page.map_err(|failure| failure.port_error("search.find"))
    }

    async fn get(&self, project: &ProjectId, id: ReportId) -> Result<Option<Document>, PortError> {
        read::one(&self.client, project, id).await.map_err(|failure| failure.port_error("search.get"))
    }

    async fn versions(&self, ids: &[ReportId]) -> Result<Vec<Vec<Version>>, PortError> {
        stored::versions(&self.client, ids).await.map_err(|failure| failure.port_error("search.versions"))
    }

    async fn expire(&self, today: Day) -> Result<(), PortError> {
        stored::expire(&self.client, today).await.map_err(|failure| failure.port_error("search.expire"))
    }

    async fn functions(&self, scope: &Scope, limit: usize) -> Result<Vec<FunctionSummary>, PortError> {
        let summaries = functions::summaries(&self.client, scope, limit).await;
        summaries.map_err(|failure| failure.port_error("search.functions"))
    }
}
