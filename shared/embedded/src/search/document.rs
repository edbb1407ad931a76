//! A document as the index takes it, and back.

use bytes::Bytes;
use tantivy::TantivyDocument;
use tantivy::schema::{Field, Value};
use tributary_model::record::Codec;
use tributary_model::{Day, Invocation, Kind, ReportId, RetentionClass, Version, limits};
use tributary_ports::search::{BoolField, Document, Filter, NumberField, Original, TextField};

use super::metric::{self, unsigned_zero};
use super::schema::{
    self, COLDSTARTS, DOC_VERSION, ERRORS, HAS_ERROR, ID_DAY, ID_HIGH, ID_LOW, INVOCATION, METRIC, PROJECT,
    RECEIVED_AT, REPORT, REPORT_BYTES, REPORT_CODEC, REPORT_KIND, RETENTION_DAYS, TIMESTAMP, WORDS,
};

/// An id as three numbers; their order is the ids' order.
pub(super) fn id_numbers(id: ReportId) -> [u64; 3] {
    let hash = u128::from_be_bytes(id.hash);
    let half = |number: u128| u64::try_from(number & u128::from(u64::MAX)).unwrap_or_default();
    [u64::from(id.day.0), half(hash >> 64), half(hash)]
}

/// From [`id_numbers`].
pub(super) fn id_of_numbers([day, high, low]: [u64; 3]) -> ReportId {
    let hash = (u128::from(high) << 64) | u128::from(low);
    ReportId { day: Day(u32::try_from(day).unwrap_or_default()), hash: hash.to_be_bytes() }
}

/// The document as the index takes it.
///
/// # Errors
/// Why the index refuses it for good: a text that is too long to be compared exactly. Names the field, not the text.
pub(super) fn to_index(document: &Document) -> Result<TantivyDocument, String> {
    let mut out = TantivyDocument::new();
    add_texts(&mut out, &document.invocation)?;
    add_metrics(&mut out, &document.invocation)?;
    add_columns(&mut out, document);
    for text in Filter::texts(&document.invocation) {
        out.add_text(WORDS, text);
    }
    add_stored(&mut out, document)?;
    Ok(out)
}

fn add_texts(out: &mut TantivyDocument, invocation: &Invocation) -> Result<(), String> {
    for field in TextField::ALL {
        for text in field.of(invocation) {
            check_term(text.len(), || format!("{field:?}"))?;
            out.add_text(schema::text(field), text);
        }
    }
    out.add_text(PROJECT, invocation.project.as_str());
    Ok(())
}

fn add_metrics(out: &mut TantivyDocument, invocation: &Invocation) -> Result<(), String> {
    for (position, metric) in invocation.metrics.iter().enumerate() {
        for term in metric::terms(metric) {
            check_term(term.len(), || format!("metrics[{position}]"))?;
            out.add_bytes(METRIC, &term);
        }
    }
    Ok(())
}

fn check_term(bytes: usize, field: impl FnOnce() -> String) -> Result<(), String> {
    let max = limits::SEARCH_TERM_BYTES_MAX;
    if bytes <= max { Ok(()) } else { Err(format!("{} takes {bytes} bytes in the index; the limit is {max}", field())) }
}

fn add_columns(out: &mut TantivyDocument, document: &Document) {
    let invocation = &document.invocation;
    for field in BoolField::ALL {
        out.add_bool(schema::bool(field), field.of(invocation));
    }
    for field in NumberField::ALL {
        if let Some(number) = field.of(invocation).filter(|number| !number.is_nan()) {
            out.add_f64(schema::number(field), unsigned_zero(number));
        }
    }
    out.add_bool(HAS_ERROR, invocation.error.is_some());
    out.add_u64(ERRORS, invocation.error.is_some().into());
    out.add_u64(COLDSTARTS, invocation.coldstart.into());
    out.add_i64(TIMESTAMP, invocation.timestamp.0);
    out.add_i64(RECEIVED_AT, invocation.received_at.0);
    for (field, number) in [ID_DAY, ID_HIGH, ID_LOW].into_iter().zip(id_numbers(invocation.id)) {
        out.add_u64(field, number);
    }
}

fn add_stored(out: &mut TantivyDocument, document: &Document) -> Result<(), String> {
    let invocation = serde_json::to_vec(&document.invocation).map_err(|error| format!("it is no JSON: {error}"))?;
    out.add_bytes(INVOCATION, &invocation);
    out.add_bytes(REPORT, &document.original.payload);
    out.add_u64(REPORT_KIND, document.original.kind.code().into());
    out.add_u64(REPORT_CODEC, document.original.codec.code().into());
    out.add_u64(REPORT_BYTES, document.original.payload_bytes.into());
    out.add_u64(RETENTION_DAYS, document.retention.days().into());
    out.add_u64(DOC_VERSION, document.version.as_u64());
    Ok(())
}

/// A stored document that does not hold what [`to_index`] wrote.
#[derive(Debug, thiserror::Error)]
#[error("a stored document's {0} is missing or broken")]
pub(super) struct Broken(&'static str);

/// The invocation of a stored document.
pub(super) fn invocation(stored: &TantivyDocument) -> Result<Invocation, Broken> {
    serde_json::from_slice(bytes(stored, INVOCATION, "invocation")?).map_err(|_| Broken("invocation"))
}

/// The whole of a stored document.
pub(super) fn document(stored: &TantivyDocument) -> Result<Document, Broken> {
    Ok(Document {
        version: Version::from_u64(number(stored, DOC_VERSION, "version")?),
        retention: RetentionClass::from_days(number(stored, RETENTION_DAYS, "retention")?)
            .map_err(|_| Broken("retention"))?,
        invocation: invocation(stored)?,
        original: Original {
            kind: Kind::from_code(number(stored, REPORT_KIND, "kind")?).map_err(|_| Broken("kind"))?,
            codec: Codec::from_code(number(stored, REPORT_CODEC, "codec")?).map_err(|_| Broken("codec"))?,
            payload_bytes: number(stored, REPORT_BYTES, "size")?,
            payload: Bytes::copy_from_slice(bytes(stored, REPORT, "report")?),
        },
    })
}

fn bytes<'a>(stored: &'a TantivyDocument, field: Field, what: &'static str) -> Result<&'a [u8], Broken> {
    stored.get_first(field).and_then(|value| value.as_bytes()).ok_or(Broken(what))
}

fn number<N: TryFrom<u64>>(stored: &TantivyDocument, field: Field, what: &'static str) -> Result<N, Broken> {
    let number = stored.get_first(field).and_then(|value| value.as_u64()).ok_or(Broken(what))?;
    N::try_from(number).map_err(|_| Broken(what))
}
