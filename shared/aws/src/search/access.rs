//! Who may do what in the cluster: on top of IAM, fine-grained access control has roles of its own.

use serde_json::json;
use tributary_model::limits::SEARCH_WRITE_TIMEOUT;

use super::client::{Asking, Client};
use super::failure::Failure;

const API: &str = "/_plugins/_security/api";

/// A function as the cluster knows it: by a role that allows what the function does there and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The worker of the search index.
    Worker,
    /// The query function.
    Query,
    /// The custodian.
    Custodian,
    /// The replay.
    Replay,
}

impl Access {
    /// All functions that the cluster lets in.
    pub const ALL: [Self; 4] = [Self::Worker, Self::Query, Self::Custodian, Self::Replay];

    /// The function's name, which is in that of its IAM role.
    #[must_use]
    pub const fn function(self) -> &'static str {
        match self {
            Self::Worker => "worker-search",
            Self::Query => "query",
            Self::Custodian => "custodian",
            Self::Replay => "replay",
        }
    }

    const fn role(self) -> &'static str {
        match self {
            Self::Worker => include_str!("../../../../infra/roles/worker.json"),
            Self::Query => include_str!("../../../../infra/roles/query.json"),
            Self::Custodian => include_str!("../../../../infra/roles/custodian.json"),
            Self::Replay => include_str!("../../../../infra/roles/replay.json"),
        }
    }
}

/// Writes the role of a function, and that whoever comes with `backend_role` has it; the same again changes nothing.
pub(super) async fn grant(client: &Client, access: Access, backend_role: &str) -> Result<(), Failure> {
    let mapping = json!({ "backend_roles": [backend_role] }).to_string();
    for (kind, body) in [("roles", access.role().to_owned()), ("rolesmapping", mapping)] {
        let path = format!("{API}/{kind}/tributary-{}", access.function());
        client.answer(&Asking::json(http::Method::PUT, path, body, SEARCH_WRITE_TIMEOUT)).await?;
    }
    Ok(())
}
