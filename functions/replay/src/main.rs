//! The replay on Lambda: wiring alone. A schedule invokes it every minute, and it itself when there is more to do.

mod round;

use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use tributary_access::DirectoryCache;
use tributary_aws::invocation::Invocation;
use tributary_aws::keys::KmsKeys;
use tributary_aws::ledger::RdsLedger;
use tributary_aws::objects::S3Objects;
use tributary_aws::sdk;
use tributary_aws::search::OpenSearch;
use tributary_aws::stream::KinesisStream;
use tributary_config::{ReplaySettings, environment};
use tributary_lambda::{Error, Invoked};
use tributary_model::directory::OBJECT_KEY;
use tributary_ports::stream::OperatedStream;
use tributary_ports::{LiveSettings, Overflow};
use tributary_replay::{Readers, Replays};
use tributary_telemetry::Telemetry;

fn main() -> ExitCode {
    tributary_lambda::run(start())
}

async fn start() -> Result<impl Future<Output = Result<(), Error>>, Error> {
    let settings = ReplaySettings::read(environment)?;
    let telemetry = Telemetry::new(settings.log, Box::new(io::stdout())).with_embedded_metrics();
    let sdk = sdk::function_config(settings.region.as_str());
    let live = Arc::<LiveSettings>::default();
    let (core, own, rds) = (&settings.objects, &settings.overflow, &settings.ledger);
    let objects = S3Objects::new(&sdk, core.key.region.as_str(), &core.name, &core.key.text);
    let overflow = Overflow {
        objects: S3Objects::new(&sdk, own.key.region.as_str(), &own.name, &own.key.text),
        keys: KmsKeys::sealing(&sdk, own.key.region.as_str(), &own.key.text),
    };
    let stream: Arc<dyn OperatedStream> = Arc::new(KinesisStream::new(&sdk, &settings.stream));
    let directories = DirectoryCache::new(objects.clone(), OBJECT_KEY);
    let replays = Replays {
        streams: BTreeMap::from([(settings.region, stream)]),
        readers: Readers::default(),
        search: Arc::new(OpenSearch::new(&settings.opensearch_url, &sdk)?.with_settings(live.clone())),
        ledger: RdsLedger::with_settings(&sdk, &rds.cluster.text, &rds.secret.text, &rds.database, live.clone()),
        keys: KmsKeys::sealing(&sdk, core.key.region.as_str(), &core.key.text),
        objects,
        overflows: vec![overflow],
        settings: live,
    };
    let next = Invocation::of(&sdk, &environment("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default());
    Ok(async move {
        let again = async || next.start().await;
        let rounds = round::Rounds::new(replays, directories, settings.dead_letter_retention, again);
        let serve = async |invoked: Invoked| rounds.run(&telemetry, || invoked.clock(), invoked.until).await;
        tributary_lambda::serve_schedule(&telemetry, serve).await
    })
}
