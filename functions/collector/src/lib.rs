//! HTTP request to one record in the stream.
