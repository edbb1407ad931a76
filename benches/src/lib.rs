//! What Tributary costs: criterion benches and whole-process CPU time.
