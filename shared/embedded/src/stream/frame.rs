//! A frame: one record as it lies in a segment. The module's head documents the format.

use bytes::{Buf, BufMut};
use tributary_model::limits;

/// Bytes before the partition key.
pub(super) const HEAD_BYTES: usize = 28;
/// Bytes of length and checksum, which the length does not count.
const PREFIX_BYTES: usize = 8;
/// The least and the most a length can be.
const LENGTH_MIN: usize = HEAD_BYTES - PREFIX_BYTES + 1;
const LENGTH_MAX: usize = HEAD_BYTES - PREFIX_BYTES + limits::RECORD_BYTES_MAX;

/// A frame's fixed fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Of the whole frame.
    pub frame_bytes: usize,
    pub checksum: u32,
    pub sequence: u64,
    pub arrived_at: i64,
    pub shard: u16,
    pub key_bytes: u16,
}

/// A frame whose checksum holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub head: Head,
    pub key: &'a str,
    pub data: &'a [u8],
}

impl Head {
    /// Reads the fixed fields; none if the bytes are too few or cannot begin a frame.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.get(..HEAD_BYTES)?;
        let length = usize::try_from(fields.get_u32()).ok()?;
        let head = Self {
            frame_bytes: length.checked_add(PREFIX_BYTES)?,
            checksum: fields.get_u32(),
            sequence: fields.get_u64(),
            arrived_at: fields.get_i64(),
            shard: fields.get_u16(),
            key_bytes: fields.get_u16(),
        };
        let key_bytes = usize::from(head.key_bytes);
        let fits = (LENGTH_MIN..=LENGTH_MAX).contains(&length) && key_bytes <= length - (LENGTH_MIN - 1);
        (fits && (1..=limits::PARTITION_KEY_BYTES_MAX).contains(&key_bytes)).then_some(head)
    }
}

impl<'a> Frame<'a> {
    /// Reads the frame that begins at `bytes` and checks it; none if it is cut or damaged.
    pub(super) fn decode(bytes: &'a [u8], salt: u32) -> Option<Self> {
        let head = Head::decode(bytes)?;
        let frame = bytes.get(..head.frame_bytes)?;
        if checksum(frame, salt)? != head.checksum {
            return None;
        }
        Self::of(head, bytes)
    }

    /// Takes a frame apart that was checked before.
    pub(super) fn of(head: Head, bytes: &'a [u8]) -> Option<Self> {
        let content = bytes.get(HEAD_BYTES..head.frame_bytes)?;
        let (key, data) = content.split_at_checked(usize::from(head.key_bytes))?;
        Some(Self { head, key: std::str::from_utf8(key).ok()?, data })
    }
}

/// What an append says of one record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content<'a> {
    pub sequence: u64,
    pub arrived_at: i64,
    pub shard: u16,
    pub key: &'a str,
    pub data: &'a [u8],
}

impl Content<'_> {
    /// Appends the frame to `into`. The caller has checked key and size: see [`is_valid`].
    pub(super) fn encode(&self, into: &mut Vec<u8>, salt: u32) {
        let begin = into.len();
        let length = frame_bytes(self.key, self.data) - PREFIX_BYTES;
        into.reserve(length + PREFIX_BYTES);
        into.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        into.put_u32(0);
        into.put_u64(self.sequence);
        into.put_i64(self.arrived_at);
        into.put_u16(self.shard);
        into.put_u16(u16::try_from(self.key.len()).unwrap_or(u16::MAX));
        into.extend_from_slice(self.key.as_bytes());
        into.extend_from_slice(self.data);
        let frame = into.get_mut(begin..).unwrap_or_default();
        if let (Some(sum), Some(field)) = (checksum(frame, salt), frame.get_mut(4..8)) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
    }
}

/// Whether a record can be a frame.
pub(super) fn is_valid(key: &str, data: &[u8]) -> bool {
    (1..=limits::PARTITION_KEY_BYTES_MAX).contains(&key.len()) && key.len() + data.len() <= limits::RECORD_BYTES_MAX
}

/// Bytes of a record's frame.
pub(super) const fn frame_bytes(key: &str, data: &[u8]) -> usize {
    HEAD_BYTES + key.len() + data.len()
}

/// CRC-32 over all of a frame but the checksum itself, begun with the stream's salt.
fn checksum(frame: &[u8], salt: u32) -> Option<u32> {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(frame.get(..4)?);
    hasher.update(frame.get(PREFIX_BYTES..)?);
    Some(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u32 = 0x1234_5678;

    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        Content { sequence: 7, arrived_at: -1, shard: 3, key: "key", data: b"some data" }.encode(&mut bytes, SALT);
        bytes
    }

    #[test]
    fn a_frame_reads_back_as_it_was_written() {
        let bytes = sample();
        let frame = Frame::decode(&bytes, SALT).unwrap();
        assert_eq!((frame.head.sequence, frame.head.arrived_at, frame.head.shard), (7, -1, 3));
        assert_eq!((frame.key, frame.data), ("key", b"some data".as_slice()));
        assert_eq!(frame.head.frame_bytes, bytes.len());
        assert_eq!(frame_bytes("key", b"some data"), bytes.len());
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let bytes = sample();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Frame::decode(&damaged, SALT), None, "bit {bit}");
        }
    }

    #[test]
    fn a_cut_frame_is_noticed() {
        let bytes = sample();
        for length in 0..bytes.len() {
            assert_eq!(Frame::decode(&bytes[..length], SALT), None, "{length} bytes");
        }
    }

    #[test]
    fn a_frame_of_another_stream_is_not_taken() {
        assert_eq!(Frame::decode(&sample(), SALT + 1), None);
    }

    #[test]
    fn the_largest_record_fits_and_one_byte_more_does_not() {
        let data = vec![0; limits::RECORD_BYTES_MAX - 1];
        assert!(is_valid("k", &data));
        assert!(!is_valid("kk", &data));
        assert!(!is_valid("", b""));
        let mut bytes = Vec::new();
        Content { sequence: 1, arrived_at: 0, shard: 0, key: "k", data: &data }.encode(&mut bytes, SALT);
        assert!(Frame::decode(&bytes, SALT).is_some_and(|frame| frame.data.len() == data.len()));
    }
}
