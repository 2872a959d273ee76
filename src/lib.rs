//! dmarcdb: DMARC aggregate reports and feedback-loop complaints out of a mailbox, into one SQLite file, and answers
//! out of it. This crate is one binary; the library is there for its tests, benchmarks and fuzz targets.
//!
//! ```text
//!  street          hall        kitchen        scales           cellar          library    window
//!  source   ->   mail  ->  unpack  ->  report      ->        store      |     query  ->  render
//!  imap,file     parts     gz, zip     aggregate, feedback,   rows      |     answers    table,json,csv
//!    ^           \_ reading: pure, on every core __/ tls          |     |
//!    |                                                            |     |
//!    +----------- settle, only after commit ----------------------+     |
//!  \__________________________ ingest ________________________________/    \______ cli ______/
//! ```
//!
//! A message walks from left to right and never back. The one step back is `settle` (flag, move, delete at the
//! source), and it happens after the commit that keeps the message. A question goes `cli -> query -> render`. The two
//! halves meet only at the tables.
//!
//! | room       | does                                                                    | may know |
//! |------------|-------------------------------------------------------------------------|----------|
//! | `source`   | one file per place mail comes from; hands out messages, settles them    | nothing of ours |
//! | `mail`     | message -> leaf parts, bounded                                          | nothing; pure |
//! | `unpack`   | part -> documents, decided by bytes, bounded                            | `mail`; pure |
//! | `report`   | document -> typed report + warnings; one file per kind                  | `mail`; pure |
//! | `reading`  | message -> every report found and every problem met                     | `mail`, `unpack`, `report` |
//! | `suppress` | the rules from complaint to suppression, pure; the export formats       | `report`, `query` |
//! | `store`    | `schema.sql`, migrations, one insert file per kind                      | `report`, `reading`, `source`'s words, `suppress`'s rules |
//! | `ingest`   | take, read on all cores, keep in batches, settle; the tally             | `source`, `reading`, `store` |
//! | `oauth`    | access tokens instead of passwords; the one file they are kept in        | `source` |
//! | `checks`   | what a sender must have in DNS, as rules over answers                   | `providers`; pure |
//! | `dns`      | asks DNS, bounded; the one room that knows the resolver                 | `checks` |
//! | `enrich`   | names, networks and lists for sending addresses, never during ingest    | `checks`, `dns`, `providers`, `query`, `store` |
//! | `query`    | one question = one `.sql` beside one `.rs`                              | `store`'s read-only connection, `providers` |
//! | `providers` | who is behind a sending address: a table kept as data, pure            | nothing |
//! | `classify` | what a source is to us, and whether to tighten a policy; pure        | `report`, `query`, `providers` |
//! | `review`   | a window judged: every source, every policy domain                      | `classify`, `query`, `report`, `providers` |
//! | `render`   | rows -> table, JSON, NDJSON, CSV; sanitizes for each                    | `query`'s rows |
//! | `cli`      | one file per command; exit statuses; raw options become settings once   | everything; nobody knows `cli` |
//!
//! `limits` (bounds), `number` (numbers and times in words) and `problem` (what can be wrong) are plain data that every room may name. Pure means: no file,
//! socket, clock, environment, process, printing or SQL. `tests/it/layering.rs` holds this table as code.

pub mod checks;
pub mod classify;
pub mod cli;
pub mod config;
pub mod dns;
pub mod enrich;
pub mod ingest;
pub mod limits;
pub mod mail;
pub mod number;
pub mod oauth;
pub mod problem;
pub mod providers;
pub mod query;
pub mod reading;
pub mod render;
pub mod report;
pub mod review;
pub mod source;
pub mod store;
pub mod suppress;
pub mod unpack;
