//! What a batch costs through the Data API's gateway: as JSON in one parameter, and as a `BatchExecuteStatement` of the
//! same rows, which tells nothing of each row.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench measures and prints")]

use std::time::{Duration, Instant};

use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::types::{Field, SqlParameter};
use tributary_aws::ledger::RdsLedger;
use tributary_model::{AccountId, ProjectId, Region, ReportId, RetentionClass, TimestampMs, TokenId, Version};
use tributary_ports::Ledger as _;
use tributary_ports::ledger::InvocationRow;
use tributary_rig::data_api::{CLUSTER_ARN, DataApi, SECRET_ARN};
use tributary_rig::postgres::Postgres;
use tributary_rig::sdk_config;

const AT: TimestampMs = TimestampMs(1_795_284_061_873);
const ROUNDS: usize = 9;

const INSERT: &str = "
    INSERT INTO invocation AS stored (day, hash, version, project, account, region, function, timestamp, received_at,
        retention_days, token, duration_ms, coldstart, error_fingerprint, report_bytes)
    VALUES (CAST(:day AS date), :hash, :version, :project, :account, :region, :function, :timestamp, :received_at,
        CAST(:retention_days AS smallint), :token, :duration_ms, :coldstart, NULL, :report_bytes)
    ON CONFLICT (day, hash) DO UPDATE SET version = excluded.version WHERE excluded.version > stored.version";

#[tokio::main]
async fn main() {
    let postgres = Postgres::start().await;
    postgres.create_database("ledger").await;
    let gateway = DataApi::start(&postgres).await;
    let config = sdk_config(&gateway.endpoint).await;
    let ledger = RdsLedger::new(&config, CLUSTER_ARN, SECRET_ARN, "ledger");
    ledger.migrate().await.expect("a migration");
    ledger.upsert_invocations(rows(0, 1)).await.expect("a day");
    let client = Client::new(&config);
    for count in [500, 10_000] {
        let (mut json, mut batch) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let start = Instant::now();
            ledger.upsert_invocations(rows(round * 2 * count, count)).await.expect("an upsert");
            json.push(start.elapsed());
            // 10,000 sets of parameters are more than a request may have.
            let start = Instant::now();
            for part in rows((round * 2 + 1) * count, count).chunks(1000) {
                let call = client.batch_execute_statement().resource_arn(CLUSTER_ARN).secret_arn(SECRET_ARN);
                let sets = part.iter().map(parameters).collect();
                call.database("ledger").sql(INSERT).set_parameter_sets(Some(sets)).send().await.expect("a batch");
            }
            batch.push(start.elapsed());
        }
        println!("{count} rows: one JSON parameter {:?}, BatchExecuteStatement {:?}", median(json), median(batch));
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn rows(from: usize, count: usize) -> Vec<InvocationRow> {
    (from..from + count).map(row).collect()
}

fn row(number: usize) -> InvocationRow {
    let project = ProjectId::new("shop").expect("a project's name");
    InvocationRow {
        id: ReportId::derive(&project, "bench", &number.to_string(), AT),
        version: Version::new(1, AT),
        project,
        account: AccountId::new("acme").expect("an account's name"),
        region: Region::new("eu-west-1").expect("a region's name"),
        function: "checkout-production".to_owned(),
        timestamp: AT,
        received_at: AT.plus_ms(250),
        retention: RetentionClass::DEFAULT,
        token: TokenId::new("T_0123456789abcdef").expect("a token's id"),
        duration_ms: Some(12.5),
        coldstart: false,
        error_fingerprint: None,
        report_bytes: 1024,
    }
}

fn parameters(row: &InvocationRow) -> Vec<SqlParameter> {
    let text = |text: &dyn ToString| Field::StringValue(text.to_string());
    let number = |number: u64| Field::LongValue(i64::try_from(number).expect("a small number"));
    let values = [
        ("day", text(&row.id.day)),
        ("hash", Field::BlobValue(row.id.hash.to_vec().into())),
        ("version", number(row.version.as_u64())),
        ("project", text(&row.project)),
        ("account", text(&row.account)),
        ("region", text(&row.region)),
        ("function", text(&row.function)),
        ("timestamp", Field::LongValue(row.timestamp.0)),
        ("received_at", Field::LongValue(row.received_at.0)),
        ("retention_days", number(row.retention.days().into())),
        ("token", text(&row.token)),
        ("duration_ms", row.duration_ms.map_or(Field::IsNull(true), Field::DoubleValue)),
        ("coldstart", Field::BooleanValue(row.coldstart)),
        ("report_bytes", number(row.report_bytes.into())),
    ];
    values.map(|(name, value)| SqlParameter::builder().name(name).value(value).build()).into()
}
