//! From an admitted report to a record of the stream.

use std::cell::RefCell;

use bytes::Bytes;
use tributary_model::limits::{RECORD_BYTES_MAX, RECORD_PAYLOAD_BYTES_MAX};
use tributary_model::record::Codec;
use tributary_model::{
    AccountId, Kind, ProjectId, Reason, Record, Region, Rejection, ReportId, RetentionClass, TimestampMs, TokenId,
};
use zstd::bulk::Compressor;

/// The level of zstd. Measured on a report of 1,154 bytes: level -1 makes 918 of them in 2.1 us, level 1 704 in 4.0 us,
/// level 3 705 in 5.5 us; on one of 20 kB 3,920 in 14 us, 2,865 in 19 us and 2,845 in 22 us. A byte is written, kept and
/// read several times over; two microseconds are spent once.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::unpack::unpack;

    fn arrival() -> Arrival {
        Arrival {
            project: ProjectId::new(&"p".repeat(64)).expect("a project"),
            account: AccountId::new(&"a".repeat(64)).expect("an account"),
            region: Region::new(&"r".repeat(32)).expect("a region"),
            retention: RetentionClass::DEFAULT,
            token: TokenId::new(&"t".repeat(64)).expect("a token's id"),
            received_at: TimestampMs(1_795_284_061_937),
        }
    }

    fn id() -> ReportId {
        ReportId::derive(&arrival().project, "p", "r", TimestampMs(1_795_284_061_873))
    }

    fn packed(bytes: &[u8]) -> Record {
        pack(&arrival(), id(), Kind::Report, bytes).expect("a record")
    }

    /// Bytes that no compression makes smaller.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn what_compression_makes_no_smaller_stays_plain() {
        assert_eq!(packed(b"{}").codec, Codec::Plain);
        assert_eq!(packed(&noise(10_000)).codec, Codec::Plain);
        let compressed = packed(&[b' '; 10_000]);
        assert_eq!((compressed.codec, compressed.payload_bytes), (Codec::Zstd, 10_000));
        assert!(compressed.payload.len() < 100);
    }

    #[test]
    fn the_largest_report_fits_a_record_however_badly_it_compresses() {
        let largest = noise(tributary_model::limits::REPORT_BYTES_MAX);
        assert!(packed(&largest).encode().len() <= RECORD_BYTES_MAX);
        let header = packed(b"").encode().len();
        assert!(pack(&arrival(), id(), Kind::SignedReport, &noise(RECORD_BYTES_MAX - header)).is_ok());
        for (bytes, detail) in [
            (noise(RECORD_BYTES_MAX - header + 1), "the compressed report has 1048577 bytes; the limit is 1048576"),
            (vec![b' '; RECORD_PAYLOAD_BYTES_MAX + 1], "the report has 1400001 bytes; the limit is 1400000"),
        ] {
            let rejection = pack(&arrival(), id(), Kind::SignedReport, &bytes).expect_err(detail);
            assert_eq!((rejection.reason, rejection.detail.as_str()), (Reason::TooLarge, detail));
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(bytes in proptest::collection::vec(any::<u8>(), 0..3000), repeat in 1usize..4) {
            let bytes = bytes.repeat(repeat);
            let record = packed(&bytes);
            let unpacked = unpack(&record.encode()).expect("what was packed");
            prop_assert_eq!(unpacked.record, record);
            prop_assert_eq!(unpacked.report, bytes);
        }
    }
}
