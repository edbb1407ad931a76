//! Small files of the data folder, written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file that anyone who may enter the folder may read.
///
/// # Errors
/// If it can't be written, synced or renamed.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, OpenOptions::new().write(true).create(true).truncate(true))
}

/// Writes a file that only its owner may read.
///
/// # Errors
/// If it can't be written, synced or renamed.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    replace(path, bytes, &options)
}

/// Makes a folder that only its owner may enter, and what leads to it; one that is there is left as it is.
///
/// # Errors
/// If it can't be made.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn replace(path: &Path, bytes: &[u8], options: &OpenOptions) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    let temporary = folder.join(format!(".new-{}", std::process::id()));
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_its_owner_s_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys").join("a.key");
        write_secret(&path, b"one").expect("written");
        write_secret(&path, b"two").expect("written again");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder.path().join("keys"))), (0o600, 0o700));
    }
}
