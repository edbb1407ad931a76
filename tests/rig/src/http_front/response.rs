//! An answer as a response.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, SET_COOKIE};
use hyper::{Response, StatusCode};
use serde_json::Value;

use super::Form;

/// The response; none if AWS would not take the answer.
pub(super) fn of(form: Form, answer: &[u8]) -> Option<Response<Full<Bytes>>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let body = answer.get("body").map_or(Some(""), Value::as_str)?;
    let body = match answer.get("isBase64Encoded")?.as_bool()? {
        true => Bytes::from(STANDARD.decode(body).ok()?),
        false => Bytes::from(body.to_owned()),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(answer.get("statusCode")?.as_u64()?.try_into().ok()?).ok()?;
    for (name, value) in headers(form, &answer)? {
        response
            .headers_mut()
            .append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    response.headers_mut().remove(CONTENT_LENGTH); // the front's own server counts
    Some(response)
}

/// Each form reads its own fields and no others.
fn headers(form: Form, answer: &Value) -> Option<Vec<(&str, &str)>> {
    let mut headers = Vec::new();
    if form != Form::FunctionUrl {
        let (status, description) = (answer.get("statusCode")?.as_u64()?, answer.get("statusDescription")?.as_str()?);
        description.strip_prefix(&status.to_string())?.strip_prefix(' ')?;
    }
    if form == Form::AlbMultiValue {
        for (name, values) in answer.get("multiValueHeaders")?.as_object()? {
            for value in values.as_array()? {
                headers.push((name.as_str(), value.as_str()?));
            }
        }
        return Some(headers);
    }
    for (name, value) in answer.get("headers")?.as_object()? {
        headers.push((name.as_str(), value.as_str()?));
    }
    for cookie in answer.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        headers.push((SET_COOKIE.as_str(), cookie.as_str()?));
    }
    Some(headers)
}
