//! Custom metrics.

use std::borrow::Cow;

use tributary_model::invocation::Metric;
use tributary_model::json::{Type, Value};
use tributary_model::limits::{METRIC_NAME_BYTES_MAX, METRIC_TEXT_BYTES_MAX, METRICS_MAX};

use super::event::EVENT_INFO;
use super::reading::{Reading, numeral};

/// The metrics in their order; a name may come again. What the JavaScript agent writes for a value that the event did
/// not have (`undefined`) is left out, as the other agents leave it out.
pub(super) fn metrics(reading: &mut Reading, metrics: Option<Value<'_, '_>>) -> Vec<Metric> {
    let items = reading.objects("custom_metrics", metrics, METRICS_MAX).into_iter();
    items.filter_map(|(at, item)| metric(reading, at, item)).filter(|metric| !is_undefined(metric)).collect()
}

fn is_undefined(metric: &Metric) -> bool {
    metric.name.starts_with(EVENT_INFO) && metric.s.as_deref() == Some("undefined")
}

fn metric(reading: &mut Reading, at: usize, item: Value<'_, '_>) -> Option<Metric> {
    let [name, n, s] = item.pick(["name", "n", "s"]);
    let named = name.is_some_and(|name| !name.is_null());
    if !named {
        reading.remove(format_args!("custom_metrics[{at}]"), "has no name");
        return None;
    }
    let removed_before = reading.removed_count;
    let name = reading.name(format_args!("custom_metrics[{at}].name"), name, METRIC_NAME_BYTES_MAX);
    if reading.removed_count > removed_before {
        return None;
    }
    let (n, n_as_text) = number_or_text(n);
    let s = text(s).or(n_as_text);
    let s = s.map(|text| reading.cut(format_args!("custom_metrics[{at}].s"), text, METRIC_TEXT_BYTES_MAX));
    Some(Metric { name, n, s })
}

/// A number. Booleans are what they are in Python, 1 and 0; NaN, infinities, numbers beyond a double's range and
/// whatever else is no number become the text that the JavaScript agent writes for them.
fn number_or_text<'a>(n: Option<Value<'_, 'a>>) -> (Option<f64>, Option<Cow<'a, str>>) {
    let Some(value) = n else { return (None, None) };
    let number = match value.type_of() {
        Type::Number => value.as_f64(),
        Type::Bool => value.as_bool().map(|flag| if flag { 1.0 } else { 0.0 }),
        Type::String => value.as_str().and_then(|text| numeral(&text)),
        Type::Null | Type::Array | Type::Object => None,
    };
    (number, if number.is_none() { text(n) } else { None })
}

/// A text; what is no text is taken as its JSON.
fn text<'a>(s: Option<Value<'_, 'a>>) -> Option<Cow<'a, str>> {
    let value = s.filter(|value| !value.is_null())?;
    Some(value.as_str().unwrap_or(Cow::Borrowed(value.raw())))
}

#[cfg(test)]
mod tests {
    use tributary_model::json::Document;

    use super::*;

    fn read(json: &str) -> (Vec<Metric>, Reading) {
        let document = Document::parse(json.as_bytes()).expect("JSON");
        let mut reading = Reading::default();
        let metrics = metrics(&mut reading, Some(document.root()));
        (metrics, reading)
    }

    fn one(json: &str) -> (Option<f64>, Option<String>) {
        let (mut metrics, reading) = read(&format!("[{json}]"));
        assert_eq!((metrics.len(), reading.removed), (1, vec![]), "{json}");
        let metric = metrics.remove(0);
        (metric.n, metric.s)
    }

    #[test]
    fn every_form_of_a_value_is_kept() {
        let text = |text: &str| Some(text.to_owned());
        for (json, n, s) in [
            (r#"{"name":"x","n":42}"#, Some(42.0), None),
            (r#"{"name":"x","n":10000000000000000000000000}"#, Some(1e25), None),
            (r#"{"name":"x","n":true}"#, Some(1.0), None),
            (r#"{"name":"x","n":"7.5"}"#, Some(7.5), None),
            (r#"{"name":"x","n":NaN}"#, None, text("NaN")),
            (r#"{"name":"x","n":-Infinity}"#, None, text("-Infinity")),
            (r#"{"name":"x","n":1e999,"s":null}"#, None, text("1e999")),
            (r#"{"name":"x","n":null,"s":"a"}"#, None, text("a")),
            (r#"{"name":"x","n":5,"s":null}"#, Some(5.0), None),
            (r#"{"name":"x","n":1,"s":"one"}"#, Some(1.0), text("one")),
            (r#"{"name":"x","s":[1, 2]}"#, None, text("[1, 2]")),
            (r#"{"name":"","n":null,"s":null}"#, None, None),
            (r#"{"name":5,"s":"undefined"}"#, None, text("undefined")),
        ] {
            assert_eq!(one(json), (n, s), "{json}");
        }
    }

    #[test]
    fn a_metric_without_a_usable_name_is_removed_and_its_neighbours_stay() {
        let long = "x".repeat(METRIC_NAME_BYTES_MAX + 1);
        let (metrics, reading) =
            read(&format!(r#"[{{"n":1}},{{"name":"{long}","n":1}},7,{{"name":"a","n":1}},{{"name":"a","n":2}}]"#));
        assert_eq!(metrics.iter().map(|metric| metric.n).collect::<Vec<_>>(), [Some(1.0), Some(2.0)]);
        let removed: Vec<String> = reading.removed.iter().map(|r| format!("{} {}", r.field, r.reason)).collect();
        assert_eq!(
            removed,
            [
                "custom_metrics[2] is a number; an object is needed",
                "custom_metrics[0] has no name",
                "custom_metrics[1].name has 513 bytes; the limit is 512",
            ]
        );
    }

    #[test]
    fn a_long_text_is_cut_and_said() {
        let (metrics, reading) = read(&format!(r#"[{{"name":"x","s":"{}"}}]"#, "y".repeat(METRIC_TEXT_BYTES_MAX + 1)));
        assert_eq!(metrics[0].s.as_deref().map(str::len), Some(METRIC_TEXT_BYTES_MAX));
        assert_eq!(reading.removed[0].field, "custom_metrics[0].s");
        assert_eq!(reading.removed[0].reason, "has 8193 bytes; cut to the limit of 8192");
    }

    #[test]
    fn values_that_the_event_did_not_have_are_left_out() {
        let (metrics, reading) =
            read(r#"[{"name":"@iopipe/event-info.s3.x","s":"undefined"},{"name":"u","s":"undefined"}]"#);
        assert_eq!((metrics.len(), reading.removed_count), (1, 0));
    }
}
