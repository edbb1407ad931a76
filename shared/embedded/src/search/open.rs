//! Opening an index, and telling what is wrong with one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tantivy::directory::MmapDirectory;
use tantivy::directory::error::{LockError, OpenReadError};
use tantivy::{Directory, Index, IndexReader, ReloadPolicy, TantivyError};
use tributary_model::limits;

use super::schema::{WORDS_ANALYZER, schema, words_analyzer};

/// Why an index can't be opened. The text says how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes it.
    #[error("the search index in {0} is held by another process; stop that one first")]
    Locked(PathBuf),
    /// Another build made it.
    #[error(
        "the search index in {0} was made by another version of this program; \
         stop it, remove the folder and replay the stream"
    )]
    OtherSchema(PathBuf),
    /// Its files are damaged.
    #[error(
        "the search index in {folder} is damaged ({detail}); \
         stop the program, remove the folder and replay the stream"
    )]
    Damaged {
        /// The index's folder.
        folder: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Anything else: rights, a full disk.
    #[error("the search index in {folder} can't be opened: {detail}")]
    Failed {
        /// The index's folder.
        folder: PathBuf,
        /// What was met.
        detail: String,
    },
}

impl OpenError {
    pub(super) fn new(folder: &Path, error: &TantivyError) -> Self {
        let (folder, detail) = (folder.to_owned(), error.to_string());
        match error {
            TantivyError::LockFailure(LockError::LockBusy, _) => Self::Locked(folder),
            TantivyError::IncompatibleIndex(_)
            | TantivyError::SchemaError(_)
            | TantivyError::OpenReadError(OpenReadError::IncompatibleIndex(_)) => Self::OtherSchema(folder),
            TantivyError::DataCorruption(_)
            | TantivyError::DeserializeError(_)
            | TantivyError::InternalError(_)
            | TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(_)) => Self::Damaged { folder, detail },
            TantivyError::IoError(io) | TantivyError::OpenReadError(OpenReadError::IoError { io_error: io, .. })
                if matches!(io.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput) =>
            {
                Self::Damaged { folder, detail }
            }
            _ => Self::Failed { folder, detail },
        }
    }

    fn damaged(folder: &Path, detail: impl Into<String>) -> Self {
        Self::Damaged { folder: folder.to_owned(), detail: detail.into() }
    }
}

/// Opens the index in a folder; makes the folder and an empty index if there is none.
pub(super) fn open_or_create(folder: &Path) -> Result<(Index, IndexReader), OpenError> {
    std::fs::create_dir_all(folder).map_err(|error| OpenError::new(folder, &error.into()))?;
    carefully(folder, || open(folder, true))
}

/// Reads every file of the index in a folder and compares its checksum. The index should not be written meanwhile.
///
/// # Errors
/// [`OpenError::Damaged`] names the damaged files; otherwise as for opening.
pub fn verify(folder: &Path) -> Result<(), OpenError> {
    carefully(folder, || {
        let (index, _reader) = open(folder, false)?;
        let mut files: Vec<_> =
            index.validate_checksum().map_err(|error| OpenError::new(folder, &error))?.into_iter().collect();
        files.sort();
        match files.as_slice() {
            [] => Ok(()),
            files => Err(OpenError::damaged(folder, format!("wrong checksum of {files:?}"))),
        }
    })
}

fn open(folder: &Path, create: bool) -> Result<(Index, IndexReader), OpenError> {
    let failed = |error: TantivyError| OpenError::new(folder, &error);
    let directory = MmapDirectory::open(folder).map_err(|error| failed(error.into()))?;
    let there = Index::exists(&directory).map_err(|error| failed(error.into()))?;
    if !there && (!create || has_segments(folder)) {
        return Err(OpenError::damaged(folder, "meta.json is missing"));
    }
    let index =
        Index::builder().schema(schema()).open_or_create(Box::new(directory) as Box<dyn Directory>).map_err(failed)?;
    index.tokenizers().register(WORDS_ANALYZER, words_analyzer());
    let reader = index
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .doc_store_cache_num_blocks(limits::SEARCH_CACHED_BLOCKS)
        .try_into()
        .map_err(failed)?;
    Ok((index, reader))
}

/// Whether an index lost its `meta.json`, which must not be taken for an empty folder.
fn has_segments(folder: &Path) -> bool {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.into_iter().any(|file| file.path().extension().is_some_and(|extension| extension == "store"))
}

/// The engine panics on some damage.
fn carefully<T>(folder: &Path, open: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open));
    result.unwrap_or_else(|_| Err(OpenError::damaged(folder, "the engine panicked on it")))
}
