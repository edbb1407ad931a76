use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tributary::load;
use tributary_aws::stream::KinesisStream;
use tributary_model::Record;
use tributary_ports::Stream;
use tributary_ports::stream::Position;
use tributary_rig::http_front::{Form, Front};
use tributary_rig::sdk_config;

use crate::installation::Installation;

async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Response<Bytes> {
    let connection = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.unwrap();
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

fn report(token: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::post("/v0/event").header("host", "127.0.0.1").header("content-type", "application/json");
    request.header("authorization", format!("Bearer {token}")).body(Full::new(body.into())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_front_door_brings_reports_into_the_stream_and_problems_back() {
    let installation = Box::pin(Installation::start(1)).await;
    let collector = Arc::new(installation.collector());
    let mut receipts = Vec::new();
    for form in Form::ALL {
        let front = Front::start(Arc::clone(&collector), form).await;
        let body = load::sample(2000, &installation.token).unwrap();
        let response = send(front.address(), report(&installation.token, body)).await;
        assert_eq!(response.status(), 200, "{form:?}: {:?}\n{}", response.body(), collector.log());
        let receipt: Value = serde_json::from_slice(response.body()).unwrap();
        receipts.push(receipt["id"].as_str().unwrap().to_owned());

        let response = send(front.address(), report("no.such.token", "{}")).await;
        assert_eq!(response.status(), 401, "{form:?}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));

        let keys = Request::get("/.well-known/jwks.json").header("host", "127.0.0.1").body(Full::default()).unwrap();
        let response = send(front.address(), keys).await;
        assert_eq!(response.status(), 200);
        assert!(serde_json::from_slice::<Value>(response.body()).unwrap()["keys"].is_array());
    }
    let mut stored: Vec<String> = Vec::new();
    let stream = KinesisStream::new(&sdk_config(&installation.kinesis.endpoint).await, "reports");
    for shard in stream.shards().await.unwrap() {
        let mut position = Position::Horizon;
        loop {
            let page = stream.read(&shard.id, &position, 100).await.unwrap();
            stored.extend(page.records.iter().map(|record| Record::decode(&record.data).unwrap().id.to_string()));
            match page.next {
                Some(next) if page.behind_ms > 0 || !page.records.is_empty() => position = next,
                _ => break,
            }
        }
    }
    receipts.sort();
    stored.sort();
    assert_eq!(stored, receipts);
    let log = collector.log();
    assert!(!log.contains(&installation.token), "no line holds a token");
    assert_eq!(log.matches(r#""reason":"accepted""#).count(), 3, "{log}");
}
