//! From a record's bytes to the report's.

use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use tributary_model::limits::RECORD_PAYLOAD_BYTES_MAX;
use tributary_model::record::Codec;
use tributary_model::{Kind, Reason, Record, Rejection};
use zstd::bulk::Decompressor;

/// A record and the report it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The record.
    pub record: Record,
    /// The report's JSON; of a signed report the payload of its JWS, whose signature is not looked at here.
    pub report: Bytes,
}

/// Unpacks the bytes of a record.
///
/// It never panics and allocates at most [`RECORD_PAYLOAD_BYTES_MAX`]
/// bytes for the payload, and as many for a JWS's content, whatever the bytes are.
///
/// # Errors
/// As [`Record::decode`]; `Malformed` if the payload is not exactly what the record's header says: no frame, more than
/// one, damaged, of another size, or no JWS.
pub fn unpack(bytes: &Bytes) -> Result<Unpacked, Rejection> {
    let record = Record::decode(bytes)?;
    let payload = decompress(record.codec, record.payload_bytes, &record.payload)?;
    let report = report(record.kind, &payload)?;
    Ok(Unpacked { record, report })
}

/// A record's payload as it was received: `payload_bytes` bytes.
///
/// # Errors
/// `TooLarge` beyond [`RECORD_PAYLOAD_BYTES_MAX`]; `Malformed` if the payload is not one whole frame of that size.
pub fn decompress(codec: Codec, payload_bytes: u32, payload: &Bytes) -> Result<Bytes, Rejection> {
    let expected = payload_bytes as usize;
    if expected > RECORD_PAYLOAD_BYTES_MAX {
        let detail = format!("the payload is {expected} bytes; the limit is {RECORD_PAYLOAD_BYTES_MAX}");
        return Err(Rejection::new(Reason::TooLarge, detail));
    }
    let payload = match codec {
        Codec::Plain => payload.clone(),
        Codec::Zstd => frame_content(payload, expected)?,
    };
    if payload.len() == expected {
        return Ok(payload);
    }
    Err(malformed(format!("the record's payload has {} bytes, its header says {expected}", payload.len())))
}

/// The report's JSON in a payload: of a signed report the content of its JWS, whose signature is not looked at here.
///
/// # Errors
/// `Malformed` if a signed report is no JWS.
pub fn report(kind: Kind, payload: &Bytes) -> Result<Bytes, Rejection> {
    match kind {
        Kind::Report => Ok(payload.clone()),
        Kind::SignedReport => jws_content(payload),
    }
}

/// The content of a payload that is exactly one frame of at most `bytes_max` bytes.
fn frame_content(payload: &[u8], bytes_max: usize) -> Result<Bytes, Rejection> {
    thread_local! {
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
    }
    let broken = || malformed("the record's payload is no readable zstd frame of the size in its header");
    if zstd::zstd_safe::find_frame_compressed_size(payload) != Ok(payload.len()) {
        return Err(broken());
    }
    let content = DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let mut content = Vec::with_capacity(bytes_max);
        decompressor.as_mut()?.decompress_to_buffer(payload, &mut content).ok()?;
        Some(content)
    });
    content.map(Bytes::from).ok_or_else(broken)
}

/// The content of a compact JWS (RFC 7515): header, content and signature in base64url, joined by points.
fn jws_content(jws: &[u8]) -> Result<Bytes, Rejection> {
    let parts: Vec<&[u8]> = jws.split(|byte| *byte == b'.').take(4).collect();
    let [_header, content, _signature] = parts.as_slice() else {
        return Err(malformed("the signed report is no compact JWS: it has not three parts"));
    };
    let content = URL_SAFE_NO_PAD.decode(content);
    content.map(Bytes::from).map_err(|_| malformed("the signed report's content is not base64url"))
}

fn malformed(detail: impl Into<String>) -> Rejection {
    Rejection::new(Reason::Malformed, detail)
}
