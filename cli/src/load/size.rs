//! A report cut or filled to a wanted size, with what makes real ones small and large.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tributary_model::{Rejection, Report, TimestampMs};

use super::draft::Draft;

/// Lists that a report can do without, in the order in which they are emptied.
const LISTS: [&[&str]; 5] =
    [&["performanceEntries"], &["httpTraceEntries"], &["dbTraceEntries"], &["plugins"], &["custom_metrics"]];

/// What else a report can do without, in the order in which it goes; what is not there costs nothing.
const FIELDS: [&[&str]; 19] = [
    &["environment", "os", "cpus"],
    &["environment", "os", "linux"],
    &["environment", "nodejs"],
    &["environment", "python"],
    &["environment", "host"],
    &["disk"],
    &["errors", "stack"],
    &["aws", "traceId"],
    &["aws", "logStreamName"],
    &["environment", "os"],
    &["performanceEntries"],
    &["httpTraceEntries"],
    &["dbTraceEntries"],
    &["environment", "runtime"],
    &["aws", "logGroupName"],
    &["aws", "getRemainingTimeInMillis"],
    &["installMethod"],
    &["eventType"],
    &["labels"],
];

const WORDS: [&str; 16] = [
    "order",
    "customer",
    "payment",
    "refused",
    "timeout",
    "retry",
    "cache",
    "miss",
    "eu-west-1",
    "basket",
    "shipped",
    "stock",
    "upstream",
    "200",
    "OK",
    "pending",
];

/// Bytes of the longer texts that are added: as long as the agents' documents let a metric's text be.
const TEXT_BYTES: std::ops::Range<usize> = 700..1024;

/// Makes `draft` about `bytes` long: not longer if enough can go, and shorter by less than a small metric.
pub(super) fn fit(draft: &mut Draft, bytes: usize, random: &mut StdRng) -> Result<(), Rejection> {
    for list in LISTS {
        if draft.text().len() > bytes {
            draft.set(list, "[]")?;
        }
    }
    for field in FIELDS {
        if draft.text().len() > bytes {
            draft.remove(field)?;
        }
    }
    fill(draft, bytes.saturating_sub(draft.text().len()), random)
}

fn fill(draft: &mut Draft, room: usize, random: &mut StdRng) -> Result<(), Rejection> {
    let begun = Report::parse(draft.text().as_bytes())?.timestamp();
    let mut filling = Filling { room, ..Filling::default() };
    while filling.add_round(begun, random) {}
    filling.add_note(random);
    draft.append(&["custom_metrics"], &filling.metrics)?;
    draft.append(&["httpTraceEntries"], &filling.calls)?;
    draft.append(&["performanceEntries"], &filling.measures)
}

/// What is added, by the list that it goes to.
#[derive(Default)]
struct Filling {
    metrics: Vec<String>,
    calls: Vec<String>,
    measures: Vec<String>,
    /// Bytes that may still be added.
    room: usize,
}

impl Filling {
    /// Adds one of each; whether all had room.
    fn add_round(&mut self, begun: TimestampMs, random: &mut StdRng) -> bool {
        self.add(|filling| &mut filling.metrics, number(random))
            && self.add(|filling| &mut filling.calls, call(begun, random))
            && self.add(|filling| &mut filling.measures, measure(begun, random))
            && self.add(|filling| &mut filling.metrics, text(random.random_range(TEXT_BYTES), random))
    }

    /// Fills the rest with one text, if a metric has room at all.
    fn add_note(&mut self, random: &mut StdRng) {
        let comma = 1;
        if let Some(bytes) = self.room.checked_sub(text(0, random).len() + comma) {
            self.add(|filling| &mut filling.metrics, text(bytes, random));
        }
    }

    fn add(&mut self, list: fn(&mut Self) -> &mut Vec<String>, item: String) -> bool {
        let rest = self.room.checked_sub(item.len() + 1);
        if let Some(rest) = rest {
            self.room = rest;
            list(self).push(item);
        }
        rest.is_some()
    }
}

fn number(random: &mut StdRng) -> String {
    let step: u32 = random.random_range(1..40);
    format!(r#"{{"name":"step_{step:02}_ms","n":{:.3}}}"#, random.random_range(0.0..500.0))
}

/// A metric whose text has `bytes` bytes.
fn text(bytes: usize, random: &mut StdRng) -> String {
    let mut words = String::with_capacity(bytes + 16);
    while words.len() < bytes {
        words.push_str(WORDS.choose(random).copied().unwrap_or_default());
        words.push(' ');
    }
    words.truncate(bytes);
    format!(r#"{{"name":"note","s":"{words}"}}"#)
}

/// A call by HTTP, as the JavaScript agent traces it.
fn call(begun: TimestampMs, random: &mut StdRng) -> String {
    let (order, start): (u32, u16) = (random.random_range(1000..100_000), random.random_range(0..300));
    let lasted: f64 = random.random_range(1.0..200.0);
    let path = format!("/v2/orders/{order}");
    format!(
        r#"{{"request":{{"url":"https://orders.example.com{path}?expand=items","port":null,"hash":null,"path":"{path}?expand=items","query":"?expand=items","method":"GET","protocol":"https:","hostname":"orders.example.com","pathname":"{path}","headers":[{{"key":"user-agent","string":"axios/1.7.2"}}]}},"response":{{"statusCode":200,"statusMessage":"OK","headers":[]}},"timestamp":{},"startTime":{start}.25,"duration":{lasted:.6}}}"#,
        begun.plus_ms(start.into()).0,
    )
}

fn measure(begun: TimestampMs, random: &mut StdRng) -> String {
    let (step, start): (u32, u16) = (random.random_range(1..40), random.random_range(0..300));
    let lasted: f64 = random.random_range(0.01..50.0);
    format!(
        r#"{{"name":"measure:step-{step:02}","startTime":{start}.5,"duration":{lasted:.6},"entryType":"measure","timestamp":{}}}"#,
        begun.plus_ms(start.into()).0,
    )
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::report;
    use super::*;

    /// As long as the tokens that the program issues.
    fn token() -> String {
        "t".repeat(370)
    }

    #[test]
    fn a_report_is_as_long_as_wanted() {
        let mut random = StdRng::seed_from_u64(5);
        for bytes in [1000, 1500, 2000, 4000, 20_000, 200_000] {
            for _ in 0..100 {
                let made = report::make(&token(), Some(bytes), &mut random).expect("a report").len();
                assert!(made <= bytes && made + 30 > bytes, "{made} bytes instead of {bytes}");
            }
        }
    }

    #[test]
    fn a_large_report_has_many_metrics_and_traces() {
        let mut random = StdRng::seed_from_u64(5);
        let text = report::make("t", Some(20_000), &mut random).expect("a report");
        let report = Report::parse(text.as_bytes()).expect("a report");
        for list in ["custom_metrics", "httpTraceEntries", "performanceEntries"] {
            let items = report.root().get(list).expect("a list").items().count();
            assert!(items >= 8, "{list} has {items} items");
        }
    }

    #[test]
    fn the_largest_report_keeps_within_what_is_read() {
        let text = report::make("t", Some(1_000_000), &mut StdRng::seed_from_u64(1)).expect("within JSON_VALUES_MAX");
        assert!(text.len() <= tributary_model::limits::REPORT_BYTES_MAX);
        Report::parse(text.as_bytes()).expect("a report");
    }
}
