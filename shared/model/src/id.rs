//! Ids as newtypes, so that a project can't be taken for a region.

use std::fmt;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::limits;
use crate::time::{Day, TimestampMs};

/// A text that is no id of the kind named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct IdError {
    what: &'static str,
    problem: String,
}

fn check(what: &'static str, text: &str, bytes_max: usize, allowed: fn(u8) -> bool) -> Result<(), IdError> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(IdError {
            what,
            problem: format!("must have 1 to {bytes_max} bytes, this one has {}", text.len()),
        });
    }
    match text.bytes().position(|byte| !allowed(byte)) {
        None => Ok(()),
        Some(at) => Err(IdError { what, problem: format!("has a character that is not allowed, at byte {}", at + 1) }),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks length and characters.
            ///
            /// # Errors
            /// If the text is empty, longer than the limit, or holds a character that is not allowed.
            pub fn new(text: &str) -> Result<Self, IdError> {
                check($what, text, $max, $allowed)?;
                Ok(Self(text.into()))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&text).map_err(de::Error::custom)
            }
        }
    };
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}
const fn is_token_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

text_id!(
    /// A project: what a token belongs to and what an engineer sees. Lower-case letters, digits and `-`.
    ProjectId, "a project's name", limits::PROJECT_BYTES_MAX, is_name
);
text_id!(
    /// The account that owns projects. Lower-case letters, digits and `-`.
    AccountId, "an account's name", limits::ACCOUNT_BYTES_MAX, is_name
);
text_id!(
    /// A region, `eu-west-1`; `local` for the program on one machine.
    Region, "a region's name", limits::REGION_BYTES_MAX, is_name
);
text_id!(
    /// A token's id (the claim `jti`): what is kept of a token in a record.
    TokenId, "a token's id", limits::TOKEN_ID_BYTES_MAX, is_token_id
);

impl Region {
    /// Regions in which the published agents have a collector of their own, by the lists in their sources: JavaScript and
    /// Python ask `metrics-api.REGION.iopipe.com` in all of them, Go and Java in six; from everywhere else, and always for
    /// us-east-1, they ask `metrics-api.iopipe.com`.
    pub const OF_AGENTS: [&'static str; 13] = [
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ca-central-1",
        "eu-central-1",
        "eu-west-1",
        "eu-west-2",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    ];

    /// The region of the program on one machine.
    #[must_use]
    pub fn local() -> Self {
        Self("local".into())
    }
}

/// For how many days an invocation is kept. Printed as `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RetentionClass {
    days: u16,
}

impl RetentionClass {
    /// The class of a project whose plan says nothing.
    pub const DEFAULT: Self = Self { days: 30 };
    /// The longest class.
    pub const DAYS_MAX: u16 = limits::RETENTION_DAYS_MAX;

    /// A class of `days` days.
    ///
    /// # Errors
    /// Unless 1 <= days <= 3660.
    pub fn from_days(days: u16) -> Result<Self, IdError> {
        if (1..=Self::DAYS_MAX).contains(&days) {
            return Ok(Self { days });
        }
        Err(IdError { what: "a retention class", problem: format!("has 1 to {} days, not {days}", Self::DAYS_MAX) })
    }

    /// Its length in days.
    #[must_use]
    pub const fn days(self) -> u16 {
        self.days
    }

    /// Whether an invocation of `day` is past its retention on the day `today`.
    #[must_use]
    pub fn expired(self, day: Day, today: Day) -> bool {
        day.plus_days(self.days) < today
    }
}

impl fmt::Display for RetentionClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d", self.days)
    }
}

impl FromStr for RetentionClass {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
        let wrong = || IdError { what: "a retention class", problem: "is written as days, `30d`".to_owned() };
        Self::from_days(days.ok_or_else(wrong)?)
    }
}

impl Serialize for RetentionClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RetentionClass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Names one report for good: the day of its timestamp, and 128 bits of SHA-256 over what identifies it.
///
/// In public `yyyymmdd-<base32>`, 35 characters: the day first, so that finding one needs no search over all days. It is
/// also the stream's partition key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReportId {
    /// The day of the report's own timestamp.
    pub day: Day,
    /// 128 bits of SHA-256.
    pub hash: [u8; 16],
}

impl ReportId {
    /// Bytes of the public form.
    pub const TEXT_BYTES: usize = 8 + 1 + 26;

    /// The id of the report with these four properties: SHA-256 over each one's length (u64, big-endian) and bytes.
    ///
    /// `process_id` is the text, or a number in its shortest decimal form (the published Java agent sends a number).
    /// `awsRequestId` alone is not unique: a retry by Lambda uses it again.
    #[must_use]
    pub fn derive(project: &ProjectId, process_id: &str, request_id: &str, timestamp: TimestampMs) -> Self {
        let mut hasher = Sha256::new();
        let timestamp_text = timestamp.0.to_string();
        for part in [project.as_str(), process_id, request_id, &timestamp_text] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let digest = hasher.finalize();
        let mut hash = [0; 16];
        for (to, from) in hash.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        Self { day: timestamp.day(), hash }
    }
}

/// Base32 of RFC 4648 in lower case, without padding: safe in a URL, a file name and a double click.
static BASE32: std::sync::LazyLock<Encoding> = std::sync::LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
});

impl fmt::Display for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 26];
        BASE32.encode_mut(&self.hash, &mut text);
        write!(f, "{}-{}", self.day, std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl FromStr for ReportId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError {
            what: "an invocation's id",
            problem: "has the form yyyymmdd-<26 characters of a-z and 2-7>".to_owned(),
        };
        let (day, hash) = text.split_once('-').ok_or_else(wrong)?;
        let digits = day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit());
        let day = day.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        let decoded = BASE32.decode(hash.as_bytes()).map_err(|_| wrong())?;
        let hash = decoded.try_into().map_err(|_| wrong())?;
        Ok(Self { day: Day::new(day).map_err(|_| wrong())?, hash })
    }
}

impl Serialize for ReportId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ReportId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Which of two writes of one id wins: the greater, in both stores, whatever the order in which they come.
///
/// The normalizer's version, then the earlier arrival. As a number it fits a positive 64-bit integer (OpenSearch's
/// external versions): 15 bits of normalizer, then 48 bits of `2^48 - 1 - received_at_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    const ARRIVAL_BITS: u32 = 48;
    const ARRIVAL_MAX: u64 = (1 << Self::ARRIVAL_BITS) - 1;

    /// The version of what `normalizer` makes of a record received at `received_at`.
    #[must_use]
    pub fn new(normalizer: u16, received_at: TimestampMs) -> Self {
        let arrival = u64::try_from(received_at.0).unwrap_or(0).min(Self::ARRIVAL_MAX);
        Self((u64::from(normalizer & 0x7fff) << Self::ARRIVAL_BITS) | (Self::ARRIVAL_MAX - arrival))
    }

    /// As a number; greater wins.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// From [`Version::as_u64`].
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> ProjectId {
        ProjectId::new("shop").expect("a project's name")
    }

    #[test]
    fn a_report_id_is_known_and_reads_back() {
        let at = TimestampMs(1_795_284_061_873);
        let id = ReportId::derive(&project(), "c867db95-dbfd-480a-b132-ce09b86bf3f6", "69e9a2a7", at);
        let text = id.to_string();
        assert_eq!(text.len(), ReportId::TEXT_BYTES);
        assert!(text.starts_with("20261121-"), "{text}");
        assert_eq!(text.parse(), Ok(id));
    }

    #[test]
    fn parts_of_an_id_do_not_run_into_each_other() {
        let at = TimestampMs(0);
        assert_ne!(ReportId::derive(&project(), "ab", "c", at), ReportId::derive(&project(), "a", "bc", at));
    }

    #[test]
    fn texts_that_are_no_id_are_refused() {
        for text in
            ["", "20261121", "20261121-", "20260230-aaaaaaaaaaaaaaaaaaaaaaaaaa", "+0261121-aaaaaaaaaaaaaaaaaaaaaaaaaa"]
        {
            assert!(text.parse::<ReportId>().is_err(), "{text}");
        }
        assert!(ProjectId::new("Shop").is_err());
        assert!(ProjectId::new("").is_err());
        assert!(ProjectId::new(&"a".repeat(65)).is_err());
    }

    #[test]
    fn a_newer_normalizer_wins_then_the_earlier_arrival() {
        let early = TimestampMs(1_795_284_061_873);
        let late = early.plus_ms(1);
        assert!(Version::new(1, early) > Version::new(1, late));
        assert!(Version::new(2, late) > Version::new(1, early));
        assert!(i64::try_from(Version::new(u16::MAX, TimestampMs(0)).as_u64()).is_ok());
    }

    #[test]
    fn retention_ends_after_its_days() {
        let class: RetentionClass = "30d".parse().expect("a class");
        assert!(!class.expired(Day(20_261_021), Day(20_261_120)));
        assert!(class.expired(Day(20_261_020), Day(20_261_120)));
        assert!("0d".parse::<RetentionClass>().is_err());
    }
}
