//! Every captured report of a published agent, and those of `testdata/reports`, through all steps: decoded, admitted, its
//! token removed, packed, unpacked and normalised. What comes out is kept as a snapshot beside this file
//! (`INSTA_UPDATE=always cargo test -p tributary-pipeline` writes them anew; then read the difference).

#![expect(clippy::expect_used, reason = "what a test's own functions can't read fails the test")]

use std::fs;
use std::path::Path;

use bytes::Bytes;
use tributary_model::{AccountId, Invocation, Kind, ProjectId, Region, Report, RetentionClass, TimestampMs, TokenId};
use tributary_pipeline::admit::{admit, without_token};
use tributary_pipeline::decode::{Encoding, decode};
use tributary_pipeline::normalize::{NORMALIZER, normalize};
use tributary_pipeline::pack::{Arrival, pack};
use tributary_pipeline::unpack::unpack;

const TOKEN: &str = "harness-token";

fn arrival(received_at: TimestampMs) -> Arrival {
    Arrival {
        project: ProjectId::new("shop").expect("a project"),
        account: AccountId::new("acme").expect("an account"),
        region: Region::new("eu-central-1").expect("a region"),
        retention: RetentionClass::DEFAULT,
        token: TokenId::new("t_snapshot").expect("a token's id"),
        received_at,
    }
}

/// The whole walk of a report, with what must hold of every one checked on the way.
fn walk(name: &str, body: &Bytes, received_at: TimestampMs) -> Invocation {
    let arrival = arrival(received_at);
    let body = decode(body.clone(), Encoding::Identity).expect(name);
    let report = Report::parse(&body).expect(name);
    admit(&report, received_at).expect(name);
    let bytes = without_token(&body, &report, Some(TOKEN), &arrival.token);
    assert!(!String::from_utf8_lossy(&bytes).contains(TOKEN), "{name}");
    let id = report.id(&arrival.project);
    let record = pack(&arrival, id, Kind::Report, &bytes).expect(name);
    let unpacked = unpack(&record.encode()).expect(name);
    assert_eq!((&unpacked.record, &unpacked.report), (&record, &bytes), "{name}");

    let read = Report::parse(&unpacked.report).expect(name);
    assert_eq!(read.id(&arrival.project), id, "{name}: an id is the same without the token");
    let invocation = normalize(&unpacked.record, &read);
    assert_eq!((invocation.id, invocation.normalizer), (id, NORMALIZER), "{name}");
    let json = serde_json::to_string(&invocation).expect(name);
    assert!(!json.contains(TOKEN), "{name}");
    assert_eq!(serde_json::from_str::<Invocation>(&json).expect(name), invocation, "{name}: JSON holds all of it");
    invocation
}

fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata")).join(folder);
    let mut files: Vec<(String, String)> = fs::read_dir(&folder)
        .expect("a folder of test data")
        .map(|entry| entry.expect("an entry").path())
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(ending)?.to_owned();
            Some((name, fs::read_to_string(&path).expect("a text file")))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn captured_reports() {
    let captures = files("captures", ".report.json");
    assert!(captures.len() >= 38, "{} captures", captures.len());
    for (name, text) in captures {
        let capture: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let body = capture["request"]["body_text"].as_str().expect("a body");
        let received_at = TimestampMs(capture["received_at_ms"].as_i64().expect("a time"));
        let invocation = walk(&name, &Bytes::copy_from_slice(body.as_bytes()), received_at);
        insta::assert_json_snapshot!(name, invocation);
    }
}

/// By hand: Java and Go agents after PROTOCOL's tables and their source, and reports at the edge of what can be read.
#[test]
fn hand_made_reports() {
    let reports = files("reports", ".json");
    assert!(reports.len() >= 19, "{} reports", reports.len());
    for (name, text) in reports {
        let body = Bytes::copy_from_slice(text.trim_end().as_bytes());
        let timestamp = Report::parse(&body).expect(&name).timestamp();
        insta::assert_json_snapshot!(name.clone(), walk(&name, &body, timestamp.plus_ms(1_600)));
    }
}
