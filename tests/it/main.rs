//! Tests through the front door: one binary, a file per subject.

mod feedback;
mod tls;
