//! The database file: how it is opened, its schema's version, and its connections.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tributary_model::limits::{LEDGER_READERS_MAX, LEDGER_WAL_BYTES};
use tributary_ports::{PortError, PortErrorKind};

use super::error::failed;
use crate::files;

/// What makes each version of the schema of the one before; the first makes it of an empty file.
const SCHEMAS: [&str; SCHEMA_VERSION as usize] = [include_str!("schema/1.sql"), include_str!("schema/2.sql")];
/// The version of the last of [`SCHEMAS`]. A file of a newer one is refused.
const SCHEMA_VERSION: u32 = 2;
const FILE: &str = "ledger.db";
/// Held by whoever opens the file, so that one process alone makes the tables.
const OPENING: &str = ".opening";
const OPEN: &str = "ledger.open";

/// One writing connection, and reading ones that are made as they are needed and kept.
pub(super) struct File {
    pub(super) path: PathBuf,
    lock_wait: Duration,
    readers: Mutex<Vec<Connection>>,
    /// After the readers, so that it is closed last: the last one moves the log's content into the file, which a
    /// connection that only reads can't.
    writer: Mutex<Connection>,
}

impl File {
    /// Opens the ledger's file in `folder`, and makes both if they are not there. A connection waits up to `lock_wait`
    /// for another process's write to end.
    pub(super) fn open(folder: &Path, lock_wait: Duration) -> Result<Self, PortError> {
        files::make_folder(folder).map_err(files::failed(OPEN, folder))?;
        let opening = files::lock_file(folder, OPENING).and_then(|file| file.lock().map(|()| file));
        let _opening = opening.map_err(files::failed(OPEN, folder))?;
        let path = folder.join(FILE);
        files::make_file(folder, FILE).map_err(files::failed(OPEN, &path))?;
        let mut writer = connect(&path, lock_wait, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed(OPEN, &path))?;
        make_durable(&writer).map_err(failed(OPEN, &path))?;
        bring_up_to_date(&mut writer, &path)?;
        Ok(Self { path, lock_wait, readers: Mutex::default(), writer: Mutex::new(writer) })
    }

    /// Runs `work` as one transaction that nobody else's write comes between; it is durable when this returns.
    pub(super) fn write<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, PortError> {
        let mut writer = lock(&self.writer);
        let write = || {
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        write().map_err(failed(operation, &self.path))
    }

    /// Runs `work` on one state of the ledger; writers do not wait for it, nor it for them.
    pub(super) fn read<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, PortError> {
        let kept = lock(&self.readers).pop();
        let read = || {
            let mut reader = match kept {
                Some(reader) => reader,
                None => connect(&self.path, self.lock_wait, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
            };
            let done = work(&reader.transaction()?)?;
            Ok((reader, done))
        };
        let (reader, done) = read().map_err(failed(operation, &self.path))?;
        let mut readers = lock(&self.readers);
        if readers.len() < LEDGER_READERS_MAX {
            readers.push(reader);
        }
        Ok(done)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A connection whose user panicked has rolled back.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(path: &Path, lock_wait: Duration, mode: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection is used by one thread at a time, which the mutex or the taking from the pool sees to.
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(lock_wait)?;
    Ok(connection)
}

fn make_durable(writer: &Connection) -> rusqlite::Result<()> {
    writer.pragma_update(None, "journal_mode", "WAL")?;
    // With WAL anything less than FULL lets a power cut take back what was committed last.
    writer.pragma_update(None, "synchronous", "FULL")?;
    writer.pragma_update(None, "journal_size_limit", LEDGER_WAL_BYTES)
}

fn bring_up_to_date(writer: &mut Connection, path: &Path) -> Result<(), PortError> {
    let mut make = || {
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if version > SCHEMA_VERSION || (version == 0 && tables > 0) {
            return Ok(version);
        }
        for schema in SCHEMAS.iter().skip(version as usize) {
            transaction.execute_batch(schema)?;
        }
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
        Ok(SCHEMA_VERSION)
    };
    let version = make().map_err(failed(OPEN, path))?;
    let path = path.display();
    let detail = match version {
        SCHEMA_VERSION => return Ok(()),
        0 => format!("{path} holds tables that are not the ledger's: name another data folder"),
        _ => format!(
            "{path} has the schema's version {version}, and this program knows none beyond {SCHEMA_VERSION}: run the \
             version of Tributary that wrote it, or a later one"
        ),
    };
    Err(PortError::new(PortErrorKind::Invalid, OPEN, detail))
}
