//! Integration tests: one binary, a file for each subject.

mod config;
mod imap;
mod imap_hostile;
mod support;
