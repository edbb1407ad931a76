use tributary_model::invocation::StepFunction;
use tributary_model::{Invocation, Region, ReportId, TimestampMs, TokenId};

use super::Store;
use super::samples::{error, everything, invocation, number, text};
use crate::search::{BoolField, Filter, NumberField, Range, Scope, TextField};

pub(super) async fn all(fresh: &impl AsyncFn() -> Store) {
    each_text_field_is_compared_exactly(fresh().await).await;
    a_prefix_is_found_in_each_text_field(fresh().await).await;
    an_empty_text_is_a_text(fresh().await).await;
    each_bool_field_is_found(fresh().await).await;
    each_number_field_is_found_by_range(fresh().await).await;
    filters_combine(fresh().await).await;
    errors_are_found(fresh().await).await;
    a_metric_is_a_pair(fresh().await).await;
    metric_names_do_not_run_into_each_other(fresh().await).await;
    words_are_phrases_without_case(fresh().await).await;
    phrases_do_not_cross_texts(fresh().await).await;
    a_scope_ends_before_its_end(fresh().await).await;
}

/// Sets one text field of an invocation, all other texts being those of the sample.
fn with_text(number: u32, field: TextField, text: &str) -> Invocation {
    let mut invocation = invocation(number);
    let text = text.to_owned();
    match field {
        TextField::Id => {}
        TextField::Function => invocation.function = text,
        TextField::Version => invocation.version = text,
        TextField::Region => invocation.region = Region::new(&text).expect("a region"),
        TextField::RequestId => invocation.request_id = text,
        TextField::ProcessId => invocation.process_id = text,
        TextField::ErrorName => invocation.error = Some(error(&text, "")),
        TextField::ErrorFingerprint => {
            let mut error = error("E", "");
            error.fingerprint = text;
            invocation.error = Some(error);
        }
        TextField::Label => invocation.labels = vec!["first".to_owned(), text, "zz".to_owned()],
        TextField::AgentRuntime => invocation.agent.runtime = text,
        TextField::AgentVersion => invocation.agent.version = text,
        TextField::EventSource => invocation.event_source = Some(text),
        TextField::StepFunction => invocation.step_function = Some(StepFunction { id: text, step: Some(1) }),
        TextField::AwsAccount => invocation.aws.account_id = text,
        TextField::TraceId => invocation.aws.trace_id = text,
        TextField::Token => invocation.token = TokenId::new(&text).expect("a token's id"),
    }
    invocation
}

/// For each field an invocation whose field is `wanted-1`, and one with a text that begins with it.
fn two_for_each_field() -> Vec<(TextField, Invocation, Invocation)> {
    let fields = TextField::ALL.into_iter().filter(|field| *field != TextField::Id).zip((0..).step_by(2));
    fields.map(|(field, at)| (field, with_text(at, field, "wanted-1"), with_text(at + 1, field, "wanted-11"))).collect()
}

async fn each_text_field_is_compared_exactly(store: Store) {
    let samples = two_for_each_field();
    let invocations: Vec<_> = samples.iter().flat_map(|(_, exact, longer)| [exact.clone(), longer.clone()]).collect();
    store.add(&invocations).await;
    for (field, exact, longer) in samples {
        assert_eq!(store.find(Filter::Is(field, "wanted-1".to_owned())).await, [exact.id], "{field:?}");
        assert_eq!(store.find(Filter::Is(field, "wanted-11".to_owned())).await, [longer.id], "{field:?}");
        for other in ["Wanted-1", "wanted", "wanted-1 ", "*", "wanted-1*"] {
            assert!(store.find(Filter::Is(field, other.to_owned())).await.is_empty(), "{field:?} {other}");
        }
        let by_id = Filter::Is(TextField::Id, exact.id.to_string());
        assert_eq!(store.find(by_id).await, [exact.id]);
    }
}

async fn a_prefix_is_found_in_each_text_field(store: Store) {
    let samples = two_for_each_field();
    let invocations: Vec<_> = samples.iter().flat_map(|(_, exact, longer)| [exact.clone(), longer.clone()]).collect();
    store.add(&invocations).await;
    for (field, exact, longer) in samples {
        for prefix in ["w", "wanted-1"] {
            let found = store.find(Filter::StartsWith(field, prefix.to_owned())).await;
            assert_eq!(found, [exact.id, longer.id], "{field:?} {prefix}");
        }
        assert_eq!(store.find(Filter::StartsWith(field, "wanted-11".to_owned())).await, [longer.id], "{field:?}");
        assert!(store.find(Filter::StartsWith(field, "wanted-12".to_owned())).await.is_empty(), "{field:?}");
    }
    let day = store.find(Filter::StartsWith(TextField::Id, "20261121-".to_owned())).await;
    assert_eq!(day.len(), invocations.len());
}

async fn an_empty_text_is_a_text(store: Store) {
    store.add(&[with_text(0, TextField::Function, ""), invocation(1), with_text(2, TextField::EventSource, "")]).await;
    let empty = |field| Filter::Is(field, String::new());
    assert_eq!(store.find(empty(TextField::Function)).await, [invocation(0).id]);
    assert_eq!(store.find(empty(TextField::EventSource)).await, [invocation(2).id], "none is not empty");
    let any_source = Filter::StartsWith(TextField::EventSource, String::new());
    assert_eq!(store.find(any_source).await, [invocation(2).id]);
}

async fn each_bool_field_is_found(store: Store) {
    let mut samples: Vec<_> = (0..5).map(invocation).collect();
    samples[1].coldstart = true;
    samples[2].timeout = true;
    samples[3].signed = true;
    samples[4].removed_count = 1;
    store.add(&samples).await;
    for (field, sample) in BoolField::ALL.into_iter().zip(&samples[1..]) {
        assert_eq!(store.find(Filter::True(field)).await, [sample.id], "{field:?}");
    }
}

async fn each_number_field_is_found_by_range(store: Store) {
    let numbers = [None, Some(-0.0), Some(1.0), Some(1.5), Some(2.0)];
    let samples: Vec<_> = (0..5)
        .map(invocation)
        .zip(numbers)
        .map(|(mut invocation, number)| {
            invocation.duration_ms = number;
            invocation.memory.used_mib = number;
            invocation.memory.used_percent = number;
            invocation
        })
        .collect();
    store.add(&samples).await;
    let ids = |positions: &[usize]| positions.iter().map(|at| samples[*at].id).collect::<Vec<ReportId>>();
    let cases = [
        (None, None, ids(&[1, 2, 3, 4])),
        (Some((1.0, true)), None, ids(&[2, 3, 4])),
        (Some((1.0, false)), Some((2.0, false)), ids(&[3])),
        (None, Some((1.5, true)), ids(&[1, 2, 3])),
        (Some((0.0, true)), Some((0.0, true)), ids(&[1])),
        (Some((0.0, false)), Some((0.0, true)), ids(&[])),
        (Some((2.0, true)), Some((1.0, true)), ids(&[])),
    ];
    for field in NumberField::ALL {
        for (from, to, expected) in &cases {
            let found = store.find(Filter::InRange(field, Range { from: *from, to: *to })).await;
            assert_eq!(&found, expected, "{field:?} {from:?} {to:?}");
        }
    }
}

async fn filters_combine(store: Store) {
    let samples = [with_text(0, TextField::Function, "a"), with_text(1, TextField::Function, "b"), invocation(2)];
    store.add(&samples).await;
    let is = |text: &str| Filter::Is(TextField::Function, text.to_owned());
    let [a, b, checkout] = samples.map(|invocation| invocation.id);
    let not = |filter| Filter::Not(Box::new(filter));
    let cases = [
        (Filter::All, vec![a, b, checkout]),
        (Filter::And(vec![]), vec![a, b, checkout]),
        (Filter::Or(vec![]), vec![]),
        (Filter::And(vec![is("a"), is("b")]), vec![]),
        (Filter::Or(vec![is("a"), is("b")]), vec![a, b]),
        (not(is("a")), vec![b, checkout]),
        (not(not(is("a"))), vec![a]),
        (not(Filter::Or(vec![is("a"), is("b")])), vec![checkout]),
        (Filter::And(vec![not(is("a")), not(is("b"))]), vec![checkout]),
        (Filter::Or(vec![is("a"), not(Filter::Or(vec![is("a"), is("b")]))]), vec![a, checkout]),
        (Filter::And(vec![Filter::Or(vec![is("a"), is("b")]), not(is("b"))]), vec![a]),
    ];
    for (filter, expected) in cases {
        assert_eq!(store.find(filter.clone()).await, expected, "{filter:?}");
    }
}

async fn errors_are_found(store: Store) {
    store.add(&[invocation(0), with_text(1, TextField::ErrorName, "TimeoutError")]).await;
    assert_eq!(store.find(Filter::HasError).await, [invocation(1).id]);
    assert_eq!(store.find(Filter::Not(Box::new(Filter::HasError))).await, [invocation(0).id]);
}

fn above(name: &str, number: f64) -> Filter {
    Filter::MetricInRange(name.to_owned(), Range { from: Some((number, false)), to: None })
}

fn between(name: &str, from: f64, to: f64) -> Filter {
    Filter::MetricInRange(name.to_owned(), Range { from: Some((from, true)), to: Some((to, true)) })
}

/// Name and value have to match in one and the same metric.
async fn a_metric_is_a_pair(store: Store) {
    let mut samples: Vec<_> = (0..4).map(invocation).collect();
    samples[0].metrics = vec![number("total", 5.0), number("total", 500.0), text("user", "total")];
    samples[1].metrics = vec![number("total", 50.0), number("other", 500.0), text("total", "500")];
    samples[2].metrics = vec![text("total", "900"), number("user", 1.0)];
    store.add(&samples).await;
    let [twice, once, as_text, _] = [0, 1, 2, 3].map(|at: usize| samples[at].id);
    let cases = [
        (above("total", 100.0), vec![twice]),
        (above("total", 10.0), vec![twice, once]),
        (between("total", 6.0, 499.0), vec![once]),
        (between("total", 5.0, 5.0), vec![twice]),
        (between("total", -1e300, 1e300), vec![twice, once]),
        (Filter::MetricInRange("total".to_owned(), Range { from: None, to: None }), vec![twice, once]),
        (Filter::MetricIs("total".to_owned(), "900".to_owned()), vec![as_text]),
        (Filter::MetricIs("total".to_owned(), "50".to_owned()), vec![]),
        (Filter::MetricIs("user".to_owned(), "total".to_owned()), vec![twice]),
        (Filter::HasMetric("total".to_owned()), vec![twice, once, as_text]),
        (Filter::HasMetric("other".to_owned()), vec![once]),
        (Filter::HasMetric("Total".to_owned()), vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(store.find(filter.clone()).await, expected, "{filter:?}");
    }
}

async fn metric_names_do_not_run_into_each_other(store: Store) {
    let names = ["cart", "cart.total", "cart ", "car", "", "n", "h"];
    let samples: Vec<_> = (0..)
        .map(invocation)
        .zip(names)
        .map(|(mut invocation, name)| {
            invocation.metrics = vec![number(name, 7.0), text(name, "seven")];
            invocation
        })
        .collect();
    store.add(&samples).await;
    for (name, sample) in names.iter().zip(&samples) {
        assert_eq!(store.find(above(name, 0.0)).await, [sample.id], "{name:?}");
        assert_eq!(store.find(Filter::HasMetric((*name).to_owned())).await, [sample.id], "{name:?}");
        assert_eq!(store.find(Filter::MetricIs((*name).to_owned(), "seven".to_owned())).await, [sample.id], "{name:?}");
    }
}

fn words(words: &[&str]) -> Filter {
    Filter::Words(words.iter().map(|word| (*word).to_owned()).collect())
}

async fn words_are_phrases_without_case(store: Store) {
    let mut samples: Vec<_> = (0..6).map(invocation).collect();
    samples[0].error = Some(error("ConnectError", "Error: Connection refused (ECONNREFUSED) at été"));
    samples[1].error = Some(error("E", "refused connection; CONNECTION was refused"));
    samples[2].labels = vec!["vip".to_owned(), "Connection-Refused".to_owned()];
    samples[3].metrics = vec![text("note", "the connection refused"), number("connection", 1.0)];
    samples[4].function = "connection_refused".to_owned();
    samples[5].function = "disconnection".to_owned();
    store.add(&samples).await;
    let ids = |positions: &[usize]| positions.iter().map(|at| samples[*at].id).collect::<Vec<ReportId>>();
    let cases = [
        (words(&["connection", "refused"]), ids(&[0, 2, 3, 4])),
        (words(&["CONNECTION", "Refused"]), ids(&[0, 2, 3, 4])),
        (words(&["connection-refused"]), ids(&[0, 2, 3, 4])),
        (words(&["connection"]), ids(&[0, 1, 2, 3, 4])),
        (words(&["refused", "connection"]), ids(&[1])),
        (words(&["connection", "was", "refused"]), ids(&[1])),
        (words(&["ÉTÉ"]), ids(&[0])),
        (words(&["connect"]), ids(&[])),
        (words(&["vip", "Connection"]), ids(&[])),
        (words(&["econnrefused", ")"]), ids(&[0])),
        (words(&["note"]), ids(&[])),
        (words(&["?!"]), ids(&[])),
        (words(&[]), ids(&[])),
        (words(&["connection OR vip"]), ids(&[])),
    ];
    for (filter, expected) in cases {
        assert_eq!(store.find(filter.clone()).await, expected, "{filter:?}");
    }
}

async fn phrases_do_not_cross_texts(store: Store) {
    let mut sample = invocation(0);
    sample.error = Some(error("alpha", "beta"));
    sample.labels = vec!["gamma".to_owned(), "delta".to_owned()];
    sample.metrics = vec![text("m", "epsilon"), text("m", "zeta eta")];
    store.add(std::slice::from_ref(&sample)).await;
    for pair in
        [["checkout", "alpha"], ["alpha", "beta"], ["gamma", "delta"], ["delta", "epsilon"], ["epsilon", "zeta"]]
    {
        assert!(store.find(words(&pair)).await.is_empty(), "{pair:?}");
    }
    assert_eq!(store.find(words(&["zeta", "eta"])).await, [sample.id]);
}

async fn a_scope_ends_before_its_end(store: Store) {
    let samples: Vec<_> = (0..4).map(invocation).collect();
    store.add(&samples).await;
    let ids = |range: std::ops::Range<usize>| samples[range].iter().map(|sample| sample.id).collect::<Vec<ReportId>>();
    let all = everything(Filter::All);
    let cases = [
        (Scope { from: samples[1].timestamp, ..all.clone() }, ids(1..4)),
        (Scope { to: samples[3].timestamp, ..all.clone() }, ids(0..3)),
        (Scope { from: samples[1].timestamp, to: samples[2].timestamp, ..all.clone() }, ids(1..2)),
        (Scope { from: samples[2].timestamp, to: samples[2].timestamp, ..all.clone() }, ids(0..0)),
        (Scope { from: samples[2].timestamp, to: samples[1].timestamp, ..all.clone() }, ids(0..0)),
        (Scope { to: TimestampMs(i64::MIN), from: TimestampMs(i64::MIN), ..all.clone() }, ids(0..0)),
        (Scope { received_until: samples[1].received_at, ..all.clone() }, ids(0..2)),
        (Scope { received_until: samples[1].received_at.plus_ms(-1), ..all }, ids(0..1)),
    ];
    for (scope, expected) in cases {
        let found: Vec<_> = store.find_in(&scope).await.iter().map(|invocation| invocation.id).collect();
        assert_eq!(found, expected, "{scope:?}");
    }
}
