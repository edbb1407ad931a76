//! The fuzz targets of this package over their corpus and a bounded number of mutations of it.

#[cfg(test)]
#[path = "../../../fuzz/targets/decode.rs"]
mod decode;
#[cfg(test)]
#[path = "../../../fuzz/targets/mutations.rs"]
mod mutations;
#[cfg(test)]
#[path = "../../../fuzz/targets/open.rs"]
mod open;

#[test]
fn bodies_are_decoded_or_refused() {
    mutations::run("decode", decode::run, 20_261_121, 2_000);
}

#[test]
fn records_are_opened_or_refused() {
    mutations::run("open", open::run, 20_261_121, 2_000);
}
