//! Every limit of Tributary, in one place. Sizes are bytes, times are as their names say.

mod custodian;
mod invocation;
mod ledger;
mod load;
mod opensearch;
mod repair;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::level::Level;

pub use custodian::*;
pub use invocation::*;
pub use ledger::*;
pub use load::*;
pub use opensearch::*;
pub use repair::*;

// ---- a request ------------------------------------------------------------------------------------------------

/// Bytes of a report after decompression: what an Application Load Balancer hands to a Lambda at most.
pub const REPORT_BYTES_MAX: usize = 1_000_000;
/// Bytes of a request body as sent, compressed or not. A signed report is a third larger than its payload (base64).
pub const BODY_BYTES_MAX: usize = 1_400_000;
/// Decompressed bytes a compressed byte may stand for. Real reports reach 8 to 20; a bomb reaches 1,000 and more.
pub const DECOMPRESSION_RATIO_MAX: usize = 200;
/// Decompressed bytes below which the ratio is not looked at: small repetitive bodies are harmless.
pub const DECOMPRESSION_RATIO_FREE_BYTES: usize = 64 * 1024;
/// Binary logarithm of the window that a zstd body may ask for: 8 MiB, as RFC 9659 allows at most.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Bytes of the request line and all headers together.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Headers of a request.
pub const HEADERS_MAX: usize = 64;
/// Bytes of a token (a JWT) in a header or a body.
pub const TOKEN_BYTES_MAX: usize = 4 * 1024;
/// What `Retry-After` says when the store has no wish of its own.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The most that `Retry-After` says, whatever the store wishes.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Time in which a request's headers must have arrived.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Time in which a request's body must have arrived.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle time after which a kept-alive connection is closed. The Go agent never closes its own.
pub const CONNECTION_IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Connections open at once in the local server.
pub const CONNECTIONS_MAX: usize = 4096;
/// Idle time after which a connection is closed while more than half of [`CONNECTIONS_MAX`] are open: the Go agent leaves
/// one behind per report.
pub const CONNECTION_IDLE_TIMEOUT_CROWDED: Duration = Duration::from_secs(5);
/// Time in which the peer must take some part of an answer, once its buffers are full.
pub const ANSWER_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time in which a TLS handshake must be done.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which what a peer still sends is read and thrown away after an answer that ends the connection: closing with
/// unread bytes would take the answer away from it (RFC 9112, 9.6).
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes that are thrown away so.
pub const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes a connection reads at once at most.
pub const READ_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Time given to requests under way when the local server stops.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// Days for which a server certificate of the local program is valid; it is renewed at every start. Verifiers refuse more
/// than 825 (Apple, for certificates of private authorities).
pub const LEAF_CERTIFICATE_DAYS: u32 = 397;
/// Days for which the local certificate authority is valid: twenty years.
pub const CA_CERTIFICATE_DAYS: u32 = 7_305;
/// A data folder's own token is replaced at a start when it ends earlier than this.
pub const SAVED_TOKEN_REST_MIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Time in which the program hears an answer to a command's request.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of an answer that the program reads: a page of 1,000 large invocations.
pub const CLIENT_ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Time between two readings of the directory in the local process; a changed one serves that soon.
pub const LOCAL_DIRECTORY_REFRESH: Duration = Duration::from_secs(1);
/// Time between two looks at gauges and at what the stream may delete, in the local process.
pub const LOCAL_CHORES_INTERVAL: Duration = Duration::from_secs(5);
/// Deliveries or reads without success, one after another, from which on the local process says that it is not well.
pub const CONSUMER_FAILURES_MAX: u32 = 5;
/// Threads that serve HTTP in the local process.
pub const HTTP_THREADS_MAX: u16 = 64;
/// Free bytes on the data folder's disk below which `doctor` warns.
pub const DISK_FREE_BYTES_MIN: u64 = 2 * 1024 * 1024 * 1024;
/// Files that the local process opens besides one for each connection: segments of the stream and of the index.
pub const OPEN_FILES_BESIDES_MAX: usize = 1024;
/// Pause after the system refused to accept a connection (no file descriptors left, mostly).
pub const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(100);

// ---- a report -------------------------------------------------------------------------------------------------

/// Depth of nesting in a report. Real reports reach 7.
pub const JSON_DEPTH_MAX: usize = 32;
/// JSON values in a report. A report of a 256-CPU host with traces reaches about 5,000.
pub const JSON_VALUES_MAX: usize = 50_000;
/// Bytes of `processId`.
pub const PROCESS_ID_BYTES_MAX: usize = 256;
/// Bytes of `aws.awsRequestId`.
pub const REQUEST_ID_BYTES_MAX: usize = 256;
/// A report's timestamp may lie this far before its arrival.
pub const REPORT_AGE_MAX: Duration = Duration::from_secs(8 * 24 * 60 * 60);
/// A report's timestamp may lie this far after its arrival (clocks differ).
pub const REPORT_AHEAD_MAX: Duration = Duration::from_secs(15 * 60);

// ---- a record -------------------------------------------------------------------------------------------------

/// Bytes of one record in the stream (Kinesis: 1 MiB by default).
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Bytes a record's payload may decompress to.
pub const RECORD_PAYLOAD_BYTES_MAX: usize = BODY_BYTES_MAX;
/// Bytes of a project's name.
pub const PROJECT_BYTES_MAX: usize = 64;
/// Bytes of an account's name.
pub const ACCOUNT_BYTES_MAX: usize = 64;
/// Bytes of a region's name.
pub const REGION_BYTES_MAX: usize = 32;
/// Days of the longest retention class: ten years.
pub const RETENTION_DAYS_MAX: u16 = 3660;
/// Bytes of a token's id (`jti`).
pub const TOKEN_ID_BYTES_MAX: usize = 64;

// ---- the stream and its consumers -------------------------------------------------------------------------------

/// How long the stream keeps a record unless told otherwise.
pub const STREAM_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Least retention of the embedded stream: a consumer that restarts has to find what it has not read.
pub const STREAM_RETENTION_MIN: Duration = Duration::from_secs(60);
/// Most retention of the stream (Kinesis: 365 days).
pub const STREAM_RETENTION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Shards of the embedded stream unless told otherwise.
pub const STREAM_SHARDS: u16 = 4;
/// Most shards of the embedded stream.
pub const STREAM_SHARDS_MAX: u16 = 256;
/// Bytes of a partition key (Kinesis: 256 characters).
pub const PARTITION_KEY_BYTES_MAX: usize = 256;
/// Bytes at which a segment of the embedded stream is closed and the next begins.
pub const STREAM_SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Age of its first record at which a segment is closed, so that a quiet stream's records leave the disk soon after
/// their retention.
pub const STREAM_SEGMENT_AGE_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// Bytes of a segment between two entries of its index in memory; one entry has 24 bytes, so the index is a
/// ten-thousandth of the log.
pub const STREAM_INDEX_INTERVAL_BYTES: u64 = 256 * 1024;
/// Bytes of a closed segment's index, read whole when the stream is opened: that of a segment of more than 4 GB.
pub const STREAM_INDEX_BYTES_MAX: u64 = 512 * 1024;
/// Bytes of the file of a stream's fixed facts; it has about 90.
pub const STREAM_META_BYTES_MAX: u64 = 4096;
/// Bytes read from a segment at once.
pub const STREAM_CHUNK_BYTES: usize = 256 * 1024;
/// Bytes of the log looked at for one page; the shards share the log, so a page may end before it is full.
pub const STREAM_SCAN_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Sequence numbers that one opening of the embedded stream claims; what it does not use is never used.
pub const STREAM_NUMBERS_CLAIMED: u64 = 1 << 32;
/// Most time that a commit waits for the senders that there seem to be; it never waits for longer than twice the time that
/// the commit before took. 64 connections need about as long to come back.
pub const STREAM_GATHER_MAX: Duration = Duration::from_millis(1);
/// Bytes a commit's buffer keeps for the next commit.
pub const STREAM_BUFFER_BYTES_KEPT: usize = 8 * 1024 * 1024;
/// When a sender that met a full queue is asked to come again: some twenty commits of 4 ms later.
pub const STREAM_RETRY_AFTER: Duration = Duration::from_millis(100);
/// Damaged places of the stream that are told apart; more are not counted.
pub const STREAM_DAMAGE_PLACES_MAX: usize = 1000;
/// Bytes waiting for the stream's next commit; beyond it an append is throttled.
pub const STREAM_QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Records of one page read from the stream (Kinesis: 10,000).
pub const STREAM_PAGE_RECORDS_MAX: usize = 10_000;
/// Bytes of one page read from the stream (Kinesis: 10 MB).
pub const STREAM_PAGE_BYTES_MAX: usize = 10_000_000;
/// Records of one batch given to a worker (Lambda: 10,000).
pub const BATCH_RECORDS_MAX: usize = 10_000;
/// Bytes of one batch given to a worker (Lambda's request limit).
pub const BATCH_BYTES_MAX: usize = 6_000_000;
/// Records of one batch unless told otherwise.
pub const BATCH_RECORDS: usize = 500;
/// How long a batch that is not full waits for more records unless told otherwise.
pub const BATCH_WINDOW: Duration = Duration::from_millis(100);
/// Most of that time (Lambda: 300 seconds).
pub const BATCH_WINDOW_MAX: Duration = Duration::from_secs(300);
/// How often the stream is read while nothing wakes its reader (Lambda: once a second).
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often the stream's shards are listed.
pub const POLL_SHARDS_INTERVAL: Duration = Duration::from_secs(10);
/// Pause before a batch is delivered again after no record of it was taken; doubled each time.
pub const REDELIVERY_DELAY_MIN: Duration = Duration::from_millis(100);
/// Most of that pause.
pub const REDELIVERY_DELAY_MAX: Duration = Duration::from_secs(10);
/// Bytes of reports, decompressed, that a worker holds normalised at once: a batch of [`BATCH_BYTES_MAX`] compressed bytes
/// may stand for a thousand times as many. Beyond it a batch is applied in parts.
pub const APPLY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Versions of one report, all in one batch, that are offered to a store which refuses them; further ones become dead
/// letters unseen.
pub const REFUSED_VERSIONS_MAX: usize = 4;
/// Dead letters written in one batch; further records that can't be applied are redelivered, and so come first in the
/// batch that follows. At 20 ms an object this takes 10 s, well within a Lambda's time.
pub const DEAD_LETTERS_BATCH_MAX: usize = 500;
/// Records of a batch that its consumer gave up, which become dead letters at once: each costs a data key and a put.
pub const GIVEN_UP_AT_ONCE: usize = 50;
/// Bytes of a dead letter's reason.
pub const DEAD_LETTER_DETAIL_BYTES_MAX: usize = 1024;
/// A consumer marks how far it is at least this often, a store that fails aside: an object a minute for each shard.
pub const MARK_INTERVAL: Duration = Duration::from_secs(60);
/// Shards whose marks one worker remembers; beyond it they are read again.
pub const MARKED_SHARDS_MAX: usize = 1000;
/// Concurrent batches of one shard for the search index unless told otherwise: while one is written the next is made ready.
pub const SEARCH_PARALLELIZATION: usize = 2;
/// Concurrent batches of one shard for the ledger unless told otherwise: its statements take a few milliseconds.
pub const LEDGER_PARALLELIZATION: usize = 1;
/// Most concurrent batches of one shard (Lambda: 10).
pub const PARALLELIZATION_MAX: usize = 10;
/// The search index commits at least this often while documents wait; more often only for full batches.
pub const SEARCH_COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Most of that time: an engineer waits for it.
pub const SEARCH_COMMIT_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// Memory in which the search index gathers documents before it writes a segment. Tantivy's least is 15,000,000.
pub const SEARCH_WRITER_BYTES: usize = 30_000_000;
/// Batches waiting for the search index; beyond it an upsert is throttled. Four shards with ten batches each fit.
pub const SEARCH_CALLS_MAX: usize = 64;
/// Waiting documents that are worth a commit of the search index before the interval is over: a full batch.
pub const SEARCH_COMMIT_DOCUMENTS: usize = BATCH_RECORDS;
/// Documents of one commit of the search index, beyond which no further batch joins it.
pub const SEARCH_PENDING_MAX: usize = 20_000;
/// Bytes of a text that is compared exactly in search; a document with a longer one is refused (Lucene's limit).
pub const SEARCH_TERM_BYTES_MAX: usize = 32_766;
/// Threads that merge segments of the search index.
pub const SEARCH_MERGE_THREADS: usize = 1;
/// Documents of a segment of the search index up to which size does not matter for a merge. At Tantivy's default of 10,000
/// a commit of 100 documents costs 39 ms of CPU, merges included; at 1,000 it costs 22 ms.
pub const SEARCH_SMALL_SEGMENT_DOCUMENTS: u32 = 1000;
/// Share of replaced documents in a segment of the search index beyond which it is written anew.
pub const SEARCH_REPLACED_SHARE_MAX: f32 = 0.3;
/// Decompressed blocks of stored documents kept per segment of the search index (16 kB each, or one large document).
pub const SEARCH_CACHED_BLOCKS: usize = 8;
/// Time that closing the search index waits for merges under way. Ending the process without them is safe.
pub const SEARCH_CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Functions that are counted for one answer, the most invoked of each segment first.
pub const SEARCH_FUNCTIONS_COUNTED_MAX: u32 = 10_000;
/// Bytes that one aggregation may take.
pub const SEARCH_AGGREGATION_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Time in which a sender has its answer: the Go agent gives up after 1 s.
pub const ANSWER_TIMEOUT: Duration = Duration::from_millis(800);
/// Time given to the stream to take one record, after which it goes to the overflow store. It has less if what comes before
/// took longer than is left of [`ANSWER_TIMEOUT`] beside [`OVERFLOW_TIMEOUT`].
pub const APPEND_TIMEOUT: Duration = Duration::from_millis(400);
/// Time given to the overflow store to take one record before the sender hears 503.
pub const OVERFLOW_TIMEOUT: Duration = Duration::from_millis(300);

// ---- AWS ------------------------------------------------------------------------------------------------------

/// Time in which a connection to AWS must be open: within a region it takes a few milliseconds, TLS included; across
/// the world half a second.
pub const AWS_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Time in which one attempt at a call on AWS must be answered, unless its adapter has a budget of its own.
pub const AWS_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time in which a call on AWS must be answered, attempts and pauses together, unless its adapter has a budget of its own.
pub const AWS_CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts at one call on AWS, the first included.
pub const AWS_ATTEMPTS_MAX: u32 = 3;
/// Most of the random pause before the second attempt; it doubles with each further one.
pub const AWS_PAUSE: Duration = Duration::from_millis(50);
/// Most of the random pause between two attempts.
pub const AWS_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Bytes of an answer from AWS. The largest is a page of the stream: 10 MB of records, a third more in base64, and some
/// 200 bytes of JSON for each of 10,000 records.
pub const AWS_RESPONSE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Records of one PutRecords (Kinesis: 500).
pub const KINESIS_PUT_RECORDS_MAX: usize = 500;
/// Bytes of one PutRecords, keys included (Kinesis: 5 MiB).
pub const KINESIS_PUT_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Time given to one PutRecords of small records, its retries included, unless told otherwise: half of what an agent's
/// request has, so that a refused record still finds its way into the overflow bucket.
pub const KINESIS_APPEND_TIMEOUT: Duration = Duration::from_millis(350);
/// Bytes per second for which that time is made longer: what one shard takes in.
pub const KINESIS_APPEND_BYTES_PER_SECOND_MIN: u64 = 1_000_000;
/// Most of the random pause before what failed of a PutRecords is sent again; it doubles with each further time, and at
/// least half of it passes.
pub const KINESIS_APPEND_PAUSE: Duration = Duration::from_millis(20);
/// Most of the random pause between two attempts at a PutRecords.
pub const KINESIS_APPEND_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Shortest time between two reads of one shard (Kinesis: 5 reads a second, all ordinary readers together).
pub const KINESIS_READ_INTERVAL: Duration = Duration::from_millis(200);
/// Bytes per second read from one shard (Kinesis: 2 MB/s, all ordinary readers together).
pub const KINESIS_READ_BYTES_PER_SECOND_MAX: u64 = 2_000_000;
/// Age at which an iterator is given up; Kinesis lets it live for 5 minutes.
pub const KINESIS_ITERATOR_AGE_MAX: Duration = Duration::from_secs(280);
/// Iterators kept of one shard: one for each of the readers that go on from page to page.
pub const KINESIS_ITERATORS_MAX: usize = 8;
/// Shards whose pace and iterators are kept; a stream on demand has some hundreds.
pub const KINESIS_SHARDS_KEPT_MAX: usize = 4096;
/// Shards of one page of a listing (Kinesis: 10,000).
pub const KINESIS_LIST_SHARDS_MAX: u16 = 10_000;
/// Pages of one listing, beyond which the stream counts as broken.
pub const KINESIS_LIST_PAGES_MAX: usize = 100;
/// Time in which a fan-out consumer must have become active; AWS takes some seconds.
pub const KINESIS_CONSUMER_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two looks at a fan-out consumer that is being made (Kinesis: 20 looks a second).
pub const KINESIS_CONSUMER_INTERVAL: Duration = Duration::from_millis(500);
/// Shortest time between two subscriptions of one fan-out consumer to one shard (Kinesis: 5 seconds).
pub const KINESIS_SUBSCRIBE_INTERVAL: Duration = Duration::from_secs(5);
/// How long a reader waits for the next event of a subscription. Kinesis sends one without records every few seconds.
pub const KINESIS_EVENT_TIMEOUT: Duration = Duration::from_secs(6);
/// Attempts at switching an event source mapping that is being changed otherwise; a transition takes up to a minute, and
/// whoever wants to switch asks again on the next schedule.
pub const MAPPING_ATTEMPTS_MAX: usize = 5;
/// Pause between these attempts.
pub const MAPPING_PAUSE: Duration = Duration::from_secs(1);
// ---- reading --------------------------------------------------------------------------------------------------

/// Bytes of a query's text.
pub const QUERY_BYTES_MAX: usize = 4096;
/// Characters of a word of a request that an error repeats.
pub const QUOTED_CHARS_MAX: usize = 40;
/// Terms of a query.
pub const QUERY_TERMS_MAX: usize = 100;
/// Depth of parentheses in a query.
pub const QUERY_DEPTH_MAX: usize = 16;
/// Items of a page unless told otherwise.
pub const PAGE_ITEMS: usize = 50;
/// Most items of a page.
pub const PAGE_ITEMS_MAX: usize = 1000;
/// Bytes of a page's items, as JSON, after which it ends and the next begins. Lambda takes 6 MB of answer, in which a page is
/// a text of JSON: each of its quotes and backslashes becomes two bytes.
pub const PAGE_BYTES_MAX: usize = 3_000_000;
/// How far back a search begins unless told otherwise: as far as a report's own time may lie back, so that what was just
/// acknowledged is found.
pub const SEARCH_FROM_AGO: Duration = REPORT_AGE_MAX;
/// How far ahead a search ends unless told otherwise, for the same reason.
pub const SEARCH_TO_AHEAD: Duration = REPORT_AHEAD_MAX;
/// Functions of one answer of `GET /v1/functions`.
pub const FUNCTIONS_MAX: usize = 1000;
/// Bytes of a paging cursor.
pub const CURSOR_BYTES_MAX: usize = 1024;
/// Bytes of one object (directory, dead letter): it is written and read whole.
pub const OBJECT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Keys of one page of an object store's list (S3: 1,000).
pub const OBJECTS_PAGE_MAX: usize = 1000;
/// Bytes of an object's key: as many as a file's name has in every common file system. S3 would take 1,024.
pub const OBJECT_KEY_BYTES_MAX: usize = 255;

// ---- tokens and the directory -----------------------------------------------------------------------------------

/// How long an issued token is valid unless told otherwise.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Keys that sign or signed tokens, in one key file: one a day for the time in which a token is valid.
pub const SIGNING_KEYS_MAX: usize = 400;
/// Uses of one data key: what somebody could open who learned it.
pub const DATA_KEY_USES_MAX: u32 = 10_000;
/// Time for which a plaintext data key is kept in memory.
pub const DATA_KEY_AGE_MAX: Duration = Duration::from_secs(5 * 60);
/// Unwrapped data keys kept in memory for opening.
pub const DATA_KEYS_UNWRAPPED_MAX: usize = 100;
/// Tags of a KMS key (KMS: 50).
pub const KMS_TAGS_MAX: i32 = 50;
/// Bytes of a wrapped data key (KMS: 6,144).
pub const WRAPPED_KEY_BYTES_MAX: usize = 6144;
/// Bytes of the key file; a key takes some 300.
pub const KEY_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Verified tokens kept in memory.
pub const TOKEN_CACHE_MAX: usize = 10_000;
/// The directory is read again at least this often.
pub const DIRECTORY_REFRESH: Duration = Duration::from_secs(60);
/// Least time between two readings of the directory that requests bring about, by its age or by a key that it does not
/// hold: a flood of tokens with made-up keys costs one reading in so long.
pub const DIRECTORY_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Time for which a request waits for the directory to be read; S3 answers in some 30 ms.
pub const DIRECTORY_READ_TIMEOUT: Duration = Duration::from_millis(500);
/// A directory that can't be refreshed serves this long.
pub const DIRECTORY_STALE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Public keys of one project for signed reports.
pub const SENDER_KEYS_MAX: usize = 32;
/// Bytes of a public key file (PEM or JWK).
pub const PUBLIC_KEY_BYTES_MAX: usize = 16 * 1024;
/// The longest validity that a token may be issued with, and so how long a retired key goes on to verify.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(2 * 365 * 24 * 60 * 60);
/// How far two clocks may differ when a token's `exp` and `nbf` are checked.
pub const TOKEN_LEEWAY: Duration = Duration::from_secs(60);
/// Bits of an RSA public key: fewer can be factored.
pub const RSA_BITS_MIN: usize = 2048;
/// Bits of an RSA public key: more only cost time.
pub const RSA_BITS_MAX: usize = 8192;
/// Bytes of a signed report's header (base64url).
pub const SIGNED_HEADER_BYTES_MAX: usize = 4 * 1024;
/// Attempts to publish a directory that others are changing at the same time.
pub const PUBLISH_ATTEMPTS_MAX: usize = 8;

// ---- the log --------------------------------------------------------------------------------------------------

/// Bytes of log lines kept in memory before they are written: one write for some 300 lines.
pub const LOG_BUFFER_BYTES: usize = 64 * 1024;
/// Log lines are written at least this often.
pub const LOG_FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// Bytes of a text in a log line that comes from outside (a store's error); a longer one is cut.
pub const LOG_TEXT_BYTES_MAX: usize = 1024;

// ---- settings -------------------------------------------------------------------------------------------------

/// Page sizes and concurrency of the stores are read again so long after the last time.
pub const SETTINGS_REFRESH: Duration = Duration::from_secs(60);
/// Attempts to change them while others do.
pub const SETTINGS_ATTEMPTS_MAX: usize = 8;
/// Where the local program listens for HTTP unless told otherwise: on this machine alone.
pub const HTTP_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// The level from which on log lines are written unless told otherwise.
pub const LOG_LEVEL: Level = Level::Warn;
/// The ledger's database on AWS unless told otherwise.
pub const LEDGER_DATABASE: &str = "tributary";
/// Who issues tokens on AWS unless told otherwise.
pub const ISSUER: &str = "tributary";
/// Characters of a wrong value that are shown with what is wrong with it.
pub const SETTING_SHOWN_CHARACTERS_MAX: usize = 64;
