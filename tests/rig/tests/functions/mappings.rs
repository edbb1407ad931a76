use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use tributary_embedded::control::FileControl;
use tributary_embedded::poller::{Feed, Poller, PollerSettings};
use tributary_embedded::stream::{Clock, FileStream, StreamSettings};
use tributary_model::TimestampMs;
use tributary_ports::stream::Entry;
use tributary_ports::{Stream, Target};
use tributary_rig::binaries::Binary;
use tributary_rig::mapping::{Mapping, MappingSettings};
use tributary_rig::runtime_api::Function;

/// A stream of one shard with these records, the probe behind a mapping, and the poller between them.
struct Bench {
    mapping: Arc<Mapping>,
    function: Arc<Function>,
    poller: Poller,
    _folders: [TempDir; 3],
}

impl Bench {
    async fn start(records: &[&str], retries_max: Option<u32>, function: Function) -> Self {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let settings =
            StreamSettings { shards: 1, ..StreamSettings::new(Clock::new(|| TimestampMs(1_764_000_000_000))) };
        let stream = FileStream::open(folders[0].path(), settings).unwrap();
        let entry = |data: &&str| Entry { partition_key: "key".into(), data: Bytes::from((*data).to_owned()) };
        stream.append(records.iter().map(entry).collect()).await.unwrap();
        let function = Arc::new(function);
        let settings = MappingSettings {
            bisect: true,
            retries_max,
            on_failure: folders[2].path().to_owned(),
            stream_arn: "arn:aws:kinesis:eu-west-1:123456789012:stream/reports".to_owned(),
        };
        let mapping = Arc::new(Mapping::new(Arc::clone(&function), settings));
        let control = FileControl::open(folders[1].path()).unwrap();
        let feed = Feed { news: Some(stream.durable()), stream };
        let poller =
            Poller::start(feed, Arc::clone(&mapping) as _, &control, Target::Search, PollerSettings::default());
        Self { mapping, function, poller, _folders: folders }
    }

    /// Waits until the checkpoint has passed `records` records.
    async fn caught_up(&self) {
        let is_done = async || {
            let lag = self.poller.lag(TimestampMs(0));
            lag.first().filter(|lag| lag.checkpoint.is_some() && lag.outstanding == 0).map(drop)
        };
        tributary_rig::process::until("everything is handled", is_done).await;
    }

    /// What was handled, invocation by invocation.
    fn handled(&self) -> Vec<String> {
        let log = self.function.log();
        let handled = |line: &str| Some(line.split_once(r#""handled":""#)?.1.split_once('"')?.0.to_owned());
        log.lines().filter_map(handled).collect()
    }
}

fn taker() -> Function {
    Function::new(&Binary::Probe.path(), &[("PROBE_BATCHES", "1")])
}

#[tokio::test]
async fn a_record_that_kills_the_process_is_put_aside_alone() {
    for poison in ["/abort", "/panic"] {
        let bench = Bench::start(&["a", "b", "c", poison, "d", "e"], Some(1), taker()).await;
        bench.caught_up().await;
        let given_up = bench.mapping.given_up();
        assert_eq!(given_up.len(), 1, "{given_up:?}");
        assert_eq!(given_up[0]["KinesisBatchInfo"]["batchSize"], 1);
        let handled = bench.handled().join(" ");
        for neighbour in ["a", "b", "c", "d", "e"] {
            assert!(handled.contains(neighbour), "{handled}");
        }
        bench.poller.stop().await;
    }
}

#[tokio::test]
async fn a_process_that_the_system_kills_costs_its_record_alone() {
    // A worker that runs out of memory is killed while it has the event; "aGVhdnk=" is "heavy".
    let heavy = |event: &[u8]| String::from_utf8_lossy(event).contains("aGVhdnk=");
    let bench = Bench::start(&["a", "heavy", "b"], Some(2), taker().killed_by(heavy)).await;
    bench.caught_up().await;
    let given_up = bench.mapping.given_up();
    assert_eq!(given_up.len(), 1, "{given_up:?}");
    assert_eq!(given_up[0]["KinesisBatchInfo"]["batchSize"], 1);
    assert!(given_up[0]["payload"].as_str().unwrap().contains("aGVhdnk="));
    // Some of what it was killed with it may have handled before.
    let handled = bench.handled().join(" ");
    assert!(["a", "b"].iter().all(|neighbour| handled.split(' ').any(|word| word == *neighbour)), "{handled}");
    bench.poller.stop().await;
}

#[tokio::test]
async fn what_the_worker_wants_again_comes_again_and_is_never_given_up_without_a_limit() {
    let bench = Bench::start(&["a", "/again", "b"], None, taker()).await;
    tributary_rig::process::until("it came often", async || (bench.handled().len() > 3).then_some(())).await;
    assert!(bench.mapping.given_up().is_empty());
    let handled = bench.handled();
    assert_eq!(handled.iter().filter(|handled| handled.contains('a')).count(), 1, "{handled:?}");
    bench.poller.stop().await;
}
