//! Documents to typed reports, with every deviation as a [`Warning`]. Pure: bytes in, values out.
//!
//! Three things are kept apart everywhere: absent (`None`), known (a variant), and other as spelled
//! (`Other(text)`). Nothing is invented.
//!
//! [`Warning`]: crate::problem::Warning

pub mod address;
pub mod aggregate;
pub mod authentication;
pub mod bounce;
pub mod date;
pub mod day;
pub mod decode;
pub mod failure;
pub mod feedback;
pub mod sendlog;
mod text;
pub mod tls;
pub mod trace;
pub mod verification;

pub use aggregate::AggregateReport;
pub use bounce::Bounce;
pub use failure::FailureReport;
pub use feedback::Complaint;
pub use tls::TlsReport;
