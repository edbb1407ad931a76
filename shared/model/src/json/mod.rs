//! JSON as agents really send it, read once into a flat tape: no copy, one allocation, every limit checked on the way.
//!
//! It accepts what RFC 8259 allows, and besides the literals `NaN`, `Infinity` and `-Infinity` (old Python set-ups send
//! them), lone surrogates in escapes (JavaScript cuts strings in half; they read as U+FFFD) and numbers of any size
//! (beyond a double's range they read as no number). One unreadable value must not cost the report. The same reader
//! serves the collector and the worker, so that what was admitted can be read later; where each value stands is kept,
//! so that the token can be replaced without touching another byte.

mod parser;

use std::borrow::Cow;
use std::ops::Range;

use crate::rejection::{Reason, Rejection};
use parser::Parser;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number, or `NaN`, `Infinity`, `-Infinity`.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Type {
    /// The type with its article, for a sentence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// One value of the tape: its bytes in the text, and where the tape goes on behind it and all it holds.
#[derive(Debug, Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    next: u32,
    what: Type,
    /// A string that holds a backslash.
    escaped: bool,
}

/// A text that was read as JSON.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

impl<'a> Document<'a> {
    /// Reads a whole text.
    ///
    /// # Errors
    /// `Malformed` with the byte at which it stops being JSON; `TooLarge` beyond [`JSON_DEPTH_MAX`] or
    /// [`JSON_VALUES_MAX`] (an object's keys count as values).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Rejection> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            Rejection::new(Reason::Malformed, format!("the text is not UTF-8 at byte {}", error.valid_up_to()))
        })?;
        if u32::try_from(text.len()).is_err() {
            return Err(Rejection::new(Reason::TooLarge, "the text has more than 4 GiB"));
        }
        Ok(Self { text, nodes: Parser::read(text)? })
    }

    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Value<'_, 'a> {
        Value { document: self, index: 0 }
    }

    /// The text that was read.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// Every string in the order of the text, objects' keys included.
    pub fn strings(&self) -> impl Iterator<Item = Value<'_, 'a>> {
        let strings = self.nodes.iter().enumerate().filter(|(_, node)| node.what == Type::String);
        strings.map(|(index, _)| Value { document: self, index })
    }
}

/// A value within a [`Document`]; cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Value<'d, 'a> {
    document: &'d Document<'a>,
    index: usize,
}

impl<'d, 'a> Value<'d, 'a> {
    fn node(self) -> Node {
        const NOTHING: Node = Node { start: 0, end: 0, next: 0, what: Type::Null, escaped: false };
        self.document.nodes.get(self.index).copied().unwrap_or(NOTHING)
    }

    /// What the value is.
    #[must_use]
    pub fn type_of(self) -> Type {
        self.node().what
    }

    /// The bytes that the value takes in the text, quotes and brackets included.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        let node = self.node();
        node.start as usize..node.end as usize
    }

    /// The value as it stands in the text.
    #[must_use]
    pub fn raw(self) -> &'a str {
        self.document.text.get(self.span()).unwrap_or_default()
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.type_of() == Type::Null
    }

    /// The value under `key`, if this is an object that has it. Of several equal keys the last counts.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        self.entries().filter(|(name, _)| name.is_text(key)).last().map(|(_, value)| value)
    }

    /// The values under `keys`, in the order of `keys`, if this is an object; of several equal keys the last counts.
    /// One pass, whatever the number of keys. `other` is told every entry whose key is none of them.
    pub fn pick_or<const N: usize>(self, keys: [&str; N], mut other: impl FnMut(Self, Self)) -> [Option<Self>; N] {
        let mut picked = [None; N];
        for (key, value) in self.entries() {
            let text = key.as_str().unwrap_or_default();
            match picked.iter_mut().zip(keys).find(|(_, name)| *name == text) {
                Some((slot, _)) => *slot = Some(value),
                None => other(key, value),
            }
        }
        picked
    }

    /// As [`Value::pick_or`], whatever other keys there are.
    #[must_use]
    pub fn pick<const N: usize>(self, keys: [&str; N]) -> [Option<Self>; N] {
        self.pick_or(keys, |_, _| {})
    }

    /// The value under `keys`, one nested in the other.
    #[must_use]
    pub fn path(self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The text of a string, escapes resolved.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        let node = self.node();
        if node.what != Type::String {
            return None;
        }
        let inner = self.document.text.get(node.start as usize + 1..node.end as usize - 1)?;
        Some(if node.escaped { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) })
    }

    /// A number that a double can hold; `NaN`, the infinities and numbers beyond its range are none.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        if self.type_of() != Type::Number {
            return None;
        }
        self.raw().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A boolean.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        (self.type_of() == Type::Bool).then(|| self.raw() == "true")
    }

    /// The items of an array; none if it is no array.
    pub fn items(self) -> impl Iterator<Item = Self> + use<'d, 'a> {
        self.children(Type::Array)
    }

    /// Keys and values of an object, in their order; none if it is no object.
    pub fn entries(self) -> impl Iterator<Item = (Self, Self)> + use<'d, 'a> {
        let mut children = self.children(Type::Object);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// Whether it is a string in which something stands escaped.
    #[must_use]
    pub fn is_escaped(self) -> bool {
        self.node().escaped
    }

    /// Whether this is the string `text`.
    #[must_use]
    pub fn is_text(self, text: &str) -> bool {
        let node = self.node();
        if node.escaped {
            return self.as_str().is_some_and(|own| own == text);
        }
        node.what == Type::String
            && self.document.text.get(node.start as usize + 1..node.end as usize - 1) == Some(text)
    }

    /// The value as an owned tree; a number that a double can't hold becomes `null`.
    #[must_use]
    pub fn to_tree(self) -> serde_json::Value {
        use serde_json::Value as Tree;
        match self.type_of() {
            Type::Null => Tree::Null,
            Type::Bool => Tree::Bool(self.raw() == "true"),
            Type::Number => self.number_tree(),
            Type::String => Tree::String(self.as_str().unwrap_or_default().into_owned()),
            Type::Array => Tree::Array(self.items().map(Self::to_tree).collect()),
            Type::Object => {
                let key = |key: Self| key.as_str().unwrap_or_default().into_owned();
                Tree::Object(self.entries().map(|(name, value)| (key(name), value.to_tree())).collect())
            }
        }
    }

    fn number_tree(self) -> serde_json::Value {
        if let Ok(integer) = self.raw().parse::<i64>() {
            return integer.into();
        }
        self.raw().parse::<u64>().map_or_else(|_| self.as_f64().into(), Into::into)
    }

    fn children(self, of: Type) -> impl Iterator<Item = Self> + use<'d, 'a> {
        let node = self.node();
        let end = if node.what == of { node.next as usize } else { 0 };
        let mut index = self.index + 1;
        std::iter::from_fn(move || {
            let child = (index < end).then_some(Self { document: self.document, index })?;
            index = child.node().next as usize;
            Some(child)
        })
    }
}

/// Resolves the escapes of a string that was found well-formed; a lone surrogate becomes U+FFFD.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let (letter, after) = escape.split_at_checked(1).unwrap_or(("", ""));
        rest = after;
        match letter {
            "n" => out.push('\n'),
            "t" => out.push('\t'),
            "r" => out.push('\r'),
            "b" => out.push('\u{8}'),
            "f" => out.push('\u{c}'),
            "u" => {
                let (character, taken) = unicode_escape(after);
                out.push(character);
                rest = after.get(taken..).unwrap_or_default();
            }
            other => out.push_str(other),
        }
    }
    out.push_str(rest);
    out
}

/// The character of the escape behind `\u`, and how many bytes it takes: 4, or 10 for a pair of surrogates.
fn unicode_escape(after: &str) -> (char, usize) {
    let unit = |text: &str| text.get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let first = unit(after).unwrap_or(0xfffd);
    if let Some(character) = char::from_u32(first) {
        return (character, 4);
    }
    let low = after.get(4..).and_then(|rest| rest.strip_prefix("\\u")).and_then(unit);
    match low {
        Some(low @ 0xdc00..=0xdfff) if first < 0xdc00 => {
            let scalar = 0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(scalar).unwrap_or('\u{fffd}'), 10)
        }
        _ => ('\u{fffd}', 4),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX};

    fn tree(text: &str) -> Result<serde_json::Value, Rejection> {
        Document::parse(text.as_bytes()).map(|document| document.root().to_tree())
    }

    #[test]
    fn it_reads_what_agents_send_beyond_the_standard() {
        let text = r#"{"n":NaN,"i":[Infinity,-Infinity],"big":1e400,"half":"\ud83d!","pair":"\ud83d\ude80","n":1e+21}"#;
        let document = Document::parse(text.as_bytes()).expect("readable");
        let root = document.root();
        assert_eq!(root.get("n").and_then(Value::as_f64), Some(1e21), "the last of equal keys counts");
        assert_eq!(root.get("big").and_then(Value::as_f64), None);
        assert_eq!(root.get("half").and_then(Value::as_str).as_deref(), Some("\u{fffd}!"));
        assert_eq!(root.get("pair").and_then(Value::as_str).as_deref(), Some("🚀"));
        assert_eq!(root.get("i").map(Value::to_tree), Some(serde_json::json!([null, null])));
    }

    #[test]
    fn what_is_no_json_names_the_byte() {
        for (text, byte) in [
            ("", 0),
            ("{", 1),
            ("[1,]", 3),
            ("{\"a\" 1}", 5),
            ("\"\\x\"", 1),
            ("01", 2),
            ("1 2", 2),
            ("nul", 0),
            ("\"a", 2),
            ("{\"a\":1,}", 7),
        ] {
            let rejection = tree(text).expect_err(text);
            assert_eq!(rejection.reason, Reason::Malformed);
            assert!(rejection.detail.starts_with(&format!("not JSON at byte {byte}:")), "{text}: {rejection}");
        }
    }

    #[test]
    fn depth_and_count_are_bounded() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(tree(&nested(JSON_DEPTH_MAX)).is_ok());
        assert_eq!(tree(&nested(JSON_DEPTH_MAX + 2)).map_err(|rejection| rejection.reason), Err(Reason::TooLarge));
        let many = format!("[{}1]", "1,".repeat(JSON_VALUES_MAX));
        assert_eq!(tree(&many).map_err(|rejection| rejection.reason), Err(Reason::TooLarge));
    }

    #[test]
    fn picking_takes_the_last_of_equal_keys_and_tells_the_others() {
        let document = Document::parse(br#"{"a":1,"b":2,"\u0061":3,"c":[]}"#).expect("readable");
        let mut others = Vec::new();
        let [a, missing] = document.root().pick_or(["a", "d"], |key, value| others.push((key.raw(), value.raw())));
        assert_eq!((a.and_then(Value::as_f64), missing.is_none()), (Some(3.0), true));
        assert_eq!(others, [("\"b\"", "2"), ("\"c\"", "[]")]);
        let strings: Vec<_> = document.strings().map(Value::raw).collect();
        assert_eq!(strings, ["\"a\"", "\"b\"", "\"\\u0061\"", "\"c\""]);
    }

    #[test]
    fn spans_are_the_bytes_of_the_value() {
        let text = r#" {"client_id" : "a.b" } "#;
        let document = Document::parse(text.as_bytes()).expect("readable");
        let value = document.root().get("client_id").expect("there");
        assert_eq!(&text[value.span()], "\"a.b\"");
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<i32>().prop_map(|eighths| (f64::from(eighths) / 8.0).into()), // read alike by every reader
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                proptest::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_json_on_what_is_json(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("JSON");
            let expected: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(tree(&text), Ok(expected));
        }

        #[test]
        fn it_agrees_with_serde_json_on_what_is_not(text in "[\\[\\]{}\",:0-9a-z\\\\ .eE+-]{0,24}") {
            let ours = tree(&text);
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(expected) => prop_assert_eq!(ours, Ok(expected)),
                Err(error) if error.to_string().contains("number out of range") => prop_assert!(ours.is_ok()),
                Err(error) if error.to_string().contains("surrogate") => {}
                Err(_) => prop_assert!(ours.is_err(), "{} was read", text),
            }
        }

        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(document) = Document::parse(&bytes) {
                let _ = document.root().to_tree();
            }
        }
    }
}
