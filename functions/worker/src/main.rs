//! The worker on Lambda: wiring alone. It is deployed once for each store.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use tributary_aws::keys::KmsKeys;
use tributary_aws::ledger::RdsLedger;
use tributary_aws::objects::S3Objects;
use tributary_aws::sdk;
use tributary_aws::search::OpenSearch;
use tributary_config::{SinkSettings, WorkerSettings, environment};
use tributary_lambda::{Error, Invoked};
use tributary_ports::LiveSettings;
use tributary_ports::stream::Batch;
use tributary_telemetry::Telemetry;
use tributary_worker::{Consumer, Sink, Worker};

fn main() -> ExitCode {
    tributary_lambda::run(start())
}

async fn start() -> Result<impl Future<Output = Result<(), Error>>, Error> {
    let settings = WorkerSettings::read(environment)?;
    let telemetry = Telemetry::new(settings.log, Box::new(io::stdout())).with_embedded_metrics();
    let sdk = sdk::function_config(settings.region.as_str());
    let live = Arc::<LiveSettings>::default();
    let (bucket, rds) = (&settings.objects, &settings.ledger);
    let (key_region, key) = (bucket.key.region.as_str(), &bucket.key.text);
    let ledger = RdsLedger::with_settings(&sdk, &rds.cluster.text, &rds.secret.text, &rds.database, live.clone());
    let worker = Worker {
        target: match &settings.sink {
            SinkSettings::Search(url) => {
                Sink::Search(Arc::new(OpenSearch::new(url, &sdk)?.with_settings(live.clone())))
            }
            SinkSettings::Ledger => Sink::Ledger(ledger.clone()),
        },
        objects: S3Objects::new(&sdk, key_region, &bucket.name, key),
        keys: KmsKeys::sealing(&sdk, key_region, key),
        ledger,
        region: settings.region,
    };
    let consumer = Consumer::new(worker, live);
    Ok(async move {
        let serve = async |invoked: Invoked, batch: Batch| {
            let mut handled = consumer.handle(invoked.at, &batch).await;
            handled.facts.duration_ms = invoked.elapsed_ms();
            (handled.redeliver, handled.facts)
        };
        tributary_lambda::serve_batches(&telemetry, serve).await
    })
}
