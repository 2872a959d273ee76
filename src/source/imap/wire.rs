//! The connection itself: name look-up, TCP, STARTTLS, and time limits on every read and write.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

use super::account::{Account, Tls};
use super::guard::{check_greeting, readable, said};
use super::tls::{self, Failed};
use super::watch::{STOPPED, Watch};
use crate::source::ErrorKind;

/// How long a wait goes on without a look at what may have changed meanwhile.
const SLICE: Duration = Duration::from_millis(200);

/// A TCP connection that never waits longer than its watch allows.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: TcpStream,
    watch: Watch,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Socket {
    fn new(tcp: TcpStream, watch: Watch) -> Self {
        Socket { tcp, watch, read_timeout: None, write_timeout: None }
    }

    /// The time limits.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let since = Instant::now();
        loop {
            let left = Some(self.watch.time_left(since)?.min(SLICE));
            if self.read_timeout != left {
                self.tcp.set_read_timeout(left)?;
                self.read_timeout = left;
            }
            match self.tcp.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted || is_timeout(&error) => {}
                answer => return answer,
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let since = Instant::now();
        loop {
            let left = Some(self.watch.time_left(since)?.min(SLICE));
            if self.write_timeout != left {
                self.tcp.set_write_timeout(left)?;
                self.write_timeout = left;
            }
            match self.tcp.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted || is_timeout(&error) => {}
                answer => return answer,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// What IMAP is spoken over.
#[derive(Debug)]
pub(super) enum Wire {
    /// TCP to a loopback address.
    Plain(Socket),
    /// TLS over TCP.
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.read(into),
            Wire::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.write(bytes),
            Wire::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(socket) => socket.flush(),
            Wire::Tls(stream) => stream.flush(),
        }
    }
}

/// Connects as the account says. After STARTTLS the greeting has been read; else it is still to come.
pub(super) fn connect(account: &Account, watch: &Watch) -> Result<Wire, Failed> {
    let connect = account.timeouts.connect;
    watch.within(connect);
    let tcp = dial(account, watch)?;
    let mut socket = Socket::new(tcp, watch.clone());
    watch.within(connect);
    match account.tls {
        Tls::None => return Ok(Wire::Plain(socket)),
        Tls::Implicit => {}
        Tls::StartTls => {
            start_tls(&mut socket)?;
            watch.within(connect);
        }
    }
    Ok(Wire::Tls(Box::new(tls::shake(account, socket)?)))
}

fn dial(account: &Account, watch: &Watch) -> Result<TcpStream, Failed> {
    let until = Instant::now() + account.timeouts.connect;
    let addresses = look_up(account, watch)?;
    if account.tls == Tls::None && !addresses.iter().all(|address| address.ip().is_loopback()) {
        let reason = "`tls = \"none\"` is for loopback addresses only: use \"tls\" or \"starttls\"";
        return Err((ErrorKind::Configuration, reason.into()));
    }
    let mut last = None;
    for address in addresses {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match apart(left, watch, move || TcpStream::connect_timeout(&address, left)) {
            Ok(Ok(tcp)) => {
                // Commands are short and each waits for its answer.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Ok(Err(error)) => last = Some(error.to_string()),
            Err(reason) => return Err((ErrorKind::Temporary, format!("cannot connect: {reason}"))),
        }
    }
    let reason = match last {
        Some(error) => format!("cannot connect: {error}"),
        None => "cannot connect in time".into(),
    };
    Err((ErrorKind::Temporary, reason))
}

fn look_up(account: &Account, watch: &Watch) -> Result<Vec<SocketAddr>, Failed> {
    let (host, port) = (account.host.clone(), account.port);
    let look = move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let problem = |what: String| (ErrorKind::Temporary, format!("cannot look up the host: {what}"));
    match apart(account.timeouts.connect, watch, look) {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(problem("it has no address".into())),
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(problem(error.to_string())),
        Err(reason) => Err(problem(reason)),
    }
}

/// Does what cannot be interrupted in a thread that may be left behind; why if it is.
fn apart<T: Send + 'static>(
    time: Duration,
    watch: &Watch,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let until = Instant::now() + time;
    let (send, receive) = mpsc::channel();
    thread::Builder::new().spawn(move || drop(send.send(job()))).map_err(|error| error.to_string())?;
    loop {
        if watch.is_stopping() {
            return Err(STOPPED.into());
        }
        let left = until.saturating_duration_since(Instant::now());
        match receive.recv_timeout(left.min(SLICE)) {
            Ok(done) => return Ok(done),
            Err(mpsc::RecvTimeoutError::Timeout) if !left.is_zero() => {}
            Err(_) => return Err("no answer in time".into()),
        }
    }
}

/// Lines before STARTTLS, at most, and bytes of each.
const LINES: usize = 100;
const LINE: usize = 8 << 10;

/// The dialogue up to STARTTLS. Nothing said in it is kept, and nothing is read ahead, so that whatever an attacker
/// put behind the server's OK becomes part of a handshake that fails.
fn start_tls(socket: &mut Socket) -> Result<(), Failed> {
    let mut talk = || -> io::Result<Result<(), Failed>> {
        let greeting = line(socket)?;
        check_greeting(&greeting, &socket.watch)?;
        let mut offered = false;
        let refused = ask(socket, "s1", "CAPABILITY", |line| {
            let line = String::from_utf8_lossy(line).to_ascii_uppercase();
            let mut words = line.split_ascii_whitespace().skip(1);
            if words.next() == Some("CAPABILITY") {
                offered |= words.any(|word| word == "STARTTLS");
            }
        })?;
        if !offered || refused.is_some() {
            let reason = "the server does not offer STARTTLS, and nothing is sent in plain text: \
                use `tls = \"tls\"` and port 993";
            return Ok(Err((ErrorKind::Configuration, reason.into())));
        }
        Ok(match ask(socket, "s2", "STARTTLS", |_| {})? {
            None => Ok(()),
            Some(text) => {
                let reason = format!("the server refused STARTTLS: {text}");
                Err((ErrorKind::Temporary, reason))
            }
        })
    };
    talk().unwrap_or_else(|error| {
        Err(match socket.watch.fault() {
            Some(fault) => (fault.kind, fault.reason),
            None => (ErrorKind::Temporary, format!("before STARTTLS: {error}")),
        })
    })
}

/// Sends a command and shows every untagged line to `see`; what the server said if it did not say OK.
fn ask(socket: &mut Socket, tag: &str, command: &str, mut see: impl FnMut(&[u8])) -> io::Result<Option<String>> {
    socket.write_all(format!("{tag} {command}\r\n").as_bytes())?;
    for _ in 0..LINES {
        let line = line(socket)?;
        if line.starts_with(b"* ") {
            see(&line);
            continue;
        }
        let tagged = line.strip_prefix(tag.as_bytes()).and_then(|rest| rest.strip_prefix(b" "));
        let Some(rest) = tagged else {
            let reason = format!("unexpected line from the server: {}", readable(&line));
            return Err(socket.watch.violation(reason));
        };
        let ok = rest.get(..2).is_some_and(|status| status.eq_ignore_ascii_case(b"OK"));
        return Ok((!ok).then(|| said(rest).text));
    }
    Err(socket.watch.violation(format!("more than {LINES} lines before STARTTLS")))
}

/// One line, read byte by byte.
fn line(socket: &mut Socket) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LINE {
        if socket.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.extend_from_slice(&byte);
        if byte == *b"\n" {
            return Ok(line);
        }
    }
    Err(socket.watch.violation(format!("the server sent a line of more than {LINE} bytes")))
}
