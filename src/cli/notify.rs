//! Telling the service manager how we are: datagrams to `$NOTIFY_SOCKET`, as sd_notify(3) describes.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager, if one listens.
#[derive(Debug)]
pub struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// As this process's environment says.
    pub fn from_env() -> Self {
        let variable = |name: &str| std::env::var_os(name);
        let number = |name: &str| variable(name).and_then(|value| value.to_str()?.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros);
        Notify { to: variable("NOTIFY_SOCKET").and_then(|socket| connect(&socket)), watchdog }
    }

    /// How long the manager waits for a sign of life before it ends us.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Start-up or reload is done.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The configuration is being read again.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// A sign of life.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        let line: String = text.chars().map(|character| if character.is_control() { '?' } else { character }).collect();
        self.send(&format!("STATUS={line}"));
    }

    /// Nothing useful can be done when nobody listens any more.
    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.to {
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }
}

/// A path, or `@` and an abstract name.
fn connect(socket: &OsStr) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(socket),
    };
    let unbound = UnixDatagram::unbound().ok()?;
    // A manager that does not read must not hold us up.
    unbound.set_nonblocking(true).ok()?;
    Some((unbound, address.ok()?))
}
