//! Limits of `tributary load`.

use std::time::Duration;

/// Connections of `tributary load` unless told otherwise.
pub const LOAD_CONNECTIONS: u16 = 16;
/// Most of them; beyond it the local ports and file descriptors of one process become scarce.
pub const LOAD_CONNECTIONS_MAX: u16 = 1024;
/// How long `load` sends unless told otherwise.
pub const LOAD_DURATION: Duration = Duration::from_secs(10);
/// Reports per second that `load` can be told to send.
pub const LOAD_RATE_MAX: u32 = 1_000_000;
/// Bytes of the smallest report that `load` makes: its names, its times, and a token of 370 bytes.
pub const LOAD_REPORT_BYTES_MIN: u32 = 1000;
/// Different reports that `load` sends in turn, each time with new ids and times: twenty for each of its functions.
pub const LOAD_TEMPLATES: usize = 240;
/// As many of them there are at least, however large they are.
pub const LOAD_TEMPLATES_MIN: usize = 24;
/// Bytes of all of them together, beyond which there are fewer.
pub const LOAD_TEMPLATES_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The invocations that `load` reports ended at random within so many milliseconds before they are sent.
pub const LOAD_SPREAD_MS: i64 = 60_000;
/// Times in a row that a connection of `load` may fail before the collector counts as gone.
pub const LOAD_ATTEMPTS_MAX: u32 = 3;
/// Pause between these attempts.
pub const LOAD_ATTEMPT_PAUSE: Duration = Duration::from_millis(200);
/// Time in which a connection of `load` must be open.
pub const LOAD_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time in which `load` must have its answer: the longest that an agent waits (Java's, by okhttp's default).
pub const LOAD_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that `load` reads.
pub const LOAD_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Characters of the example that `load`'s summary gives of each kind of error.
pub const LOAD_EXAMPLE_CHARACTERS_MAX: usize = 160;
/// How often `load` draws its progress.
pub const LOAD_PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
