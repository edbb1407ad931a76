//! A whole pipeline of the real binaries under load, whose stores a test takes away and gives back: collector, Kinesis, a
//! worker a store, OpenSearch that asks for a password, PostgreSQL, and the custodian, whose schedule the test is.

#[path = "../installation/mod.rs"]
mod installation;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tributary::load::{self, LoadArguments, Options, Summary};
use tributary_aws::ledger::RdsLedger;
use tributary_aws::search::OpenSearch;
use tributary_model::{ProjectId, ReportId, Target, TimestampMs, TokenId};
use tributary_ports::ledger::OutageRow;
use tributary_ports::stream::{SequenceNumber, ShardId};
use tributary_ports::{ConsumerState, Control as _, Ledger as _};
use tributary_replay::{
    Counts, Mode, Next, Receipt, Replays, Request, Runner, StartError, State, check_receipts, findings, progress, start,
};
use tributary_rig::http_front::{Form, Front};
use tributary_rig::opensearch::Cluster;
use tributary_rig::process::until;
use tributary_rig::sdk_config;

use tributary_rig::runtime_api::Function;

pub(crate) use installation::{Fed, Installation, STREAM, look_after, now};

/// Records of a page of a replay: so few that a replay takes some of them.
const REPLAY_PAGE_RECORDS: usize = 50;
/// Between two runs of the custodian while time passes.
const SCHEDULE: Duration = Duration::from_secs(1);
/// Receipts that are looked for at once.
const RECEIPTS_PAGE: usize = 200;
/// The user of the workers, and the password.
const USER: &str = "worker";
pub(crate) const PASSWORD: &str = "A-password-of-the-rig-1";

pub(crate) struct World {
    pub(crate) installation: Installation,
    pub(crate) cluster: Cluster,
    pub(crate) search: Fed,
    pub(crate) ledger: Fed,
    /// Replays and audits.
    pub(crate) replays: Replays,
    custodian: Function,
    rows: Arc<RdsLedger>,
    front: Front,
    /// What the workers got, one batch after the other.
    delivered: Delivered,
    /// Whether a worker is killed with each batch that it gets.
    kills: Arc<AtomicBool>,
    receipts: TempDir,
    begun: TimestampMs,
}

impl World {
    #[expect(clippy::print_stdout, reason = "a failing test is to quote it")]
    pub(crate) async fn start(seed: u64) -> Self {
        println!("seed {seed}");
        Self::on(Box::pin(Installation::start(seed))).await
    }

    /// Lets replays and audits go page by page of so many records.
    pub(crate) fn page_by(&mut self, records: usize) {
        self.replays.settings = installation::pages_of(records);
    }

    /// A world on an installation with any peers.
    pub(crate) async fn on(installation: impl Future<Output = Installation>) -> Self {
        let (installation, mut cluster) = tokio::join!(installation, Box::pin(Cluster::secured()));
        set_password(&cluster, PASSWORD).await;
        let own = Arc::new(OpenSearch::new(&cluster.url(0), &sdk_config("http://127.0.0.1:9").await).unwrap());
        own.create_templates().await.unwrap();
        cluster.serves().await;
        let delivered = Delivered::default();
        let kills = Arc::<AtomicBool>::default();
        let [search, ledger] = Target::ALL.map(|target| worker(&installation, &cluster, &delivered, &kills, target));
        Self {
            search: installation.feed(search, Target::Search, None).await,
            ledger: installation.feed(ledger, Target::Ledger, None).await,
            replays: installation.replays(own, REPLAY_PAGE_RECORDS).await,
            custodian: installation.custodian(&cluster.url_as(0, Some((USER, PASSWORD)))),
            rows: installation.ledger().await,
            front: Front::start(Arc::new(installation.collector()), Form::Alb).await,
            installation,
            cluster,
            delivered,
            kills,
            receipts: tempfile::tempdir().unwrap(),
            begun: now(),
        }
    }

    /// Ends a consumer, and starts another one from its checkpoint.
    pub(crate) async fn start_anew(&mut self, target: Target) {
        let fed = match target {
            Target::Search => &mut self.search,
            Target::Ledger => &mut self.ledger,
        };
        fed.poller.stop().await;
        let worker = worker(&self.installation, &self.cluster, &self.delivered, &self.kills, target);
        *fed = self.installation.feed(worker, target, None).await;
    }

    /// Begins to send so many reports, so many a second, whose receipts are kept.
    pub(crate) fn load(&self, count: u64, rate: u32, seed: u64) -> JoinHandle<Summary> {
        self.send(None, Some(count), rate, seed)
    }

    /// Begins to send for so long, so many reports a second.
    pub(crate) fn load_for(&self, time: Duration, rate: u32, seed: u64) -> JoinHandle<Summary> {
        self.send(Some(time), None, rate, seed)
    }

    fn send(&self, duration: Option<Duration>, count: Option<u64>, rate: u32, seed: u64) -> JoinHandle<Summary> {
        let arguments = LoadArguments {
            rate: Some(rate),
            connections: 2,
            duration,
            count,
            size: None,
            seed: Some(seed),
            receipts: Some(self.receipts_file()),
        };
        let endpoint = format!("http://{}", self.front.address());
        let options = Options { endpoint, token: self.installation.token.clone(), arguments };
        tokio::task::spawn_blocking(move || load::run(options).unwrap())
    }

    fn receipts_file(&self) -> PathBuf {
        self.receipts.path().join("receipts")
    }

    /// The ids of all that was acknowledged until now.
    pub(crate) fn receipts(&self) -> Vec<ReportId> {
        let lines = std::fs::read_to_string(self.receipts_file()).unwrap_or_default();
        let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Runs the custodian until what it says, and what can be seen, is as it should be.
    pub(crate) async fn looked_after(&self, what: &str, mut is_so: impl AsyncFnMut(&Value) -> bool) {
        until(what, async || {
            let run = look_after(&self.custodian).await;
            self.installation.obey().await;
            let is_so = is_so(&run).await;
            if !is_so {
                println!("not yet, {what}: {run}");
            }
            is_so.then_some(())
        })
        .await;
    }

    /// Lets so much time pass, in which the custodian's schedule goes on.
    pub(crate) async fn goes_on_for(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let _ = look_after(&self.custodian).await;
            self.installation.obey().await;
            sleep(SCHEDULE).await;
        }
    }

    /// Whether each batch from now on costs its worker's life.
    pub(crate) fn kill_workers(&self, kills: bool) {
        self.kills.store(kills, Ordering::SeqCst);
    }

    /// Waits until a consumer is paused for an outage, and the other one is not.
    pub(crate) async fn is_out(&self, target: Target, cause: &str) {
        let what = format!("the consumer of {} is paused: {cause}", target.as_str());
        self.looked_after(&what, async |run| {
            run["outages"] == json!([[target.as_str(), cause]]) && self.state(target).await == ConsumerState::Paused
        })
        .await;
        let others = Target::ALL.into_iter().filter(|other| *other != target);
        for other in others {
            assert_eq!(self.state(other).await, ConsumerState::Running, "an outage of the one stops not the other");
        }
    }

    /// Waits until no store is out, and both consumers run.
    pub(crate) async fn is_whole(&self) {
        self.looked_after("the outage ends by itself", async |run| {
            run["outages"] == json!([])
                && self.state(Target::Search).await == ConsumerState::Running
                && self.state(Target::Ledger).await == ConsumerState::Running
        })
        .await;
    }

    async fn state(&self, target: Target) -> ConsumerState {
        self.installation.control().await.state(target).await.unwrap()
    }

    /// How many documents the index has.
    pub(crate) async fn documents(&self) -> usize {
        let refreshed = self.cluster.ask(0, "POST", "/invocations-*/_refresh", &Value::Null).await;
        let counted = self.cluster.ask(0, "GET", "/invocations-*/_count", &Value::Null).await;
        let count = counted.filter(|_| refreshed.is_some()).and_then(|(_, counted)| counted["count"].as_u64());
        usize::try_from(count.unwrap_or_default()).unwrap()
    }

    /// How many rows the ledger has.
    pub(crate) async fn rows(&self) -> usize {
        usize::try_from(self.installation.rows().await).unwrap()
    }

    /// How far a consumer is with each shard.
    pub(crate) fn checkpoints(&self, target: Target) -> Vec<(ShardId, Option<SequenceNumber>)> {
        let fed = match target {
            Target::Search => &self.search,
            Target::Ledger => &self.ledger,
        };
        fed.poller.lag(now()).into_iter().map(|lag| (lag.shard, lag.checkpoint)).collect()
    }

    /// The outages of a store that are over, as the ledger has them.
    pub(crate) async fn ended(&self, target: Target) -> Vec<OutageRow> {
        let rows = self.rows.outages(None, 100).await.unwrap();
        rows.into_iter().filter(|row| row.target == target && row.ended_at.is_some()).collect()
    }

    /// The shard of each batch that a worker got until now.
    pub(crate) fn delivered(&self, to: Target) -> Vec<ShardId> {
        let delivered = self.delivered.lock().unwrap();
        delivered.iter().filter(|(target, _)| *target == to).map(|(_, shard)| shard.clone()).collect()
    }

    /// How many batches both workers got until now.
    pub(crate) fn deliveries_of_all(&self) -> usize {
        self.delivered.lock().unwrap().len()
    }

    /// How many batches a worker got until now.
    pub(crate) fn deliveries(&self, to: Target) -> usize {
        self.delivered(to).len()
    }

    /// A request for all that arrived since the world's beginning.
    pub(crate) fn everything(&self, mode: Mode, targets: &[Target]) -> Request {
        Request {
            mode,
            from: self.begun,
            to: now(),
            regions: Vec::new(),
            shards: Vec::new(),
            project: None,
            function: None,
            ids: Vec::new(),
            targets: targets.to_vec(),
            records_per_second: None,
        }
    }

    /// Starts a replay; answers its id.
    pub(crate) async fn replay(&self, request: Request) -> String {
        self.try_replay(request).await.unwrap()
    }

    /// Tries to start a replay, as an operator.
    pub(crate) async fn try_replay(&self, request: Request) -> Result<String, StartError> {
        let by = TokenId::new("operator").unwrap();
        start(&self.replays, now(), &by, request).await.map(|replay| replay.id)
    }

    /// Does one page of the replay's work; answers its shard, if there was one to do.
    pub(crate) async fn step(&self, runner: &mut Runner) -> Option<ShardId> {
        let stepped = runner.step(&self.replays, now()).await.unwrap();
        assert!(stepped.facts.is_some() || stepped.next == Next::Idle || matches!(stepped.next, Next::At(_)));
        let facts = stepped.facts?;
        assert_eq!(facts.error, None);
        facts.shard.split_once('/').map(|(_, shard)| ShardId(shard.into()))
    }

    /// Runs a replay to its end; answers what became of its records, and the shards in the order in which they were read.
    pub(crate) async fn run(&self, replay: &str) -> (Counts, Vec<ShardId>) {
        let mut runner = Runner::new("rig");
        let mut read = Vec::new();
        loop {
            // However long the replay is, each page has its time.
            let progress = until("the replay goes on", async || {
                let shard = self.step(&mut runner).await;
                read.extend(shard.clone());
                let progress = progress(&self.replays, now(), replay).await.unwrap().unwrap();
                (shard.is_some() || progress.replay.state == State::Finished).then_some(progress)
            })
            .await;
            if progress.replay.state == State::Finished {
                assert_eq!(self.step(&mut runner).await, None, "what is left is to remove its reader");
                return (progress.counts, read);
            }
        }
    }

    /// Shows that what was acknowledged is in both stores, once: by the receipts, by the audit, and by counting.
    pub(crate) async fn is_proven(&self) {
        let receipts: BTreeSet<ReportId> = self.receipts().into_iter().collect();
        self.looked_after("nothing waits in the overflow", async |run| run["drained"] == 0 && run["failed"] == 0).await;
        let counts = until("both stores have caught up", async || {
            let (documents, rows) = (self.documents().await, self.rows().await);
            (documents >= receipts.len() && documents == rows).then_some((documents, rows))
        });
        let (documents, _) = counts.await;
        for receipt in self.checked(&receipts.into_iter().collect::<Vec<_>>()).await {
            assert!(receipt.search && receipt.ledger && !receipt.overflow, "{receipt:?}");
        }
        let audit = self.replay(self.everything(Mode::Audit, &Target::ALL)).await;
        let (counts, _) = self.run(&audit).await;
        let found = findings(&self.replays, &audit, None).await.unwrap().findings;
        assert_eq!((counts.found, &found), (0, &Vec::new()));
        assert!(counts.read >= documents as u64, "{counts:?}");
        for fed in [&self.search, &self.ledger] {
            assert!(fed.mapping.given_up().is_empty(), "no batch was given up");
        }
    }

    /// What the stores have of these reports.
    pub(crate) async fn checked(&self, ids: &[ReportId]) -> Vec<Receipt> {
        let project = ProjectId::new("default").unwrap();
        let mut receipts = Vec::new();
        for page in ids.chunks(RECEIPTS_PAGE) {
            receipts.extend(check_receipts(&self.replays, &project, page).await.unwrap());
        }
        receipts
    }

    /// Ends the consumers; the peers end with the world.
    pub(crate) async fn stop(self) {
        self.search.poller.stop().await;
        self.ledger.poller.stop().await;
    }
}

/// Shards of batches, and whose they were, as they were delivered.
type Delivered = Arc<Mutex<Vec<(Target, ShardId)>>>;

/// The worker of a store, which notes what it gets.
fn worker(
    installation: &Installation,
    cluster: &Cluster,
    delivered: &Delivered,
    kills: &Arc<AtomicBool>,
    target: Target,
) -> Function {
    let worker = match target {
        Target::Search => installation.search_worker(&cluster.url_as(0, Some((USER, PASSWORD)))),
        Target::Ledger => installation.ledger_worker(),
    };
    let (delivered, kills) = (Arc::clone(delivered), Arc::clone(kills));
    worker.killed_by(move |event| {
        delivered.lock().unwrap().extend(shard_of(event).map(|shard| (target, shard)));
        kills.load(Ordering::SeqCst)
    })
}

/// Gives the workers' user this password.
pub(crate) async fn set_password(cluster: &Cluster, password: &str) {
    let user = json!({ "password": password, "backend_roles": ["admin"] });
    let path = format!("/_plugins/_security/api/internalusers/{USER}");
    let answer = cluster.ask(0, "PUT", &path, &user).await.expect("an answer");
    assert!(matches!(answer.0, 200 | 201), "{answer:?}");
}

/// The shard of an event's records.
fn shard_of(event: &[u8]) -> Option<ShardId> {
    let event: Value = serde_json::from_slice(event).ok()?;
    let (shard, _) = event["Records"][0]["eventID"].as_str()?.split_once(':')?;
    Some(ShardId(shard.into()))
}
