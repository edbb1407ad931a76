//! The custodian on Lambda: wiring alone. It runs on a schedule, one run at a time.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use tributary_aws::control::EventSourceMappings;
use tributary_aws::keys::KmsKeys;
use tributary_aws::ledger::RdsLedger;
use tributary_aws::objects::S3Objects;
use tributary_aws::sdk;
use tributary_aws::search::OpenSearch;
use tributary_aws::stream::KinesisStream;
use tributary_config::{Arn, Bucket, CustodianSettings, environment};
use tributary_custodian::{Custodian, GivenUp};
use tributary_lambda::kinesis::read_given_up;
use tributary_lambda::{Error, Invoked};
use tributary_model::Target;
use tributary_model::limits::{DRAIN_TIMEOUT, STREAM_RETENTION};
use tributary_ports::Overflow;
use tributary_telemetry::Telemetry;

fn main() -> ExitCode {
    tributary_lambda::run(start())
}

async fn start() -> Result<impl Future<Output = Result<(), Error>>, Error> {
    let settings = CustodianSettings::read(environment)?;
    let telemetry = Telemetry::new(settings.log, Box::new(io::stdout())).with_embedded_metrics();
    let sdk = sdk::function_config(settings.region.as_str());
    let bucket = |of: &Bucket| S3Objects::new(&sdk, of.key.region.as_str(), &of.name, &of.key.text);
    let sealing = |key: &Arn| KmsKeys::sealing(&sdk, key.region.as_str(), &key.text);
    let (overflow, failed, rds) = (&settings.overflow, &settings.failed_batches, &settings.ledger);
    let prefix = |mapping: &str| format!("aws/lambda/{mapping}/"); // as Lambda names an on-failure destination's objects
    let custodian = Custodian {
        stream: Arc::new(KinesisStream::new(&sdk, &settings.stream).with_append_timeout(DRAIN_TIMEOUT)),
        retention: STREAM_RETENTION,
        objects: bucket(&settings.objects),
        copy: Some(bucket(&settings.copy)),
        search: Arc::new(OpenSearch::new(&settings.opensearch_url, &sdk)?),
        settings: Arc::default(),
        overflow: Overflow { objects: bucket(overflow), keys: sealing(&overflow.key) },
        given_up: Some(GivenUp {
            objects: S3Objects::of_service(&sdk, failed.key.region.as_str(), &failed.name),
            prefixes: [
                (Target::Search, prefix(&settings.search_mapping)),
                (Target::Ledger, prefix(&settings.ledger_mapping)),
            ],
            read: |object| read_given_up(object).ok(),
            keys: sealing(&settings.objects.key),
        }),
        ledger: RdsLedger::new(&sdk, &rds.cluster.text, &rds.secret.text, &rds.database),
        control: Arc::new(EventSourceMappings::new(&sdk, &settings.search_mapping, &settings.ledger_mapping)),
        region: settings.region,
    };
    Ok(async move {
        let serve = async |invoked: Invoked| custodian.handle(invoked.at, rand::random()).await;
        tributary_lambda::serve_schedule(&telemetry, serve).await
    })
}
