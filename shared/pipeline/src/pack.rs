//! From an admitted report to a record of the stream.

use std::cell::RefCell;

use bytes::Bytes;
use tributary_model::limits::{RECORD_BYTES_MAX, RECORD_PAYLOAD_BYTES_MAX};
use tributary_model::record::Codec;
use tributary_model::{
    AccountId, Kind, ProjectId, Reason, Record, Region, Rejection, ReportId, RetentionClass, TimestampMs, TokenId,
};
use zstd::bulk::Compressor;

/// The level of zstd, by measure (`benches/floor.rs`).
const LEVEL: i32 = 1;

/// From whom a report came, where it came in, and where it will be kept: all from the verified token, the directory and
/// the collector's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The token's project.
    pub project: ProjectId,
    /// The token's account.
    pub account: AccountId,
    /// The collector's region.
    pub region: Region,
    /// For how long the invocation is kept.
    pub retention: RetentionClass,
    /// The token's id.
    pub token: TokenId,
    /// When the report came in.
    pub received_at: TimestampMs,
}

/// Packs a report: `bytes` is its JSON without the token, or the JWS as it came.
///
/// # Errors
/// `TooLarge` if `bytes` has more than [`RECORD_PAYLOAD_BYTES_MAX`] bytes or the record more than [`RECORD_BYTES_MAX`].
pub fn pack(arrival: &Arrival, id: ReportId, kind: Kind, bytes: &[u8]) -> Result<Record, Rejection> {
    let too_large = |what: &str, size: usize, limit: usize| {
        Rejection::new(Reason::TooLarge, format!("{what} has {size} bytes; the limit is {limit}"))
    };
    if bytes.len() > RECORD_PAYLOAD_BYTES_MAX {
        return Err(too_large("the report", bytes.len(), RECORD_PAYLOAD_BYTES_MAX));
    }
    let (codec, payload) = compress(bytes);
    let record = Record {
        kind,
        codec,
        received_at: arrival.received_at,
        retention: arrival.retention,
        id,
        project: arrival.project.clone(),
        account: arrival.account.clone(),
        region: arrival.region.clone(),
        token: arrival.token.clone(),
        payload_bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        payload,
    };
    match record.encoded_bytes() {
        size if size > RECORD_BYTES_MAX => Err(too_large("the compressed report", size, RECORD_BYTES_MAX)),
        _ => Ok(record),
    }
}

/// The smaller of the bytes and one zstd frame of them.
fn compress(bytes: &[u8]) -> (Codec, Bytes) {
    thread_local! {
        /// A context costs half a megabyte and 50 us to set up, a report a few microseconds.
        static PACKER: RefCell<Packer> = RefCell::new(Packer::new());
    }
    let frame = PACKER.with_borrow_mut(|packer| packer.frame(bytes).map(Bytes::copy_from_slice));
    frame.map_or_else(|| (Codec::Plain, Bytes::copy_from_slice(bytes)), |frame| (Codec::Zstd, frame))
}

struct Packer {
    compressor: Option<Compressor<'static>>,
    frame: Vec<u8>,
}

impl Packer {
    fn new() -> Self {
        Self { compressor: Compressor::new(LEVEL).and_then(with_checksum).ok(), frame: Vec::new() }
    }

    /// One frame of `bytes`, if that is smaller.
    fn frame(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        self.frame.clear();
        self.frame.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        self.compressor.as_mut()?.compress_to_buffer(bytes, &mut self.frame).ok()?;
        (self.frame.len() < bytes.len()).then_some(&self.frame)
    }
}

/// With zstd's checksum of the content, so that a record damaged anywhere on its way is refused and not stored.
fn with_checksum(mut compressor: Compressor<'static>) -> std::io::Result<Compressor<'static>> {
    compressor.include_checksum(true)?;
    Ok(compressor)
}
