//! The collector on Lambda: wiring alone.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use tributary_access::{Authority, DirectoryCache};
use tributary_aws::keys::KmsKeys;
use tributary_aws::objects::S3Objects;
use tributary_aws::stream::KinesisStream;
use tributary_aws::{directory, sdk};
use tributary_collector::{Collector, handle};
use tributary_config::{CollectorSettings, environment};
use tributary_lambda::{Error, Invoked};
use tributary_ports::Overflow;
use tributary_telemetry::Telemetry;

fn main() -> ExitCode {
    tributary_lambda::run(start())
}

async fn start() -> Result<impl Future<Output = Result<(), Error>>, Error> {
    let settings = CollectorSettings::read(environment)?;
    let telemetry = Telemetry::new(settings.log, Box::new(io::stdout())).with_embedded_metrics();
    let sdk = sdk::function_config(settings.region.as_str());
    let stream = Arc::new(KinesisStream::new(&sdk, &settings.stream));
    let (objects, key) = directory::open(&sdk, settings.region.as_str(), &settings.directory);
    let authority = Authority::new(DirectoryCache::new(objects, &key));
    let (bucket, key) = (&settings.overflow.name, &settings.overflow.key);
    let overflow = Overflow {
        objects: S3Objects::new(&sdk, key.region.as_str(), bucket, &key.text),
        keys: KmsKeys::sealing(&sdk, key.region.as_str(), &key.text),
    };
    let collector = Collector::new(authority, stream, overflow, settings.region);
    Ok(async move {
        let collector = &collector;
        let serve = async |invoked: Invoked, request| {
            let mut handled = handle(collector, invoked.at, request).await;
            handled.facts.duration_us = invoked.elapsed_us();
            (handled.response, handled.facts)
        };
        tributary_lambda::serve_http(&telemetry, serve).await
    })
}
