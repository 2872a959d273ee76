//! Rows to table, JSON, NDJSON and CSV; each sanitizes what strangers wrote in its own way.

pub mod sanitize;
