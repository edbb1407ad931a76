//! A record: one element of the stream, carrying one report; and its wire format, version 1.
//!
//! All integers are big-endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | version of this format: 1 |
//! | 1 | 1 | kind: 1 an IOpipe report (JSON), 2 a signed one (compact JWS); 3 OTLP and 4 our own extension are reserved |
//! | 2 | 1 | codec of the payload: 0 as it is, 1 zstd |
//! | 3 | 1 | reserved, 0 |
//! | 4 | 8 | received_at: milliseconds since 1970, signed |
//! | 12 | 2 | retention class: days |
//! | 14 | 4 | the report id's day, yyyymmdd |
//! | 18 | 16 | the report id's hash |
//! | 34 | 4 | bytes of the payload before compression, at most [`limits::RECORD_PAYLOAD_BYTES_MAX`] |
//! | 38 | 1 + n | project: length, text |
//! | | 1 + n | account: length, text |
//! | | 1 + n | region (the collector's): length, text |
//! | | 1 + n | the token's `jti`: length, text |
//! | | rest | the payload: the report's bytes as they were received, the token in `client_id` replaced by its `jti` |
//!
//! Decoding never panics; it copies the four names (at most 224 bytes) and borrows the payload. A record of another
//! version is refused as [`Reason::Unsupported`].

use bytes::{BufMut, Bytes, BytesMut};

use crate::id::{AccountId, IdError, ProjectId, Region, ReportId, RetentionClass, TokenId};
use crate::limits;
use crate::rejection::{Reason, Rejection};
use crate::time::{Day, TimestampMs};

/// The version of the wire format that this build writes.
pub const VERSION: u8 = 1;
/// Bytes before the first name.
const FIXED_BYTES: usize = 38;

/// What a record's payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An IOpipe report as JSON.
    Report,
    /// An IOpipe report as the payload of a compact JWS, kept as it came so that it can be verified later.
    SignedReport,
}

impl Kind {
    /// The kind's number in the wire format.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Report => 1,
            Self::SignedReport => 2,
        }
    }

    /// From [`Kind::code`].
    ///
    /// # Errors
    /// `Unsupported` for a number that this build does not know.
    pub fn from_code(code: u8) -> Result<Self, Rejection> {
        match code {
            1 => Ok(Self::Report),
            2 => Ok(Self::SignedReport),
            other => Err(Rejection::new(
                Reason::Unsupported,
                format!("record kind {other} is not known; this build reads 1 and 2"),
            )),
        }
    }
}

/// How a record's payload is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As it is.
    Plain,
    /// One zstd frame.
    Zstd,
}

impl Codec {
    /// The codec's number in the wire format.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Zstd => 1,
        }
    }

    /// From [`Codec::code`].
    ///
    /// # Errors
    /// `Unsupported` for a number that this build does not know.
    pub fn from_code(code: u8) -> Result<Self, Rejection> {
        match code {
            0 => Ok(Self::Plain),
            1 => Ok(Self::Zstd),
            other => Err(Rejection::new(
                Reason::Unsupported,
                format!("record codec {other} is not known; this build reads 0 and 1"),
            )),
        }
    }
}

/// One element of the stream. Where the report lands (project, account, retention class, day) is fixed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the payload is.
    pub kind: Kind,
    /// How the payload is compressed.
    pub codec: Codec,
    /// When the collector took it in.
    pub received_at: TimestampMs,
    /// For how long the invocation is kept.
    pub retention: RetentionClass,
    /// The report's id, which also holds its day.
    pub id: ReportId,
    /// The project of the verified token.
    pub project: ProjectId,
    /// The account of the verified token.
    pub account: AccountId,
    /// The collector's region.
    pub region: Region,
    /// The verified token's id.
    pub token: TokenId,
    /// Bytes of the payload before compression.
    pub payload_bytes: u32,
    /// The payload, compressed by `codec`.
    pub payload: Bytes,
}

impl Record {
    fn names(&self) -> [&str; 4] {
        [self.project.as_str(), self.account.as_str(), self.region.as_str(), self.token.as_str()]
    }

    /// How many bytes [`Record::encode`] makes.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        let names_bytes: usize = self.names().iter().map(|name| 1 + name.len()).sum();
        FIXED_BYTES + names_bytes + self.payload.len()
    }

    /// The wire format of the module's head.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_bytes());
        out.put_slice(&[VERSION, self.kind.code(), self.codec.code(), 0]);
        out.put_i64(self.received_at.0);
        out.put_u16(self.retention.days());
        out.put_u32(self.id.day.0);
        out.put_slice(&self.id.hash);
        out.put_u32(self.payload_bytes);
        for name in self.names() {
            out.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX)); // every name's limit is below 256
            out.put_slice(name.as_bytes());
        }
        out.put_slice(&self.payload);
        out.freeze()
    }

    /// Reads the wire format; the payload is a slice of `bytes`, not copied.
    ///
    /// # Errors
    /// `TooLarge` beyond [`limits::RECORD_BYTES_MAX`] or [`limits::RECORD_PAYLOAD_BYTES_MAX`], `Unsupported` for another
    /// version, kind or codec, `Malformed` if it ends too soon or a name or number is out of range.
    pub fn decode(bytes: &Bytes) -> Result<Self, Rejection> {
        if bytes.len() > limits::RECORD_BYTES_MAX {
            let detail = format!("the record has {} bytes; the limit is {}", bytes.len(), limits::RECORD_BYTES_MAX);
            return Err(Rejection::new(Reason::TooLarge, detail));
        }
        let mut reader = Reader { rest: bytes };
        let [version] = reader.take::<1>("version")?;
        if version != VERSION {
            let detail = format!("the record's version is {version}; this build reads version {VERSION}");
            return Err(Rejection::new(Reason::Unsupported, detail));
        }
        let [kind, codec, _reserved] = reader.take::<3>("kind and codec")?;
        let kind = Kind::from_code(kind)?;
        let codec = Codec::from_code(codec)?;
        let received_at = TimestampMs(i64::from_be_bytes(reader.take("received_at")?));
        let retention =
            RetentionClass::from_days(u16::from_be_bytes(reader.take("retention class")?)).map_err(malformed)?;
        let day = Day::new(u32::from_be_bytes(reader.take("day")?))
            .map_err(|error| Rejection::new(Reason::Malformed, format!("the record's day: {error}")))?;
        let hash = reader.take("report id")?;
        let payload_bytes = u32::from_be_bytes(reader.take("payload size")?);
        if payload_bytes as usize > limits::RECORD_PAYLOAD_BYTES_MAX {
            let detail = format!(
                "the record's payload is {payload_bytes} bytes; the limit is {}",
                limits::RECORD_PAYLOAD_BYTES_MAX
            );
            return Err(Rejection::new(Reason::TooLarge, detail));
        }
        let project = ProjectId::new(reader.text("project")?).map_err(malformed)?;
        let account = AccountId::new(reader.text("account")?).map_err(malformed)?;
        let region = Region::new(reader.text("region")?).map_err(malformed)?;
        let token = TokenId::new(reader.text("token id")?).map_err(malformed)?;
        let payload = bytes.slice(bytes.len() - reader.rest.len()..);
        let id = ReportId { day, hash };
        Ok(Self { kind, codec, received_at, retention, id, project, account, region, token, payload_bytes, payload })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn malformed(error: IdError) -> Rejection {
    Rejection::new(Reason::Malformed, format!("the record's header: {error}"))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Rejection> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| Self::ends(what))?;
        self.rest = rest;
        Ok(*head)
    }

    fn text(&mut self, what: &str) -> Result<&'a str, Rejection> {
        let [length] = self.take::<1>(what)?;
        let (head, rest) = self.rest.split_at_checked(usize::from(length)).ok_or_else(|| Self::ends(what))?;
        self.rest = rest;
        std::str::from_utf8(head)
            .map_err(|_| Rejection::new(Reason::Malformed, format!("the record's {what} is not UTF-8")))
    }

    fn ends(what: &str) -> Rejection {
        Rejection::new(Reason::Malformed, format!("the record ends within its {what}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Record {
        let project = ProjectId::new("shop").expect("project");
        let at = TimestampMs(1_795_284_061_873);
        Record {
            kind: Kind::Report,
            codec: Codec::Plain,
            received_at: at,
            retention: RetentionClass::DEFAULT,
            id: ReportId::derive(&project, "p", "r", at),
            project,
            account: AccountId::new("acme").expect("account"),
            region: Region::new("eu-west-1").expect("region"),
            token: TokenId::new("t_1").expect("token"),
            payload_bytes: 2,
            payload: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn the_layout_is_that_of_the_modules_head() {
        let bytes = sample().encode();
        assert_eq!(bytes.get(..4), Some(&[1, 1, 0, 0][..]));
        assert_eq!(bytes.get(12..18), Some(&[0, 30, 0x01, 0x35, 0x29, 0x01][..]));
        assert_eq!(bytes.get(34..43), Some(&[0, 0, 0, 2, 4, b's', b'h', b'o', b'p'][..]));
        assert_eq!(bytes.len(), 38 + 5 + 5 + 10 + 4 + 2);
        assert_eq!(bytes.len(), sample().encoded_bytes());
    }

    #[test]
    fn a_record_reads_back_and_every_cut_header_is_refused() {
        let record = sample();
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes), Ok(record));
        for length in 0..bytes.len() - 2 {
            let rejection = Record::decode(&bytes.slice(..length)).expect_err("a cut record");
            assert_eq!(rejection.reason, Reason::Malformed, "{length}: {rejection}");
        }
    }

    #[test]
    fn an_unknown_version_says_so() {
        let mut bytes = sample().encode().to_vec();
        bytes[0] = 2;
        let rejection = Record::decode(&bytes.into()).expect_err("another version");
        assert_eq!(rejection.reason, Reason::Unsupported);
        assert_eq!(rejection.detail, "the record's version is 2; this build reads version 1");
    }

    proptest! {
        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::decode(&bytes.into());
        }

        #[test]
        fn a_damaged_record_is_read_or_refused(at in 0usize..60, value in any::<u8>()) {
            let mut bytes = sample().encode().to_vec();
            bytes[at] = value;
            if let Ok(record) = Record::decode(&bytes.into()) {
                prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
            }
        }
    }
}
