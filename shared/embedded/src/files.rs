//! Files that survive a crash: whole or not at all.
//!
//! A file is written under a temporary name in its own folder, synced, and renamed; then the folder is synced, so that
//! the rename lasts too. All files are their owner's alone (mode 0600) from the first byte on.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;
use tributary_ports::{PortError, PortErrorKind};

/// How the names of unfinished files begin.
const UNFINISHED: &str = ".unfinished-";

/// A synced file in `folder` with this content, under a temporary name; dropping it removes it.
pub(crate) fn prepare(folder: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Gives a prepared file its name within its folder, in place of what had it. Durable when it returns.
pub(crate) fn publish(file: NamedTempFile, folder: &Path, name: &str) -> io::Result<()> {
    file.persist(folder.join(name))?;
    sync_folder(folder)
}

/// Removes what killed writers left in a folder. To be called only while nobody else can be writing there.
pub(crate) fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes the names in a folder last.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder can't be opened as a file, and need not be.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Makes a folder, with those above it, readable by its owner alone. Durable when it returns.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make_folder(above)?;
    }
    make_private_folder(folder)?;
    sync_folder(above.unwrap_or(Path::new(".")))
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made,
    }
}

/// Opens a file that is only locked, never read.
pub(crate) fn lock_file(folder: &Path, name: &str) -> io::Result<File> {
    private().create(true).open(folder.join(name))
}

/// Makes an empty file unless it is there, without opening one that is (a process that closes a file loses the locks
/// that SQLite holds on it).
pub(crate) fn make_file(folder: &Path, name: &str) -> io::Result<()> {
    match private().create_new(true).open(folder.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(_) => sync_folder(folder),
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The failure of `operation` on the file or folder `path`.
pub(crate) fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PortError {
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => PortErrorKind::Denied,
            _ => PortErrorKind::Unavailable,
        };
        PortError::new(kind, operation, format!("{}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_file_replaces_the_one_before() {
        let folder = tempfile::tempdir().expect("a folder");
        for content in ["one", "two"] {
            let file = prepare(folder.path(), content.as_bytes()).expect("a file");
            publish(file, folder.path(), "name").expect("a publication");
            assert_eq!(std::fs::read_to_string(folder.path().join("name")).expect("the file"), content);
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1);
    }

    #[test]
    fn a_file_that_is_not_published_goes_away() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(prepare(folder.path(), b"one").expect("a file"));
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn folders_and_files_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("a/b");
        make_folder(&inner).expect("a folder");
        make_folder(&inner).expect("the same again");
        let file = prepare(&inner, b"one").expect("a file");
        lock_file(&inner, ".lock").expect("a lock file");
        let mode = |path: &Path| path.metadata().expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode(&folder.path().join("a")), 0o700);
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(file.path()), 0o600);
        assert_eq!(mode(&inner.join(".lock")), 0o600);
    }

    #[test]
    fn a_missing_right_is_denied_and_anything_else_is_bad_luck() {
        let kind = |kind: io::ErrorKind| failed("test", Path::new("x"))(kind.into()).kind;
        assert_eq!(kind(io::ErrorKind::PermissionDenied), PortErrorKind::Denied);
        assert_eq!(kind(io::ErrorKind::StorageFull), PortErrorKind::Unavailable);
    }
}
