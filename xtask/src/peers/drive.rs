//! Running an agent's driver, and reading what it says it did.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::agent::Agent;
use super::needs::HTTPS_ADDRESS;
use super::server::Address;
use super::{Places, install};
use crate::failure::{Context, Failure};
use crate::process;

/// Longest time for all scenarios of one agent; they take two seconds.
const DRIVE_LIMIT: Duration = Duration::from_secs(120);

/// The region in which the function pretends to run.
pub(crate) const REGION: &str = "eu-west-1";

/// The agents' timeout window, ms.
const TIMEOUT_WINDOW_MS: &str = "150";

/// Password of the Java trust store, which holds nothing but a public certificate.
const TRUST_STORE_PASSWORD: &str = "not-a-secret";

/// One invocation, as its driver saw it.
#[derive(Debug, PartialEq)]
pub(crate) struct Sent {
    /// Its name in the table.
    pub(crate) scenario: String,
    /// Lambda's request id, one per invocation.
    pub(crate) request_id: String,
    /// Just before it, RFC 3339 with milliseconds, UTC.
    pub(crate) started: String,
    /// Just after it.
    pub(crate) ended: String,
    /// The message of what the function threw, as it came out of the agent.
    pub(crate) raised: Option<String>,
    /// The address that the function called, where it called one.
    pub(crate) url: Option<String>,
}

/// Runs the agent's driver to its end and returns its invocations in their order.
///
/// # Errors
/// If the driver fails; the error quotes the end of its output.
pub(crate) fn drive(agent: Agent, address: &Address, token: &str, places: &Places) -> Result<Vec<Sent>, Failure> {
    let out = places.run.join(format!("{}.jsonl", agent.runtime()));
    let mut command = program(agent, address, places)?;
    environment(&mut command, agent, token, places, &out);
    let doing = format!("running the driver of {}", agent.title());
    process::run(&doing, &mut command, &places.log(&log_name(agent)), DRIVE_LIMIT)?;
    let text = std::fs::read_to_string(&out).context(format_args!("reading {}", out.display()))?;
    text.lines().map(|line| sent(line).context(format_args!("{}: {line}", out.display()))).collect()
}

/// The name of the log in which the driver and its agent speak.
pub(crate) fn log_name(agent: Agent) -> String {
    format!("{}-driver", agent.runtime())
}

/// The driver's command line, and how its agent learns the address and trusts the certificate (PROTOCOL 1.4).
fn program(agent: Agent, address: &Address, places: &Places) -> Result<Command, Failure> {
    let target = places.target.join(agent.runtime());
    let (_, port) = HTTPS_ADDRESS;
    let command = match agent {
        Agent::NodeJs => {
            let mut command = clean("node");
            command.arg(target.join("driver.js")).env("NODE_EXTRA_CA_CERTS", &address.ca);
            command.env("IOPIPE_COLLECTOR_URL", "https://localhost/v0/event");
            // The agent tries one address only, and Tributary listens on IPv4.
            command.env("NODE_OPTIONS", "--dns-result-order=ipv4first");
            command
        }
        Agent::Python => {
            let mut command = clean(install::python_program(&target));
            command.arg("-B").arg(places.sources.join("python").join("driver.py"));
            command.env("REQUESTS_CA_BUNDLE", &address.ca).env("PEERS_COLLECTOR", format!("localhost:{port}"));
            command
        }
        Agent::Java => {
            let store = trust_store(&address.ca, places)?;
            let mut command = clean("java");
            command.arg(format!("-Djavax.net.ssl.trustStore={}", store.display()));
            command.arg(format!("-Djavax.net.ssl.trustStorePassword={TRUST_STORE_PASSWORD}"));
            command.args(["-cp", &install::java_class_path(&target), "Driver"]);
            command.env("PEERS_COLLECTOR", "https://localhost/v0/event");
            command
        }
        Agent::Go => {
            let mut command = clean(target.join("driver"));
            command.env("SSL_CERT_FILE", &address.ca);
            command
        }
    };
    Ok(command)
}

/// A command that sees nothing of this process's environment but where programs are: a proxy or an `IOPIPE_` variable of
/// the person who runs this must not reach an agent.
fn clean(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in ["PATH", "HOME", "JAVA_HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// What Lambda, and the person who installs the agent, put into a function's environment.
fn environment(command: &mut Command, agent: Agent, token: &str, places: &Places, out: &Path) {
    let function = agent.function();
    command.env("IOPIPE_TOKEN", token).env("IOPIPE_TIMEOUT_WINDOW", TIMEOUT_WINDOW_MS);
    // An agent keeps a failed report to itself; with this its log says why it failed.
    command.env("IOPIPE_DEBUG", "true");
    command.env("AWS_REGION", REGION).env("AWS_LAMBDA_FUNCTION_NAME", &function);
    command.env("AWS_LAMBDA_FUNCTION_VERSION", "7").env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256");
    command.env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{function}"));
    command.env("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/21/[7]0123456789abcdef0123456789abcdef");
    command.env("PEERS_FUNCTION", &function).env("PEERS_OUT", out);
    command.env("PEERS_EVENT", places.sources.join("events").join("api-gateway.json"));
}

/// Java takes certificates from a store of its own form, which its `keytool` makes.
fn trust_store(ca: &Path, places: &Places) -> Result<PathBuf, Failure> {
    let store = places.run.join("trust.p12");
    let mut keytool = Command::new("keytool");
    keytool.args(["-importcert", "-noprompt", "-alias", "tributary", "-storetype", "PKCS12"]);
    keytool.args(["-storepass", TRUST_STORE_PASSWORD, "-file"]).arg(ca).arg("-keystore").arg(&store);
    process::output("making a Java trust store", &mut keytool)?;
    Ok(store)
}

fn sent(line: &str) -> Result<Sent, Failure> {
    let value: Value = serde_json::from_str(line).context("not JSON")?;
    let field = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let needed = |key: &str| field(key).ok_or_else(|| Failure::new(format!("no text {key:?}")));
    Ok(Sent {
        scenario: needed("scenario")?,
        request_id: needed("request_id")?,
        started: needed("started")?,
        ended: needed("ended")?,
        raised: field("raised"),
        url: value.pointer("/facts/url").and_then(Value::as_str).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drivers_line_is_read() {
        let line =
            r#"{"scenario":"warm","request_id":"r","started":"a","ended":"b","raised":null,"facts":{"url":"u"}}"#;
        let read = sent(line).unwrap();
        assert_eq!((read.scenario.as_str(), read.raised, read.url.as_deref()), ("warm", None, Some("u")));
        assert!(sent(r#"{"scenario":"warm"}"#).is_err());
    }
}
