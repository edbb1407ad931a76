//! An event as a request.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use tributary_model::Problem;
use tributary_model::limits::{BODY_BYTES_MAX, HEADERS_MAX};

use super::form::Form;
use super::uri;
use crate::FunctionError;

const EXPECTED: &str = "an event of a load balancer, a Function URL or an HTTP API";

/// The fields of all three forms that are used; each form has some of them.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Event<'a> {
    request_context: Context<'a>,
    http_method: Option<Text<'a>>,
    path: Option<Text<'a>>,
    raw_path: Option<Text<'a>>,
    raw_query_string: Option<Text<'a>>,
    query_string_parameters: Option<Pairs<'a, Text<'a>>>,
    multi_value_query_string_parameters: Option<Pairs<'a, Vec<Text<'a>>>>,
    headers: Option<Pairs<'a, Text<'a>>>,
    multi_value_headers: Option<Pairs<'a, Vec<Text<'a>>>>,
    cookies: Option<Vec<Text<'a>>>,
    body: Option<Text<'a>>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(serde::Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Context<'a> {
    elb: Option<IgnoredAny>,
    http: Option<Http<'a>>,
    stage: Option<Text<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Http<'a> {
    method: Text<'a>,
}

/// A text that borrows from the payload unless it has escapes; serde makes a copy for a `Cow` within an option.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A JSON object in its order, without a map.
struct Pairs<'a, V>(Vec<(Text<'a>, V)>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Pairs<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<'a, V>(PhantomData<(Text<'a>, V)>);
        impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for InOrder<'a, V> {
            type Value = Pairs<'a, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

/// A request as a function takes it, and how it came.
#[derive(Debug)]
pub struct HttpEvent {
    /// How it came.
    pub form: Form,
    /// The request, its URI a path and a query; or what is wrong with it, which its sender is told.
    pub request: Result<Request<Bytes>, Problem>,
}

/// Reads an event.
///
/// # Errors
/// If it is no HTTP event at all.
pub fn read(payload: &str) -> Result<HttpEvent, FunctionError> {
    let event: Event<'_> = serde_json::from_str(payload).map_err(|error| FunctionError::json(EXPECTED, &error))?;
    let form = match (&event.request_context, &event.multi_value_headers) {
        (Context { http: Some(_), .. }, _) => Form::V2,
        (Context { elb: Some(_), .. }, Some(_)) => Form::AlbMultiValue,
        (Context { elb: Some(_), .. }, None) => Form::Alb,
        _ => return Err(FunctionError::event(EXPECTED, "requestContext has neither http nor elb")),
    };
    Ok(HttpEvent { form, request: event.request() })
}

impl Event<'_> {
    fn request(self) -> Result<Request<Bytes>, Problem> {
        let http = self.request_context.http.as_ref();
        let method = http.map(|http| &http.method).or(self.http_method.as_ref()).map_or("", |method| method);
        let method = Method::from_bytes(method.as_bytes());
        let method = method.map_err(|_| Problem::bad_request("the method is not readable"))?;
        let uri = self.target().parse::<Uri>();
        let uri = uri.map_err(|_| Problem::bad_request("the path or the query is not readable"))?;
        let headers = self.header_map()?;
        let mut request = Request::new(self.body()?);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Path and query as they were sent: a load balancer hands parameters on without decoding them.
    fn target(&self) -> String {
        let stage = self.request_context.stage.as_deref().unwrap_or("$default");
        let path = self.raw_path.as_deref().map(|path| uri::without_stage(path, stage));
        let path = path.or(self.path.as_deref()).filter(|path| path.starts_with('/')).unwrap_or("/");
        let mut target = String::with_capacity(path.len() + 64);
        uri::push_encoded(&mut target, path, b"?");
        let mut parameter = |name: &str, value: &str| {
            target.push(if target.contains('?') { '&' } else { '?' });
            uri::push_encoded(&mut target, name, b"");
            target.push('=');
            uri::push_encoded(&mut target, value, b"");
        };
        if let Some(Pairs(pairs)) = &self.multi_value_query_string_parameters {
            pairs.iter().for_each(|(name, values)| values.iter().for_each(|value| parameter(name, value)));
        } else if let Some(Pairs(pairs)) = self.query_string_parameters.as_ref().filter(|_| self.raw_path.is_none()) {
            pairs.iter().for_each(|(name, value)| parameter(name, value));
        } else if let Some(query) = self.raw_query_string.as_deref().filter(|query| !query.is_empty()) {
            target.push('?');
            uri::push_encoded(&mut target, query, b"");
        }
        target
    }

    fn header_map(&self) -> Result<HeaderMap, Problem> {
        let single = self.headers.iter().filter(|_| self.multi_value_headers.is_none());
        let single = single.flat_map(|Pairs(pairs)| pairs.iter().map(|(name, value)| (name, value)));
        let several = self.multi_value_headers.iter().flat_map(|Pairs(pairs)| pairs);
        let several = several.flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        let mut headers = HeaderMap::with_capacity(self.headers.as_ref().map_or(16, |Pairs(pairs)| pairs.len() + 1));
        for (number, (name, value)) in single.chain(several).enumerate() {
            if number == HEADERS_MAX {
                let detail = format!("the request has more headers than {HEADERS_MAX}");
                return Err(Problem::header_fields_too_large(detail));
            }
            let name = HeaderName::from_bytes(name.as_bytes());
            let pair = name.ok().zip(HeaderValue::from_str(value).ok());
            let (name, value) = pair.ok_or_else(|| Problem::bad_request("a header is not readable"))?;
            headers.append(name, value);
        }
        if let Some(cookies) = &self.cookies {
            let cookies: Vec<&str> = cookies.iter().map(|cookie| &**cookie).collect();
            let value = HeaderValue::from_str(&cookies.join("; "));
            headers.insert(COOKIE, value.map_err(|_| Problem::bad_request("a cookie is not readable"))?);
        }
        Ok(headers)
    }

    fn body(self) -> Result<Bytes, Problem> {
        let Some(Text(text)) = self.body else { return Ok(Bytes::new()) };
        let bytes = if self.is_base64_encoded { text.len() / 4 * 3 } else { text.len() };
        if bytes > BODY_BYTES_MAX + 2 {
            let detail = format!("the body has {bytes} bytes or fewer; the limit is {BODY_BYTES_MAX}");
            return Err(Problem::content_too_large(detail));
        }
        if self.is_base64_encoded {
            let decoded = STANDARD.decode(text.as_bytes());
            return decoded.map(Bytes::from).map_err(|_| Problem::bad_request("the body is not readable"));
        }
        Ok(Bytes::from(text.into_owned()))
    }
}
