//! x

pub mod suppressions;
