//! Keys in one file, which only its owner may read: ES256 key pairs as PKCS#8, the current one last, and the master key that
//! wraps data keys.
//!
//! The file is read for each call and replaced whole, so several processes may share it: the command line issues tokens
//! and rotates keys while `tributary up` runs. Whoever changes it holds the lock from the reading to the rename.

mod master;
mod pair;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tributary_model::limits::{KEY_FILE_BYTES_MAX, SIGNING_KEYS_MAX};
use tributary_ports::keys::{DataKey, PublicKey, Purpose, Signature};
use tributary_ports::{Keys, PortError, PortErrorKind};

use crate::{blocking, files};
use master::Master;
use pair::Pair;

/// The file within its folder.
const FILE: &str = "keys.json";
/// Held by whoever changes the file.
const WRITING: &str = ".writing";
const READ: &str = "keys.read";
const ROTATE: &str = "keys.rotate";

/// The key store in a folder.
pub struct KeyFile {
    folder: Arc<Path>,
}

/// The file's form.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// Each with its id, for people who compare it with a token's header; the oldest first.
    keys: Vec<StoredKey>,
    /// AES-256, in base64. Files of before there were data keys have none; opening one adds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    master: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    kid: String,
    /// PKCS#8 (RFC 5958), in base64.
    pkcs8: String,
}

/// What the file holds.
struct Ring {
    /// The current one last; at least one.
    pairs: Vec<Pair>,
    master: Option<Master>,
}

impl KeyFile {
    /// Opens the key file in `folder`; makes both, and a first key, if they are not there.
    ///
    /// # Errors
    /// `Denied` if others than the owner may read the file or write to the folder, or if we may not; `Invalid` if the file
    /// is damaged; otherwise bad luck. The text says how to mend it and holds nothing of a key.
    pub fn open(folder: &Path) -> Result<Arc<Self>, PortError> {
        const OPERATION: &str = "keys.open";
        files::make_folder(folder).map_err(files::failed(OPERATION, folder))?;
        check_private(folder, folder.metadata(), 0o022, "chmod 700")?;
        let _writing = lock(folder).map_err(files::failed(OPERATION, folder))?;
        files::remove_unfinished(folder).map_err(files::failed(OPERATION, folder))?;
        let mut ring = match folder.join(FILE).try_exists().map_err(files::failed(OPERATION, folder))? {
            true => read(folder)?,
            false => Ring { pairs: vec![Pair::generate(OPERATION)?], master: None },
        };
        if ring.master.is_none() {
            ring.master = Some(Master::generate(OPERATION)?);
            write(folder, &ring)?;
        }
        Ok(Arc::new(Self { folder: folder.into() }))
    }

    /// Does `work` with the master key.
    async fn with_master<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Master) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let folder = Arc::clone(&self.folder);
        blocking::run(operation, move || {
            let master = read(&folder)?.master;
            work(&master.ok_or_else(|| damaged(&folder.join(FILE), "it holds no master key"))?)
        })
        .await
    }
}

#[async_trait]
impl Keys for KeyFile {
    async fn sign(&self, kid: &str, message: &[u8]) -> Result<Signature, PortError> {
        const OPERATION: &str = "keys.sign";
        let (folder, kid, message) = (Arc::clone(&self.folder), kid.to_owned(), message.to_vec());
        blocking::run(OPERATION, move || {
            let pairs = read(&folder)?.pairs;
            let pair = pairs.iter().find(|pair| pair.kid == kid);
            let none = || PortError::new(PortErrorKind::NotFound, OPERATION, format!("there is no key {kid:?}"));
            pair.ok_or_else(none)?.sign(OPERATION, &message)
        })
        .await
    }

    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError> {
        let folder = Arc::clone(&self.folder);
        let pairs = blocking::run(READ, move || read(&folder)).await?.pairs;
        Ok(pairs.iter().rev().enumerate().map(|(age, pair)| pair.public(age == 0)).collect())
    }

    async fn rotate(&self) -> Result<PublicKey, PortError> {
        let folder = Arc::clone(&self.folder);
        blocking::run(ROTATE, move || rotate(&folder)).await
    }

    async fn data_key(&self, purpose: Purpose) -> Result<DataKey, PortError> {
        const OPERATION: &str = "keys.data_key";
        self.with_master(OPERATION, move |master| master.data_key(OPERATION, purpose)).await
    }

    async fn unwrap_key(&self, purpose: Purpose, wrapped: &[u8]) -> Result<DataKey, PortError> {
        const OPERATION: &str = "keys.unwrap_key";
        let wrapped = wrapped.to_vec();
        self.with_master(OPERATION, move |master| master.unwrap(OPERATION, purpose, &wrapped)).await
    }
}

fn rotate(folder: &Path) -> Result<PublicKey, PortError> {
    let _writing = lock(folder).map_err(files::failed(ROTATE, folder))?;
    let mut ring = read(folder)?;
    let count = ring.pairs.len();
    if count >= SIGNING_KEYS_MAX {
        let detail = format!("{} holds {count} keys, the most there may be", folder.join(FILE).display());
        return Err(PortError::new(PortErrorKind::Invalid, ROTATE, detail));
    }
    let pair = Pair::generate(ROTATE)?;
    let public = pair.public(true);
    ring.pairs.push(pair);
    write(folder, &ring)?;
    Ok(public)
}

fn lock(folder: &Path) -> io::Result<File> {
    let file = files::lock_file(folder, WRITING)?;
    file.lock()?;
    Ok(file)
}

fn write(folder: &Path, ring: &Ring) -> Result<(), PortError> {
    const OPERATION: &str = "keys.write";
    let keys = ring.pairs.iter().map(|pair| StoredKey { kid: pair.kid.clone(), pkcs8: pair.to_base64() }).collect();
    let stored = Stored { keys, master: ring.master.as_ref().map(Master::to_base64) };
    let written = serde_json::to_vec_pretty(&stored).map_err(io::Error::from);
    let prepared = written.and_then(|bytes| files::prepare(folder, &bytes));
    let published = prepared.and_then(|file| files::publish(file, folder, FILE));
    published.map_err(files::failed(OPERATION, &folder.join(FILE)))
}

fn read(folder: &Path) -> Result<Ring, PortError> {
    let path = folder.join(FILE);
    let file = File::open(&path).map_err(files::failed(READ, &path))?;
    check_private(&path, file.metadata(), 0o077, "chmod 600")?;
    let mut bytes = Vec::new();
    file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(files::failed(READ, &path))?;
    parse(&bytes).map_err(|problem| damaged(&path, &problem))
}

/// What is wrong is said without any of the file's text, which is secret.
fn parse(bytes: &[u8]) -> Result<Ring, String> {
    let stored: Stored = serde_json::from_slice(bytes).map_err(|error| {
        format!("it is not as it was written, from line {} column {} on", error.line(), error.column())
    })?;
    if stored.keys.is_empty() {
        return Err("it holds no key".to_owned());
    }
    let keys = stored.keys.iter().enumerate();
    let pairs = keys.map(|(at, key)| {
        let pair = Pair::from_base64(&key.pkcs8).ok_or_else(|| format!("its key {} can't be read", at + 1))?;
        if pair.kid == key.kid { Ok(pair) } else { Err(format!("its key {} has another key's id", at + 1)) }
    });
    let master = |text: &String| Master::from_base64(text).ok_or_else(|| "its master key can't be read".to_owned());
    Ok(Ring { pairs: pairs.collect::<Result<_, _>>()?, master: stored.master.as_ref().map(master).transpose()? })
}

fn damaged(path: &Path, problem: &str) -> PortError {
    let detail = format!(
        "the key file {} is damaged: {problem}. Put a copy back in its place, or remove it and new keys are made: tokens \
         signed before stay valid by the public keys in the directory, but the bytes of dead letters can't be opened any more",
        path.display()
    );
    PortError::new(PortErrorKind::Invalid, READ, detail)
}

/// Refuses what grants others a right of `forbidden` (bits of a Unix mode).
#[cfg(unix)]
fn check_private(
    path: &Path,
    metadata: io::Result<std::fs::Metadata>,
    forbidden: u32,
    mend: &str,
) -> Result<(), PortError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.map_err(files::failed(READ, path))?.permissions().mode() & 0o777;
    if mode & forbidden == 0 {
        return Ok(());
    }
    let path = path.display();
    let detail =
        format!("{path} has the mode {mode:o}, which gives others a right over the keys; mend it with: {mend} {path}");
    Err(PortError::new(PortErrorKind::Denied, READ, detail))
}

#[cfg(not(unix))]
fn check_private(path: &Path, metadata: io::Result<std::fs::Metadata>, _: u32, _: &str) -> Result<(), PortError> {
    metadata.map(drop).map_err(files::failed(READ, path))
}

#[cfg(test)]
mod tests;
