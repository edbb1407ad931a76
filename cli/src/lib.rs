//! The tributary program: everything in one process, and the client commands.

pub mod files;
pub mod http;
