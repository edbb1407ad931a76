//! Records per CPU-second through a worker into stores that keep nothing: unpack, normalize, plan and account, without
//! a store. One thread, so that wall time is CPU time.

fn main() {}
