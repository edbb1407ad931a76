//! Limits of the ledgers, the one in SQLite and the one in PostgreSQL.

use std::time::Duration;

// ---- the embedded ledger --------------------------------------------------------------------------------------

/// Time that a call on the ledger waits for another process's write before it is throttled. A batch of 10,000 rows takes
/// less than a second.
pub const LEDGER_LOCK_WAIT: Duration = Duration::from_secs(5);
/// When a throttled call on the ledger may come again.
pub const LEDGER_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Reading connections kept open.
pub const LEDGER_READERS_MAX: usize = 4;
/// Bytes to which the ledger's write-ahead log is cut after its content has moved into the file.
pub const LEDGER_WAL_BYTES: i64 = 64 * 1024 * 1024;
/// Problems of a damaged ledger that a check lists.
pub const LEDGER_PROBLEMS_MAX: usize = 20;

// ---- the rows of every ledger ---------------------------------------------------------------------------------

/// How long a dead letter is kept after it was last met, unless told otherwise.
pub const DEAD_LETTER_RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Bytes of an audit event's detail, as JSON: a page of a thousand lies in memory.
pub const AUDIT_DETAIL_BYTES_MAX: usize = 16 * 1024;

// ---- the ledger behind the RDS Data API -----------------------------------------------------------------------

/// Bytes of the rows of one request, as they are sent (Data API: 4 MiB a request, SQL and names included).
pub const LEDGER_REQUEST_BYTES_MAX: usize = 3 * 1024 * 1024 + 512 * 1024;
/// Rows of one request. Where all of them were there already, each is answered in some 60 bytes: 0.6 MB (Data API: 1 MiB
/// an answer).
pub const LEDGER_ROWS_MAX: usize = 10_000;
/// Ids of one question: about as many rows as one answer holds, so that few are looked up twice.
pub const LEDGER_IDS_MAX: usize = 1_000;
/// Bytes of the rows of one answer as PostgreSQL writes them, the last one not counted. On the way each may become three
/// (a letter beyond ASCII, written as \\u and four digits), and a row may have 64 KB: less than 1 MiB in all.
pub const LEDGER_PAGE_BYTES: usize = 256 * 1024;
/// Bytes of the texts of a row that have no limit of their own; normalize leaves a twentieth of it (Data API: 64 KB a row
/// of an answer, in which a byte may become three).
pub const LEDGER_TEXTS_BYTES_MAX: usize = 20_000;
/// Days whose partitions a process remembers: those of a year's replay.
pub const LEDGER_DAYS_KNOWN_MAX: usize = 400;
/// Attempts to write a row while others insert and delete the same one.
pub const LEDGER_ATTEMPTS_MAX: usize = 5;
/// Objects of removed dead letters that one statement answers: at 500 bytes each less than 1 MiB.
pub const LEDGER_OBJECT_KEYS_MAX: i64 = 2_000;
