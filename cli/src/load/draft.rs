//! Changes to a report's text that leave every other byte as the agent sent it.

use std::ops::Range;

use tributary_model::Rejection;
use tributary_model::json::{Document, Value};

/// A report on its way to becoming another. A path that leads nowhere changes nothing.
#[derive(Debug)]
pub(super) struct Draft(String);

impl Draft {
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Puts `json` in the place of the value under `path`.
    pub(super) fn set(&mut self, path: &[&str], json: &str) -> Result<(), Rejection> {
        let found = self.find(|root| root.path(path).map(Value::span))?;
        self.replace(found, json);
        Ok(())
    }

    /// Adds items, written as JSON, at the end of the array under `path`.
    pub(super) fn append(&mut self, path: &[&str], items: &[String]) -> Result<(), Rejection> {
        if items.is_empty() {
            return Ok(());
        }
        let end = self.find(|root| {
            let array = root.path(path)?;
            let bracket = array.span().end.checked_sub(1)?;
            Some((bracket..bracket, array.items().next().is_none()))
        })?;
        let Some((end, was_empty)) = end else { return Ok(()) };
        let comma = if was_empty { "" } else { "," };
        self.replace(Some(end), &format!("{comma}{}", items.join(",")));
        Ok(())
    }

    /// Takes the key at the end of `path` and its value out of its object.
    pub(super) fn remove(&mut self, path: &[&str]) -> Result<(), Rejection> {
        let Some((key, parents)) = path.split_last() else { return Ok(()) };
        let found = self.find(|root| entry(root.path(parents)?, key))?;
        self.replace(found, "");
        Ok(())
    }

    fn find<T>(&self, seek: impl FnOnce(Value<'_, '_>) -> Option<T>) -> Result<Option<T>, Rejection> {
        Ok(seek(Document::parse(self.0.as_bytes())?.root()))
    }

    fn replace(&mut self, found: Option<Range<usize>>, with: &str) {
        if let Some(range) = found {
            self.0.replace_range(range, with);
        }
    }
}

/// Where `key`, its value and one comma beside them stand.
fn entry(object: Value<'_, '_>, key: &str) -> Option<Range<usize>> {
    let mut before = None;
    let mut entries = object.entries().peekable();
    while let Some((name, value)) = entries.next() {
        if name.is_text(key) {
            return Some(match (entries.peek(), before) {
                (Some((next, _)), _) => name.span().start..next.span().start,
                (None, Some(before)) => before..value.span().end,
                (None, None) => name.span().start..value.span().end,
            });
        }
        before = Some(value.span().end);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(change: impl FnOnce(&mut Draft) -> Result<(), Rejection>) -> String {
        let mut draft = Draft::new(r#"{"a": 1, "b": {"c": "ü", "d": []},"e":[2]}"#.to_owned());
        change(&mut draft).expect("JSON");
        draft.into_text()
    }

    #[test]
    fn a_value_is_replaced_and_nothing_else() {
        assert_eq!(changed(|draft| draft.set(&["b", "c"], "null")), r#"{"a": 1, "b": {"c": null, "d": []},"e":[2]}"#);
    }

    #[test]
    fn items_go_to_the_end_of_an_array() {
        let items = ["3".to_owned(), "4".to_owned()];
        assert_eq!(changed(|draft| draft.append(&["e"], &items)), r#"{"a": 1, "b": {"c": "ü", "d": []},"e":[2,3,4]}"#);
        assert_eq!(
            changed(|draft| draft.append(&["b", "d"], &items)),
            r#"{"a": 1, "b": {"c": "ü", "d": [3,4]},"e":[2]}"#
        );
    }

    #[test]
    fn an_entry_goes_with_one_comma() {
        assert_eq!(changed(|draft| draft.remove(&["a"])), r#"{"b": {"c": "ü", "d": []},"e":[2]}"#);
        assert_eq!(changed(|draft| draft.remove(&["b", "d"])), r#"{"a": 1, "b": {"c": "ü"},"e":[2]}"#);
        assert_eq!(changed(|draft| draft.remove(&["e"])), r#"{"a": 1, "b": {"c": "ü", "d": []}}"#);
    }

    #[test]
    fn a_path_that_leads_nowhere_changes_nothing() {
        let unchanged = changed(|_| Ok(()));
        assert_eq!(changed(|draft| draft.set(&["x"], "1")), unchanged);
        assert_eq!(changed(|draft| draft.append(&["a", "x"], &["1".to_owned()])), unchanged);
        assert_eq!(changed(|draft| draft.remove(&["b", "x"])), unchanged);
    }
}
