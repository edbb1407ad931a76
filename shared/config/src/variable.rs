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
    ($(#[$doc:meta])* $list:ident: $($constant:ident = $name:literal, $meaning:literal, $example:literal;)*) => {
        $(pub(crate) const $constant: Variable = Variable { name: $name, meaning: $meaning, example: $example };)*

        $(#[$doc])*
        pub const $list: &[Variable] = &[$($constant),*];
    };
}

variables! {
    /// All variables that [`LocalSettings::read`](crate::LocalSettings::read) looks up.
    VARIABLES:
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
    SEARCH_BATCH_WINDOW = "TRIBUTARY_SEARCH_BATCH_WINDOW", "how long a batch for the search index waits to be full \
        (100ms)", "1s";
    LEDGER_BATCH_WINDOW = "TRIBUTARY_LEDGER_BATCH_WINDOW", "how long a batch for the ledger waits to be full (100ms)", "1s";
    DEAD_LETTER_RETENTION = "TRIBUTARY_DEAD_LETTER_RETENTION", "how long a dead letter is kept after it was last met (30d)", "90d";
}

variables! {
    /// All variables that are read on AWS, [`LOG`] and [`DEAD_LETTER_RETENTION`] aside; which function reads which, the functions' own lists say.
    AWS_VARIABLES:
    AWS_REGION = "TRIBUTARY_REGION", "the region that this runs in", "eu-west-1";
    STREAM = "TRIBUTARY_STREAM", "the Kinesis stream, by name or ARN", "tributary";
    TARGET = "TRIBUTARY_TARGET", "the store that a worker writes to, search or ledger", "search";
    OPENSEARCH_URL = "TRIBUTARY_OPENSEARCH_URL", "the OpenSearch cluster; requests are signed for the region in its \
        host's name, or have the user and password that stand before it",
        "https://search-tributary-abc123.eu-west-1.es.amazonaws.com";
    LEDGER_CLUSTER_ARN = "TRIBUTARY_LEDGER_CLUSTER_ARN", "the Aurora cluster of the ledger",
        "arn:aws:rds:eu-west-1:123456789012:cluster:tributary";
    LEDGER_SECRET_ARN = "TRIBUTARY_LEDGER_SECRET_ARN", "the secret with the ledger's user and password",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tributary-abc123";
    LEDGER_DATABASE = "TRIBUTARY_LEDGER_DATABASE", "the ledger's database (tributary)", "tributary";
    OBJECTS_BUCKET = "TRIBUTARY_OBJECTS_BUCKET", "the core's bucket: dead letters and the first copy of the directory; \
        it is in the region of TRIBUTARY_DATA_KEY", "tributary-core-objects";
    OVERFLOW_BUCKET = "TRIBUTARY_OVERFLOW_BUCKET", "the bucket for what the stream refuses; it is in the region of \
        TRIBUTARY_DATA_KEY", "tributary-overflow-eu-west-1";
    FAILED_BATCHES_BUCKET = "TRIBUTARY_FAILED_BATCHES_BUCKET", "the bucket for batches that a mapping gives up, its on-failure \
        destination; it is in the region of TRIBUTARY_DATA_KEY", "tributary-failed-eu-west-1";
    DATA_KEY = "TRIBUTARY_DATA_KEY", "the KMS key of the bucket beside it: it encrypts the objects and wraps the keys \
        that seal their content", "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    STREAMS = "TRIBUTARY_STREAMS", "the ARNs of the streams of all regions, on which replays are started, joined by commas \
        (none)", "arn:aws:kinesis:eu-west-1:123456789012:stream/tributary";
    OBJECTS_KEY = "TRIBUTARY_OBJECTS_KEY", "the KMS key of the objects' bucket, where the function's own region has another",
        "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    DIRECTORY_BUCKET = "TRIBUTARY_DIRECTORY_BUCKET", "the bucket with this region's copy of the directory; its key is \
        TRIBUTARY_DATA_KEY", "tributary-directory-eu-west-1";
    SEARCH_MAPPING = "TRIBUTARY_SEARCH_MAPPING", "the event source mapping of the search worker, a UUID",
        "1a2b3c4d-1234-5678-9abc-1234567890ab";
    LEDGER_MAPPING = "TRIBUTARY_LEDGER_MAPPING", "the event source mapping of the ledger worker, a UUID",
        "2a2b3c4d-1234-5678-9abc-1234567890ab";
    SIGNING_KEY = "TRIBUTARY_SIGNING_KEY", "the alias of the KMS key that signs tokens; rotated ones get `/1`, `/2` and \
        so on behind it", "arn:aws:kms:eu-west-1:123456789012:alias/tributary/signing";
    FUNCTION_ROLES = "TRIBUTARY_FUNCTION_ROLES", "what the ARNs of the functions' IAM roles begin with; the function's name \
        and its region follow", "arn:aws:iam::123456789012:role/tributary-prod-";
    JWKS = "TRIBUTARY_JWKS", "where the directory with the public keys is read: s3://BUCKET/KEY in this region, \
        https://..., or a file", "s3://tributary-directory-eu-west-1/directory.json";
    DIRECTORY_COPIES = "TRIBUTARY_DIRECTORY_COPIES", "the buckets besides the core's to which the directory is \
        published, each as BUCKET=KEY-ARN with the KMS key of its region, joined by commas (none)",
        "tributary-directory-us-east-1=arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    ISSUER = "TRIBUTARY_ISSUER", "who issues the tokens, their claim iss (tributary)", "https://tributary.example.com";
    OPERATORS = "TRIBUTARY_OPERATORS", "the project whose operate tokens see what belongs to no project (none)",
        "platform";
}
