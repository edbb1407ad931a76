use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tributary_rig::binaries::Binary;
use tributary_rig::http_front::{Form, Front};
use tributary_rig::runtime_api::Function;

async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Response<Bytes> {
    let connection = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.unwrap();
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn each_front_brings_a_request_whole_and_takes_the_answer() {
    let function = Arc::new(Function::new(&Binary::Probe.path(), &[]));
    for form in Form::ALL {
        let front = Front::start(Arc::clone(&function), form).await;
        for (body, kind) in
            [(&b"{\"text\":\"\xc3\xbc\"}"[..], "application/json"), (&[0xff, 0x00, 0x80][..], "image/png")]
        {
            let request = Request::post("/v0/event?q=a%20b%3Ac&r=1").header("host", "127.0.0.1");
            let request = request.header("content-type", kind).header("cookie", "a=1");
            let response = send(front.address(), request.body(Full::from(body)).unwrap()).await;
            assert_eq!(response.status(), 200, "{form:?}");
            assert_eq!(response.body(), body, "{form:?}");
            assert_eq!(response.headers()["set-cookie"], "a=1", "{form:?}");
        }
    }
    let log = function.log();
    assert_eq!(log.matches(r#""handled":"POST /v0/event?q=a%20b%3Ac&r=1""#).count(), 6, "{log}");
}

#[tokio::test]
async fn a_function_error_is_a_502() {
    let function = Arc::new(Function::new(&Binary::Probe.path(), &[]));
    for form in Form::ALL {
        let front = Front::start(Arc::clone(&function), form).await;
        let request = Request::get("/panic").body(Full::default()).unwrap();
        assert_eq!(send(front.address(), request).await.status(), 502, "{form:?}");
    }
}
