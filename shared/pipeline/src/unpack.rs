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
/// It never panics and allocates at most [`RECORD_PAYLOAD_BYTES_MAX`] bytes for the payload, and as many for a JWS's
/// content, whatever the bytes are.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tributary_model::limits::RECORD_PAYLOAD_BYTES_MAX;
    use tributary_model::{AccountId, ProjectId, Region, ReportId, RetentionClass, TimestampMs, TokenId};

    use super::*;

    fn record(kind: Kind, codec: Codec, payload: impl Into<Bytes>, payload_bytes: usize) -> Record {
        let project = ProjectId::new("shop").expect("a project");
        Record {
            kind,
            codec,
            received_at: TimestampMs(1_795_284_061_937),
            retention: RetentionClass::DEFAULT,
            id: ReportId::derive(&project, "p", "r", TimestampMs(1_795_284_061_873)),
            project,
            account: AccountId::new("acme").expect("an account"),
            region: Region::new("eu-west-1").expect("a region"),
            token: TokenId::new("t_1").expect("a token's id"),
            payload_bytes: u32::try_from(payload_bytes).expect("a size"),
            payload: payload.into(),
        }
    }

    fn refused(record: &Record) -> String {
        let rejection = unpack(&record.encode()).expect_err("a bad payload");
        assert_eq!(rejection.reason, Reason::Malformed, "{rejection}");
        rejection.detail
    }

    fn frame(bytes: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(bytes, 1).expect("compressible")
    }

    const BROKEN: &str = "the record's payload is no readable zstd frame of the size in its header";

    #[test]
    fn a_header_that_lies_about_the_size_is_refused() {
        let text = [b'x'; 1000];
        assert!(unpack(&record(Kind::Report, Codec::Zstd, frame(&text), 1000).encode()).is_ok());
        assert_eq!(refused(&record(Kind::Report, Codec::Zstd, frame(&text), 999)), BROKEN);
        assert_eq!(
            refused(&record(Kind::Report, Codec::Zstd, frame(&text), 1001)),
            "the record's payload has 1000 bytes, its header says 1001"
        );
        let plain = record(Kind::Report, Codec::Plain, &b"{}"[..], 3);
        assert_eq!(refused(&plain), "the record's payload has 2 bytes, its header says 3");
    }

    #[test]
    fn a_bomb_is_refused_at_the_size_in_its_header() {
        let bomb = frame(&vec![b' '; 100_000_000]);
        for size in [0, 1, RECORD_PAYLOAD_BYTES_MAX] {
            assert_eq!(refused(&record(Kind::Report, Codec::Zstd, bomb.clone(), size)), BROKEN);
        }
    }

    #[test]
    fn a_payload_is_exactly_one_frame() {
        let text = [b'x'; 1000];
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
        let half = frame(&text[..500]);
        for payload in [
            [frame(&text), b"more".to_vec()].concat(),
            [frame(&text), skippable.to_vec()].concat(),
            [half.clone(), half].concat(),
            Vec::new(),
            text.to_vec(),
        ] {
            assert_eq!(refused(&record(Kind::Report, Codec::Zstd, payload, 1000)), BROKEN);
        }
    }

    #[test]
    fn a_signed_report_is_the_content_of_its_jws() {
        let of = |jws: &'static str| unpack(&record(Kind::SignedReport, Codec::Plain, jws, jws.len()).encode());
        let unpacked = of("eyJhbGciOiJFZERTQSJ9.e30.c2ln").expect("a JWS");
        assert_eq!((unpacked.report.as_ref(), unpacked.record.payload.len()), (&b"{}"[..], 29));
        for jws in ["e30.e30", "e30.e30.a.b", "", "e30.e30=.a", "e30.e3/.a", "e30.e30 .a"] {
            assert!(of(jws).is_err(), "{jws}");
        }
    }

    proptest! {
        #[test]
        fn unpacking_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = unpack(&bytes.into());
        }

        #[test]
        fn a_damaged_payload_is_refused(at in 0usize..400, bit in 0u8..8) {
            let text: Vec<u8> = (0..1000u32).flat_map(|number| number.to_string().into_bytes()).collect();
            let good = crate::pack::pack(
                &crate::pack::Arrival {
                    project: ProjectId::new("shop").expect("a project"),
                    account: AccountId::new("acme").expect("an account"),
                    region: Region::new("eu-west-1").expect("a region"),
                    retention: RetentionClass::DEFAULT,
                    token: TokenId::new("t_1").expect("a token's id"),
                    received_at: TimestampMs(0),
                },
                record(Kind::Report, Codec::Plain, "", 0).id,
                Kind::Report,
                &text,
            )
            .expect("a record");
            let mut payload = good.payload.to_vec();
            let at = at % payload.len();
            payload[at] ^= 1 << bit;
            let damaged = unpack(&Record { payload: payload.into(), ..good }.encode());
            // Bits that no reader looks at (the frame's header has an unused one) leave the report as it was.
            prop_assert!(damaged.is_err() || damaged.is_ok_and(|unpacked| unpacked.report == text));
        }
    }
}
