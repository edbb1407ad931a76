//! The fuzz target of the query language over its corpus and a bounded number of mutations of it.

#[cfg(test)]
#[path = "../../../fuzz/targets/mutations.rs"]
mod mutations;
#[cfg(test)]
#[path = "../../../fuzz/targets/query.rs"]
mod query;

#[test]
fn queries_are_read_or_refused_at_a_column() {
    mutations::run("query", query::run, 20_261_121, 2_000);
}
