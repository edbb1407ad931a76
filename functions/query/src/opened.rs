//! One invocation with everything that is known of it.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tributary_model::json;
use tributary_model::{Invocation, Kind, RetentionClass};
use tributary_pipeline::unpack;
use tributary_ports::search::Document;

use crate::failure::Failure;

/// An invocation, the report it was made of, and for a signed one the signed text.
#[derive(Serialize)]
pub(crate) struct Opened {
    #[serde(flatten)]
    invocation: Invocation,
    retention: RetentionClass,
    /// The report, in which the token's id stands where the token stood.
    original: Report,
    /// The report as it was signed, a compact JWS: what `tributary show --verify` checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    jws: Option<String>,
}

/// A report as JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum Report {
    /// As it was received, byte by byte.
    Verbatim(Box<RawValue>),
    /// Read and written again, since it holds what JSON has no form for: `NaN` and the like are null.
    Mended(serde_json::Value),
}

impl Opened {
    pub(crate) fn new(document: Document) -> Result<Self, Failure> {
        let Document { retention, invocation, original, .. } = document;
        let payload = unpack::decompress(original.codec, original.payload_bytes, &original.payload)?;
        let report = unpack::report(original.kind, &payload)?;
        let jws = (original.kind == Kind::SignedReport).then(|| text(&payload)).transpose()?;
        Ok(Self { invocation, retention, original: Report::read(&report)?, jws })
    }
}

impl Report {
    fn read(report: &Bytes) -> Result<Self, Failure> {
        if let Ok(verbatim) = RawValue::from_string(text(report)?) {
            return Ok(Self::Verbatim(verbatim));
        }
        Ok(Self::Mended(json::Document::parse(report)?.root().to_tree()))
    }
}

fn text(bytes: &Bytes) -> Result<String, Failure> {
    String::from_utf8(bytes.to_vec()).map_err(|error| Failure::damaged(error.to_string()))
}
