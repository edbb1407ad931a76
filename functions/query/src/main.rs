//! The read API on Lambda: wiring alone.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use tributary_access::{Authority, DirectoryCache};
use tributary_aws::keys::KmsKeys;
use tributary_aws::ledger::RdsLedger;
use tributary_aws::objects::S3Objects;
use tributary_aws::search::OpenSearch;
use tributary_aws::stream::KinesisStream;
use tributary_aws::{directory, sdk};
use tributary_config::{Arn, QuerySettings, environment};
use tributary_lambda::{Error, Invoked};
use tributary_ports::stream::OperatedStream;
use tributary_query::{Query, handle};
use tributary_replay::{Readers, Replays};
use tributary_telemetry::Telemetry;

fn main() -> ExitCode {
    tributary_lambda::run(start())
}

async fn start() -> Result<impl Future<Output = Result<(), Error>>, Error> {
    let settings = QuerySettings::read(environment)?;
    let telemetry = Telemetry::new(settings.log, Box::new(io::stdout())).with_embedded_metrics();
    let sdk = sdk::function_config(settings.region.as_str());
    let (bucket, rds) = (&settings.objects, &settings.ledger);
    let (key_region, key) = (bucket.key.region.as_str(), &bucket.key.text);
    let (directories, directory_key) = directory::open(&sdk, settings.region.as_str(), &settings.directory);
    let stream = |arn: Arn| {
        let stream = KinesisStream::new(&sdk::function_config(arn.region.as_str()), &arn.text);
        (arn.region, Arc::new(stream) as Arc<dyn OperatedStream>)
    };
    let replays = Replays {
        streams: settings.streams.into_iter().map(stream).collect(),
        readers: Readers::default(),
        search: Arc::new(OpenSearch::new(&settings.opensearch_url, &sdk)?),
        ledger: RdsLedger::new(&sdk, &rds.cluster.text, &rds.secret.text, &rds.database),
        objects: S3Objects::new(&sdk, key_region, &bucket.name, key),
        keys: KmsKeys::sealing(&sdk, key_region, key),
        overflows: vec![], // they are the regions' own
        settings: Arc::default(),
    };
    let authority = Arc::new(Authority::new(DirectoryCache::new(directories, &directory_key)));
    let query = Query::new(authority, replays, settings.operators);
    Ok(async move {
        let serve = async |invoked: Invoked, request| {
            let mut handled = handle(&query, invoked.at, request).await;
            handled.facts.duration_us = invoked.elapsed_us();
            (handled.response, handled.facts)
        };
        tributary_lambda::serve_http(&telemetry, serve).await
    })
}
