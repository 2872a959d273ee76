//! Integration tests: one binary, a file for each subject.
