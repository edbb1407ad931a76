//! What is known of a segment without reading it: a sparse index, and the bounds of its records.

use bytes::{Buf, BufMut};
use tributary_model::limits;

use super::frame::Head;

/// Begins the footer of a segment that is closed.
const MAGIC: &[u8; 8] = b"TRIBEND1";
/// Bytes of one mark, and of the footer behind the marks.
const MARK_BYTES: usize = 24;
pub(super) const FOOTER_BYTES: u64 = 52;

/// A frame that a reader can begin at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub sequence: u64,
    pub offset: u64,
    /// The latest arrival before this frame in its segment.
    pub newest_before: i64,
}

/// The index of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    /// Behind the last frame.
    pub end: u64,
    pub records: u64,
    pub last: u64,
    pub oldest_at: i64,
    pub newest_at: i64,
    marks: Vec<Mark>,
}

impl Index {
    /// Of a segment without frames, whose first one begins at `end`.
    pub(super) const fn empty(end: u64) -> Self {
        Self { end, records: 0, last: 0, oldest_at: i64::MAX, newest_at: i64::MIN, marks: Vec::new() }
    }

    /// Takes note of the frame at `offset`, behind all others.
    pub(super) fn observe(&mut self, offset: u64, head: &Head) {
        if self.marks.last().is_none_or(|mark| offset - mark.offset >= limits::STREAM_INDEX_INTERVAL_BYTES) {
            self.marks.push(Mark { sequence: head.sequence, offset, newest_before: self.newest_at });
        }
        self.records += 1;
        self.last = head.sequence;
        self.oldest_at = self.oldest_at.min(head.arrived_at);
        self.newest_at = self.newest_at.max(head.arrived_at);
        self.end = offset + u64::try_from(head.frame_bytes).unwrap_or(u64::MAX);
    }

    /// Where to begin to read for the first frame that is numbered `sequence` or more.
    pub(super) fn at_sequence(&self, sequence: u64) -> Option<Mark> {
        self.before(self.marks.partition_point(|mark| mark.sequence <= sequence))
    }

    /// Where to begin to read for the first frame that arrived at `time` or later.
    pub(super) fn at_time(&self, time: i64) -> Option<Mark> {
        self.before(self.marks.partition_point(|mark| mark.newest_before < time))
    }

    fn before(&self, marks: usize) -> Option<Mark> {
        self.marks.get(marks.saturating_sub(1)).copied()
    }

    /// The marks and the footer, as they close a segment.
    pub(super) fn encode(&self, salt: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for mark in &self.marks {
            bytes.put_u64(mark.sequence);
            bytes.put_u64(mark.offset);
            bytes.put_i64(mark.newest_before);
        }
        for number in [self.end, self.records, self.last] {
            bytes.put_u64(number);
        }
        bytes.put_i64(self.oldest_at);
        bytes.put_i64(self.newest_at);
        bytes.put_u32(checksum(&bytes, salt));
        bytes.put_slice(MAGIC);
        bytes
    }

    /// Where the frames end, read from what may be the last [`FOOTER_BYTES`] of a closed segment.
    pub(super) fn end_of_frames(footer: &[u8]) -> Option<u64> {
        footer.ends_with(MAGIC).then(|| footer.first_chunk().map(|end| u64::from_be_bytes(*end))).flatten()
    }

    /// Reads what [`Index::encode`] wrote; none if it is damaged.
    pub(super) fn decode(bytes: &[u8], salt: u32) -> Option<Self> {
        let footer_bytes = usize::try_from(FOOTER_BYTES).ok()?;
        let marks = bytes.len().checked_sub(footer_bytes).filter(|marks| marks % MARK_BYTES == 0)? / MARK_BYTES;
        let (checked, mut tail) = bytes.split_at_checked(bytes.len() - 4 - MAGIC.len())?;
        if tail.get_u32() != checksum(checked, salt) || tail != MAGIC {
            return None;
        }
        let mut fields = checked;
        let marks = (0..marks)
            .map(|_| Mark { sequence: fields.get_u64(), offset: fields.get_u64(), newest_before: fields.get_i64() })
            .collect();
        Some(Self {
            end: fields.get_u64(),
            records: fields.get_u64(),
            last: fields.get_u64(),
            oldest_at: fields.get_i64(),
            newest_at: fields.get_i64(),
            marks,
        })
    }
}

fn checksum(bytes: &[u8], salt: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(sequence: u64, arrived_at: i64) -> Head {
        Head { frame_bytes: 100_000, checksum: 0, sequence, arrived_at, shard: 0, key_bytes: 1 }
    }

    /// Ten frames of 100,000 bytes, so that every third has a mark: numbers 10, 20 ..., arrivals 5, 4, 7, 8 ...
    fn sample() -> Index {
        let mut index = Index::empty(24);
        for (place, arrived_at) in [5, 4, 7, 8, 9, 10, 11, 12, 13, 14].into_iter().enumerate() {
            let place = u64::try_from(place).unwrap();
            index.observe(24 + place * 100_000, &head((place + 1) * 10, arrived_at));
        }
        index
    }

    #[test]
    fn an_index_knows_its_bounds() {
        let index = sample();
        assert_eq!((index.last, index.records), (100, 10));
        assert_eq!((index.oldest_at, index.newest_at, index.end), (4, 14, 1_000_024));
    }

    #[test]
    fn a_reader_begins_at_the_last_mark_that_misses_nothing() {
        let index = sample();
        let place = |mark: Option<Mark>| mark.unwrap().sequence;
        assert_eq!(place(index.at_sequence(0)), 10);
        assert_eq!(place(index.at_sequence(39)), 10);
        assert_eq!(place(index.at_sequence(40)), 40);
        assert_eq!(place(index.at_sequence(1000)), 100);
        assert_eq!(place(index.at_time(0)), 10);
        assert_eq!(place(index.at_time(7)), 10);
        assert_eq!(place(index.at_time(8)), 40);
        assert_eq!(Index::empty(24).at_time(0), None);
    }

    #[test]
    fn an_index_reads_back_and_damage_is_noticed() {
        let index = sample();
        let bytes = index.encode(9);
        let footer = &bytes[bytes.len() - usize::try_from(FOOTER_BYTES).unwrap()..];
        assert_eq!(Index::end_of_frames(footer), Some(index.end));
        assert_eq!(Index::decode(&bytes, 9), Some(index));
        for byte in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[byte] ^= 0x10;
            assert_eq!(Index::decode(&damaged, 9), None, "byte {byte}");
        }
    }
}
