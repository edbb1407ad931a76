use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use serde_json::{Value, json};
use tributary_model::Problem;

use super::{Form, HttpAnswer, read};

fn event(name: &str) -> String {
    let path = format!("{}/../../testdata/lambda/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn request(payload: &str) -> (Form, Request<Bytes>) {
    let event = read(payload).unwrap();
    (event.form, event.request.unwrap())
}

fn refusal(payload: &Value) -> Problem {
    read(&payload.to_string()).unwrap().request.unwrap_err()
}

fn v2(changes: &Value) -> Value {
    let mut event = json!({"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "GET"}}});
    let changes = changes.as_object().unwrap().clone();
    event.as_object_mut().unwrap().extend(changes);
    event
}

fn target(changes: &Value) -> String {
    request(&v2(changes).to_string()).1.uri().to_string()
}

#[test]
fn a_load_balancers_event_is_the_request_that_it_got() {
    let (form, request) = request(&event("alb"));
    assert_eq!(form, Form::Alb);
    assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("POST", "/v0/event?a=1%2C2&b="));
    assert_eq!(request.headers()["authorization"], "Bearer a.b.c");
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.body(), r#"{"processId":"p"}"#);
}

#[test]
fn a_load_balancer_with_multi_value_headers_keeps_them_apart() {
    let (form, request) = request(&event("alb-multi-value"));
    assert_eq!(form, Form::AlbMultiValue);
    assert_eq!(request.uri(), "/v0/event?name=x&name=y%20z");
    let values: Vec<_> = request.headers().get_all("x-forwarded-for").iter().collect();
    assert_eq!(values, ["72.12.164.125", "10.0.0.1"]);
    assert_eq!(&request.body()[..], [0x1f, 0x8b, 0x08, 0x00], "a compressed body comes in base64");
}

#[test]
fn a_function_urls_event_is_the_request_that_it_got() {
    let (form, request) = request(&event("function-url"));
    assert_eq!(form, Form::V2);
    assert_eq!(request.method(), "GET");
    assert_eq!(request.uri(), "/v1/invocations?query=label%3Avip+x&parameter=1&parameter=2");
    assert_eq!(request.headers()["cookie"], "a=1; b=2");
    assert_eq!(request.headers()["x-several"], "one,two");
    assert!(request.body().is_empty());
}

#[test]
fn an_http_apis_stage_is_not_part_of_the_path() {
    let (form, request) = request(&event("http-api"));
    assert_eq!((form, request.uri().path()), (Form::V2, "/v0/event"));
    assert_eq!(request.body(), "Hello from Lambda");
}

#[test]
fn paths_and_queries_are_encoded_once() {
    assert_eq!(target(&json!({"rawPath": "/v1/invocations/ä b"})), "/v1/invocations/%C3%A4%20b");
    assert_eq!(target(&json!({"rawPath": "/a%2Fb", "rawQueryString": "q=%22x%22&r=a b"})), "/a%2Fb?q=%22x%22&r=a%20b");
    assert_eq!(target(&json!({"rawPath": "", "rawQueryString": ""})), "/");
    assert_eq!(target(&json!({"rawPath": "//host/x?y"})), "//host/x%3Fy");
}

#[test]
fn what_its_sender_did_wrong_is_answered_to_them() {
    assert_eq!(refusal(&v2(&json!({"headers": {"a b": "c"}}))).status, 400);
    assert_eq!(refusal(&v2(&json!({"headers": {"a": "b\nc"}}))).status, 400);
    assert_eq!(refusal(&v2(&json!({"body": "not base64!", "isBase64Encoded": true}))).status, 400);
    let headers: serde_json::Map<String, Value> = (0..65).map(|at| (format!("x-{at}"), "y".into())).collect();
    assert_eq!(refusal(&v2(&json!({"headers": headers}))).status, 431);
    assert_eq!(refusal(&v2(&json!({"body": "x".repeat(1_400_100)}))).status, 413);
    let encoded = "A".repeat(1_867_000);
    assert_eq!(refusal(&v2(&json!({"body": encoded, "isBase64Encoded": true}))).status, 413);
}

#[test]
fn what_is_no_http_event_is_a_function_error_that_quotes_nothing() {
    for payload in ["{}", "[]", "null", "\"secret\"", r#"{"requestContext":{}}"#, r#"{"Records":[{"secret":1}]}"#] {
        let error = read(payload).unwrap_err().to_string();
        assert!(error.starts_with("not an event of a load balancer"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let secret = v2(&json!({"headers": "secret"})).to_string();
    let error = read(&secret).unwrap_err().to_string();
    assert!(
        error.contains("a field is missing or of another type, line 1 column") && !error.contains("secret"),
        "{error}"
    );
}

fn answer(form: Form, body: &'static [u8]) -> Value {
    let mut response = Response::builder().status(429).header("retry-after", "3");
    response = response.header("vary", "a").header("vary", "b");
    let mut response = response.body(Bytes::from_static(body)).unwrap();
    response.headers_mut().append("set-cookie", HeaderValue::from_static("a=1"));
    response.headers_mut().append("set-cookie", HeaderValue::from_static("b=2"));
    serde_json::to_value(HttpAnswer { form, response }).unwrap()
}

#[test]
fn each_trigger_gets_the_answer_that_it_wants() {
    let wanted = json!({
        "statusCode": 429, "statusDescription": "429 Too Many Requests", "isBase64Encoded": false, "body": "text",
        "headers": {"retry-after": "3", "vary": "a, b", "set-cookie": "a=1, b=2"},
    });
    assert_eq!(answer(Form::Alb, b"text"), wanted);
    let wanted = json!({
        "statusCode": 429, "statusDescription": "429 Too Many Requests", "isBase64Encoded": false, "body": "text",
        "multiValueHeaders": {"retry-after": ["3"], "vary": ["a", "b"], "set-cookie": ["a=1", "b=2"]},
    });
    assert_eq!(answer(Form::AlbMultiValue, b"text"), wanted);
    let wanted = json!({
        "statusCode": 429, "isBase64Encoded": false, "body": "text",
        "headers": {"retry-after": "3", "vary": "a, b"}, "cookies": ["a=1", "b=2"],
    });
    assert_eq!(answer(Form::V2, b"text"), wanted);
}

#[test]
fn a_body_that_is_no_text_goes_in_base64() {
    let answer = answer(Form::V2, &[0xff, 0x00]);
    assert_eq!((&answer["isBase64Encoded"], &answer["body"]), (&json!(true), &json!("/wA=")));
}

#[test]
fn the_largest_page_fits_into_an_answer() {
    // Lambda takes 6 MB (6,291,556 bytes) of answer. In the worst page every character has to be escaped.
    let body = Bytes::from("\"".repeat(tributary_model::limits::PAGE_BYTES_MAX));
    let answer = HttpAnswer { form: Form::V2, response: Response::new(body) };
    assert!(serde_json::to_vec(&answer).unwrap().len() < 6_291_556);
}
