//! Asking Tributary what it has: the HTTP API and the program's own `query` command.

use serde_json::Value;

use super::server::Address;
use crate::failure::{Context, Failure};
use crate::{http, process};

/// Scopes of the token: the agents send with it and the queries read with it.
pub(crate) const SCOPES: &str = "ingest,read";

/// More than a run sends, so that one page is all.
const LIMIT: &str = "100";

/// One who asks, with a token that may read.
pub(crate) struct Client<'a> {
    address: &'a Address,
    token: &'a str,
    from: String,
}

impl<'a> Client<'a> {
    /// Asks `address` with `token` for what happened since `from` (RFC 3339).
    pub(crate) fn new(address: &'a Address, token: &'a str, from: String) -> Self {
        Self { address, token, from }
    }

    /// The token, to look for where it must not be.
    pub(crate) fn token(&self) -> &str {
        self.token
    }

    /// What `GET /v1/invocations?query=` finds.
    pub(crate) fn find(&self, query: &str) -> Result<Vec<Value>, Failure> {
        let path =
            format!("/v1/invocations?query={}&from={}&limit={LIMIT}", http::escape(query), http::escape(&self.from));
        items(http::get(&self.address.http, &path, self.token)?)
    }

    /// The whole invocation that `GET /v1/invocations/{id}` answers.
    pub(crate) fn open(&self, id: &str) -> Result<Value, Failure> {
        http::get(&self.address.http, &format!("/v1/invocations/{}", http::escape(id)), self.token)
    }

    /// What `tributary query` finds.
    pub(crate) fn find_by_program(&self, query: &str) -> Result<Vec<Value>, Failure> {
        let mut command = self.address.command();
        command.args(["query", "--endpoint", &self.address.http, "--token", self.token, "--output", "json"]);
        command.args(["--from", &self.from, "--limit", LIMIT, query]);
        let said = process::output("tributary query", &mut command)?;
        items(serde_json::from_str(&said).context("what tributary query printed")?)
    }
}

/// The items of a list that is whole.
fn items(mut page: Value) -> Result<Vec<Value>, Failure> {
    if !page.get("next").is_some_and(Value::is_null) {
        return Err(Failure::new(format!("a list must end with \"next\": null here, but is {page}")));
    }
    match page.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(Failure::new(format!("a list must have \"items\", but is {page}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_must_be_whole() {
        assert_eq!(items(json!({"items": [1], "next": null})).unwrap(), [json!(1)]);
        assert!(items(json!({"items": [1], "next": "cursor"})).is_err());
        assert!(items(json!({"next": null})).is_err());
        assert!(items(json!({"items": []})).is_err());
    }
}
