//! What a sender must have in DNS, as rules over answers. Pure: what asks DNS is handed in, and a test hands in a table.

pub mod address;
pub mod finding;
pub mod lookup;
pub mod tags;

pub use finding::{Finding, Severity};
pub use lookup::Lookup;
