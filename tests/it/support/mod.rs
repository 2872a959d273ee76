//! What tests share. Not every subject uses everything.
#![allow(dead_code)]

pub mod dovecot;
pub mod mmdb;
pub mod nameserver;
pub mod proxy;
pub mod run;
pub mod script;
pub mod tokens;
