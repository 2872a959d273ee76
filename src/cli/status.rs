//! The exit statuses, after sysexits, so that systemd and monitors can tell them apart.

use std::process::ExitCode;

use crate::source::ErrorKind;

/// How a command ended. The numbers are published: see `dmarcdb help` and the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Done, also when there was nothing to do.
    Ok = 0,
    /// `check` or an alarm has findings.
    Findings = 1,
    /// Wrong usage.
    Usage = 2,
    /// Done, but something could not be read and waits under `problems`.
    Data = 65,
    /// A bug of ours.
    Software = 70,
    /// An output file cannot be made.
    CannotCreate = 73,
    /// Disk or database: full, unreadable, damaged.
    Io = 74,
    /// Temporary, run again.
    Temporary = 75,
    /// The server broke the protocol or a guard's limit.
    Protocol = 76,
    /// Login or permission refused.
    Permission = 77,
    /// Configuration, certificate, or a mailbox that does not exist.
    Configuration = 78,
}

impl From<ErrorKind> for Status {
    /// What a source's failure exits with.
    fn from(kind: ErrorKind) -> Status {
        match kind {
            ErrorKind::Temporary => Status::Temporary,
            ErrorKind::Protocol => Status::Protocol,
            ErrorKind::Login => Status::Permission,
            ErrorKind::Configuration => Status::Configuration,
            ErrorKind::Io => Status::Io,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        ExitCode::from(status as u8)
    }
}
