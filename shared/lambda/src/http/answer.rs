//! A response as the answer to an event.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::{Response, StatusCode};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::Form;

/// A response in the form of its request.
#[derive(Debug)]
pub struct HttpAnswer {
    /// How the request came.
    pub form: Form,
    /// What is answered.
    pub response: Response<Bytes>,
}

impl Serialize for HttpAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (status, headers) = (self.response.status(), self.response.headers());
        let mut answer = serializer.serialize_struct("HttpAnswer", 5)?;
        answer.serialize_field("statusCode", &status.as_u16())?;
        match self.form {
            Form::Alb => {
                answer.serialize_field("statusDescription", &description(status))?;
                answer.serialize_field("headers", &Joined { headers, cookies: true })?;
            }
            Form::AlbMultiValue => {
                answer.serialize_field("statusDescription", &description(status))?;
                answer.serialize_field("multiValueHeaders", &Several(headers))?;
            }
            Form::V2 => {
                answer.serialize_field("headers", &Joined { headers, cookies: false })?;
                answer.serialize_field("cookies", &Values(headers, &SET_COOKIE))?;
            }
        }
        // A text goes as it is; anything else in base64, which each of the triggers undoes.
        match std::str::from_utf8(self.response.body()) {
            Ok(text) => {
                answer.serialize_field("isBase64Encoded", &false)?;
                answer.serialize_field("body", text)?;
            }
            Err(_) => {
                answer.serialize_field("isBase64Encoded", &true)?;
                answer.serialize_field("body", &STANDARD.encode(self.response.body()))?;
            }
        }
        answer.end()
    }
}

/// `200 OK`: a load balancer takes an answer without it for a broken one.
fn description(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// Our own headers are ASCII; what is not has no place in JSON.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

/// One text a header, several values joined by commas.
struct Joined<'a> {
    headers: &'a HeaderMap,
    /// Whether `Set-Cookie` is among them.
    cookies: bool,
}

impl Serialize for Joined<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in self.headers.keys().filter(|name| self.cookies || *name != SET_COOKIE) {
            let mut values = self.headers.get_all(name).iter().map(text);
            match (values.next(), values.next()) {
                (Some(one), None) => map.serialize_entry(name.as_str(), one)?,
                _ => {
                    let all: Vec<&str> = self.headers.get_all(name).iter().map(text).collect();
                    map.serialize_entry(name.as_str(), &all.join(", "))?;
                }
            }
        }
        map.end()
    }
}

/// A list of texts a header.
struct Several<'a>(&'a HeaderMap);

impl Serialize for Several<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in self.0.keys() {
            map.serialize_entry(name.as_str(), &Values(self.0, name))?;
        }
        map.end()
    }
}

/// All values of one header.
struct Values<'a>(&'a HeaderMap, &'a HeaderName);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut values = serializer.serialize_seq(None)?;
        for value in self.0.get_all(self.1) {
            values.serialize_element(text(value))?;
        }
        values.end()
    }
}
