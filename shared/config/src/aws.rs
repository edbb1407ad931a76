//! Settings on AWS: what each function reads, and what the commands read that work on an installation there.
//!
//! Endpoints and credentials are the SDK's own settings (`AWS_ENDPOINT_URL_KINESIS` and the like). A list beside each
//! kind of settings names the variables that it reads, for those who set them and for the template's test.

use std::time::Duration;

use tributary_model::directory::DirectoryPlace;
use tributary_model::{Level, ProjectId, Region, Target, limits};

use crate::parse::{
    Reader, arn, bucket, copies, directory, level, name, project, region, role_prefix, span, stream, streams, target,
    url, uuid,
};
use crate::{Problems, Variable, variable};

/// The name of an AWS resource, and the region that stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arn {
    /// `arn:aws:kms:eu-west-1:123456789012:key/...`
    pub text: String,
    /// `eu-west-1`
    pub region: Region,
}

/// A bucket and the KMS key of what is in it; both are in the key's region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket's name.
    pub name: String,
    /// Encrypts the objects and wraps the keys that seal their content.
    pub key: Arn,
}

/// The ledger behind the RDS Data API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSettings {
    /// The Aurora cluster.
    pub cluster: Arn,
    /// User and password.
    pub secret: Arn,
    /// The database.
    pub database: String,
}

/// The store that a worker writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkSettings {
    /// The OpenSearch cluster at this address.
    Search(String),
    /// The ledger, which every worker writes its dead letters' rows to.
    Ledger,
}

/// The settings of the collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorSettings {
    /// The region that it runs in.
    pub region: Region,
    /// The level from which on log lines are written; none for no lines.
    pub log: Option<Level>,
    /// The stream, by name or ARN.
    pub stream: String,
    /// Takes what the stream refuses.
    pub overflow: Bucket,
    /// Where the directory is.
    pub directory: DirectoryPlace,
}

/// The settings of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// The region that it runs in, and whose stream it reads.
    pub region: Region,
    /// The level from which on log lines are written; none for no lines.
    pub log: Option<Level>,
    /// The store that it writes to.
    pub sink: SinkSettings,
    /// Takes the dead letters' rows.
    pub ledger: LedgerSettings,
    /// Takes the dead letters' bytes.
    pub objects: Bucket,
}

/// The settings of the query function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuerySettings {
    /// The region that it runs in.
    pub region: Region,
    /// The level from which on log lines are written; none for no lines.
    pub log: Option<Level>,
    /// The address of the OpenSearch cluster.
    pub opensearch_url: String,
    /// Holds the dead letters' rows.
    pub ledger: LedgerSettings,
    /// Holds the dead letters' bytes.
    pub objects: Bucket,
    /// Where the directory is.
    pub directory: DirectoryPlace,
    /// The project whose operate tokens see what belongs to no project.
    pub operators: Option<ProjectId>,
    /// The streams on which replays are started, each region's.
    pub streams: Vec<Arn>,
}

/// The settings of the custodian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodianSettings {
    /// The region that it looks after.
    pub region: Region,
    /// The level from which on log lines are written; none for no log.
    pub log: Option<Level>,
    /// The stream's name or ARN.
    pub stream: String,
    /// Holds what the stream refused.
    pub overflow: Bucket,
    /// Holds what the mappings gave up.
    pub failed_batches: Bucket,
    /// Holds this region's copy of the directory.
    pub copy: Bucket,
    /// Holds marks, outages and the directory; the core's.
    pub objects: Bucket,
    /// The address of the OpenSearch cluster.
    pub opensearch_url: String,
    /// Takes the outages' rows.
    pub ledger: LedgerSettings,
    /// The id of the search worker's event source mapping.
    pub search_mapping: String,
    /// The id of the ledger worker's event source mapping.
    pub ledger_mapping: String,
}

/// The settings of the replay function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplaySettings {
    /// The region whose stream it reads.
    pub region: Region,
    /// The level from which on log lines are written; none for no log.
    pub log: Option<Level>,
    /// The stream's name or ARN.
    pub stream: String,
    /// Holds what the stream refused, which an audit does not take for lost.
    pub overflow: Bucket,
    /// Holds replays, dead letters and the directory; the core's.
    pub objects: Bucket,
    /// The address of the OpenSearch cluster.
    pub opensearch_url: String,
    /// The ledger.
    pub ledger: LedgerSettings,
    /// How long a dead letter is kept after it was last met.
    pub dead_letter_retention: Duration,
}

/// The settings of commands that work on an installation on AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorSettings {
    /// The address of the OpenSearch cluster.
    pub opensearch_url: String,
    /// Holds the tokens' rows.
    pub ledger: LedgerSettings,
    /// Holds the first copy of the directory.
    pub objects: Bucket,
    /// Hold further copies.
    pub copies: Vec<Bucket>,
    /// The alias of the key that signs tokens.
    pub signing_key: Arn,
    /// Who issues tokens.
    pub issuer: String,
    /// What the ARNs of the functions' IAM roles begin with.
    pub function_roles: String,
}

const COLLECTOR: &[Variable] = &[
    variable::AWS_REGION,
    variable::LOG,
    variable::STREAM,
    variable::OVERFLOW_BUCKET,
    variable::DATA_KEY,
    variable::JWKS,
];
const WORKER_SEARCH: &[Variable] = &[
    variable::AWS_REGION,
    variable::LOG,
    variable::TARGET,
    variable::OPENSEARCH_URL,
    variable::LEDGER_CLUSTER_ARN,
    variable::LEDGER_SECRET_ARN,
    variable::LEDGER_DATABASE,
    variable::OBJECTS_BUCKET,
    variable::DATA_KEY,
];
const WORKER_LEDGER: &[Variable] = &[
    variable::AWS_REGION,
    variable::LOG,
    variable::TARGET,
    variable::LEDGER_CLUSTER_ARN,
    variable::LEDGER_SECRET_ARN,
    variable::LEDGER_DATABASE,
    variable::OBJECTS_BUCKET,
    variable::DATA_KEY,
];
const QUERY: &[Variable] = &[
    variable::AWS_REGION,
    variable::LOG,
    variable::OPENSEARCH_URL,
    variable::LEDGER_CLUSTER_ARN,
    variable::LEDGER_SECRET_ARN,
    variable::LEDGER_DATABASE,
    variable::OBJECTS_BUCKET,
    variable::DATA_KEY,
    variable::JWKS,
    variable::OPERATORS,
    variable::STREAMS,
];
const CUSTODIAN: &[Variable] = &[
    variable::AWS_REGION,
    variable::LOG,
    variable::STREAM,
    variable::OVERFLOW_BUCKET,
    variable::FAILED_BATCHES_BUCKET,
    variable::DIRECTORY_BUCKET,
    variable::DATA_KEY,
    variable::OBJECTS_BUCKET,
    variable::OBJECTS_KEY,
    variable::OPENSEARCH_URL,
    variable::LEDGER_CLUSTER_ARN,
    variable::LEDGER_SECRET_ARN,
    variable::LEDGER_DATABASE,
    variable::SEARCH_MAPPING,
    variable::LEDGER_MAPPING,
];
const REPLAY: &[Variable] = &[
    variable::AWS_REGION,
    variable::LOG,
    variable::STREAM,
    variable::OVERFLOW_BUCKET,
    variable::DATA_KEY,
    variable::OBJECTS_BUCKET,
    variable::OBJECTS_KEY,
    variable::OPENSEARCH_URL,
    variable::LEDGER_CLUSTER_ARN,
    variable::LEDGER_SECRET_ARN,
    variable::LEDGER_DATABASE,
    variable::DEAD_LETTER_RETENTION,
];
const OPERATOR: &[Variable] = &[
    variable::OPENSEARCH_URL,
    variable::LEDGER_CLUSTER_ARN,
    variable::LEDGER_SECRET_ARN,
    variable::LEDGER_DATABASE,
    variable::OBJECTS_BUCKET,
    variable::DATA_KEY,
    variable::DIRECTORY_COPIES,
    variable::SIGNING_KEY,
    variable::ISSUER,
    variable::FUNCTION_ROLES,
];

/// What each function reads: the environment that the template has to give it, name by name.
pub const FUNCTION_VARIABLES: &[(&str, &[Variable])] = &[
    ("collector", CollectorSettings::VARIABLES),
    ("worker-search", WORKER_SEARCH),
    ("worker-ledger", WORKER_LEDGER),
    ("query", QuerySettings::VARIABLES),
    ("custodian", CustodianSettings::VARIABLES),
    ("replay", ReplaySettings::VARIABLES),
];

impl CollectorSettings {
    /// What it reads.
    pub const VARIABLES: &[Variable] = COLLECTOR;

    /// Reads all settings.
    ///
    /// # Errors
    /// All problems there are.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let mut reader = Reader::new(&lookup);
        let r = &mut reader;
        let (region, log) = place(r);
        let stream = r.require(&variable::STREAM, stream);
        let overflow = sealed_bucket(r, &variable::OVERFLOW_BUCKET);
        let directory = r.require(&variable::JWKS, directory);
        let settings =
            || Some(Self { region: region?, log, stream: stream?, overflow: overflow?, directory: directory? });
        reader.finish_if_whole(settings())
    }
}

impl WorkerSettings {
    /// What the worker of `target` reads.
    #[must_use]
    pub const fn variables(target: Target) -> &'static [Variable] {
        match target {
            Target::Search => WORKER_SEARCH,
            Target::Ledger => WORKER_LEDGER,
        }
    }

    /// Reads all settings.
    ///
    /// # Errors
    /// All problems there are.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let mut reader = Reader::new(&lookup);
        let r = &mut reader;
        let (region, log) = place(r);
        let sink = match r.require(&variable::TARGET, target) {
            Some(Target::Search) => r.require(&variable::OPENSEARCH_URL, url).map(SinkSettings::Search),
            Some(Target::Ledger) => Some(SinkSettings::Ledger),
            None => None,
        };
        let ledger = ledger(r);
        let objects = sealed_bucket(r, &variable::OBJECTS_BUCKET);
        let settings = || Some(Self { region: region?, log, sink: sink?, ledger: ledger?, objects: objects? });
        reader.finish_if_whole(settings())
    }
}

impl QuerySettings {
    /// What it reads.
    pub const VARIABLES: &[Variable] = QUERY;

    /// Reads all settings.
    ///
    /// # Errors
    /// All problems there are.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let mut reader = Reader::new(&lookup);
        let r = &mut reader;
        let (region, log) = place(r);
        let opensearch_url = r.require(&variable::OPENSEARCH_URL, url);
        let ledger = ledger(r);
        let objects = sealed_bucket(r, &variable::OBJECTS_BUCKET);
        let directory = r.require(&variable::JWKS, directory);
        let operators = r.read(&variable::OPERATORS, None, |text| project(text).map(Some));
        let streams = r.read(&variable::STREAMS, Vec::new(), streams);
        let settings = || {
            let (opensearch_url, ledger, objects) = (opensearch_url?, ledger?, objects?);
            let (region, directory) = (region?, directory?);
            Some(Self { region, log, opensearch_url, ledger, objects, directory, operators, streams })
        };
        reader.finish_if_whole(settings())
    }
}

impl CustodianSettings {
    /// What it reads.
    pub const VARIABLES: &[Variable] = CUSTODIAN;

    /// Reads all settings.
    ///
    /// # Errors
    /// All problems there are.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let mut reader = Reader::new(&lookup);
        let r = &mut reader;
        let (region, log) = place(r);
        let stream = r.require(&variable::STREAM, stream);
        let key = r.require(&variable::DATA_KEY, arn("kms", "key/"));
        let overflow = r.require(&variable::OVERFLOW_BUCKET, bucket);
        let failed_batches = r.require(&variable::FAILED_BATCHES_BUCKET, bucket);
        let copy = r.require(&variable::DIRECTORY_BUCKET, bucket);
        let objects = core_bucket(r);
        let opensearch_url = r.require(&variable::OPENSEARCH_URL, url);
        let ledger = ledger(r);
        let search_mapping = r.require(&variable::SEARCH_MAPPING, uuid);
        let ledger_mapping = r.require(&variable::LEDGER_MAPPING, uuid);
        let settings = || {
            let key = key?;
            Some(Self {
                region: region?,
                log,
                stream: stream?,
                overflow: Bucket { name: overflow?, key: key.clone() },
                failed_batches: Bucket { name: failed_batches?, key: key.clone() },
                copy: Bucket { name: copy?, key },
                objects: objects?,
                opensearch_url: opensearch_url?,
                ledger: ledger?,
                search_mapping: search_mapping?,
                ledger_mapping: ledger_mapping?,
            })
        };
        reader.finish_if_whole(settings())
    }
}

impl ReplaySettings {
    /// What it reads.
    pub const VARIABLES: &[Variable] = REPLAY;

    /// Reads all settings.
    ///
    /// # Errors
    /// All problems there are.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let mut reader = Reader::new(&lookup);
        let r = &mut reader;
        let (region, log) = place(r);
        let stream = r.require(&variable::STREAM, stream);
        let overflow = sealed_bucket(r, &variable::OVERFLOW_BUCKET);
        let objects = core_bucket(r);
        let opensearch_url = r.require(&variable::OPENSEARCH_URL, url);
        let ledger = ledger(r);
        let kept = span(limits::DEAD_LETTER_RETENTION_MIN..=limits::STREAM_RETENTION_MAX);
        let dead_letter_retention = r.read(&variable::DEAD_LETTER_RETENTION, limits::DEAD_LETTER_RETENTION, kept);
        let settings = || {
            let (overflow, objects, opensearch_url, ledger) = (overflow?, objects?, opensearch_url?, ledger?);
            let (region, stream) = (region?, stream?);
            Some(Self { region, log, stream, overflow, objects, opensearch_url, ledger, dead_letter_retention })
        };
        reader.finish_if_whole(settings())
    }
}

impl OperatorSettings {
    /// What they read.
    pub const VARIABLES: &[Variable] = OPERATOR;

    /// Reads all settings.
    ///
    /// # Errors
    /// All problems there are.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let mut reader = Reader::new(&lookup);
        let r = &mut reader;
        let opensearch_url = r.require(&variable::OPENSEARCH_URL, url);
        let ledger = ledger(r);
        let objects = sealed_bucket(r, &variable::OBJECTS_BUCKET);
        let copies = r.read(&variable::DIRECTORY_COPIES, Vec::new(), copies);
        let signing_key = r.require(&variable::SIGNING_KEY, arn("kms", "alias/"));
        let issuer = r.read(&variable::ISSUER, limits::ISSUER.to_owned(), name);
        let function_roles = r.require(&variable::FUNCTION_ROLES, role_prefix);
        let settings = || {
            let (opensearch_url, ledger, objects) = (opensearch_url?, ledger?, objects?);
            let (signing_key, function_roles) = (signing_key?, function_roles?);
            Some(Self { opensearch_url, ledger, objects, copies, signing_key, issuer, function_roles })
        };
        reader.finish_if_whole(settings())
    }
}

fn place(reader: &mut Reader<'_>) -> (Option<Region>, Option<Level>) {
    (reader.require(&variable::AWS_REGION, region), reader.read(&variable::LOG, Some(limits::LOG_LEVEL), level))
}

fn ledger(reader: &mut Reader<'_>) -> Option<LedgerSettings> {
    let cluster = reader.require(&variable::LEDGER_CLUSTER_ARN, arn("rds", "cluster:"));
    let secret = reader.require(&variable::LEDGER_SECRET_ARN, arn("secretsmanager", "secret:"));
    let database = reader.read(&variable::LEDGER_DATABASE, limits::LEDGER_DATABASE.to_owned(), name);
    Some(LedgerSettings { cluster: cluster?, secret: secret?, database })
}

fn sealed_bucket(reader: &mut Reader<'_>, variable: &Variable) -> Option<Bucket> {
    let name = reader.require(variable, bucket);
    let key = reader.require(&variable::DATA_KEY, arn("kms", "key/"));
    Some(Bucket { name: name?, key: key? })
}

/// The core's bucket, for a function whose own region has another key.
fn core_bucket(reader: &mut Reader<'_>) -> Option<Bucket> {
    let name = reader.require(&variable::OBJECTS_BUCKET, bucket);
    let key = reader.require(&variable::OBJECTS_KEY, arn("kms", "key/"));
    Some(Bucket { name: name?, key: key? })
}

#[cfg(test)]
mod tests;
