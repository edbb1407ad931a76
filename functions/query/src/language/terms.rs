//! One term: a field and its value, a word or a phrase.

use tributary_ports::search::{BoolField, Filter, Range, TextField};

use super::error::Wrong;
use super::fields::{self, Field, Measure};
use super::numbers;
use super::scanner::Scanner;

/// A value as it was written.
struct Value {
    /// Where it begins, its operator included.
    at: usize,
    /// `>`, `>=`, `<`, `<=`, or empty.
    operator: &'static str,
    /// Without quotes, escapes and the star at its end.
    text: String,
    quoted: bool,
    /// Whether a `*` stands at its end.
    star: bool,
}

impl Value {
    fn wrong(&self, message: impl Into<String>) -> Wrong {
        Wrong::new(self.at, message)
    }

    /// Whether it is this bare text and nothing else.
    fn is_bare(&self, text: &str) -> bool {
        !self.quoted && !self.star && self.operator.is_empty() && self.text == text
    }
}

/// Reads the term that begins here.
pub(super) fn term(scanner: &mut Scanner<'_>) -> Result<Filter, Wrong> {
    let at = scanner.position();
    if let Some(phrase) = scanner.take_quoted()? {
        ends(scanner)?;
        return words(at, &phrase);
    }
    let word = scanner.take_word();
    match scanner.peek() {
        Some(':') => {
            let field = named(at, word)?;
            valued(scanner, &field)
        }
        Some('"') if is_metric_prefix(word) => quoted_metric(scanner),
        _ => bare_word(scanner, at, word),
    }
}

/// A term is followed by a blank, a parenthesis or nothing.
fn ends(scanner: &Scanner<'_>) -> Result<(), Wrong> {
    match scanner.peek() {
        Some(':') => Err(scanner.wrong("a field's name stands without quotes in front of a colon, such as function:x")),
        _ if scanner.at_boundary() => Ok(()),
        _ => Err(scanner.wrong("a blank is expected here; a value with blanks, quotes or parentheses is quoted whole")),
    }
}

fn is_metric_prefix(word: &str) -> bool {
    word == "metric." || word == "metrics."
}

fn named(at: usize, name: &str) -> Result<Field, Wrong> {
    if name.is_empty() {
        return Err(Wrong::new(at, "a field's name is expected before the colon, such as function:checkout"));
    }
    if is_metric_prefix(name) {
        return Err(Wrong::new(at, "a metric's name is expected behind the dot, such as metric.cart_total:>100"));
    }
    match name.strip_prefix("metric.").or_else(|| name.strip_prefix("metrics.")) {
        Some(metric) => Ok(Field::Metric(metric.to_owned())),
        None => fields::field(name).map_err(|message| Wrong::new(at, message)),
    }
}

fn quoted_metric(scanner: &mut Scanner<'_>) -> Result<Filter, Wrong> {
    let name = scanner.take_quoted()?.unwrap_or_default();
    if scanner.peek() != Some(':') {
        return Err(scanner.wrong("a colon is expected behind the metric's name, such as metric.\"cart total\":>100"));
    }
    valued(scanner, &Field::Metric(name))
}

fn bare_word(scanner: &Scanner<'_>, at: usize, word: &str) -> Result<Filter, Wrong> {
    if let Some((name, rest)) = fields::lacks_colon(word) {
        return Err(Wrong::new(at + name.len(), format!("a colon is expected here: {name}:{rest}")));
    }
    if let Some(star) = word.find('*') {
        return Err(Wrong::new(
            at + star,
            "a word is found whole; a * works behind a field only, such as function:check*",
        ));
    }
    if scanner.peek() != Some('(') {
        ends(scanner)?;
    }
    words(at, word)
}

/// The words of a text: its runs of letters and digits.
fn words(at: usize, text: &str) -> Result<Filter, Wrong> {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_owned).collect();
    if words.is_empty() {
        return Err(Wrong::new(at, "a word with a letter or a digit is expected here"));
    }
    Ok(Filter::Words(words))
}

fn valued(scanner: &mut Scanner<'_>, field: &Field) -> Result<Filter, Wrong> {
    scanner.take(':');
    let value = value(scanner)?;
    ends(scanner)?;
    match field {
        Field::Text(field) => text(*field, value),
        Field::Bool(field) => boolean(*field, &value),
        Field::Number(field, measure) => Ok(Filter::InRange(*field, range(&value, *measure)?)),
        Field::Memory => memory(&value),
        Field::Error => error(value),
        Field::Metric(name) => metric(name, value),
    }
}

fn value(scanner: &mut Scanner<'_>) -> Result<Value, Wrong> {
    let at = scanner.position();
    let operator = scanner.take_any(&[">=", "<=", ">", "<"]).unwrap_or_default();
    if let Some(text) = scanner.take_quoted()? {
        let star = scanner.take('*');
        return Ok(Value { at, operator, text, quoted: true, star });
    }
    let start = scanner.position();
    let bare = scanner.take_value();
    if bare.is_empty() {
        return Err(Wrong::new(start, "a value is expected here, without a blank before it"));
    }
    let text = bare.strip_suffix('*').unwrap_or(bare);
    if let Some(inner) = text.find('*') {
        return Err(Wrong::new(start + inner, "a * stands at the end only; quote the value if the * is part of it"));
    }
    Ok(Value { at, operator, text: text.to_owned(), quoted: false, star: text.len() < bare.len() })
}

fn text(field: TextField, value: Value) -> Result<Filter, Wrong> {
    if !value.operator.is_empty() {
        return Err(value.wrong("this field holds a text; > and < need a number, such as duration:>500ms"));
    }
    if !value.star {
        return Ok(Filter::Is(field, value.text));
    }
    if value.text.is_empty() {
        return Err(value.wrong("a character is expected before the *, such as function:check*"));
    }
    Ok(Filter::StartsWith(field, value.text))
}

fn truth(value: &Value) -> Option<bool> {
    [true, false].into_iter().find(|truth| value.is_bare(if *truth { "true" } else { "false" }))
}

fn not_unless(wanted: bool, filter: Filter) -> Filter {
    if wanted { filter } else { Filter::Not(Box::new(filter)) }
}

fn boolean(field: BoolField, value: &Value) -> Result<Filter, Wrong> {
    let wanted = truth(value).ok_or_else(|| value.wrong("true or false is expected here"))?;
    Ok(not_unless(wanted, Filter::True(field)))
}

fn range(value: &Value, measure: Measure) -> Result<Range, Wrong> {
    if value.star {
        return Err(value.wrong("a number takes no *; a range is written 100..200, 100.. or ..200"));
    }
    numbers::range(value.operator, &value.text, measure).map_err(|message| value.wrong(message))
}

fn memory(value: &Value) -> Result<Filter, Wrong> {
    let (field, measure) = numbers::memory_field(&value.text).map_err(|message| value.wrong(message))?;
    Ok(Filter::InRange(field, range(value, measure)?))
}

fn error(value: Value) -> Result<Filter, Wrong> {
    let any = value.star && value.text.is_empty() && value.operator.is_empty();
    match truth(&value) {
        _ if any => Ok(Filter::HasError),
        Some(wanted) => Ok(not_unless(wanted, Filter::HasError)),
        None => text(TextField::ErrorName, value),
    }
}

fn metric(name: &str, value: Value) -> Result<Filter, Wrong> {
    let name = name.to_owned();
    if value.star && !(value.text.is_empty() && value.operator.is_empty() && !value.quoted) {
        return Err(value.wrong("a metric's text is compared whole; a * alone asks whether there is such a metric"));
    }
    if value.star {
        return Ok(Filter::HasMetric(name));
    }
    if !value.operator.is_empty() {
        return Ok(Filter::MetricInRange(name, range(&value, Measure::Count)?));
    }
    if value.quoted || !numbers::is_plain(&value.text) {
        return Ok(Filter::MetricIs(name, value.text));
    }
    // A bare 200 is asked of a metric that was sent as a number or as a text.
    let number = Filter::MetricInRange(name.clone(), range(&value, Measure::Count)?);
    let is_range = value.text.contains("..");
    Ok(if is_range { number } else { Filter::Or(vec![number, Filter::MetricIs(name, value.text)]) })
}
