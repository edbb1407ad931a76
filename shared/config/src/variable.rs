//! The variables: names, meanings, examples.

/// A variable that sets something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it sets, and to what it is set unless told otherwise.
    pub meaning: &'static str,
    /// A value that it may have.
    pub example: &'static str,
}

macro_rules! variables {
    ($($constant:ident = $name:literal, $meaning:literal, $example:literal;)*) => {
        $(pub(crate) const $constant: Variable = Variable { name: $name, meaning: $meaning, example: $example };)*

        /// All variables that [`LocalSettings::read`](crate::LocalSettings::read) looks up.
        pub const VARIABLES: &[Variable] = &[$($constant),*];
    };
}

variables! {
    DATA = "TRIBUTARY_DATA", "the data folder (./.tributary)", "/var/lib/tributary";
    HTTP = "TRIBUTARY_HTTP", "where to listen for HTTP (127.0.0.1:8080); port 0 takes any free one", "127.0.0.1:8080";
    HTTPS = "TRIBUTARY_HTTPS", "where to listen for HTTPS (nowhere)", "127.0.0.1:8443";
    ONLY = "TRIBUTARY_ONLY", "the functions to run (all)", "collector,worker";
    REGION = "TRIBUTARY_REGION", "the region that the collector says it is in (local)", "eu-west-1";
    LOG = "TRIBUTARY_LOG", "the level from which on log lines are written, or off (warn)", "info";
    STREAM_SHARDS = "TRIBUTARY_STREAM_SHARDS", "shards of a new stream (4)", "4";
    STREAM_RETENTION = "TRIBUTARY_STREAM_RETENTION", "how long the stream keeps a record (7d)", "7d";
    SEARCH_COMMIT_INTERVAL = "TRIBUTARY_SEARCH_COMMIT_INTERVAL", "the longest time between two commits of the search \
        index while documents wait (1s)", "500ms";
    SEARCH_BATCH_RECORDS = "TRIBUTARY_SEARCH_BATCH_RECORDS", "records of one batch for the search index (500)", "1000";
    SEARCH_BATCH_WINDOW = "TRIBUTARY_SEARCH_BATCH_WINDOW", "how long a batch for the search index waits to be full \
        (100ms)", "1s";
    SEARCH_PARALLELIZATION = "TRIBUTARY_SEARCH_PARALLELIZATION", "concurrent batches of one shard for the search index \
        (1)", "2";
    LEDGER_BATCH_RECORDS = "TRIBUTARY_LEDGER_BATCH_RECORDS", "records of one batch for the ledger (500)", "1000";
    LEDGER_BATCH_WINDOW = "TRIBUTARY_LEDGER_BATCH_WINDOW", "how long a batch for the ledger waits to be full (100ms)", "1s";
    LEDGER_PARALLELIZATION = "TRIBUTARY_LEDGER_PARALLELIZATION", "concurrent batches of one shard for the ledger (1)", "2";
}
