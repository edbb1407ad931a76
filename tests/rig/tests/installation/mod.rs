//! One region's installation with its core, on the peers: what the template would make, and the functions in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyUsageType};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{EventSourcePosition, FunctionCode, Runtime};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tributary::local::{Local, Settings};
use tributary_aws::control::EventSourceMappings;
use tributary_aws::keys::KmsKeys;
use tributary_aws::ledger::RdsLedger;
use tributary_aws::objects::S3Objects;
use tributary_aws::sdk::SdkConfig;
use tributary_aws::search::OpenSearch;
use tributary_aws::stream::KinesisStream;
use tributary_embedded::control::FileControl;
use tributary_embedded::poller::{Feed, Poller, PollerSettings};
use tributary_model::{Region, StoreSettings, TimestampMs};
use tributary_ports::stream::OperatedStream;
use tributary_ports::{ConsumerState, Control as _, LiveSettings, Objects as _, Overflow, Target};
use tributary_replay::{Readers, Replays};
use tributary_rig::binaries::Binary;
use tributary_rig::data_api::{CLUSTER_ARN, DataApi, SECRET_ARN};
use tributary_rig::fault_proxy::FaultProxy;
use tributary_rig::kinesis::Kinesis;
use tributary_rig::mapping::{Mapping, MappingSettings};
use tributary_rig::ministack::Ministack;
use tributary_rig::postgres::Postgres;
use tributary_rig::runtime_api::Function;
use tributary_rig::{REGION, sdk_config};

pub(crate) const STREAM: &str = "reports";
const DATABASE: &str = "tributary";
/// A zip archive with nothing in it.
const EMPTY_ZIP: [u8; 22] = [b'P', b'K', 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const SIGNING_ALIAS: &str = "alias/tributary-signing";
const BUCKETS: [&str; 4] = ["objects", "overflow", "failed", "directory"];

/// Everything but the search cluster, which not every test needs.
pub(crate) struct Installation {
    pub(crate) kinesis: Kinesis,
    /// Stands before Kinesis, for writers and readers alike.
    pub(crate) proxy: FaultProxy,
    pub(crate) postgres: Postgres,
    pub(crate) data_api: DataApi,
    ministack: Ministack,
    /// Sends to the default project and reads it.
    pub(crate) token: String,
    key: KeyMetadata,
    /// The ids of the mappings of the search index's and of the ledger's worker.
    mappings: [String; 2],
    /// Pauses and resumes what feeds a worker here, whose checkpoints are in its folder.
    control: Arc<FileControl>,
    _control_folder: TempDir,
}

impl Installation {
    /// The peers, with the schema, the directory and a token: what `tributary aws` makes, without it.
    pub(crate) async fn start(seed: u64) -> Self {
        Box::pin(Self::start_on(Kinesis::start().await, seed)).await
    }

    /// The same on another peer of Kinesis.
    pub(crate) async fn start_on(kinesis: Kinesis, seed: u64) -> Self {
        let mut made = Box::pin(Self::bare_on(kinesis, seed)).await;
        let config = sdk_config(&made.data_api.endpoint).await;
        RdsLedger::new(&config, CLUSTER_ARN, SECRET_ARN, DATABASE).migrate().await.unwrap();
        let (token, directory) = directory().await;
        let s3 = aws_sdk_s3::Client::new(&sdk_config(&made.ministack.endpoint).await);
        for bucket in ["objects", "directory"] {
            let body = directory.clone().into();
            s3.put_object().bucket(bucket).key("directory.json").body(body).send().await.unwrap();
        }
        made.token = token;
        made
    }

    /// The peers as the templates leave AWS: a stream, an empty database, buckets and keys.
    pub(crate) async fn bare(seed: u64) -> Self {
        Box::pin(Self::bare_on(Kinesis::start().await, seed)).await
    }

    async fn bare_on(kinesis: Kinesis, seed: u64) -> Self {
        let (postgres, ministack) = tokio::join!(Postgres::start(), Ministack::start());
        kinesis.create(STREAM, 2).await;
        let proxy = FaultProxy::start(&kinesis.endpoint, seed).await;
        postgres.create_database(DATABASE).await;
        let data_api = DataApi::start(&postgres).await;
        let config = sdk_config(&ministack.endpoint).await;
        let s3 = aws_sdk_s3::Client::new(&config);
        for bucket in BUCKETS {
            let place = BucketLocationConstraint::from(REGION);
            let place = CreateBucketConfiguration::builder().location_constraint(place).build();
            s3.create_bucket().bucket(bucket).create_bucket_configuration(place).send().await.unwrap();
        }
        let kms = aws_sdk_kms::Client::new(&config);
        let key = kms.create_key().send().await.unwrap().key_metadata.unwrap();
        let signing = kms.create_key().key_spec(KeySpec::EccNistP256).key_usage(KeyUsageType::SignVerify);
        let signing = signing.send().await.unwrap().key_metadata.unwrap();
        kms.create_alias().alias_name(SIGNING_ALIAS).target_key_id(signing.key_id).send().await.unwrap();
        let mappings = mappings(&config).await;
        let control_folder = tempfile::tempdir().unwrap();
        let control = FileControl::open(control_folder.path()).unwrap();
        Self {
            kinesis,
            proxy,
            postgres,
            data_api,
            ministack,
            token: String::new(),
            key,
            mappings,
            control,
            _control_folder: control_folder,
        }
    }

    /// What `tributary aws` prints to stdout, for an operator whose settings are the stacks' outputs.
    pub(crate) async fn tributary(&self, opensearch_url: &str, function_roles: &str, arguments: &[&str]) -> String {
        let key = self.key.arn().unwrap();
        let (account, _) = key.split_once(":key/").unwrap();
        let mut command = Command::new(Binary::Tributary.path());
        command.arg("aws").args(arguments).env_clear().kill_on_drop(true);
        command.envs([("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), OBJECTS]).envs(LEDGER);
        command.envs([
            ("AWS_ENDPOINT_URL", self.ministack.endpoint.as_str()),
            ("AWS_ENDPOINT_URL_RDS_DATA", &self.data_api.endpoint),
            ("TRIBUTARY_OPENSEARCH_URL", opensearch_url),
            ("TRIBUTARY_FUNCTION_ROLES", function_roles),
            ("TRIBUTARY_DATA_KEY", key),
            ("TRIBUTARY_SIGNING_KEY", &format!("{account}:{SIGNING_ALIAS}")),
            ("TRIBUTARY_DIRECTORY_COPIES", &format!("directory={key}")),
        ]);
        let done = command.output().await.unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    pub(crate) fn collector(&self) -> Function {
        self.function(
            Binary::Collector,
            &[("TRIBUTARY_STREAM", STREAM), ("TRIBUTARY_OVERFLOW_BUCKET", "overflow"), DIRECTORY],
        )
    }

    pub(crate) fn search_worker(&self, opensearch_url: &str) -> Function {
        let own = [("TRIBUTARY_TARGET", "search"), ("TRIBUTARY_OPENSEARCH_URL", opensearch_url), OBJECTS];
        self.function(Binary::Worker, &[&own[..], &LEDGER].concat())
    }

    pub(crate) fn ledger_worker(&self) -> Function {
        self.function(Binary::Worker, &[&[("TRIBUTARY_TARGET", "ledger"), OBJECTS][..], &LEDGER].concat())
    }

    pub(crate) fn query(&self, opensearch_url: &str) -> Function {
        let stream = format!("arn:aws:kinesis:{REGION}:000000000000:stream/{STREAM}");
        let own = [("TRIBUTARY_OPENSEARCH_URL", opensearch_url), ("TRIBUTARY_STREAMS", &stream), OBJECTS, DIRECTORY];
        self.function(Binary::Query, &[&own[..], &LEDGER].concat())
    }

    fn function(&self, binary: Binary, own: &[(&str, &str)]) -> Function {
        let shared = [
            ("AWS_ENDPOINT_URL", self.ministack.endpoint.as_str()),
            ("AWS_ENDPOINT_URL_KINESIS", &self.proxy.endpoint),
            ("AWS_ENDPOINT_URL_RDS_DATA", &self.data_api.endpoint),
            ("TRIBUTARY_REGION", REGION),
            ("TRIBUTARY_LOG", "info"),
            ("TRIBUTARY_DATA_KEY", self.key.arn().unwrap()),
        ];
        Function::new(&binary.path(), &[&shared[..], own].concat())
    }

    /// Feeds a worker from the stream, as the template's mapping does but for the number of retries.
    pub(crate) async fn feed(&self, worker: Function, target: Target, retries_max: Option<u32>) -> Fed {
        let folder = tempfile::tempdir().unwrap();
        let worker = Arc::new(worker);
        let settings = MappingSettings {
            bisect: true,
            retries_max,
            on_failure: folder.path().to_owned(),
            stream_arn: format!("arn:aws:kinesis:{REGION}:123456789012:stream/{STREAM}"),
        };
        let mapping = Arc::new(Mapping::new(Arc::clone(&worker), settings));
        let feed = Feed { stream: self.stream().await, news: None };
        let poller = Poller::start(feed, Arc::clone(&mapping) as _, &self.control, target, PollerSettings::default());
        Fed { mapping, worker, poller, _on_failure: folder }
    }

    /// The stream behind the proxy.
    pub(crate) async fn stream(&self) -> Arc<KinesisStream> {
        Arc::new(KinesisStream::new(&sdk_config(&self.proxy.endpoint).await, STREAM))
    }

    /// The ledger behind the Data API.
    pub(crate) async fn ledger(&self) -> Arc<RdsLedger> {
        RdsLedger::new(&sdk_config(&self.data_api.endpoint).await, CLUSTER_ARN, SECRET_ARN, DATABASE)
    }

    async fn overflow(&self) -> Overflow {
        let (config, key) = (sdk_config(&self.ministack.endpoint).await, self.key.arn().unwrap());
        Overflow {
            objects: S3Objects::new(&config, REGION, "overflow", key),
            keys: KmsKeys::sealing(&config, REGION, key),
        }
    }

    /// Replays and audits, which go page by page of so many records.
    pub(crate) async fn replays(&self, search: Arc<OpenSearch>, page_records: usize) -> Replays {
        let stream: Arc<dyn OperatedStream> = self.stream().await;
        Replays {
            streams: BTreeMap::from([(Region::new(REGION).unwrap(), stream)]),
            readers: Readers::default(),
            search,
            ledger: self.ledger().await,
            objects: self.objects().await,
            keys: KmsKeys::sealing(&sdk_config(&self.ministack.endpoint).await, REGION, self.key.arn().unwrap()),
            overflows: vec![self.overflow().await],
            settings: pages_of(page_records),
        }
    }

    pub(crate) fn replay(&self, opensearch_url: &str) -> Function {
        let own = [
            ("TRIBUTARY_STREAM", STREAM),
            ("TRIBUTARY_OVERFLOW_BUCKET", "overflow"),
            ("TRIBUTARY_OBJECTS_KEY", self.key.arn().unwrap()),
            ("TRIBUTARY_OPENSEARCH_URL", opensearch_url),
            OBJECTS,
        ];
        self.function(Binary::Replay, &[&own[..], &LEDGER].concat())
    }

    pub(crate) fn custodian(&self, opensearch_url: &str) -> Function {
        let [search, ledger] = &self.mappings;
        let own = [
            ("TRIBUTARY_STREAM", STREAM),
            ("TRIBUTARY_OVERFLOW_BUCKET", "overflow"),
            ("TRIBUTARY_FAILED_BATCHES_BUCKET", "failed"),
            ("TRIBUTARY_DIRECTORY_BUCKET", "directory"),
            ("TRIBUTARY_OBJECTS_KEY", self.key.arn().unwrap()),
            ("TRIBUTARY_OPENSEARCH_URL", opensearch_url),
            ("TRIBUTARY_SEARCH_MAPPING", search),
            ("TRIBUTARY_LEDGER_MAPPING", ledger),
            OBJECTS,
        ];
        self.function(Binary::Custodian, &[&own[..], &LEDGER].concat())
    }

    /// Writes to the bucket of failed batches what the mapping of `consumer` gave up of a shard, as Lambda names it.
    pub(crate) async fn give_up(&self, consumer: Target, given_up: &Value) {
        let [search, ledger] = &self.mappings;
        let id = if consumer == Target::Search { search } else { ledger };
        let shard = given_up["KinesisBatchInfo"]["shardId"].as_str().unwrap();
        let key =
            format!("aws/lambda/{id}/{shard}/2026/11/26/2026-11-26T18.01.01-5e7c1a52-93d8-4f4e-8e0b-0b5d2f1f3a10");
        let s3 = aws_sdk_s3::Client::new(&sdk_config(&self.ministack.endpoint).await);
        let body = given_up.to_string().into_bytes().into();
        s3.put_object().bucket("failed").key(key).body(body).send().await.unwrap();
    }

    /// The objects of the bucket of failed batches.
    pub(crate) async fn failed_batches(&self) -> Vec<String> {
        let bucket = S3Objects::of_service(&sdk_config(&self.ministack.endpoint).await, REGION, "failed");
        bucket.list("", None, 10).await.unwrap()
    }

    /// The core's bucket and its key.
    pub(crate) async fn objects(&self) -> Arc<S3Objects> {
        S3Objects::new(&sdk_config(&self.ministack.endpoint).await, REGION, "objects", self.key.arn().unwrap())
    }

    /// The mappings that the custodian looks after. What feeds a worker here ([`Self::feed`]) does as they say only when it
    /// is told to ([`Self::obey`]).
    pub(crate) async fn control(&self) -> EventSourceMappings {
        let [search, ledger] = &self.mappings;
        EventSourceMappings::new(&sdk_config(&self.ministack.endpoint).await, search, ledger)
    }

    /// Records of a batch and batches of a shard at once, as a consumer's mapping has them.
    pub(crate) async fn batches(&self, consumer: Target) -> [Option<i32>; 2] {
        let [search, ledger] = &self.mappings;
        let id = if consumer == Target::Search { search } else { ledger };
        let lambda = aws_sdk_lambda::Client::new(&sdk_config(&self.ministack.endpoint).await);
        let mapping = lambda.get_event_source_mapping().uuid(id).send().await.unwrap();
        [mapping.batch_size, mapping.parallelization_factor]
    }

    /// Lets what feeds the workers here do as the mappings say that the custodian looks after.
    pub(crate) async fn obey(&self) {
        let mappings = self.control().await;
        for target in Target::ALL {
            match mappings.state(target).await.unwrap() {
                ConsumerState::Paused | ConsumerState::Pausing => self.control.pause(target).await.unwrap(),
                ConsumerState::Running | ConsumerState::Resuming => self.control.resume(target).await.unwrap(),
            }
        }
    }

    /// Leaves an empty database where the ledger was.
    pub(crate) async fn lose_ledger(&self) {
        let client = self.postgres.connect(DATABASE).await;
        client.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();
    }

    /// How many rows the ledger has of invocations.
    pub(crate) async fn rows(&self) -> i64 {
        let client = self.postgres.connect(DATABASE).await;
        client.query_one("SELECT count(*) FROM invocation", &[]).await.unwrap().get(0)
    }
}

const DIRECTORY: (&str, &str) = ("TRIBUTARY_JWKS", "s3://directory/directory.json");
const OBJECTS: (&str, &str) = ("TRIBUTARY_OBJECTS_BUCKET", "objects");
const LEDGER: [(&str, &str); 3] = [
    ("TRIBUTARY_LEDGER_CLUSTER_ARN", CLUSTER_ARN),
    ("TRIBUTARY_LEDGER_SECRET_ARN", SECRET_ARN),
    ("TRIBUTARY_LEDGER_DATABASE", DATABASE),
];

/// One run of the custodian, as its schedule would start it; answers what it logged.
pub(crate) async fn look_after(custodian: &Function) -> Value {
    assert_eq!(custodian.invoke(r#"{"detail-type":"Scheduled Event"}"#).await.json(), Value::Null);
    let log = custodian.log();
    let run = log.lines().rfind(|line| line.contains(r#""custodian.run""#)).expect("a run's line");
    serde_json::from_str(run).unwrap()
}

/// A worker that is fed.
pub(crate) struct Fed {
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) worker: Arc<Function>,
    pub(crate) poller: Poller,
    _on_failure: TempDir,
}

/// The functions as Lambda's API shows them: the workers behind their mappings, whose ids are answered, and the one of
/// the rig's processes, for which an invocation can be left.
async fn mappings(config: &SdkConfig) -> [String; 2] {
    let kinesis = aws_sdk_kinesis::Client::new(config);
    kinesis.create_stream().stream_name(STREAM).shard_count(1).send().await.unwrap();
    let lambda = aws_sdk_lambda::Client::new(config);
    for function in ["tributary", "worker-search", "worker-ledger"] {
        let code = FunctionCode::builder().zip_file(Blob::new(EMPTY_ZIP)).build();
        let create = lambda.create_function().function_name(function).role("arn:aws:iam::000000000000:role/worker");
        create.runtime(Runtime::Providedal2023).handler("bootstrap").code(code).send().await.unwrap();
    }
    let mut ids = Vec::new();
    for function in ["worker-search", "worker-ledger"] {
        let stream = format!("arn:aws:kinesis:{REGION}:000000000000:stream/{STREAM}");
        let create = lambda.create_event_source_mapping().event_source_arn(stream).function_name(function);
        let made = create.starting_position(EventSourcePosition::TrimHorizon).send().await.unwrap();
        ids.push(made.uuid.unwrap());
    }
    ids.try_into().unwrap()
}

/// A token and the directory that knows it, made by the local program.
async fn directory() -> (String, Vec<u8>) {
    let data = tempfile::tempdir().unwrap();
    let local = Local::start(Settings::on(data.path()).unwrap()).await.unwrap();
    let token = local.token().to_owned();
    local.stop().await;
    (token, find(data.path(), "directory.json"))
}

fn find(data: &Path, name: &str) -> Vec<u8> {
    std::fs::read(data.join("objects").join(name)).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "reports are of now")]
pub(crate) fn now() -> TimestampMs {
    TimestampMs::from_system(std::time::SystemTime::now())
}

/// Settings by which a replay goes page by page of so many records.
pub(crate) fn pages_of(records: usize) -> Arc<LiveSettings> {
    Arc::new(LiveSettings::new(StoreSettings { stream_page_records: records, ..StoreSettings::default() }))
}
