//! Objects as files of one folder. A key is the file's name, with `+` for `/`; names that begin with a dot are ours.
//!
//! A writer prepares its file beside the others, then takes the lock, looks at the condition, and renames: the lock
//! makes look and rename one step among all threads and processes that have the store open (the command line changes the
//! directory while `tributary up` runs). Readers take no lock, since a rename shows the old content or the new.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use tributary_model::limits::OBJECT_BYTES_MAX;
use tributary_ports::objects::{Condition, Etag, Object, check_key, check_size, is_key};
use tributary_ports::{Objects, PortError, PortErrorKind};

use crate::{blocking, files};

/// Held by a writer from its look at the condition to its rename.
const WRITING: &str = ".writing";
/// Held, shared, by everyone who has the store open.
const OPEN: &str = ".open";

/// The object store in a folder.
pub struct FileObjects {
    folder: Arc<Path>,
    /// Its lock says that unfinished files may be somebody's.
    _open: File,
}

impl FileObjects {
    /// Opens the store in `folder`, which is made if it is not there. Files that a killed writer left unfinished are
    /// removed, if nobody else has the store open.
    ///
    /// # Errors
    /// If the folder can't be made or read.
    pub fn open(folder: &Path) -> Result<Arc<Self>, PortError> {
        let opened = files::make_folder(folder).and_then(|()| open_and_clean(folder));
        let open = opened.map_err(files::failed("objects.open", folder))?;
        Ok(Arc::new(Self { folder: folder.into(), _open: open }))
    }

    async fn on_folder<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Path) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let folder = Arc::clone(&self.folder);
        blocking::run(operation, move || work(&folder)).await
    }
}

#[async_trait]
impl Objects for FileObjects {
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<Etag, PortError> {
        const OPERATION: &str = "objects.put";
        let name = name_of(OPERATION, key)?;
        check_size(OPERATION, key, bytes.len())?;
        self.on_folder(OPERATION, move |folder| put(OPERATION, folder, &name, &bytes, &condition)).await
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        const OPERATION: &str = "objects.get";
        let name = name_of(OPERATION, key)?;
        self.on_folder(OPERATION, move |folder| get(OPERATION, folder, &name)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, PortError> {
        const OPERATION: &str = "objects.list";
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.on_folder(OPERATION, move |folder| {
            list(folder, &prefix, after.as_deref(), limit).map_err(files::failed(OPERATION, folder))
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), PortError> {
        const OPERATION: &str = "objects.delete";
        let name = name_of(OPERATION, key)?;
        self.on_folder(OPERATION, move |folder| delete(folder, &name).map_err(files::failed(OPERATION, folder))).await
    }
}

fn open_and_clean(folder: &Path) -> io::Result<File> {
    let open = files::lock_file(folder, OPEN)?;
    if open.try_lock().is_ok() {
        files::remove_unfinished(folder)?;
        open.unlock()?;
    }
    open.lock_shared()?;
    Ok(open)
}

fn put(
    operation: &'static str,
    folder: &Path,
    name: &str,
    bytes: &[u8],
    condition: &Condition,
) -> Result<Etag, PortError> {
    let failed = || files::failed(operation, folder);
    let file = files::prepare(folder, bytes).map_err(failed())?;
    let _writing = lock(folder).map_err(failed())?;
    if !holds(operation, folder, name, condition)? {
        // Who hears of a conflict acts on what is there, so it has to last.
        files::sync_folder(folder).map_err(failed())?;
        let detail = format!("the object {} is not as the condition says", key_of(name));
        return Err(PortError::new(PortErrorKind::Conflict, operation, detail));
    }
    files::publish(file, folder, name).map_err(failed())?;
    Ok(etag_of(bytes))
}

fn holds(operation: &'static str, folder: &Path, name: &str, condition: &Condition) -> Result<bool, PortError> {
    Ok(match condition {
        Condition::Always => true,
        Condition::Absent => !folder.join(name).try_exists().map_err(files::failed(operation, folder))?,
        Condition::Unchanged(etag) => get(operation, folder, name)?.is_some_and(|object| object.etag == *etag),
    })
}

fn get(operation: &'static str, folder: &Path, name: &str) -> Result<Option<Object>, PortError> {
    let path = folder.join(name);
    let failed = || files::failed(operation, &path);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed())?,
    };
    let size = usize::try_from(file.metadata().map_err(failed())?.len()).unwrap_or(usize::MAX);
    check_size(operation, &key_of(name), size)?;
    let mut bytes = Vec::with_capacity(size);
    // A file has its size before it has its name, and never another.
    (&file).take(OBJECT_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(failed())?;
    Ok(Some(Object { etag: etag_of(&bytes), bytes: bytes.into() }))
}

fn list(folder: &Path, prefix: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
    let mut first = BTreeSet::new();
    for entry in folder.read_dir()? {
        let key = key_of(&entry?.file_name().to_string_lossy());
        if is_key(&key) && key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after) {
            first.insert(key);
        }
        if first.len() > limit {
            first.pop_last();
        }
    }
    Ok(first.into_iter().collect())
}

fn delete(folder: &Path, name: &str) -> io::Result<()> {
    let _writing = lock(folder)?;
    match std::fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => files::sync_folder(folder),
    }
}

fn lock(folder: &Path) -> io::Result<File> {
    let file = files::lock_file(folder, WRITING)?;
    file.lock()?;
    Ok(file)
}

fn name_of(operation: &'static str, key: &str) -> Result<String, PortError> {
    check_key(operation, key)?;
    Ok(key.replace('/', "+"))
}

fn key_of(name: &str) -> String {
    name.replace('+', "/")
}

fn etag_of(bytes: &[u8]) -> Etag {
    Etag(URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes)).into())
}

#[cfg(test)]
mod tests;
