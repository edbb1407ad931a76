//! Answers: one thing, or a page of things.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response};
use serde::Serialize;
use tributary_model::limits::PAGE_BYTES_MAX;

use crate::failure::Failure;

/// A 200.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<Bytes>,
    pub(crate) items: usize,
}

impl Answer {
    /// One thing.
    pub(crate) fn one(thing: &impl Serialize) -> Result<Self, Failure> {
        Ok(Self { response: json(serialize(thing)?), items: 1 })
    }
}

/// The items of a page as JSON, up to [`PAGE_BYTES_MAX`].
pub(crate) struct Page {
    json: Vec<u8>,
    items: usize,
}

impl Page {
    pub(crate) fn new() -> Self {
        Self { json: br#"{"items":["#.to_vec(), items: 0 }
    }

    /// Adds an item, unless the page would grow beyond its limit; the first always has its place. Answers whether it
    /// was added.
    pub(crate) fn add(&mut self, item: &impl Serialize) -> Result<bool, Failure> {
        let item = serialize(item)?;
        if self.items > 0 && self.json.len() + item.len() > PAGE_BYTES_MAX {
            return Ok(false);
        }
        if self.items > 0 {
            self.json.push(b',');
        }
        self.json.extend_from_slice(&item);
        self.items += 1;
        Ok(true)
    }

    /// The page, with the cursor of the page behind it.
    pub(crate) fn answer(mut self, next: Option<&str>) -> Result<Answer, Failure> {
        self.json.extend_from_slice(br#"],"next":"#);
        self.json.extend(serialize(&next)?);
        self.json.push(b'}');
        Ok(Answer { response: json(self.json), items: self.items })
    }
}

fn serialize(thing: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(thing).map_err(|error| Failure::damaged(error.to_string()))
}

fn json(body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    let length = HeaderValue::from(response.body().len());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store")); // it depends on the token
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_list_and_a_cursor() {
        let mut page = Page::new();
        assert!(page.add(&1).expect("added") && page.add(&"b").expect("added"));
        let answer = page.answer(Some("c")).expect("an answer");
        assert_eq!(answer.response.body(), r#"{"items":[1,"b"],"next":"c"}"#);
        assert_eq!(answer.response.headers()[CONTENT_LENGTH], "28");
        let empty = Page::new().answer(None).expect("an answer");
        assert_eq!(empty.response.body(), r#"{"items":[],"next":null}"#);
    }

    #[test]
    fn a_page_ends_before_its_limit_but_takes_one_item() {
        let huge = "x".repeat(PAGE_BYTES_MAX);
        let mut page = Page::new();
        assert!(page.add(&huge).expect("the first"));
        assert!(!page.add(&"y").expect("the second"));
        assert_eq!(page.answer(None).expect("an answer").items, 1);
    }
}
