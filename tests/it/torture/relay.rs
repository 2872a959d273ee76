//! A relay between the program and the server that does one wrong thing at one byte.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// What happens at a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The connection is cut before it.
    Cut,
    /// It and all that follow never come.
    Stall,
    /// It is left out.
    Drop,
    /// It comes twice.
    Double,
    /// The program is killed before it comes.
    Kill,
    /// Somebody else does something before it comes: see [`Relay::start_with`].
    Act,
}

/// Who sends the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Server,
    Client,
}

/// One fault, at the `at`-th byte (from 0) of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub wrong: Wrong,
    pub from: From,
    pub at: usize,
}

/// What somebody else does.
pub type Act = Box<dyn Fn() + Send + Sync>;

/// A running relay. One connection suffers the fault, all later ones are left alone.
pub struct Relay {
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    fault: Mutex<Option<Fault>>,
    happened: AtomicBool,
    /// The process to kill.
    victim: AtomicI32,
    /// Bytes from the server and from the client on the last connection that ended.
    sent: [AtomicUsize; 2],
    stop: AtomicBool,
    act: Option<Act>,
}

impl Relay {
    /// Relays to `port`.
    pub fn start(port: u16, fault: Option<Fault>) -> Relay {
        Self::start_with(port, fault, None)
    }

    /// The same, with what is done by [`Wrong::Act`].
    pub fn start_with(port: u16, fault: Option<Fault>, act: Option<Act>) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { fault: Mutex::new(fault), act, ..Shared::default() });
        let state = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if state.stop.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", port))) else { continue };
                let fault = state.fault.lock().unwrap().take();
                join(client, server, fault, &state);
            }
        });
        Relay { port: here, shared }
    }

    /// Lets the next connection suffer `fault`.
    pub fn arm(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = Some(fault);
    }

    /// Lets no connection suffer a fault any more.
    pub fn disarm(&self) {
        *self.shared.fault.lock().unwrap() = None;
    }

    /// Whether the fault came to pass.
    pub fn happened(&self) -> bool {
        self.shared.happened.load(Ordering::SeqCst)
    }

    /// Whom to kill.
    pub fn victim(&self, pid: u32) {
        self.shared.victim.store(i32::try_from(pid).unwrap(), Ordering::SeqCst);
    }

    /// Bytes from the server and from the client.
    pub fn sent(&self) -> (usize, usize) {
        let [server, client] = &self.shared.sent;
        (server.load(Ordering::SeqCst), client.load(Ordering::SeqCst))
    }
}

impl std::ops::Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn join(client: TcpStream, server: TcpStream, fault: Option<Fault>, shared: &Arc<Shared>) {
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    for from in [From::Server, From::Client] {
        let (reading, writing) = match from {
            From::Server => (server.try_clone().unwrap(), client.try_clone().unwrap()),
            From::Client => (client.try_clone().unwrap(), server.try_clone().unwrap()),
        };
        let fault = fault.filter(|fault| fault.from == from);
        let shared = shared.clone();
        thread::spawn(move || {
            let sent = pass(&reading, &writing, fault, &shared);
            shared.sent[if from == From::Server { 0 } else { 1 }].store(sent, Ordering::SeqCst);
            let _ = reading.shutdown(Shutdown::Both);
            let _ = writing.shutdown(Shutdown::Both);
        });
    }
}

/// Passes bytes on until one side ends; how many there were.
fn pass(mut from: &TcpStream, mut to: &TcpStream, fault: Option<Fault>, shared: &Shared) -> usize {
    let mut passed = 0;
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..count];
        let here = fault.filter(|fault| (passed..passed + count).contains(&fault.at));
        passed += count;
        let Some(fault) = here else {
            if to.write_all(bytes).is_err() {
                break;
            }
            continue;
        };
        let (before, after) = bytes.split_at(fault.at - (passed - count));
        let (byte, after) = after.split_at(1);
        shared.happened.store(true, Ordering::SeqCst);
        if to.write_all(before).is_err() {
            break;
        }
        let goes_on = match fault.wrong {
            Wrong::Cut => false,
            Wrong::Stall => {
                swallow(from);
                false
            }
            Wrong::Drop => to.write_all(after).is_ok(),
            Wrong::Double => to.write_all(&[byte, byte, after].concat()).is_ok(),
            Wrong::Kill => {
                kill(shared);
                false
            }
            Wrong::Act => {
                shared.act.iter().for_each(|act| act());
                to.write_all(&[byte, after].concat()).is_ok()
            }
        };
        if !goes_on {
            break;
        }
    }
    passed
}

/// Until one side has gone; the other direction passes its bytes on.
fn swallow(mut from: &TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = from.read(&mut buffer) {}
}

fn kill(shared: &Shared) {
    for _ in 0..1000 {
        if let Some(pid) = Pid::from_raw(shared.victim.load(Ordering::SeqCst)) {
            let _ = kill_process(pid, Signal::KILL);
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}
