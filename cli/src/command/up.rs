//! `tributary up`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tributary_config::{LocalSettings, environment};

use crate::arguments::UpArguments;
use crate::clock;
use crate::failure::{Context, Failure};
use crate::folder::Folder;
use crate::local::{Local, Settings, UpFile, default_http_threads, samples};
use crate::output::Output;

pub(super) async fn run(folder: &Folder, output: &Output, arguments: UpArguments) -> Result<(), Failure> {
    std::panic::set_hook(Box::new(log_panic));
    let (sample, settings) = (arguments.sample, settings(folder, arguments)?);
    let addresses = [Some(settings.config.http), settings.config.https];
    raise_open_files();
    let mut interrupt = signal(SignalKind::interrupt()).context("signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    let local = Local::start(settings).await?;
    announce(output, folder, &local)?;
    for address in addresses.into_iter().flatten().filter(|address| !address.ip().is_loopback()) {
        warn_of(address);
    }
    let sent = if sample { send_samples(output, &local).await } else { Ok(()) };
    if sent.is_ok() {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    local.stop().await;
    sent
}

async fn send_samples(output: &Output, local: &Local) -> Result<(), Failure> {
    let http = local.up().http.trim_start_matches("http://").parse().context("address")?;
    let sent = samples::send(http, local.token(), clock::now()).await?;
    output.line(format_args!("\nSent {sent} captured reports; they are found in a moment."))
}

fn settings(folder: &Folder, arguments: UpArguments) -> Result<Settings, Failure> {
    // The data folder is every command's, and read before.
    let of_flags = |name: &str| if name == "TRIBUTARY_DATA" { Some(String::new()) } else { arguments.variable(name) };
    let config = LocalSettings::read(|name| of_flags(name).or_else(|| environment(name))).context("settings")?;
    Ok(Settings {
        log: Box::new(io::stderr()),
        http_threads: arguments.http_threads.map_or_else(default_http_threads, usize::from),
        tls_names: arguments.tls_name,
        ..Settings::new(LocalSettings { data: folder.root().to_owned(), ..config })
    })
}

/// Every connection is an open file, and systems allow 1,024 unless they are asked for more, as they may be.
fn raise_open_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }); // `doctor` says if it is not enough
}

/// A panic is met where it happens (a request is answered with 500, a batch comes again); this says where it was. Its
/// text is left out: it may hold what a customer sent.
fn log_panic(info: &std::panic::PanicHookInfo<'_>) {
    let at = info.location().map(|location| format!("{}:{}", location.file(), location.line()));
    let line = json!({"at": clock::now(), "level": "error", "event": "panic", "where": at});
    let _ = writeln!(io::stderr(), "{line}"); // there is nowhere else to say it
}

fn warn_of(address: SocketAddr) {
    let _ = writeln!(
        io::stderr(),
        "warning: {address} is reached from other machines, /metrics and /healthz without a token; and HTTP is not encrypted"
    ); // the program runs as well without
}

fn announce(output: &Output, folder: &Folder, local: &Local) -> Result<(), Failure> {
    let up = local.up();
    let token = local.token();
    output.line(format_args!("{} listens on {}", output.bold("Tributary"), up.http))?;
    if let Some(https) = &up.https {
        output.line(format_args!("                and {https}"))?;
    }
    output.line(format_args!("  data   {}", folder.root().display()))?;
    output.line(format_args!("  token  {token}\n"))?;
    output.line(output.bold("Find something"))?;
    output.line(format_args!("  tributary query 'coldstart:true'{}", data_option(folder)))?;
    output
        .line(format_args!("  curl -H 'Authorization: Bearer {token}' '{}/v1/invocations?query=error:*'\n", up.http))?;
    output.line(output.bold("Send to it"))?;
    for line in how_to_send(up, token) {
        output.line(format_args!("  {line}"))?;
    }
    output.line("\nCtrl-C stops it.")
}

fn data_option(folder: &Folder) -> String {
    if folder.root() == Path::new("./.tributary") {
        String::new()
    } else {
        format!(" --data {}", folder.root().display())
    }
}

/// Lines to copy. The published JavaScript agent speaks HTTPS on port 443 and nothing else; the Python agent HTTPS.
fn how_to_send(up: &UpFile, token: &str) -> Vec<String> {
    let (Some(https), Some(ca)) = (&up.https, &up.ca) else {
        return vec![
            "The agents speak HTTPS: start again with --https 127.0.0.1:443 (JavaScript speaks to no other port),"
                .to_owned(),
            "or with --https 127.0.0.1:8443 for the others.".to_owned(),
        ];
    };
    let port = https.rsplit(':').next().unwrap_or_default();
    let ca = ca.display();
    let javascript = if port == "443" {
        format!(
            "IOPIPE_TOKEN={token} IOPIPE_COLLECTOR_URL=https://localhost/v0/event NODE_EXTRA_CA_CERTS={ca} node app.js"
        )
    } else {
        "JavaScript: start again with --https 127.0.0.1:443; the agent speaks to no other port".to_owned()
    };
    vec![
        javascript,
        format!("REQUESTS_CA_BUNDLE={ca} python app.py"),
        format!("  # app.py: iopipe = IOpipe(\"{token}\", host=\"localhost:{port}\", path=\"/v0/event\")"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(https: Option<&str>) -> UpFile {
        let ca = https.map(|_| "/data/ca.pem".into());
        UpFile { http: "http://127.0.0.1:8080".to_owned(), https: https.map(str::to_owned), ca, pid: 1 }
    }

    #[test]
    fn what_is_printed_fits_the_address() {
        let lines = how_to_send(&up(Some("https://127.0.0.1:443")), "TOKEN").join("\n");
        assert!(
            lines.contains("IOPIPE_COLLECTOR_URL=https://localhost/v0/event NODE_EXTRA_CA_CERTS=/data/ca.pem"),
            "{lines}"
        );
        let lines = how_to_send(&up(Some("https://127.0.0.1:8443")), "TOKEN").join("\n");
        assert!(lines.contains("the agent speaks to no other port"), "{lines}");
        assert!(lines.contains("IOpipe(\"TOKEN\", host=\"localhost:8443\", path=\"/v0/event\")"), "{lines}");
        assert!(how_to_send(&up(None), "TOKEN").join("\n").contains("--https 127.0.0.1:443"));
    }
}
