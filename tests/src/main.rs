//! The `tributary` program, as the whole-system tests start it.

fn main() {}
