//! Tests through the front door, and of rules that hold for the whole house: one binary, a file for each subject.

mod answers;
mod config;
mod corpus;
mod damage;
mod doctor;
mod exports;
mod feedback;
mod fetch;
mod generated;
mod hostile;
mod imap;
mod imap_hostile;
mod ingest;
mod invariants;
mod layering;
mod mutation;
mod plans;
mod prune;
mod readme;
mod samples;
mod store;
mod strangers;
mod support;
mod tls;
mod torture;
mod trust;
