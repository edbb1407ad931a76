//! A place between two pages of a search.
//!
//! All integers are big-endian; the whole is base64url without padding.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version of this form: 1 |
//! | 8 | which search it belongs to: SHA-256 over project, query, from, to and sort as they were given, cut |
//! | 8 | the latest arrival that the first page saw: later ones are on no page |
//! | 8 + 8 | from and to as the first page understood them, so that `1h` does not move between pages |
//! | 1 + 8 | whether the last item had the sort key, and its value |
//! | 4 + 16 | the last item's id |
//! | 8 | SHA-256 over all of the above, cut: tells a damaged cursor. It is no secret, and need not be: whoever makes one up sees what they may search anyway |

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tributary_model::limits::CURSOR_BYTES_MAX;
use tributary_model::{Day, Problem, ReportId, TimestampMs};
use tributary_ports::search::After;

use crate::time_range::TimeRange;

const VERSION: u8 = 1;

/// Which search a cursor belongs to.
pub(crate) type SearchDigest = [u8; 8];

/// A place between two pages of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cursor {
    pub(crate) search: SearchDigest,
    pub(crate) received_until: TimestampMs,
    pub(crate) range: TimeRange,
    pub(crate) after: After,
}

/// SHA-256, cut, over each part's length and bytes.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> SearchDigest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

impl Cursor {
    pub(crate) fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.search);
        for time in [self.received_until, self.range.from, self.range.to] {
            bytes.extend(time.0.to_be_bytes());
        }
        bytes.push(u8::from(self.after.key.is_some()));
        bytes.extend(self.after.key.unwrap_or_default().to_be_bytes());
        bytes.extend(self.after.id.day.0.to_be_bytes());
        bytes.extend(self.after.id.hash);
        bytes.extend(digest([bytes.as_slice()]));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor of the search `search`.
    pub(crate) fn decode(text: &str, search: SearchDigest) -> Result<Self, Problem> {
        let damaged =
            || Problem::bad_request("cursor is not one that this API gave; take `next` of the page before as it is");
        if text.len() > CURSOR_BYTES_MAX {
            let detail = format!("cursor has {} bytes; the limit is {CURSOR_BYTES_MAX}", text.len());
            return Err(Problem::bad_request(detail));
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?;
        let cursor = Self::from_bytes(&bytes).ok_or_else(damaged)?;
        if cursor.search == search {
            return Ok(cursor);
        }
        Err(Problem::bad_request(
            "cursor belongs to another search; query, from, to and sort must stay as they were for the first page",
        ))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (content, checksum) = bytes.split_last_chunk::<8>()?;
        let mut rest = content;
        let [version] = take(&mut rest)?;
        if version != VERSION || digest([content]) != *checksum {
            return None;
        }
        let search = take(&mut rest)?;
        let received_until = time(&mut rest)?;
        let range = TimeRange { from: time(&mut rest)?, to: time(&mut rest)? };
        let [has_key] = take(&mut rest)?;
        let key = f64::from_be_bytes(take(&mut rest)?);
        let day = Day::new(u32::from_be_bytes(take(&mut rest)?)).ok()?;
        let id = ReportId { day, hash: take(&mut rest)? };
        let whole = rest.is_empty() && key.is_finite();
        whole.then_some(Self { search, received_until, range, after: After { key: (has_key == 1).then_some(key), id } })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

fn time(rest: &mut &[u8]) -> Option<TimestampMs> {
    take(rest).map(|bytes| TimestampMs(i64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cursor(key: Option<f64>) -> Cursor {
        Cursor {
            search: digest([b"shop".as_slice(), b"error:*"]),
            received_until: TimestampMs(1_795_284_061_873),
            range: TimeRange { from: TimestampMs(-1), to: TimestampMs(i64::MAX) },
            after: After { key, id: ReportId { day: Day(20_261_121), hash: [7; 16] } },
        }
    }

    #[test]
    fn a_cursor_reads_back() {
        for key in [None, Some(0.0), Some(-1.5), Some(1.795e12)] {
            let cursor = cursor(key);
            assert_eq!(Cursor::decode(&cursor.encode(), cursor.search), Ok(cursor));
        }
    }

    #[test]
    fn a_cursor_of_another_search_is_told_so() {
        let other = digest([b"shop".as_slice(), b"error:false"]);
        let problem = Cursor::decode(&cursor(None).encode(), other).expect_err("another search");
        assert!(problem.detail.starts_with("cursor belongs to another search"), "{}", problem.detail);
    }

    #[test]
    fn where_a_part_ends_makes_a_difference() {
        assert_ne!(digest([b"ab".as_slice(), b"c"]), digest([b"a".as_slice(), b"bc"]));
    }

    #[test]
    fn every_changed_or_cut_byte_is_noticed() {
        let cursor = cursor(Some(1.0));
        let bytes = URL_SAFE_NO_PAD.decode(cursor.encode()).expect("base64url");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(Cursor::from_bytes(&changed), None, "byte {at} changed");
            assert_eq!(Cursor::from_bytes(&bytes[..at]), None, "cut to {at} bytes");
        }
    }

    #[test]
    fn a_huge_cursor_is_refused_unread() {
        let problem = Cursor::decode(&"A".repeat(CURSOR_BYTES_MAX + 1), [0; 8]).expect_err("too long");
        assert_eq!(problem.detail, "cursor has 1025 bytes; the limit is 1024");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[A-Za-z0-9_-]{0,100}") {
            let _ = Cursor::decode(&text, [0; 8]);
        }
    }
}
