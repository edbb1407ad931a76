//! The index template: what every index is made by on the day of its first document.

use serde::Deserialize;
use tokio::sync::OnceCell;
use tributary_model::limits::{SEARCH_READ_TIMEOUT, SEARCH_WRITE_TIMEOUT};

use super::client::{Asking, Client};
use super::failure::Failure;

const PATH: &str = "/_index_template/invocations";
const TEMPLATE: &str = include_str!("../../../../infra/index/invocations.json");

/// What an index of ours would be made by, whichever templates there are: a function may only POST.
const APPLIES: &str =
    "/_index_template/_simulate_index/invocations-1d-1970.01.01?filter_path=template.mappings._meta,error.type";

/// A template, as we write it and as the cluster would apply it.
#[derive(Deserialize)]
struct Told {
    template: Option<Template>,
}

#[derive(Deserialize)]
struct Template {
    mappings: Mappings,
}

#[derive(Deserialize)]
struct Mappings {
    #[serde(rename = "_meta")]
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    version: u64,
}

impl Told {
    fn version(&self) -> Option<u64> {
        self.template.as_ref().map(|template| template.mappings.meta.version)
    }
}

/// Writes the template of this build; the same again changes nothing. Indices that are there keep theirs.
pub(super) async fn create(client: &Client) -> Result<(), Failure> {
    let asking = Asking::json(http::Method::PUT, PATH, TEMPLATE, SEARCH_WRITE_TIMEOUT);
    client.answer(&asking).await.map(drop)
}

/// Looks once whether the cluster has this build's template or a later one. Without it the first document of a day would
/// make an index that takes in any field.
pub(super) struct Check(OnceCell<()>);

impl Check {
    pub(super) const fn new() -> Self {
        Self(OnceCell::const_new())
    }

    pub(super) async fn pass(&self, client: &Client) -> Result<(), Failure> {
        self.0.get_or_try_init(|| check(client)).await.map(drop)
    }
}

async fn check(client: &Client) -> Result<(), Failure> {
    let answer = client.answer(&Asking::json(http::Method::POST, APPLIES, "", SEARCH_READ_TIMEOUT)).await?;
    let there: Told = serde_json::from_slice(&answer).map_err(|_| Failure::Malformed)?;
    let ours: Told = serde_json::from_str(TEMPLATE).map_err(|_| Failure::NotMade)?;
    // None is less than any.
    if there.version() >= ours.version() { Ok(()) } else { Err(Failure::NotSetUp) }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tributary_model::limits::{
        ERROR_MESSAGE_BYTES_MAX, ERROR_NAME_BYTES_MAX, LABEL_BYTES_MAX, METRIC_NAME_BYTES_MAX, METRIC_TEXT_BYTES_MAX,
        METRICS_MAX, PROCESS_ID_BYTES_MAX, REQUEST_ID_BYTES_MAX, SEARCH_TERM_BYTES_MAX, TEXT_BYTES_MAX,
    };

    use super::*;

    fn template() -> Value {
        serde_json::from_str(TEMPLATE).unwrap()
    }

    /// Every object below `mapping` that takes properties.
    fn objects<'a>(mapping: &'a Value, found: &mut Vec<&'a Value>) {
        if let Some(properties) = mapping["properties"].as_object() {
            found.push(mapping);
            properties.values().for_each(|property| objects(property, found));
        }
    }

    #[test]
    fn every_object_is_strict() {
        let template = template();
        let mut found = Vec::new();
        objects(&template["template"]["mappings"], &mut found);
        assert_eq!(found.len(), 8);
        for object in found {
            assert_eq!(object["dynamic"], "strict", "{object}");
        }
    }

    /// What normalize lets through, the index takes.
    #[test]
    fn the_mappings_limits_are_those_that_normalize_holds_to() {
        let settings = &template()["template"]["settings"]["index"];
        assert_eq!(settings["mapping.nested_objects.limit"], METRICS_MAX);
        // A letter of a text can take half as many bytes again in lower case.
        let lower = [ERROR_NAME_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX, LABEL_BYTES_MAX, METRIC_TEXT_BYTES_MAX];
        let exact = [TEXT_BYTES_MAX, METRIC_NAME_BYTES_MAX, PROCESS_ID_BYTES_MAX, REQUEST_ID_BYTES_MAX];
        for bytes in lower.map(|bytes| bytes * 3 / 2).into_iter().chain(exact) {
            assert!(bytes <= SEARCH_TERM_BYTES_MAX, "{bytes}");
        }
    }

    #[test]
    fn what_is_not_searched_is_not_indexed() {
        let mappings = &template()["template"]["mappings"]["properties"];
        for field in ["original", "unknown", "removed", "marks", "http_traces", "db_traces", "plugins"] {
            assert_eq!(mappings[field]["enabled"], false, "{field}");
        }
        assert_eq!(mappings["unindexed"]["index"], false);
    }
}
