//! The tributary program.
