//! One PostgreSQL for a test, and ledgers in databases of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::OnceCell;
use tributary_aws::ledger::RdsLedger;
use tributary_aws::sdk::SdkConfig;
use tributary_model::{AccountId, ProjectId, Region, ReportId, RetentionClass, TimestampMs, TokenId, Version};
use tributary_ports::ledger::InvocationRow;
use tributary_rig::data_api::{CLUSTER_ARN, DataApi, SECRET_ARN};
use tributary_rig::postgres::Postgres;
use tributary_rig::process::until;
use tributary_rig::sdk_config;

/// The access key that the fixture signs with.
pub(crate) const ACCESS_KEY: &str = "AKIDTEST";

/// 2026-11-21T18:01:01.873Z
pub(crate) const AT: TimestampMs = TimestampMs(1_795_284_061_873);

pub(crate) struct Fixture {
    pub(crate) postgres: Postgres,
    pub(crate) gateway: DataApi,
    pub(crate) config: SdkConfig,
    databases: AtomicUsize,
    up_to_date: OnceCell<()>,
}

/// The database that others are copies of.
const UP_TO_DATE: &str = "up_to_date";

impl Fixture {
    pub(crate) async fn start() -> Self {
        let postgres = Postgres::start().await;
        let gateway = DataApi::start(&postgres).await;
        let config = sdk_config(&gateway.endpoint).await;
        Self { postgres, gateway, config, databases: AtomicUsize::new(0), up_to_date: OnceCell::new() }
    }

    /// A ledger in an empty database, and the database's name.
    pub(crate) async fn empty(&self) -> (Arc<RdsLedger>, String) {
        let name = self.next_name();
        self.postgres.create_database(&name).await;
        (self.ledger(&name), name)
    }

    /// A ledger whose schema is up to date.
    pub(crate) async fn fresh(&self) -> Arc<RdsLedger> {
        self.up_to_date.get_or_init(|| self.migrate()).await;
        let name = self.next_name();
        self.postgres.copy_database(UP_TO_DATE, &name).await;
        self.ledger(&name)
    }

    async fn migrate(&self) {
        self.postgres.create_database(UP_TO_DATE).await;
        self.ledger(UP_TO_DATE).migrate().await.expect("a migration");
        // A database to which somebody is connected can't be copied.
        self.gateway.close_idle();
        until("nobody is connected", async || {
            let client = self.postgres.connect("postgres").await;
            let connected = client.query("SELECT 1 FROM pg_stat_activity WHERE datname = $1", &[&UP_TO_DATE]).await;
            connected.expect("an answer").is_empty().then_some(())
        })
        .await;
        self.gateway.take_calls();
    }

    fn next_name(&self) -> String {
        format!("ledger_{}", self.databases.fetch_add(1, Ordering::Relaxed))
    }

    /// Another process's ledger in the same database.
    pub(crate) fn ledger(&self, database: &str) -> Arc<RdsLedger> {
        RdsLedger::new(&self.config, CLUSTER_ARN, SECRET_ARN, database)
    }
}

pub(crate) fn project(name: &str) -> ProjectId {
    ProjectId::new(name).expect("a project's name")
}

/// The row of a request, begun `days` days after [`AT`].
pub(crate) fn row(request: usize, version: u64, days: i64) -> InvocationRow {
    let timestamp = AT.plus_ms(days * tributary_model::time::DAY_MS);
    InvocationRow {
        id: ReportId::derive(&project("shop"), "process", &request.to_string(), timestamp),
        version: Version::from_u64(version),
        project: project("shop"),
        account: AccountId::new("acme").expect("an account's name"),
        region: Region::new("eu-west-1").expect("a region's name"),
        function: "checkout-production-eu".to_owned(),
        timestamp,
        received_at: timestamp.plus_ms(250),
        retention: RetentionClass::DEFAULT,
        token: TokenId::new("T_0123456789abcdef").expect("a token's id"),
        duration_ms: Some(12.5),
        coldstart: false,
        error_fingerprint: request.is_multiple_of(10).then(|| "0123456789abcdef".to_owned()),
        report_bytes: 1024,
    }
}
