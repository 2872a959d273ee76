//! A scripted IMAP server for what no real one does.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the script does with a command.
pub enum Reply {
    /// What a well-behaved server with one message (UID 1, UIDVALIDITY 7) says.
    Usual,
    /// These bytes; `TAG` stands for the command's tag.
    Say(Vec<u8>),
    /// These bytes, and the end of the connection.
    SayAndClose(Vec<u8>),
    /// These bytes, over and over, until the client goes away.
    Flood(Vec<u8>),
    /// These bytes, one every `pause`, and then silence.
    Drip(Vec<u8>, Duration),
    /// These bytes, and silence.
    SayAndHang(Vec<u8>),
    /// A line `+ challenge` each, with a line from the client after it, then these bytes.
    Continue { challenges: Vec<String>, then: Vec<u8> },
}

/// `text` as a reply.
pub fn say(text: impl AsRef<[u8]>) -> Reply {
    Reply::Say(text.as_ref().to_vec())
}

/// The message that the usual answers hold.
pub const MESSAGE: &[u8] = b"From: a@b\r\nSubject: x\r\n\r\nhello\r\n";

/// A running script.
pub struct Script {
    /// Where it listens.
    pub port: u16,
    commands: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Vec<String>>>,
}

impl Script {
    /// Asks `reply` what to do: first for the greeting, with an empty verb, then for each command with its verb (UID
    /// left off), the whole line, and how many commands with that verb came before it on all connections.
    pub fn start(reply: impl Fn(&str, &str, usize) -> Reply + Send + Sync + 'static) -> Script {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let commands = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(Vec::new()));
        let (seen, answered) = (commands.clone(), answers.clone());
        let reply = Arc::new(reply);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answered, reply) = (seen.clone(), answered.clone(), reply.clone());
                thread::spawn(move || serve(stream, &seen, &answered, &*reply));
            }
        });
        Script { port, commands, answers }
    }

    /// All command lines so far, without their tags.
    pub fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().clone()
    }

    /// What the client said to challenges so far.
    pub fn answers(&self) -> Vec<String> {
        self.answers.lock().unwrap().clone()
    }

    /// The verbs of all commands so far, UID left off.
    pub fn verbs(&self) -> Vec<String> {
        self.commands().iter().map(|line| verb(line)).collect()
    }
}

fn verb(line: &str) -> String {
    let mut words = line.split(' ');
    let first = words.next().unwrap_or_default().to_ascii_uppercase();
    match first.as_str() {
        "UID" => words.next().unwrap_or_default().to_ascii_uppercase(),
        _ => first,
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<String>>,
    answered: &Mutex<Vec<String>>,
    reply: &dyn Fn(&str, &str, usize) -> Reply,
) {
    let greeting = match reply("", "", 0) {
        Reply::Usual => say("* OK ready\r\n"),
        other => other,
    };
    if !act(&mut stream, greeting, "", "", "") {
        return;
    }
    let Ok(reading) = stream.try_clone() else {
        return;
    };
    let mut lines = BufReader::new(reading).lines();
    while let Some(line) = lines.next() {
        let Ok(line) = line else { return };
        let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
        let verb = verb(command);
        let before = {
            let mut seen = seen.lock().unwrap();
            let before = seen.iter().filter(|line| self::verb(line) == verb).count();
            seen.push(command.to_owned());
            before
        };
        let answer = match reply(&verb, command, before) {
            Reply::Continue { challenges, then } => {
                for challenge in challenges {
                    let Ok(()) = stream.write_all(format!("+ {challenge}\r\n").as_bytes()) else { return };
                    let Some(Ok(line)) = lines.next() else { return };
                    answered.lock().unwrap().push(line);
                }
                Reply::Say(then)
            }
            other => other,
        };
        if !act(&mut stream, answer, tag, &verb, command) || verb == "LOGOUT" {
            return;
        }
    }
}

/// False when the connection is over.
fn act(stream: &mut TcpStream, reply: Reply, tag: &str, verb: &str, command: &str) -> bool {
    let fill = |bytes: &[u8]| replace(bytes, b"TAG", tag.as_bytes());
    match reply {
        Reply::Usual => stream.write_all(&fill(&usual(verb, command))).is_ok(),
        Reply::Say(bytes) | Reply::Continue { then: bytes, .. } => stream.write_all(&fill(&bytes)).is_ok(),
        Reply::SayAndClose(bytes) => {
            let _ = stream.write_all(&fill(&bytes));
            let _ = stream.shutdown(std::net::Shutdown::Both);
            false
        }
        Reply::Flood(bytes) => {
            let bytes = bytes.repeat((65536 / bytes.len()).max(1));
            while stream.write_all(&bytes).is_ok() {}
            false
        }
        Reply::Drip(bytes, pause) => {
            for byte in fill(&bytes) {
                if stream.write_all(&[byte]).is_err() {
                    return false;
                }
                thread::sleep(pause);
            }
            hang(stream)
        }
        Reply::SayAndHang(bytes) => {
            let _ = stream.write_all(&fill(&bytes));
            hang(stream)
        }
    }
}

/// Waits, with the connection open, until the client is gone.
fn hang(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(stream, &mut rest);
    false
}

fn usual(verb: &str, command: &str) -> Vec<u8> {
    let text = match verb {
        "CAPABILITY" => "* CAPABILITY IMAP4rev1 MOVE UIDPLUS\r\nTAG OK done\r\n".to_owned(),
        "SELECT" | "EXAMINE" => "* FLAGS (\\Seen)\r\n* 1 EXISTS\r\n* 0 RECENT\r\n\
            * OK [UIDVALIDITY 7] v\r\n* OK [UIDNEXT 2] n\r\nTAG OK [READ-WRITE] done\r\n"
            .to_owned(),
        "SEARCH" => "* SEARCH 1\r\nTAG OK done\r\n".to_owned(),
        "LIST" => "* LIST () \"/\" INBOX\r\nTAG OK done\r\n".to_owned(),
        "FETCH" if command.contains("BODY") => {
            let message = String::from_utf8_lossy(MESSAGE);
            format!(
                "* 1 FETCH (UID 1 INTERNALDATE \"01-Feb-2026 10:00:00 +0100\" BODY[] {{{}}}\r\n\
                 {message})\r\nTAG OK done\r\n",
                MESSAGE.len()
            )
        }
        "FETCH" => {
            format!("* 1 FETCH (UID 1 RFC822.SIZE {})\r\nTAG OK done\r\n", MESSAGE.len())
        }
        "LOGOUT" => "* BYE bye\r\nTAG OK done\r\n".to_owned(),
        _ => "TAG OK done\r\n".to_owned(),
    };
    text.into_bytes()
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
