//! From complaint to suppression: whose complaint counts, whom it takes off which list, and the formats that lists are
//! handed on in. The rules are pure; what they need to know is handed in.

pub mod bounces;
pub mod digest;
pub mod export;
pub mod rules;
pub mod token;
pub mod trust;

pub use rules::{Decision, decide};
pub use trust::{About, Own, Trust};
