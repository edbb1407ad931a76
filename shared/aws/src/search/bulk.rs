//! One page of documents as the cluster's bulk interface takes it, and what it answers.

use std::fmt;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tributary_model::limits::{SEARCH_BULK_WAIT, SEARCH_GZIP_LEVEL, SEARCH_WRITE_TIMEOUT};
use tributary_ports::search::Document;

use super::client::Asking;
use super::failure::{Cause, Named, is_name};
use super::{document, index};

/// How a document is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Indexed,
    /// Without the customer's fields in the index, for this reason.
    Unindexed(String),
}

/// Gathers documents until they fill a page. Its buffer serves one page after the other.
pub(super) struct Page {
    lines: Vec<u8>,
    /// Beyond so many, no further document joins it.
    bytes: usize,
}

impl Page {
    pub(super) const fn new(bytes: usize) -> Self {
        Self { lines: Vec::new(), bytes }
    }

    /// Whether a further document belongs on the next page.
    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= self.bytes
    }

    /// Adds a document: what to do, and the document, one line each.
    ///
    /// # Errors
    /// If it can't be written as JSON, which no document of ours meets.
    pub(super) fn add(&mut self, document: &Document, form: &Form) -> serde_json::Result<()> {
        let (id, version) = (document.invocation.id, document.version.as_u64());
        let index = index::name(document.retention, id.day);
        let action = format_args!(r#"{{"index":{{"_index":"{index}","_id":"{id}","version":{version},"#);
        // Writing to memory can't fail. "external": the write applies if its version is greater than the stored one.
        let _ = writeln!(self.lines, r#"{action}"version_type":"external"}}}}"#);
        match form {
            Form::Indexed => document::write(document, &mut self.lines)?,
            Form::Unindexed(reason) => document::write_unindexed(document, reason, &mut self.lines)?,
        }
        self.lines.push(b'\n');
        Ok(())
    }

    /// The request of what was added; the page is empty again.
    ///
    /// # Errors
    /// If it can't be compressed, which nothing in memory meets.
    pub(super) fn take(&mut self) -> std::io::Result<Asking> {
        // A report's own bytes, which are compressed already, are the most of what remains.
        let mut gzip = GzEncoder::new(Vec::with_capacity(self.lines.len() / 2), Compression::new(SEARCH_GZIP_LEVEL));
        gzip.write_all(&self.lines)?;
        self.lines.clear();
        // Statuses are always there, so that no item can be missing. An error of the whole request has another form.
        let path = format!(
            "/_bulk?timeout={}s&filter_path=items.%2A.status,items.%2A.error.type,error.type",
            SEARCH_BULK_WAIT.as_secs()
        );
        Ok(Asking { gzip: true, ..Asking::json(http::Method::POST, path, gzip.finish()?, SEARCH_WRITE_TIMEOUT) })
    }
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// It was written.
    Applied,
    /// A version that is not less was there.
    Conflict,
    /// The index refuses it, by this name of its reason.
    Refused(String),
    /// The cluster could not take it now, or at all, whatever it is.
    Failed(Cause),
}

/// What the cluster calls a document that it can't read or index, and nothing but that. Other errors of status 400 are
/// the cluster's own state (`validation_exception`: no shards are left) and must lose no document.
const REFUSALS: [&str; 4] = [
    "mapper_parsing_exception",
    "strict_dynamic_mapping_exception",
    "illegal_argument_exception",
    "x_content_parse_exception",
];

impl Item {
    fn of(status: u16, name: Option<String>) -> Self {
        match (status, name) {
            (200..=299, _) => Self::Applied,
            (409, _) => Self::Conflict,
            (400, Some(name)) if REFUSALS.contains(&name.as_str()) => Self::Refused(name),
            (status, name) => Self::Failed(Cause { status, name: name.filter(|name| is_name(name)) }),
        }
    }
}

/// The items of an answer, in the order of the request's; none if it is not of that form.
pub(super) fn items(answer: &[u8]) -> Option<Vec<Item>> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    Some(
        answer
            .items
            .into_iter()
            .map(|ItemOf(told)| Item::of(told.status, told.error.map(|error| error.name)))
            .collect(),
    )
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<ItemOf>,
}

#[derive(Deserialize)]
struct Told {
    status: u16,
    #[serde(default)]
    error: Option<Named>,
}

/// `{"index": {...}}`: an object of one entry, whose key is what was done.
struct ItemOf(Told);

impl<'de> Deserialize<'de> for ItemOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneEntry;
        impl<'de> Visitor<'de> for OneEntry {
            type Value = ItemOf;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of one entry")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<ItemOf, M::Error> {
                let entry = map.next_entry::<serde::de::IgnoredAny, Told>()?;
                let (_, told) = entry.ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
                if map.next_key::<serde::de::IgnoredAny>()?.is_some() {
                    return Err(serde::de::Error::invalid_length(2, &self));
                }
                Ok(ItemOf(told))
            }
        }
        deserializer.deserialize_map(OneEntry)
    }
}

#[cfg(test)]
mod tests {
    use tributary_ports::PortErrorKind::{self, Denied, Invalid, NotFound, Throttled, Unavailable};

    use super::super::failure::Failure;
    use super::*;

    fn read(json: &str) -> Option<Vec<Item>> {
        items(json.as_bytes())
    }

    #[test]
    fn items_are_read_whatever_their_layout() {
        let pretty = r#"{
          "items" : [
            { "index" : { "status" : 201 } },
            { "index" : { "error" : { "reason" : "\"status\":201", "type" : "mapper_parsing_exception" }, "status" : 400 } },
            { "create" : { "status" : 409, "error" : { "type" : "version_conflict_engine_exception" } } }
          ],
          "errors" : true,
          "took" : 1
        }"#;
        let refused = Item::Refused("mapper_parsing_exception".to_owned());
        assert_eq!(read(pretty), Some(vec![Item::Applied, refused, Item::Conflict]));
        for broken in
            ["", "{}", r#"{"items":[{}]}"#, r#"{"items":[{"index":{}}]}"#, r#"{"items":[{"index":{"status":"201"}}]}"#]
        {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    /// L9: the class of an item by its status, and by the name of the error where the status is 400.
    #[test]
    fn the_class_of_an_item_is_by_status() {
        let table: [(u16, &str, PortErrorKind); 14] = [
            (400, "validation_exception", Invalid),
            (400, "index_closed_exception", Invalid),
            (401, "security_exception", Denied),
            (403, "security_exception", Denied),
            (403, "cluster_block_exception", Denied),
            (404, "index_not_found_exception", NotFound),
            (413, "too_large", Invalid),
            (429, "es_rejected_execution_exception", Throttled),
            (429, "circuit_breaking_exception", Throttled),
            (500, "exception", Unavailable),
            (502, "bad_gateway", Unavailable),
            (503, "unavailable_shards_exception", Unavailable),
            (504, "timeout", Unavailable),
            (507, "unknown", Unavailable),
        ];
        for (status, name, expected) in table {
            let Item::Failed(cause) = Item::of(status, Some(name.to_owned())) else { panic!("{status} {name}") };
            assert_eq!(Failure::Answered(cause).kind(), expected, "{status} {name}");
        }
        for name in REFUSALS {
            assert_eq!(Item::of(400, Some(name.to_owned())), Item::Refused(name.to_owned()));
        }
        let sentence = Item::of(500, Some("failed to parse field [secret]".to_owned()));
        assert_eq!(sentence, Item::Failed(Cause { status: 500, name: None }));
    }
}
