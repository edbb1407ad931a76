//! Looks at a stream's files and changes nothing.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::meta::{self, Meta};
use super::segment;

/// What the files of a stream hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Segments.
    pub segments: usize,
    /// Whole records in them.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes behind the last record of a segment that is not closed: a commit under way, or what a crash left. The next
    /// opening cuts them off; nobody was told that they are stored.
    pub tail_bytes: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a stream's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Where in it, if it is one place.
    pub offset: Option<u64>,
    /// What is wrong and what it means, in a sentence.
    pub detail: String,
}

/// Reads all files of the stream in `dir` and lists what is wrong with them.
///
/// # Errors
/// If the folder can't be read. A file that can't be read is a [`Problem`].
pub fn check(dir: &Path) -> io::Result<Report> {
    let mut report = Report::default();
    let segments = segment::list(dir)?;
    let salt = match Meta::read(dir) {
        Ok(Some(meta)) => Some(meta.salt),
        Ok(None) if segments.is_empty() => None,
        Ok(None) => report.missing_meta(dir),
        Err(error) => report.problem(&dir.join(meta::FILE), None, error.to_string()),
    };
    let Some(salt) = salt else { return Ok(report) };
    let nexts = segments.iter().skip(1).map(|(first, _)| Some(*first)).chain([None]);
    for ((first, path), next) in segments.iter().zip(nexts) {
        report.segments += 1;
        if let Err(error) = report.segment(path, *first, next, salt) {
            report.problem::<()>(path, None, format!("it can't be read: {error}"));
        }
    }
    Ok(report)
}

impl Report {
    fn segment(&mut self, path: &Path, first: u64, next: Option<u64>, salt: u32) -> io::Result<()> {
        let file = File::open(path)?;
        let file_bytes = file.metadata()?.len();
        let closed = segment::closed_index(&file, salt)?;
        let walk = segment::walk(&file, salt, first, closed.as_ref().map_or(file_bytes, |index| index.end))?;
        self.records += walk.index.records;
        self.bytes += file_bytes;
        if !segment::has_header(&file, salt, first)? {
            self.problem::<()>(path, Some(0), "its header is damaged; its records are read all the same".to_owned());
        }
        let is_tail = |offset: u64| closed.is_none() && offset >= walk.index.end;
        for damage in &walk.damages {
            if is_tail(damage.offset) {
                self.tail_bytes += damage.bytes;
            } else {
                let detail = format!("{} bytes are no record; those that lay there are lost", damage.bytes);
                self.problem::<()>(path, Some(damage.offset), detail);
            }
        }
        if closed.is_none() && segment::is_cut_short(&walk.index, first, next) {
            let detail = "records behind this place are missing, unless their commit failed".to_owned();
            self.problem::<()>(path, Some(walk.index.end), detail);
        }
        Ok(())
    }

    fn missing_meta(&mut self, dir: &Path) -> Option<u32> {
        let detail = "it is missing beside segments; put it back, or move the segments away to begin a new stream";
        self.problem(&dir.join(meta::FILE), None, detail.to_owned())
    }

    fn problem<T>(&mut self, path: &Path, offset: Option<u64>, detail: String) -> Option<T> {
        self.problems.push(Problem { path: path.to_owned(), offset, detail });
        None
    }
}
