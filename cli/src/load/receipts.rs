//! The file of receipts.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The ids of acknowledged reports, one a line. A line is written at once, when its report is acknowledged: who reads the
/// file, also after this process was killed, finds only whole ids of acknowledged reports in its complete lines.
#[derive(Debug)]
pub(super) struct Receipts {
    file: File,
    line: String,
}

impl Receipts {
    /// Opens a file to add to it; it is made if it is not there.
    ///
    /// # Errors
    /// If it can't be opened for that.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().append(true).create(true).open(path)?, line: String::new() })
    }

    /// Adds a receipt.
    ///
    /// # Errors
    /// If it can't be written; a part of the line may be.
    pub(super) fn add(&mut self, id: &str) -> io::Result<()> {
        self.line.clear();
        self.line.push_str(id);
        self.line.push('\n');
        self.file.write_all(self.line.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_added_to_what_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("receipts");
        Receipts::open(&path).expect("made").add("one").expect("written");
        let mut again = Receipts::open(&path).expect("opened");
        again.add("two").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "one\ntwo\n");
    }
}
