//! Settings from variables and flags; every problem is reported at once.
