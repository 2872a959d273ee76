//! Tests through the front door: one binary, a file per subject.

mod layering;
mod readme;
mod samples;
