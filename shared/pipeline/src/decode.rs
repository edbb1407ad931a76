//! From a request's body as it was sent to the report's bytes: decompression within bounds.
//!
//! A decoder is stopped at the first byte beyond a limit, so that a bomb costs no more than a large report: neither its
//! memory (the output grows as it is read, a zstd window is at most 8 MiB) nor its time.

use std::io::{ErrorKind, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use tributary_model::limits::{
    BODY_BYTES_MAX, DECOMPRESSION_RATIO_FREE_BYTES, DECOMPRESSION_RATIO_MAX, ZSTD_WINDOW_LOG_MAX,
};
use tributary_model::{Reason, Rejection};

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// As it is.
    #[default]
    Identity,
    /// gzip (RFC 1952), one member or several.
    Gzip,
    /// zstd (RFC 8878), one frame or several, with a window of at most 8 MiB (RFC 9659).
    Zstd,
}

impl Encoding {
    /// Reads the value of a `Content-Encoding` header.
    ///
    /// # Errors
    /// `Unsupported` for anything but `identity`, `gzip`, `x-gzip` and `zstd`, whatever their case; several encodings
    /// one in the other are not supported either.
    pub fn from_header(text: &str) -> Result<Self, Rejection> {
        let name = text.trim();
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if name.is_empty() || is("identity") {
            Ok(Self::Identity)
        } else if is("gzip") || is("x-gzip") {
            Ok(Self::Gzip)
        } else if is("zstd") {
            Ok(Self::Zstd)
        } else {
            let detail = "Content-Encoding is not supported; a body may be sent as it is, or as one of gzip and zstd";
            Err(Rejection::new(Reason::Unsupported, detail))
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// The body decompressed. A body that isn't compressed is given back, not copied.
///
/// This bounds what comes of a body by [`BODY_BYTES_MAX`], since a signed report is larger than its payload;
/// [`admit`](crate::admit::admit) bounds the report itself.
///
/// # Errors
/// `TooLarge` if it has more than [`BODY_BYTES_MAX`] bytes before or after decompression, or if a compressed byte stands
/// for more than [`DECOMPRESSION_RATIO_MAX`] bytes (beyond the first [`DECOMPRESSION_RATIO_FREE_BYTES`]);
/// `Malformed` if it is cut short or not of that encoding.
pub fn decode(body: Bytes, encoding: Encoding) -> Result<Bytes, Rejection> {
    if body.len() > BODY_BYTES_MAX {
        let detail = format!("the body has {} bytes; the limit is {BODY_BYTES_MAX}", body.len());
        return Err(Rejection::new(Reason::TooLarge, detail));
    }
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => inflate(MultiGzDecoder::new(body.as_ref()), body.len(), encoding),
        Encoding::Zstd => {
            let malformed = |error| self::malformed(&error, encoding);
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body.as_ref()).map_err(malformed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(malformed)?;
            inflate(decoder, body.len(), encoding)
        }
    }
}

fn inflate(decoder: impl Read, sent_bytes: usize, encoding: Encoding) -> Result<Bytes, Rejection> {
    /// What real reports are compressed by, about; only a first guess at the size.
    const USUAL_RATIO: usize = 3;
    let by_ratio = sent_bytes.saturating_mul(DECOMPRESSION_RATIO_MAX).max(DECOMPRESSION_RATIO_FREE_BYTES);
    let limit = by_ratio.min(BODY_BYTES_MAX);
    let mut out = Vec::with_capacity((sent_bytes * USUAL_RATIO).min(limit));
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(one_more).read_to_end(&mut out).map_err(|error| malformed(&error, encoding))?;
    if out.len() <= limit {
        return Ok(out.into());
    }
    let detail = if by_ratio < BODY_BYTES_MAX {
        format!(
            "the body's {sent_bytes} bytes decompress to more than {limit} bytes, \
             {DECOMPRESSION_RATIO_MAX} for each; that is the limit"
        )
    } else {
        format!("the body decompresses to more than {limit} bytes; that is the limit")
    };
    Err(Rejection::new(Reason::TooLarge, detail))
}

fn malformed(error: &std::io::Error, encoding: Encoding) -> Rejection {
    let name = encoding.name();
    let detail = match error.kind() {
        ErrorKind::UnexpectedEof => format!("the body is cut short: its {name} compression does not end"),
        _ => format!("the body is not readable as {name}"),
    };
    Rejection::new(Reason::Malformed, detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).expect("a Vec takes all");
        encoder.finish().expect("a Vec takes all").into()
    }

    fn zstd_frame(bytes: &[u8]) -> Bytes {
        zstd::bulk::compress(bytes, 3).expect("compressible").into()
    }

    fn compress(bytes: &[u8], encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Identity => Bytes::copy_from_slice(bytes),
            Encoding::Gzip => gzip(bytes),
            Encoding::Zstd => zstd_frame(bytes),
        }
    }

    /// Bytes that no compression makes 200 times smaller.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'a' + (state >> 24) as u8 % 16
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn a_header_names_one_encoding_or_is_refused() {
        for (text, encoding) in [
            ("", Encoding::Identity),
            ("identity", Encoding::Identity),
            (" GZIP ", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("zstd", Encoding::Zstd),
        ] {
            assert_eq!(Encoding::from_header(text), Ok(encoding));
        }
        for text in ["gzip, gzip", "br", "deflate", "gzip,zstd"] {
            let rejection = Encoding::from_header(text).expect_err(text);
            assert_eq!(rejection.reason, Reason::Unsupported);
        }
    }

    #[test]
    fn a_plain_body_is_not_copied() {
        let body = Bytes::from(vec![b'x'; 100]);
        let decoded = decode(body.clone(), Encoding::Identity).expect("within limits");
        assert_eq!(decoded.as_ptr(), body.as_ptr());
    }

    #[test]
    fn several_members_or_frames_are_one_body() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let body = [compress(b"{\"a\":", encoding), compress(b"1}", encoding)].concat();
            assert_eq!(decode(body.into(), encoding), Ok(Bytes::from_static(b"{\"a\":1}")));
        }
    }

    #[test]
    fn the_limit_is_met_exactly() {
        let largest = noise(BODY_BYTES_MAX);
        for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
            let decoded = decode(compress(&largest, encoding), encoding).expect("as large as may be");
            assert!(decoded == largest, "{encoding:?}");
            let rejection = decode(compress(&noise(BODY_BYTES_MAX + 1), encoding), encoding).expect_err("too large");
            assert_eq!(rejection.reason, Reason::TooLarge, "{encoding:?}");
            assert!(rejection.detail.contains("1400000"), "{rejection}");
        }
    }

    /// S1: a bomb far below the limit of size.
    #[test]
    fn a_bomb_is_refused_by_its_ratio() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let bomb = compress(&vec![b' '; 10_000_000], encoding);
            let rejection = decode(bomb, encoding).expect_err("a bomb");
            assert_eq!(rejection.reason, Reason::TooLarge, "{encoding:?}");
            let small = compress(&vec![b' '; DECOMPRESSION_RATIO_FREE_BYTES], encoding);
            assert!(decode(small, encoding).is_ok(), "{encoding:?}");
            let beyond = compress(&vec![b' '; DECOMPRESSION_RATIO_FREE_BYTES + 1], encoding);
            let rejection = decode(beyond, encoding).expect_err("one byte beyond what is free");
            assert!(rejection.detail.contains("200 for each"), "{rejection}");
        }
    }

    /// S1: encodings are not nested.
    #[test]
    fn a_bomb_within_a_bomb_is_one_body_that_is_no_json() {
        let inner = gzip(&vec![b' '; 1_000_000]);
        assert_eq!(decode(gzip(&inner), Encoding::Gzip), Ok(inner), "only one encoding is taken off");
    }

    #[test]
    fn a_frame_that_asks_for_a_large_window_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.window_log(ZSTD_WINDOW_LOG_MAX + 1).expect("a window");
        encoder.write_all(&noise(100_000)).expect("a Vec takes all");
        let rejection = decode(encoder.finish().expect("a frame").into(), Encoding::Zstd).expect_err("16 MiB");
        assert_eq!(rejection.detail, "the body is not readable as zstd");
    }

    #[test]
    fn every_cut_body_is_malformed() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let body = compress(&noise(300), encoding);
            for length in 1..body.len() {
                let rejection = decode(body.slice(..length), encoding).expect_err("a cut body");
                assert_eq!(rejection.reason, Reason::Malformed, "{encoding:?} cut to {length}: {rejection}");
            }
            let cut = decode(body.slice(..body.len() - 1), encoding).expect_err("a cut body");
            assert!(cut.detail.starts_with("the body is cut short"), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
                prop_assert_eq!(decode(compress(&bytes, encoding), encoding), Ok(Bytes::from(bytes.clone())));
            }
        }

        #[test]
        fn damaged_bodies_never_panic(at in 0usize..200, value in any::<u8>(), zstd in any::<bool>()) {
            let encoding = if zstd { Encoding::Zstd } else { Encoding::Gzip };
            let mut body = compress(&noise(300), encoding).to_vec();
            if let Some(byte) = body.get_mut(at) {
                *byte = value;
            }
            let _ = decode(body.into(), encoding);
        }
    }
}
