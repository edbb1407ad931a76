//! Limits of the search index on OpenSearch.

use std::time::Duration;

/// Bytes of one bulk request before compression, beyond which no further document joins it, unless told otherwise.
/// OpenSearch's advice is 5 to 15 MiB.
pub const SEARCH_BULK_BYTES: usize = 5 * 1024 * 1024;
/// Least of it: smaller requests are mostly overhead.
pub const SEARCH_BULK_BYTES_MIN: usize = 64 * 1024;
/// Most of it. Amazon's smallest instances take requests of 10 MiB, and the document that fills a page has up to 1.4 MB.
pub const SEARCH_BULK_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Level of the compression of bulk requests. The next one takes 1.6 times the CPU for a fifth fewer bytes, and this one
/// takes more than anything else that a worker does.
pub const SEARCH_GZIP_LEVEL: u32 = 1;
/// Time that the cluster itself waits for a shard that can be written.
pub const SEARCH_BULK_WAIT: Duration = Duration::from_secs(10);
/// Time in which one bulk request must be answered.
pub const SEARCH_WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time in which one reading request must be answered.
pub const SEARCH_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Time in which an upsert must have its answers, attempts and pauses together: within a worker's time, and longer than
/// the 30 s after which the cluster takes a frozen node for dead.
pub const SEARCH_UPSERT_TIMEOUT: Duration = Duration::from_secs(50);
/// Attempts at one request to the cluster, the first included; at one document of an upsert as well.
pub const SEARCH_ATTEMPTS_MAX: u32 = 5;
/// Most of the random pause before the second attempt; it doubles with each further one.
pub const SEARCH_PAUSE: Duration = Duration::from_millis(200);
/// Most of the random pause between two attempts.
pub const SEARCH_PAUSE_MAX: Duration = Duration::from_secs(2);
/// Bytes of an answer of the cluster; a page that would be longer is asked for in parts.
pub const SEARCH_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest retention class that has an index for each day; a longer one has one for each month, or the cluster would
/// run out of shards (1,000 on each node).
pub const SEARCH_DAILY_DAYS_MAX: u16 = 30;
/// Days up to which a search names the indices of each day; a request line has at most 4,096 bytes.
pub const SEARCH_DAYS_NAMED_MAX: usize = 31;
/// Ids whose versions are asked for in one request; with their copies they are within OpenSearch's window of 10,000.
pub const SEARCH_VERSIONS_MAX: usize = 1000;
/// Indices that are deleted in one request; a request line has at most 4,096 bytes.
pub const SEARCH_INDICES_DELETED_MAX: usize = 50;
/// Months up to which a search names the indices of each month.
pub const SEARCH_MONTHS_NAMED_MAX: usize = 24;
