//! The published agents themselves, through a load balancer with TLS: each is driven through its scenarios by the drivers of
//! `cargo xtask peers`, which then look for every invocation at the query binary and compare it field by field.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;
use tokio::time::sleep;
use tributary::http::tls::{self, Authority};
use tributary_rig::binaries::Binary;
use tributary_rig::http_front::{Form, Front};
use tributary_rig::runtime_api::Function;

use crate::installation::{Installation, look_after, now};

/// The only port that the JavaScript agent speaks to.
const HTTPS: u16 = 443;
/// Between two runs of the custodian.
const SCHEDULE: Duration = Duration::from_secs(1);

/// Drives them at an installation whose workers are fed, with a `query` at this address; fails with the table of all
/// scenarios.
pub(crate) async fn are_found(
    installation: &Installation,
    collector: Arc<Function>,
    query: SocketAddr,
    custodian: &Function,
) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    let authority = Authority::open(folder.path(), now()).unwrap();
    let names = tls::names([127, 0, 0, 1].into(), &[]);
    let tls = authority.server_config(&names, now()).unwrap();
    let _front = Front::start_tls(collector, Form::Alb, HTTPS, tls).await;
    let up = folder.path().join("up.json");
    let told = json!({
        "http": format!("http://{query}"), "ca": authority.path(),
        "program": Binary::Tributary.path(), "token": installation.token,
    });
    #[expect(clippy::disallowed_methods, reason = "a file that nobody reads before the process that it is for starts")]
    std::fs::write(&up, told.to_string()).unwrap();
    let mut driving = Command::new(Binary::Xtask.path());
    let driving = driving.arg("agents").arg(&up).stdin(Stdio::null()).kill_on_drop(true).output();
    let driven = looked_after(custodian, driving).await.unwrap();
    let table = String::from_utf8_lossy(&driven.stdout);
    assert!(driven.status.success(), "{table}{}", String::from_utf8_lossy(&driven.stderr));
}

/// Lets the custodian's schedule go on while something is done: what was throttled for too long waits in the overflow.
async fn looked_after<T>(custodian: &Function, doing: impl Future<Output = T>) -> T {
    let schedule = async {
        loop {
            let run = look_after(custodian).await;
            assert_eq!(run["outages"], json!([]), "no store is out");
            sleep(SCHEDULE).await;
        }
    };
    tokio::select! {
        done = doing => done,
        () = schedule => unreachable!("a schedule has no end"),
    }
}
