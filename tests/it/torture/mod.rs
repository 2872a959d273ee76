//! No mail lost, none counted twice: what the program promises, held while everything around it fails.
//!
//! Each suite brings mail, lets something go wrong at one point, looks whether the seven invariants of [`site`] still
//! hold, and lets one undisturbed run put everything right. The tests know what they delivered. In `make test` each suite
//! tries a seeded sample of its points; `make torture` (`DMARCDB_TORTURE=full`) tries all and prints a table. A violation
//! names the command that tries its point again. See docs/torture.md.

mod attack;
mod clock;
mod conditions;
mod connection;
mod meanwhile;
mod model;
mod overlap;
mod power;
mod relay;
mod sequences;
mod site;
mod suite;
mod syscalls;
