//! The frames of a segment, one after the other; a damaged place is skipped and named.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use tributary_model::limits;

use super::frame::{Frame, HEAD_BYTES, Head};

/// What lies at one place of a segment.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// A frame, and where it begins.
    Frame(u64, Frame<'a>),
    /// Bytes that are no frame.
    Damage(Damage),
}

/// Bytes of a segment that are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Damage {
    pub offset: u64,
    pub bytes: u64,
}

/// Walks over the frames of a part of a segment.
///
/// After damage it goes on at the next bytes that are a frame by length, sequence number and checksum. Data that a sender
/// made to look like a frame is not taken for one, since the checksum begins with the stream's salt.
#[derive(Debug)]
pub(super) struct Frames<'f> {
    file: &'f File,
    salt: u32,
    at: u64,
    end: u64,
    /// The end, or that of the file if it is shorter than it should be.
    readable: u64,
    /// Every frame's number lies behind that of the one before.
    above: u64,
    chunk: Vec<u8>,
    chunk_at: u64,
}

impl<'f> Frames<'f> {
    /// The frames from `at` to `end`, all of whose numbers are greater than `above`.
    pub(super) fn new(file: &'f File, salt: u32, at: u64, end: u64, above: u64) -> io::Result<Self> {
        let readable = end.min(file.metadata()?.len());
        Ok(Self { file, salt, at, end, readable, above, chunk: Vec::new(), chunk_at: at })
    }

    /// The next frame or damaged place; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Item<'_>>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let offset = self.at;
        let Some(head) = self.frame_at(offset)? else {
            self.at = self.next_frame_after(offset)?;
            return Ok(Some(Item::Damage(Damage { offset, bytes: self.at - offset })));
        };
        self.at += u64::try_from(head.frame_bytes).unwrap_or(u64::MAX);
        self.above = head.sequence;
        Ok(Frame::of(head, self.loaded(offset)).map(|frame| Item::Frame(offset, frame)))
    }

    /// The head of the frame at `offset`, if there is a whole one.
    fn frame_at(&mut self, offset: u64) -> io::Result<Option<Head>> {
        self.load(offset, HEAD_BYTES)?;
        let Some(head) = Head::decode(self.loaded(offset)).filter(|head| head.sequence > self.above) else {
            return Ok(None);
        };
        self.load(offset, head.frame_bytes)?;
        Ok(Frame::decode(self.loaded(offset), self.salt).map(|frame| frame.head))
    }

    /// Where the next frame begins; the end if there is none.
    fn next_frame_after(&mut self, offset: u64) -> io::Result<u64> {
        for candidate in offset + 1..self.readable {
            if self.frame_at(candidate)?.is_some() {
                return Ok(candidate);
            }
        }
        Ok(self.end)
    }

    fn loaded(&self, offset: u64) -> &[u8] {
        let begin = offset.checked_sub(self.chunk_at).and_then(|begin| usize::try_from(begin).ok());
        begin.and_then(|begin| self.chunk.get(begin..)).unwrap_or_default()
    }

    /// Has `bytes` bytes from `offset` on in memory, or all there are before the end.
    fn load(&mut self, offset: u64, bytes: usize) -> io::Result<()> {
        let left = usize::try_from(self.readable.saturating_sub(offset)).unwrap_or(usize::MAX);
        if self.loaded(offset).len() >= bytes.min(left) {
            return Ok(());
        }
        self.chunk.clear();
        self.chunk_at = offset;
        let mut file = self.file;
        file.seek(SeekFrom::Start(offset))?;
        let wanted = bytes.max(limits::STREAM_CHUNK_BYTES).min(left);
        file.take(u64::try_from(wanted).unwrap_or(u64::MAX)).read_to_end(&mut self.chunk)?;
        Ok(())
    }
}
