//! Tests through the front door: one binary, a file for each subject.

mod layering;
mod readme;
mod samples;
