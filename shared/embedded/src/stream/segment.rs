//! A segment's file: its header, what closes it, and what is done with one that was not closed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};
use tributary_model::limits;

use super::frame::Head;
use super::frames::{Damage, Frames, Item};
use super::index::{FOOTER_BYTES, Index};

/// Begins every segment; its last byte is the format's version.
const MAGIC: &[u8; 8] = b"TRIBLOG1";
/// Bytes before the first frame.
pub(super) const HEADER_BYTES: u64 = 24;
/// How a segment's name ends.
const EXTENSION: &str = "log";

/// A segment that holds records.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// The number in its name.
    pub first: u64,
    pub path: PathBuf,
    /// What can be read of it.
    pub index: Index,
}

/// What a walk over a segment's frames met.
#[derive(Debug)]
pub(super) struct Walk {
    pub index: Index,
    pub damages: Vec<Damage>,
}

/// The path of the segment whose first record is numbered `first`.
pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.{EXTENSION}"))
}

/// The segments of a folder by the number of their first record.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut segments = Vec::new();
    for entry in dir.read_dir()? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == EXTENSION) && stem.len() == 20 {
            segments.extend(stem.parse().ok().map(|first| (first, path)));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// A segment's header.
pub(super) fn header(salt: u32, first: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_slice(MAGIC);
    bytes.put_u32(salt);
    bytes.put_u64(first);
    let checksum = crc32fast::hash(&bytes);
    bytes.put_u32(checksum);
    bytes
}

/// Whether the file begins with the header that [`header`] makes. Reading does not depend on it.
pub(super) fn has_header(file: &File, salt: u32, first: u64) -> io::Result<bool> {
    Ok(bytes_at(file, 0, HEADER_BYTES)? == header(salt, first))
}

/// Creates the file of a segment, readable by its owner alone; one of the name must not be there.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes at an offset.
pub(super) fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

/// Up to `count` bytes from an offset on.
fn bytes_at(mut file: &File, offset: u64, count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes the index behind the last frame, which closes the segment.
pub(super) fn close(file: &File, index: &Index, salt: u32) -> io::Result<()> {
    let bytes = index.encode(salt);
    write_at(file, &bytes, index.end)?;
    file.set_len(index.end + u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
    file.sync_all()
}

/// The index of a closed segment; none if it was not closed, or what closed it is damaged.
pub(super) fn closed_index(file: &File, salt: u32) -> io::Result<Option<Index>> {
    let file_bytes = file.metadata()?.len();
    let footer = bytes_at(file, file_bytes.saturating_sub(FOOTER_BYTES), FOOTER_BYTES)?;
    let Some(end) = Index::end_of_frames(&footer).filter(|end| *end < file_bytes) else { return Ok(None) };
    if file_bytes - end > limits::STREAM_INDEX_BYTES_MAX {
        return Ok(None);
    }
    let encoded = bytes_at(file, end, file_bytes - end)?;
    Ok(Index::decode(&encoded, salt).filter(|index| index.end == end && index.records > 0))
}

/// Walks over all frames up to `end`.
pub(super) fn walk(file: &File, salt: u32, first: u64, end: u64) -> io::Result<Walk> {
    let mut walk = Walk { index: Index::empty(HEADER_BYTES), damages: Vec::new() };
    let mut frames = Frames::new(file, salt, HEADER_BYTES, end, first.saturating_sub(1))?;
    while let Some(item) = frames.next()? {
        match item {
            Item::Frame(offset, frame) => walk.index.observe(offset, &frame.head),
            Item::Damage(damage) => walk.damages.push(damage),
        }
    }
    Ok(walk)
}

/// Whether records are missing between the segment that begins with `first`, as it was walked over, and the next one,
/// which begins with `next`. Within an opening, numbers are used without a gap unless a commit failed; between two
/// openings at least half of what one claims is left out.
pub(super) fn is_cut_short(index: &Index, first: u64, next: Option<u64>) -> bool {
    let gap = next.map_or(0, |next| next.saturating_sub(index.last.max(first.saturating_sub(1)) + 1));
    (1..limits::STREAM_NUMBERS_CLAIMED / 2).contains(&gap)
}

/// Takes note of the frames in `bytes`, which were just written behind `index`.
pub(super) fn observe_all(index: &mut Index, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(head) = Head::decode(rest) {
        index.observe(index.end, &head);
        rest.advance(head.frame_bytes.min(rest.len()));
    }
}
