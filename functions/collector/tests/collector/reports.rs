//! Reports that are taken in, and what the record holds of them.

use std::io::Write as _;

use http::Method;
use serde_json::{Value, json};
use tributary_model::{Day, Kind, Report, TimestampMs};

use crate::fixture::{Fixture, NOW, post, post_as, project_id, report, request, test_data};

/// The bodies of all captured reports, with their names.
fn captured() -> Vec<(String, String)> {
    let captures = test_data("captures").into_iter().filter(|(name, _)| name.ends_with(".report.json"));
    let body = |bytes: Vec<u8>| {
        let capture: Value = serde_json::from_slice(&bytes).expect("JSON");
        capture["request"]["body_text"].as_str().expect("a body").to_owned()
    };
    captures.map(|(name, bytes)| (name, body(bytes))).collect()
}

#[tokio::test]
async fn every_captured_report_is_taken_with_its_token_in_each_place() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let captured = captured();
    assert_eq!(captured.len(), 38);
    for (name, body) in captured {
        let in_body = body.replace("harness-token", &token);
        assert_ne!(in_body, body, "{name}");
        let bearer = format!("Bearer {token}");
        let places: [(&[(&str, &str)], &String); 3] = [
            (&[("authorization", &bearer), ("content-type", "application/json")], &in_body),
            (&[("authorization", &token), ("content-type", "application/json; charset=utf-8")], &in_body),
            (&[("content-type", "application/json")], &in_body),
        ];
        let expected = body.replace("harness-token", "token-1");
        for (headers, body) in places {
            let handled = fixture.send(post(headers, body.clone())).await;
            assert_eq!(handled.response.status(), 200, "{name}: {:?}", handled.response.body());
            assert_eq!(fixture.take_record().report, expected, "{name}: only the token is replaced");
        }
    }
}

#[tokio::test]
async fn every_hand_made_report_is_taken() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    for (name, bytes) in test_data("reports").into_iter().filter(|(name, _)| name.ends_with(".json")) {
        let timestamp = Report::parse(&bytes).expect(&name).timestamp();
        let handled = fixture.send_at(timestamp, post_as(&token, bytes)).await;
        assert_eq!(handled.response.status(), 200, "{name}: {:?}", handled.response.body());
    }
}

#[tokio::test]
async fn the_receipt_is_the_record_s_id_and_its_key() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let handled = fixture.send(post_as(&token, report(""))).await;
    let body = report("");
    let id = Report::parse(body.as_bytes()).expect("a report").id(&project_id("shop"));
    assert_eq!(handled.response.body(), format!(r#"{{"id":"{id}"}}"#).as_bytes());
    let headers = handled.response.headers();
    assert_eq!((&headers["content-type"], headers.len()), (&"application/json".parse().expect("a value"), 2));
    assert_eq!(headers["content-length"], handled.response.body().len().to_string());
    assert_eq!((handled.facts.reason, handled.facts.body_bytes, handled.facts.error), ("accepted", body.len(), None));
    let [entry] = fixture.take_stored().try_into().expect("one record");
    assert_eq!(*entry.partition_key, *id.to_string());
}

#[tokio::test]
async fn where_a_report_lands_comes_from_its_token_and_its_own_day() {
    let fixture = Fixture::new().await;
    let today = NOW.day();
    fixture
        .change(|directory| {
            let project = directory.projects.get_mut(&project_id("other")).expect("there");
            project.retention.insert(today, "7d".parse().expect("a class"));
        })
        .await;
    let token = fixture.token_with(&json!({}), &json!({"project": "other", "jti": "t2"})).await;
    let yesterday = NOW.plus_ms(-86_400_000);
    for (timestamp, retention) in [(NOW, "7d"), (yesterday, "90d")] {
        let body = json!({"processId": 4711, "aws": {"awsRequestId": "r"}, "timestamp": timestamp.0.to_string(),
            "project": "shop", "account": "evil"});
        let handled = fixture.send(post_as(&token, body.to_string())).await;
        assert_eq!(handled.response.status(), 200);
        let record = fixture.take_record().record;
        assert_eq!((record.project.as_str(), record.account.as_str(), record.token.as_str()), ("other", "acme", "t2"));
        assert_eq!((record.retention.to_string().as_str(), record.id.day), (retention, timestamp.day()));
        assert_eq!((record.region.as_str(), record.received_at, record.kind), ("eu-west-1", NOW, Kind::Report));
    }
    assert_eq!(yesterday.day(), Day(20_261_120));
}

#[tokio::test]
async fn the_same_report_again_has_the_same_id() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let first = fixture.send(post_as(&token, report(""))).await;
    let later = fixture.send_at(TimestampMs(NOW.0 + 60_000), post_as(&token, report(r#","more":1"#))).await;
    assert_eq!(first.response.body(), later.response.body());
}

#[tokio::test]
async fn compressed_bodies_are_taken() {
    let fixture = Fixture::new().await;
    let bearer = format!("Bearer {}", fixture.token().await);
    let body = report(r#","labels":["a","b"]"#);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body.as_bytes()).expect("a Vec takes all");
    let gzip = encoder.finish().expect("a Vec takes all");
    let zstd = zstd::bulk::compress(body.as_bytes(), 3).expect("compressed");
    for (encoding, bytes) in [("gzip", gzip), ("zstd", zstd), ("identity", body.clone().into_bytes())] {
        let handled = fixture.send(post(&[("authorization", &bearer), ("content-encoding", encoding)], bytes)).await;
        assert_eq!(handled.response.status(), 200, "{encoding}");
        assert_eq!(fixture.take_record().report, body, "{encoding}");
    }
}

#[tokio::test]
async fn literals_that_are_no_json_cost_no_report() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let body = report(r#","custom_metrics":[{"name":"m","n":NaN},{"name":"i","n":-Infinity},{"name":"h","n":1e999}]"#);
    let handled = fixture.send(post_as(&token, body.clone())).await;
    assert_eq!(handled.response.status(), 200);
    assert_eq!(fixture.take_record().report, body);
}

#[tokio::test]
async fn a_query_and_an_unusual_case_of_the_type_do_not_matter() {
    let fixture = Fixture::new().await;
    let bearer = format!("bearer {}", fixture.token().await);
    let headers = [("authorization", bearer.as_str()), ("content-type", "Application/JSON;charset=UTF-8")];
    let handled = fixture.send(request(Method::POST, "/v0/event?from=agent", &headers, report(""))).await;
    assert_eq!(handled.response.status(), 200);
}

#[tokio::test]
async fn the_header_s_token_counts_before_the_body_s() {
    let fixture = Fixture::new().await;
    let own = fixture.token().await;
    let other = fixture.token_with(&json!({}), &json!({"project": "other", "jti": "t2"})).await;
    let body = report(&format!(r#","client_id":"{other}""#));
    let handled = fixture.send(post_as(&own, body)).await;
    assert_eq!(handled.facts.project, Some(project_id("shop")));
    assert_eq!(fixture.take_record().report, report(r#","client_id":"token-1""#), "the other's token is gone as well");
}

/// S6: not in an answer, a record or a line of the log.
#[tokio::test]
async fn a_token_is_nowhere_but_in_its_request() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let escaped = token.replacen('e', "\\u0065", 1);
    let body = report(&format!(
        r#","client_id":"{token}","labels":["{token}"],"aws2":{{"{token}":1}},"errors":{{"stack":"a {escaped} b"}}"#
    ));
    let revoked = fixture.token_with(&json!({}), &json!({"jti": "gone"})).await;
    let forged = format!("{token}A");
    fixture
        .change(|directory| {
            directory.revoked.insert("gone".parse().expect("an id"), NOW.plus_ms(1));
        })
        .await;
    for (sent, secret, status) in [
        (post_as(&token, body.clone()), &token, 200),
        (post(&[], body), &token, 200),
        (post_as(&revoked, report("")), &revoked, 401),
        (post(&[], report(&format!(r#","client_id":"{forged}""#))), &forged, 401),
    ] {
        let handled = fixture.send(sent).await;
        assert_eq!(handled.response.status(), status);
        let signature = secret.rsplit('.').next().expect("a part");
        let mut texts = vec![
            format!("{:?}", handled.response),
            serde_json::to_string(&handled.facts).expect("JSON"),
            format!("{:?}", handled.facts),
        ];
        for entry in fixture.take_stored() {
            let unpacked = tributary_pipeline::unpack::unpack(&entry.data).expect("readable");
            let text = String::from_utf8(unpacked.report.to_vec()).expect("UTF-8");
            texts.extend([text.replace("\\u0065", "e"), format!("{entry:?}")]);
        }
        for text in texts {
            assert!(!text.contains(signature), "{text}");
        }
    }
}

#[tokio::test]
async fn the_public_keys_of_tokens_are_public() {
    let fixture = Fixture::new().await;
    let path = "/.well-known/jwks.json";
    let get = fixture.send(request(Method::GET, path, &[], "")).await;
    assert_eq!(get.response.status(), 200);
    assert_eq!(get.response.headers()["content-type"], "application/jwk-set+json");
    assert_eq!(get.response.headers()["cache-control"], "public, max-age=60");
    let set: Value = serde_json::from_slice(get.response.body()).expect("JSON");
    let [key] = set["keys"].as_array().expect("keys").as_slice() else { panic!("{set}") };
    let mut members: Vec<&str> = key.as_object().expect("a key").keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "and nothing private");

    let head = fixture.send(request(Method::HEAD, path, &[], "")).await;
    assert_eq!(head.response.headers(), get.response.headers());
    assert!(head.response.body().is_empty());
}
