//! A request as an event.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, COOKIE};
use hyper::http::request::Parts;
use serde_json::{Map, Value, json};

use super::Form;

pub(super) fn of(form: Form, head: &Parts, body: &Bytes) -> Value {
    let mut event = match form {
        Form::Alb => alb(head, false),
        Form::AlbMultiValue => alb(head, true),
        Form::FunctionUrl => function_url(head),
    };
    let encoded = is_binary(head, body);
    let text = if encoded { STANDARD.encode(body) } else { String::from_utf8_lossy(body).into_owned() };
    event["body"] = text.into();
    event["isBase64Encoded"] = encoded.into();
    event
}

/// A load balancer encodes what is compressed, and what its type does not say to be a text.
fn is_binary(head: &Parts, body: &Bytes) -> bool {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let texts = ["text/", "application/json", "application/javascript", "application/xml"];
    let is_text = texts.iter().any(|text| kind.starts_with(text));
    !body.is_empty() && (!is_text || head.headers.contains_key(CONTENT_ENCODING) || std::str::from_utf8(body).is_err())
}

/// Names and values as they came, one after another.
fn headers(head: &Parts) -> impl Iterator<Item = (String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    head.headers.iter().map(move |(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
}

/// A load balancer hands parameters on as they came, of two of one name the last, unless it keeps all.
fn alb(head: &Parts, keeps_all: bool) -> Value {
    let parameters = head.uri.query().unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty());
    let parameters = parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")));
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut event = json!({
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/t/1"}},
        "httpMethod": head.method.as_str(),
        "path": head.uri.path(),
    });
    if keeps_all {
        event["multiValueQueryStringParameters"] = lists(parameters);
        event["multiValueHeaders"] = lists(headers(head));
    } else {
        event["queryStringParameters"] =
            parameters.map(|(name, value)| (name, value.into())).collect::<Map<_, _>>().into();
        event["headers"] = headers(head).map(|(name, value)| (name, value.into())).collect::<Map<_, _>>().into();
    }
    event
}

fn lists(pairs: impl Iterator<Item = (String, String)>) -> Value {
    let mut lists = Map::new();
    for (name, value) in pairs {
        if let Some(list) = lists.entry(name).or_insert_with(|| json!([])).as_array_mut() {
            list.push(value.into());
        }
    }
    lists.into()
}

/// Format 2.0: the query raw, cookies apart, several values of a header joined by commas.
fn function_url(head: &Parts) -> Value {
    let mut joined = Map::new();
    let mut cookies = Vec::new();
    for (name, value) in headers(head) {
        if name == COOKIE.as_str() {
            cookies.extend(value.split("; ").map(str::to_owned));
            continue;
        }
        let value = match joined.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        joined.insert(name, value.into());
    }
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": head.uri.path(),
        "rawQueryString": head.uri.query().unwrap_or_default(),
        "headers": joined,
        "requestContext": {
            "accountId": "anonymous",
            "http": {"method": head.method.as_str(), "path": head.uri.path(), "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
            "stage": "$default",
        },
    });
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    event
}
