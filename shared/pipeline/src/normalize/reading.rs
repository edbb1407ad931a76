//! Lenient reading of a report's values. What breaks a limit or makes no sense is removed or cut, and noted.

use std::borrow::Cow;
use std::fmt::Display;

use tributary_model::TimestampMs;
use tributary_model::invocation::Removed;
use tributary_model::json::{Type, Value};
use tributary_model::limits::{REMOVED_MAX, TEXT_BYTES_MAX, UNKNOWN_BYTES_MAX};

/// Reads the values of one report and gathers what had to go. A value that is missing or null is no fault.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) removed: Vec<Removed>,
    pub(super) removed_count: u32,
    pub(super) unknown: serde_json::Map<String, serde_json::Value>,
    unknown_bytes: usize,
}

impl Reading {
    /// Notes that `field` was removed or cut. The reason holds sizes and limits, never the value.
    pub(super) fn remove(&mut self, field: impl Display, reason: impl Into<String>) {
        self.removed_count = self.removed_count.saturating_add(1);
        if self.removed.len() < REMOVED_MAX {
            let mut field = field.to_string();
            field.truncate(cut(&field, TEXT_BYTES_MAX).len());
            self.removed.push(Removed { field, reason: reason.into() });
        }
    }

    /// A text; empty if there is none. A number or a boolean is taken as it is written; anything else is removed.
    pub(super) fn any_text<'a>(&mut self, field: impl Display, value: Option<Value<'_, 'a>>) -> Cow<'a, str> {
        let Some(value) = value else { return Cow::Borrowed("") };
        match value.type_of() {
            Type::String => value.as_str().unwrap_or_default(),
            Type::Number | Type::Bool => Cow::Borrowed(value.raw()),
            Type::Null => Cow::Borrowed(""),
            Type::Array | Type::Object => {
                self.remove(field, format!("is {}; a text is needed", value.type_of().name()));
                Cow::Borrowed("")
            }
        }
    }

    /// A text of at most `bytes_max` bytes; a longer one is removed, because a cut name is another name.
    pub(super) fn name(&mut self, field: impl Display, value: Option<Value<'_, '_>>, bytes_max: usize) -> String {
        let text = self.any_text(&field, value);
        if text.len() <= bytes_max {
            return text.into_owned();
        }
        self.remove(field, format!("has {} bytes; the limit is {bytes_max}", text.len()));
        String::new()
    }

    /// An ordinary text: a name of at most [`TEXT_BYTES_MAX`] bytes.
    pub(super) fn text(&mut self, field: impl Display, value: Option<Value<'_, '_>>) -> String {
        self.name(field, value, TEXT_BYTES_MAX)
    }

    /// A text of which the first `bytes_max` bytes are kept.
    pub(super) fn cut_text(&mut self, field: impl Display, value: Option<Value<'_, '_>>, bytes_max: usize) -> String {
        let text = self.any_text(&field, value);
        self.cut(field, text, bytes_max)
    }

    /// The first `bytes_max` bytes of a text.
    pub(super) fn cut(&mut self, field: impl Display, text: Cow<'_, str>, bytes_max: usize) -> String {
        if text.len() <= bytes_max {
            return text.into_owned();
        }
        self.remove(field, format!("has {} bytes; cut to the limit of {bytes_max}", text.len()));
        cut(&text, bytes_max).to_owned()
    }

    /// A number, also one in a string. NaN, infinities and what is no number are removed.
    pub(super) fn number(&mut self, field: impl Display, value: Option<Value<'_, '_>>) -> Option<f64> {
        let value = value?;
        let number = match value.type_of() {
            Type::Null => return None,
            Type::Number => value.as_f64(),
            Type::String => numeral(&value.as_str()?),
            Type::Bool | Type::Array | Type::Object => None,
        };
        if number.is_none() {
            let reason = match value.type_of() {
                Type::Number => "is not finite, or beyond what a double can hold".to_owned(),
                other => format!("is {} that is no number", other.name()),
            };
            self.remove(field, reason);
        }
        number
    }

    /// A number that is no less than 0.
    pub(super) fn amount(&mut self, field: impl Display, value: Option<Value<'_, '_>>) -> Option<f64> {
        let number = self.number(&field, value)?;
        if number >= 0.0 {
            return Some(number);
        }
        self.remove(field, "is negative");
        None
    }

    /// A count; decimals are dropped.
    pub(super) fn count(&mut self, field: impl Display, value: Option<Value<'_, '_>>) -> Option<u32> {
        let number = self.amount(&field, value)?;
        let count = u32::try_from(whole(number)).ok();
        if count.is_none() {
            self.remove(field, format!("is greater than {}", u32::MAX));
        }
        count
    }

    /// An instant in milliseconds since 1970, between the years 1 and 9999.
    pub(super) fn instant(&mut self, field: impl Display, value: Option<Value<'_, '_>>) -> Option<TimestampMs> {
        const RANGE_MS: std::ops::RangeInclusive<f64> = -62_135_596_800_000.0..=253_402_300_799_999.0;
        let number = self.number(&field, value)?;
        if RANGE_MS.contains(&number) {
            return Some(TimestampMs(whole(number)));
        }
        self.remove(field, "is no instant between the years 1 and 9999");
        None
    }

    /// `true` or `false`, also as a string.
    pub(super) fn flag(&mut self, field: impl Display, value: Option<Value<'_, '_>>) -> Option<bool> {
        let value = value?;
        match value.as_bool() {
            _ if value.is_null() => None,
            Some(flag) => Some(flag),
            None if value.is_text("true") => Some(true),
            None if value.is_text("false") => Some(false),
            None => {
                self.remove(field, format!("is {}; true or false is needed", value.type_of().name()));
                None
            }
        }
    }

    /// The first `count_max` items of an array with their positions; how many more there are is noted.
    pub(super) fn items<'d, 'a>(
        &mut self,
        field: &str,
        value: Option<Value<'d, 'a>>,
        count_max: usize,
    ) -> impl Iterator<Item = (usize, Value<'d, 'a>)> + use<'d, 'a> {
        let array = value.filter(|value| !value.is_null());
        if let Some(other) = array.filter(|value| value.type_of() != Type::Array) {
            self.remove(field, format!("is {}; an array is needed", other.type_of().name()));
        }
        let beyond = array.map_or(0, |array| array.items().skip(count_max).count());
        if beyond > 0 {
            self.remove(field, format!("has {} items; the limit is {count_max}", count_max + beyond));
            let others = u32::try_from(beyond - 1).unwrap_or(u32::MAX);
            self.removed_count = self.removed_count.saturating_add(others);
        }
        array.into_iter().flat_map(Value::items).take(count_max).enumerate()
    }

    /// As [`Reading::items`], of which only objects are taken and the others removed.
    pub(super) fn objects<'d, 'a>(
        &mut self,
        field: &str,
        value: Option<Value<'d, 'a>>,
        count_max: usize,
    ) -> Vec<(usize, Value<'d, 'a>)> {
        let items = self.items(field, value, count_max);
        let (objects, others) = items.partition::<Vec<_>, _>(|(_, item)| item.type_of() == Type::Object);
        for (at, other) in others {
            let reason = format!("is {}; an object is needed", other.type_of().name());
            self.remove(format_args!("{field}[{at}]"), reason);
        }
        objects
    }

    /// Keeps an entry that this build doesn't know, as `parent.key`; all of them together within [`UNKNOWN_BYTES_MAX`].
    pub(super) fn keep_unknown(&mut self, parent: &str, key: Value<'_, '_>, value: Value<'_, '_>) {
        let name = key.as_str().unwrap_or_default();
        let field = if parent.is_empty() { name.into_owned() } else { format!("{parent}.{name}") };
        let bytes = field.len() + value.span().len();
        if self.unknown_bytes + bytes > UNKNOWN_BYTES_MAX {
            self.remove(field, format!("has {bytes} bytes; all unknown keys together may have {UNKNOWN_BYTES_MAX}"));
            return;
        }
        self.unknown_bytes += bytes;
        self.unknown.insert(field, value.to_tree());
    }
}

/// The longest beginning of a text that has at most `bytes_max` bytes and whole characters.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// A number written as a text. Unlike Rust's own reading, no names like `inf`.
pub(super) fn numeral(text: &str) -> Option<f64> {
    let text = text.trim();
    let digit_first = text.trim_start_matches(['-', '+']).starts_with(|first: char| first.is_ascii_digit());
    text.parse().ok().filter(|number: &f64| digit_first && number.is_finite())
}

/// A number without its decimals; beyond 64 bits the nearest that there is.
#[expect(clippy::cast_possible_truncation, reason = "`as` from a float saturates, which is what is wanted")]
pub(super) const fn whole(number: f64) -> i64 {
    number as i64
}

#[cfg(test)]
mod tests {
    use tributary_model::json::Document;

    use super::*;

    fn read<T>(json: &str, read: impl Fn(&mut Reading, Option<Value<'_, '_>>) -> T) -> (T, Vec<String>) {
        let document = Document::parse(json.as_bytes()).expect("JSON");
        let mut reading = Reading::default();
        let value = read(&mut reading, Some(document.root()));
        (value, reading.removed.into_iter().map(|removed| format!("{} {}", removed.field, removed.reason)).collect())
    }

    #[test]
    fn numbers_are_read_in_every_form_that_agents_send() {
        let number = |json| read(json, |reading, value| reading.number("x", value));
        for (json, expected) in [("128", 128.0), ("\"128\"", 128.0), ("\" 1.5\\n\"", 1.5), ("1e+21", 1e21)] {
            assert_eq!(number(json), (Some(expected), vec![]), "{json}");
        }
        assert_eq!(number("null"), (None, vec![]));
        for (json, problem) in [
            ("NaN", "is not finite, or beyond what a double can hold"),
            ("1e999", "is not finite, or beyond what a double can hold"),
            ("\"inf\"", "is a string that is no number"),
            ("\"\"", "is a string that is no number"),
            ("true", "is a boolean that is no number"),
        ] {
            assert_eq!(number(json), (None, vec![format!("x {problem}")]), "{json}");
        }
    }

    #[test]
    fn amounts_counts_and_instants_have_a_range() {
        assert_eq!(read("-1", |r, v| r.amount("x", v)), (None, vec!["x is negative".to_owned()]));
        assert_eq!(read("\"7.9\"", |r, v| r.count("x", v)), (Some(7), vec![]));
        assert_eq!(read("5e9", |r, v| r.count("x", v)).0, None);
        assert_eq!(read("1795284061873.9", |r, v| r.instant("x", v)), (Some(TimestampMs(1_795_284_061_873)), vec![]));
        assert_eq!(read("1e15", |r, v| r.instant("x", v)).0, None);
        assert_eq!(read("\"true\"", |r, v| r.flag("x", v)), (Some(true), vec![]));
        assert_eq!(read("1", |r, v| r.flag("x", v)).0, None);
    }

    #[test]
    fn texts_are_taken_removed_or_cut() {
        assert_eq!(read("3", |r, v| r.text("x", v)), ("3".to_owned(), vec![]));
        assert_eq!(read("[3]", |r, v| r.text("x", v)).1, ["x is an array; a text is needed"]);
        assert_eq!(read("\"aéb\"", |r, v| r.name("x", v, 3)).1, ["x has 4 bytes; the limit is 3"]);
        let cut = read("\"aéb\"", |r, v| r.cut_text("x", v, 2));
        assert_eq!(cut, ("a".to_owned(), vec!["x has 4 bytes; cut to the limit of 2".to_owned()]));
    }

    #[test]
    fn more_items_than_the_limit_are_counted_and_noted_once() {
        let document = Document::parse(b"[1,2,3,4,5]").expect("JSON");
        let mut reading = Reading::default();
        let positions: Vec<usize> = reading.items("x", Some(document.root()), 2).map(|(at, _)| at).collect();
        assert_eq!((positions, reading.removed_count), (vec![0, 1], 3));
        assert_eq!(reading.removed.len(), 1);
    }

    #[test]
    fn the_list_of_removed_fields_is_bounded_and_the_count_is_not() {
        let mut reading = Reading::default();
        for at in 0..2 * REMOVED_MAX {
            reading.remove(format_args!("{}[{at}]", "x".repeat(TEXT_BYTES_MAX)), "is negative");
        }
        assert_eq!((reading.removed.len(), reading.removed_count), (REMOVED_MAX, 100));
        assert!(reading.removed.iter().all(|removed| removed.field.len() == TEXT_BYTES_MAX));
    }
}
