use tributary_model::Invocation;

use super::Store;
use super::samples::{error, everything, invocation, invocation_of, project};
use crate::search::{BoolField, Filter, FunctionSummary, Scope};

pub(super) async fn all(fresh: &impl AsyncFn() -> Store) {
    functions_are_counted(fresh().await).await;
    the_most_invoked_functions_come_first(fresh().await).await;
    percentiles_are_within_two_percent(fresh().await).await;
    only_the_scope_is_counted(fresh().await).await;
}

fn of_function(number: u32, function: &str) -> Invocation {
    Invocation { function: function.to_owned(), ..invocation(number) }
}

async fn summaries(store: &Store, scope: &Scope, limit: usize) -> Vec<FunctionSummary> {
    store.search.functions(scope, limit).await.expect("the functions")
}

async fn functions_are_counted(store: Store) {
    let mut samples: Vec<_> = (0..5).map(|number| of_function(number, "checkout")).collect();
    samples[1].coldstart = true;
    samples[2].error = Some(error("E", ""));
    samples[3].error = Some(error("F", ""));
    let last_seen = samples[4].timestamp;
    samples.push(of_function(9, ""));
    for batch in samples.chunks(2) {
        store.add(batch).await;
    }
    let found = summaries(&store, &everything(Filter::All), 10).await;
    let checkout = FunctionSummary {
        function: "checkout".to_owned(),
        count: 5,
        errors: 2,
        coldstarts: 1,
        duration_ms: None,
        last_seen,
    };
    let nameless = FunctionSummary {
        function: String::new(),
        count: 1,
        errors: 0,
        coldstarts: 0,
        duration_ms: None,
        last_seen: invocation(9).timestamp,
    };
    assert_eq!(found, [checkout, nameless]);
}

async fn the_most_invoked_functions_come_first(store: Store) {
    let names = ["b", "c", "a", "c", "d", "c", "a"];
    let samples: Vec<_> = (0..).zip(names).map(|(number, name)| of_function(number, name)).collect();
    store.add(&samples).await;
    let order = |found: Vec<FunctionSummary>| found.into_iter().map(|summary| summary.function).collect::<Vec<_>>();
    let scope = everything(Filter::All);
    assert_eq!(order(summaries(&store, &scope, 10).await), ["c", "a", "b", "d"]);
    assert_eq!(order(summaries(&store, &scope, 3).await), ["c", "a", "b"]);
}

async fn percentiles_are_within_two_percent(store: Store) {
    // From 1 ms to some three hours, each 0.8 % more than the one before: neighbours in rank hardly differ.
    let durations: Vec<f64> = (0..2000).map(|step| 1.008_f64.powi(step)).collect();
    let samples: Vec<_> = (0..)
        .zip(&durations)
        .map(|(number, duration)| {
            let mut sample = of_function(number, "checkout");
            sample.duration_ms = Some(*duration);
            sample
        })
        .collect();
    for batch in samples.chunks(500) {
        store.add(batch).await;
    }
    let found = summaries(&store, &everything(Filter::All), 10).await;
    let percentiles = found[0].duration_ms.expect("percentiles");
    for (value, rank) in [(percentiles.p50, 1000), (percentiles.p95, 1900), (percentiles.p99, 1980)] {
        let (least, most) = (durations[rank - 1] * 0.98, durations[rank] * 1.02);
        assert!((least..=most).contains(&value), "{value} is not within {least}..={most}");
    }
}

async fn only_the_scope_is_counted(store: Store) {
    let mut samples: Vec<_> = (0..4).map(invocation).collect();
    samples[0].coldstart = true;
    samples[3].coldstart = true;
    samples.push(invocation_of(&project("other"), 7));
    store.add(&samples).await;
    let scope = Scope { to: samples[3].timestamp, ..everything(Filter::True(BoolField::Coldstart)) };
    let found = summaries(&store, &scope, 10).await;
    let counts: Vec<_> = found.iter().map(|summary| (summary.count, summary.last_seen)).collect();
    assert_eq!(counts, [(1, samples[0].timestamp)]);
    let nothing = Scope { project: project("nobody"), ..scope };
    assert_eq!(summaries(&store, &nothing, 10).await, []);
}
