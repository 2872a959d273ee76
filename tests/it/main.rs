//! Integration tests: one binary, a file for each subject.

mod imap;
mod imap_hostile;
mod support;
